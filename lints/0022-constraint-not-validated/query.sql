-- $1: the names of the schemas to look at.
with open as (
  select
    k.conname,
    coalesce(nullif(k.conrelid, 0)::regclass::text, 'domain ' || k.contypid::regtype) as place,
    case when k.conrelid = 0 then 'domain ' || k.contypid::regtype else 'table ' || k.conrelid::regclass end as target,
    -- Since PostgreSQL 18.
    to_jsonb(k) ->> 'conenforced' = 'false' as is_idle
  from pg_constraint k
    join pg_namespace n on n.oid = k.connamespace
  where n.nspname = any ($1::text[])
    and (not k.convalidated or to_jsonb(k) ->> 'conenforced' = 'false')
    -- What partitions and children take over is mended at their parent.
    and k.coninhcount = 0
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = k.conrelid and d.deptype = 'e'
    )
)
select
  format('%I on %s', o.conname, o.place) as key,
  format('%I on %s', o.conname, o.place) as object,
  case
    when o.is_idle then 'The constraint is not enforced: nothing keeps rows from breaking it.'
    else 'The constraint holds for what is written from now on; older rows may break it.'
  end as detail,
  case
    when o.is_idle then format('alter %s alter constraint %I enforced', o.target, o.conname)
    else format('alter %s validate constraint %I', o.target, o.conname)
  end as remedy
from open o
