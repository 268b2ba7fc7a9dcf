-- $1: the names of the schemas to look at.
select
  c.oid::regclass::text as key,
  c.oid::regclass::text as object,
  'The table is unlogged: it is empty after a crash, and on every replica.' as detail,
  format('alter table %s set logged', c.oid::regclass) as remedy
from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1::text[])
  and c.relkind in ('r', 'p')
  and c.relpersistence = 'u'
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
