-- $1: the names of the schemas to look at.
select
  c.oid::regclass::text as key,
  c.oid::regclass::text as object,
  format('Row security is off on %s: whoever is granted something on it has it on every row.', c.oid::regclass) as detail,
  format('alter table %s enable row level security', c.oid::regclass) as remedy
from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1::text[])
  and c.relkind in ('r', 'p')
  and not c.relrowsecurity
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
