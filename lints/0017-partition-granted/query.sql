-- $1: the names of the schemas to look at.
select
  format('%s to %s', c.oid::regclass, role.name) as key,
  c.oid::regclass::text as object,
  format(
    '%s has %s on the partition itself, where the policies of %s do not hold.',
    role.name, string_agg(distinct lower(a.privilege_type), ', '), parent.name
  ) as detail,
  format('revoke all on %s from %s: rights on %s are enough', c.oid::regclass, role.name, parent.name) as remedy
from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select i.inhparent::regclass::text as name from pg_inherits i where i.inhrelid = c.oid
  ) parent
  cross join lateral (
    select grantee, privilege_type from aclexplode(c.relacl)
    union all
    select x.grantee, x.privilege_type
    from pg_attribute t, aclexplode(t.attacl) x
    where t.attrelid = c.oid and not t.attisdropped
  ) a
  cross join lateral (
    select case a.grantee when 0 then 'public' else a.grantee::regrole::text end as name
  ) role
where n.nspname = any ($1::text[])
  and c.relispartition
  and a.grantee <> c.relowner
group by c.oid, parent.name, role.name
