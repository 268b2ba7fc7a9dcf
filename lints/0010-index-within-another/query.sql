-- $1: the names of the schemas to look at.
with index as (
  select
    i.indexrelid, i.indrelid, i.indisunique, i.indisclustered, i.indnkeyatts,
    pg_get_expr(i.indpred, i.indrelid) as predicate,
    keys.list as keys,
    array(
      select a.attnum from unnest((i.indkey::int2[])[i.indnkeyatts:]) as a (attnum)
    ) as included,
    i.indkey::int2[] as attnums
  from pg_index i
    join pg_class x on x.oid = i.indexrelid
    join pg_am m on m.oid = x.relam
    join pg_class t on t.oid = i.indrelid
    join pg_namespace n on n.oid = t.relnamespace
    cross join lateral (
      select array_agg(
        concat_ws(
          ' ', pg_get_indexdef(i.indexrelid, p, false),
          (i.indclass::oid[])[p - 1], (i.indcollation::oid[])[p - 1], (i.indoption::int2[])[p - 1]
        )
        order by p
      ) as list
      from generate_series(1, i.indnkeyatts) as p
    ) keys
  where n.nspname = any ($1::text[])
    and m.amname = 'btree'
    and i.indisvalid
    and not x.relispartition
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
)
select
  narrow.indexrelid::regclass::text as key,
  narrow.indexrelid::regclass::text as object,
  format(
    '%s on %s begins with the same columns, and serves the same searches.',
    string_agg(wide.indexrelid::regclass::text, ', ' order by wide.indexrelid::regclass::text),
    narrow.indrelid::regclass
  ) as detail,
  format('drop index %s', narrow.indexrelid::regclass) as remedy
from index narrow
  join index wide
    on wide.indrelid = narrow.indrelid
    and wide.indnkeyatts > narrow.indnkeyatts
    and wide.keys[1:narrow.indnkeyatts] = narrow.keys
    and wide.predicate is not distinct from narrow.predicate
    and wide.attnums @> narrow.included
where not narrow.indisunique
  and not narrow.indisclustered
group by narrow.indexrelid, narrow.indrelid
