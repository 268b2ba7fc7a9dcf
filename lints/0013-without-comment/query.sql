-- $1: the names of the schemas to look at.
with thing as (
  select
    case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table' else 'table' end as kind,
    c.oid::regclass::text as object,
    obj_description(c.oid, 'pg_class') as comment,
    'pg_class'::regclass as class, c.oid
  from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p', 'v', 'm', 'f')
  union all
  select
    'column', format('%s.%I', c.oid::regclass, a.attname), col_description(c.oid, a.attnum), 'pg_class'::regclass, c.oid
  from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p', 'v', 'm', 'f')
    -- Where nobody but the owner may look, only who maintains the table reads them.
    and exists (select from aclexplode(n.nspacl) g where g.grantee <> n.nspowner)
  union all
  select
    case f.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
    f.oid::regprocedure::text, obj_description(f.oid, 'pg_proc'), 'pg_proc'::regclass, f.oid
  from pg_proc f
    join pg_namespace n on n.oid = f.pronamespace
  where n.nspname = any ($1::text[])
  union all
  select
    case t.typtype when 'd' then 'domain' else 'type' end,
    t.oid::regtype::text, obj_description(t.oid, 'pg_type'), 'pg_type'::regclass, t.oid
  from pg_type t
    join pg_namespace n on n.oid = t.typnamespace
    left join pg_class c on c.oid = t.typrelid
  where n.nspname = any ($1::text[])
    and (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and c.relkind = 'c'))
    and exists (select from aclexplode(n.nspacl) g where g.grantee <> n.nspowner)
  union all
  select
    'policy', format('%I on %s', p.polname, p.polrelid::regclass), obj_description(p.oid, 'pg_policy'),
    'pg_class'::regclass, p.polrelid
  from pg_policy p
    join pg_class c on c.oid = p.polrelid
    join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any ($1::text[])
)
select
  format('%s %s', t.kind, t.object) as key,
  t.object,
  format('The %s has no comment.', t.kind) as detail,
  format('comment on %s %s is ''…''', t.kind, t.object) as remedy
from thing t
where t.comment is null
  and not exists (
    select from pg_depend d where d.classid = t.class and d.objid = t.oid and d.deptype = 'e'
  )
