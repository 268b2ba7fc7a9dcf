-- $1: the names of the schemas to look at.
select
  format('%I on %s', p.polname, p.polrelid::regclass) as key,
  format('%I on %s', p.polname, p.polrelid::regclass) as object,
  'It is for public: it holds for every role that is ever granted something on the table.' as detail,
  format('alter policy %I on %s to …', p.polname, p.polrelid::regclass) as remedy
from pg_policy p
  join pg_class t on t.oid = p.polrelid
  join pg_namespace n on n.oid = t.relnamespace
where n.nspname = any ($1::text[])
  and 0 = any (p.polroles)
  -- One that restricts is the safer for holding for everybody.
  and p.polpermissive
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
  )
