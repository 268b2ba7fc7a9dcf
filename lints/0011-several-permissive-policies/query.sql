-- $1: the names of the schemas to look at.
with permissive as (
  select p.polrelid, p.polname, p.polroles, c.command
  from pg_policy p
    join pg_class t on t.oid = p.polrelid
    join pg_namespace n on n.oid = t.relnamespace
    join (values ('r', 'select'), ('a', 'insert'), ('w', 'update'), ('d', 'delete')) as c (code, command)
      on p.polcmd in ('*', c.code::"char")
  where n.nspname = any ($1::text[])
    and p.polpermissive
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
),
-- Whom the policies of a table name; 0 is everybody.
named as (
  select distinct p.polrelid, p.command, role.oid as role
  from permissive p
    cross join lateral unnest(p.polroles) as role (oid)
    left join pg_roles r on r.oid = role.oid
  where not coalesce(r.rolsuper or r.rolbypassrls, false)
)
select
  format('%s for %s to %s', r.polrelid::regclass, r.command, role.name) as key,
  r.polrelid::regclass::text as object,
  format(
    'For %s by %s each row is tried against %s policies, and one that is true is enough: %s.',
    r.command, role.name, count(*), string_agg(quote_ident(p.polname), ', ' order by p.polname)
  ) as detail,
  'Make one policy of them, with "or"; what must hold beside another is "as restrictive".' as remedy
from named r
  cross join lateral (select case r.role when 0 then 'public' else r.role::regrole::text end as name) role
  join permissive p on (p.polrelid, p.command) = (r.polrelid, r.command)
where exists (
  select
  from unnest(p.polroles) as applies (oid)
  where case
    when applies.oid = 0 then true
    when r.role = 0 then false
    else pg_has_role(r.role, applies.oid, 'usage')
  end
)
group by r.polrelid, r.command, r.role, role.name
having count(*) > 1
