-- $1: the names of the schemas to look at.
select
  c.oid::regclass::text as key,
  c.oid::regclass::text as object,
  'The table has no primary key: two rows can be the same, and no one of them can be named.' as detail,
  format('alter table %s add primary key (…)', c.oid::regclass) as remedy
from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1::text[])
  and c.relkind in ('r', 'p')
  and not c.relispartition
  and not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p')
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
