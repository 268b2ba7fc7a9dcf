-- $1: the names of the schemas to look at.
select
  format('%s to %s', c.oid::regclass, a.grantee::regrole) as key,
  c.oid::regclass::text as object,
  format(
    '%s can log in and has %s of its own, which stays when it is taken out of every group.',
    a.grantee::regrole, string_agg(distinct lower(a.privilege_type), ', ')
  ) as detail,
  format('revoke all on %s from %s: grant it to a role that it is a member of', c.oid::regclass, a.grantee::regrole) as remedy
from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select grantee, privilege_type from aclexplode(c.relacl)
    union all
    select x.grantee, x.privilege_type
    from pg_attribute t, aclexplode(t.attacl) x
    where t.attrelid = c.oid and not t.attisdropped
  ) a
  join pg_roles r on r.oid = a.grantee and r.rolcanlogin
where n.nspname = any ($1::text[])
  and a.grantee <> c.relowner
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
group by c.oid, a.grantee
