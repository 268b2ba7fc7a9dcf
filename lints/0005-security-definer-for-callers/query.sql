-- $1: the names of the schemas to look at.
select
  f.oid::regprocedure::text as key,
  f.oid::regprocedure::text as object,
  format(
    'It runs with the rights of its owner %s, and %s may execute it.',
    f.proowner::regrole,
    string_agg(distinct case a.grantee when 0 then 'everybody' else a.grantee::regrole::text end, ', ')
  ) as detail,
  format(
    'alter %s %s security invoker, or revoke the right to execute it; where it must be so, waive it and say what it checks',
    case f.prokind when 'p' then 'procedure' else 'function' end, f.oid::regprocedure
  ) as remedy
from pg_proc f
  join pg_namespace n on n.oid = f.pronamespace
  cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
where n.nspname = any ($1::text[])
  and f.prosecdef
  and a.grantee <> f.proowner
  and not exists (
    select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
  )
group by f.oid, f.proowner, f.prokind
