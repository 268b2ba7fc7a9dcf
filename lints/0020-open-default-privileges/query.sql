-- $1: the names of the schemas to look at.
with kind (code, name, acl_code) as (
  values ('r', 'tables', 'r'), ('S', 'sequences', 's'), ('f', 'functions', 'f'), ('n', 'schemas', 'n')
),
-- Whoever owns one of the schemas, or something in it, may make the next thing there.
creator as (
  select n.nspowner as role from pg_namespace n where n.nspname = any ($1::text[])
  union
  select c.relowner from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = any ($1::text[])
  union
  select f.proowner from pg_proc f join pg_namespace n on n.oid = f.pronamespace where n.nspname = any ($1::text[])
),
granted as (
  -- What holds in the whole database: PostgreSQL's own defaults where nothing else was said.
  select c.role, k.name as things, '' as place, '' as within, a.grantee, a.privilege_type
  from creator c
    cross join kind k
    left join pg_default_acl d on d.defaclrole = c.role and d.defaclnamespace = 0 and d.defaclobjtype = k.code::"char"
    cross join lateral aclexplode(coalesce(d.defaclacl, acldefault(k.acl_code::"char", c.role))) a
  union all
  -- What one schema adds.
  select
    d.defaclrole, k.name, format(' in the schema %I', n.nspname), format(' in schema %I', n.nspname), a.grantee, a.privilege_type
  from pg_default_acl d
    join kind k on d.defaclobjtype = k.code::"char"
    join pg_namespace n on n.oid = d.defaclnamespace
    cross join lateral aclexplode(d.defaclacl) a
  where n.nspname = any ($1::text[])
)
select
  format('%s of %s%s to %s', g.things, g.role::regrole, g.within, role.name) as key,
  g.role::regrole::text as object,
  format(
    'The next %s that %s makes%s give %s %s.',
    g.things, g.role::regrole, g.place, case g.grantee when 0 then 'everybody' else role.name end,
    string_agg(lower(g.privilege_type), ', ' order by g.privilege_type)
  ) as detail,
  format(
    'alter default privileges for role %s%s revoke all on %s from %s', g.role::regrole, g.within, g.things, role.name
  ) as remedy
from granted g
  cross join lateral (
    select case g.grantee when 0 then 'public' else g.grantee::regrole::text end as name
  ) role
where g.grantee <> g.role
group by g.things, g.role, g.place, g.within, g.grantee, role.name
