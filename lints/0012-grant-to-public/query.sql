-- $1: the names of the schemas to look at.
--
-- Types are left out: PostgreSQL lets everybody use a type unless told otherwise, and that shows nobody a row.
with granted as (
  select
    n.nspname::text as key, quote_ident(n.nspname) as object, 'schema ' || quote_ident(n.nspname) as target,
    a.privilege_type as privilege
  from pg_namespace n
    cross join lateral aclexplode(n.nspacl) a
  where n.nspname = any ($1::text[]) and a.grantee = 0
  union all
  select
    c.oid::regclass::text, c.oid::regclass::text,
    case c.relkind when 'S' then 'sequence ' else '' end || c.oid::regclass,
    a.privilege_type
  from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    cross join lateral aclexplode(c.relacl) a
  where n.nspname = any ($1::text[]) and a.grantee = 0
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
  union all
  select
    format('%s.%I', c.oid::regclass, t.attname), format('%s.%I', c.oid::regclass, t.attname), c.oid::regclass::text,
    format('%s (%I)', a.privilege_type, t.attname)
  from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute t on t.attrelid = c.oid and not t.attisdropped
    cross join lateral aclexplode(t.attacl) a
  where n.nspname = any ($1::text[]) and a.grantee = 0
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
  union all
  select f.oid::regprocedure::text, f.oid::regprocedure::text, 'routine ' || f.oid::regprocedure, a.privilege_type
  from pg_proc f
    join pg_namespace n on n.oid = f.pronamespace
    cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
  where n.nspname = any ($1::text[]) and a.grantee = 0
    and not exists (
      select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
    )
)
select
  g.key,
  g.object,
  format(
    'Everybody who can connect has %s on %s.', string_agg(lower(g.privilege), ', ' order by g.privilege), g.target
  ) as detail,
  format('revoke %s on %s from public', string_agg(lower(g.privilege), ', ' order by g.privilege), g.target) as remedy
from granted g
group by g.key, g.object, g.target
