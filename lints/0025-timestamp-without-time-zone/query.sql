-- $1: the names of the schemas to look at.
select
  format('%s.%I', c.oid::regclass, a.attname) as key,
  format('%s.%I', c.oid::regclass, a.attname) as object,
  'It is a timestamp without time zone: which moment it means depends on who reads it.' as detail,
  case
    when c.relkind in ('r', 'p') and t.oid = 'timestamp'::regtype then format(
      'alter table %s alter column %I type timestamptz using %I at time zone ''UTC'' (or the zone that was meant)',
      c.oid::regclass, a.attname, a.attname
    )
    else 'Make it a timestamptz.'
  end as remedy
from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
where n.nspname = any ($1::text[])
  and c.relkind in ('r', 'p', 'f', 'c')
  and not c.relispartition
  and 'timestamp'::regtype in (t.oid, t.typelem, t.typbasetype)
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
