-- $1: the names of the schemas to look at.
with function as (
  select f.oid, f.prokind, s.path, s.schemas
  from pg_proc f
    join pg_namespace n on n.oid = f.pronamespace
    left join lateral (
      select
        substring(setting from '^search_path=(.*)$') as path,
        array(
          select trim(both '" ' from e)
          from unnest(string_to_array(substring(setting from '^search_path=(.*)$'), ',')) as e
        ) as schemas
      from unnest(f.proconfig) as setting
      where setting like 'search\_path=%'
    ) s on true
  where n.nspname = any ($1::text[])
    and f.prokind in ('f', 'p', 'w')
    and not exists (
      select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
    )
)
select
  f.oid::regprocedure::text as key,
  f.oid::regprocedure::text as object,
  wrong.detail,
  format(
    'alter %s %s set search_path to pg_catalog, pg_temp, with every other name in it qualified',
    case f.prokind when 'p' then 'procedure' else 'function' end, f.oid::regprocedure
  ) as remedy
from function f
  cross join lateral (
    select case
      when f.path is null then 'What its names mean is decided by the search_path of whoever calls it.'
      when '$user' = any (f.schemas) then 'Its search_path names "$user", which is another schema for each caller.'
      when f.schemas[cardinality(f.schemas)] is distinct from 'pg_temp'
        then format('Its search_path (%s) does not end with pg_temp, so temporary tables of the caller come first.', f.path)
      when exists (
        select
        from pg_namespace n, aclexplode(n.nspacl) a
        where n.nspname = any (f.schemas) and a.grantee = 0 and a.privilege_type = 'CREATE'
      ) then format('Its search_path (%s) names a schema in which everybody may create.', f.path)
    end as detail
  ) wrong
where wrong.detail is not null
