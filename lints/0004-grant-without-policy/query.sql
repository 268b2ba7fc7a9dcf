-- $1: the names of the schemas to look at.
with granted as (
  select c.oid, c.relowner, a.grantee, a.privilege_type as command
  from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    cross join lateral (
      select grantee, privilege_type from aclexplode(c.relacl)
      union
      select x.grantee, x.privilege_type
      from pg_attribute t, aclexplode(t.attacl) x
      where t.attrelid = c.oid and not t.attisdropped
    ) a
    left join pg_roles r on r.oid = a.grantee
  where n.nspname = any ($1::text[])
    and c.relrowsecurity
    and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    and a.grantee <> c.relowner
    -- No policy binds these.
    and not coalesce(r.rolsuper or r.rolbypassrls, false)
),
-- A policy applies to the roles that it names, and to whoever has their rights.
applying as (
  select g.oid, g.grantee, g.command, p.polpermissive
  from granted g
    join pg_policy p on p.polrelid = g.oid
  where p.polcmd in (
      '*', case g.command when 'SELECT' then 'r' when 'INSERT' then 'a' when 'UPDATE' then 'w' else 'd' end::"char"
    )
    and exists (
      select
      from unnest(p.polroles) as named (role)
      where case
        when named.role = 0 then true
        when g.grantee = 0 then false
        else pg_has_role(g.grantee, named.role, 'usage')
      end
    )
)
select
  format('%s %s to %s', g.oid::regclass, lower(g.command), role.name) as key,
  g.oid::regclass::text as object,
  format(
    '%s is granted to %s, and %s: no row can be reached.',
    lower(g.command), role.name,
    case
      when exists (select from applying a where (a.oid, a.grantee, a.command) = (g.oid, g.grantee, g.command))
        then 'the policies for it are all restrictive'
      else 'no policy is for it'
    end
  ) as detail,
  format(
    'create policy … on %s for %s to %s …, or revoke the grant', g.oid::regclass, lower(g.command), role.name
  ) as remedy
from granted g
  cross join lateral (
    select case g.grantee when 0 then 'public' else g.grantee::regrole::text end as name
  ) role
where not exists (
  select
  from applying a
  where (a.oid, a.grantee, a.command) = (g.oid, g.grantee, g.command) and a.polpermissive
)
