-- $1: the names of the schemas to look at.
select
  format('%I on %s', k.conname, k.conrelid::regclass) as key,
  format('%I on %s', k.conname, k.conrelid::regclass) as object,
  'It has the name that PostgreSQL makes up, so an error that names it does not say the rule.' as detail,
  format('alter table %s rename constraint %I to …', k.conrelid::regclass, k.conname) as remedy
from pg_constraint k
  join pg_namespace n on n.oid = k.connamespace
where n.nspname = any ($1::text[])
  and k.conrelid <> 0
  and k.contype in ('f', 'c')
  and k.conname ~ '_(fkey|check)\d*$'
  and k.coninhcount = 0
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = k.conrelid and d.deptype = 'e'
  )
