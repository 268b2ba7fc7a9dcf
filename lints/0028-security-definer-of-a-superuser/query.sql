-- $1: the names of the schemas to look at.
select
  f.oid::regprocedure::text as key,
  f.oid::regprocedure::text as object,
  format(
    'It runs with the rights of %s, who %s.',
    f.proowner::regrole, case when r.rolsuper then 'is a superuser' else 'bypasses row security' end
  ) as detail,
  format(
    'alter %s %s owner to a role that has no more than it needs',
    case f.prokind when 'p' then 'procedure' else 'function' end, f.oid::regprocedure
  ) as remedy
from pg_proc f
  join pg_namespace n on n.oid = f.pronamespace
  join pg_roles r on r.oid = f.proowner
where n.nspname = any ($1::text[])
  and f.prosecdef
  and (r.rolsuper or r.rolbypassrls)
  and not exists (
    select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
  )
