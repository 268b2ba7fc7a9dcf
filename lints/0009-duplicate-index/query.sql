-- $1: the names of the schemas to look at.
with index as (
  select
    i.indexrelid, i.indrelid, i.indisunique, x.relname,
    own.conname as constraint_name,
    i.indisprimary or i.indisreplident or i.indisclustered
      or exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype = 'f') as is_needed,
    to_jsonb(i) ->> 'indnullsnotdistinct' as nulls_not_distinct,
    i.indimmediate,
    -- Everything that makes one index another: columns or expressions, operators, collations, order, predicate.
    jsonb_build_array(
      x.relam, i.indnkeyatts, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text,
      pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid), x.reloptions
    ) as content
  from pg_index i
    join pg_class x on x.oid = i.indexrelid
    left join pg_constraint own on own.conindid = i.indexrelid and own.conrelid = i.indrelid and own.contype in ('p', 'u')
    join pg_class t on t.oid = i.indrelid
    join pg_namespace n on n.oid = t.relnamespace
  where n.nspname = any ($1::text[])
    and i.indisvalid
    and not i.indisexclusion
    -- What partitions take over from their parent is mended there.
    and not x.relispartition
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
)
select
  spare.indexrelid::regclass::text as key,
  spare.indexrelid::regclass::text as object,
  format(
    'It has the same columns as %s, on %s: each write keeps both.', kept.indexrelid::regclass, spare.indrelid::regclass
  ) as detail,
  case
    when spare.constraint_name is null then format('drop index %s', spare.indexrelid::regclass)
    else format('alter table %s drop constraint %I', spare.indrelid::regclass, spare.constraint_name)
  end as remedy
from index spare
  cross join lateral (
    select k.indexrelid
    from index k
    where k.indrelid = spare.indrelid
      and k.content = spare.content
      -- A unique index does what one that is not does; the other way round it doesn't.
      and (
        not spare.indisunique
        or (
          k.indisunique
          and (k.indimmediate, k.nulls_not_distinct)
            is not distinct from (spare.indimmediate, spare.nulls_not_distinct)
        )
      )
      -- Of two alike, the one stays that something depends on, or whose name comes first.
      and (k.indisunique, k.is_needed, k.constraint_name is not null, spare.relname)
        > (spare.indisunique, spare.is_needed, spare.constraint_name is not null, k.relname)
    order by k.indisunique desc, k.is_needed desc, k.constraint_name is not null desc, k.relname
    limit 1
  ) kept
where not spare.is_needed
