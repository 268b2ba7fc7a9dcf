-- $1: the names of the schemas to look at.
with foreign_key as (
  select
    k.*,
    (
      select array_agg(a.attname::text order by place)
      from unnest(k.conkey) with ordinality as c (attnum, place)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.attnum
    ) as columns
  from pg_constraint k
    join pg_class t on t.oid = k.conrelid
    join pg_namespace n on n.oid = t.relnamespace
  where k.contype = 'f'
    and n.nspname = any ($1::text[])
    -- What partitions take over from their parent is mended there.
    and k.conparentid = 0
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
)
select
  format('%I on %s', k.conname, k.conrelid::regclass) as key,
  format('%I on %s', k.conname, k.conrelid::regclass) as object,
  format(
    'No index begins with %s, so each delete in %s reads all of %s.',
    array_to_string(k.columns, ', '), k.confrelid::regclass, k.conrelid::regclass
  ) as detail,
  format(
    'create index on %s (%s)',
    k.conrelid::regclass, (select string_agg(quote_ident(c), ', ') from unnest(k.columns) as c)
  ) as remedy
from foreign_key k
where not exists (
  select
  from pg_index i
    join pg_class x on x.oid = i.indexrelid
    join pg_am m on m.oid = x.relam
  where i.indrelid = k.conrelid
    and i.indisvalid
    and (m.amname = 'btree' or (m.amname = 'hash' and cardinality(k.conkey) = 1))
    and i.indnkeyatts >= cardinality(k.conkey)
    -- In whichever order: each of the columns is compared with =.
    and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
    -- A row with a null refers to nothing, so an index may leave such rows out.
    and (
      i.indpred is null
      or pg_get_expr(i.indpred, i.indrelid) in (select format('(%I IS NOT NULL)', c) from unnest(k.columns) as c)
    )
)
