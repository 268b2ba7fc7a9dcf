-- $1: the names of the schemas to look at.
select
  format('%s to %s', c.oid::regclass, role.name) as key,
  c.oid::regclass::text as object,
  format('%s may truncate the table: no policy is asked, and every row goes.', role.name) as detail,
  format('revoke truncate on %s from %s', c.oid::regclass, role.name) as remedy
from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join lateral aclexplode(c.relacl) a
  cross join lateral (
    select case a.grantee when 0 then 'public' else a.grantee::regrole::text end as name
  ) role
where n.nspname = any ($1::text[])
  and c.relkind in ('r', 'p')
  and a.privilege_type = 'TRUNCATE'
  and a.grantee <> c.relowner
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
