-- $1: the names of the schemas to look at.
select
  c.oid::regclass::text as key,
  c.oid::regclass::text as object,
  case c.relkind
    when 'v' then format('The view reads with the rights of its owner %s, whom no policy binds.', c.relowner::regrole)
    when 'm' then format('The materialized view has no policies, and %s may read all of it.', reader.names)
    else format('The foreign table has no policies, and %s may read all of it.', reader.names)
  end as detail,
  case c.relkind
    when 'v' then format('alter view %s set (security_invoker = true)', c.oid::regclass)
    else format('revoke all on %s from %s, and let a function or a view say which rows are whose', c.oid::regclass, reader.names)
  end as remedy
from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select string_agg(distinct case a.grantee when 0 then 'public' else a.grantee::regrole::text end, ', ') as names
    from (
      select grantee from aclexplode(c.relacl)
      union all
      select x.grantee
      from pg_attribute t, aclexplode(t.attacl) x
      where t.attrelid = c.oid and not t.attisdropped
    ) a
    where a.grantee <> c.relowner
  ) reader
where n.nspname = any ($1::text[])
  and case
    when c.relkind = 'v' then not exists (
      select
      from pg_options_to_table(c.reloptions) o
      where o.option_name = 'security_invoker' and o.option_value::boolean
    )
    when c.relkind in ('m', 'f') then reader.names is not null
    else false
  end
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
