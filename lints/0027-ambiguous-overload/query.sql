-- $1: the names of the schemas to look at.
with function as (
  select
    f.oid, f.pronamespace, f.proname, f.pronargs as most, f.pronargs - f.pronargdefaults as least,
    f.proargtypes::oid[] as types
  from pg_proc f
    join pg_namespace n on n.oid = f.pronamespace
  where n.nspname = any ($1::text[])
    and f.provariadic = 0
    and not exists (
      select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
    )
)
select
  format('%s and %s', one.oid::regprocedure, other.oid::regprocedure) as key,
  one.oid::regprocedure::text as object,
  format(
    'A call with %s argument%s can mean %s too, and fails: "function is not unique".',
    shared.number, case when shared.number <> 1 then 's' end, other.oid::regprocedure
  ) as detail,
  format('drop the one that is no longer meant, such as: drop function %s', one.oid::regprocedure) as remedy
from function one
  join function other
    on (other.pronamespace, other.proname) = (one.pronamespace, one.proname)
    and (other.most, other.types::text) > (one.most, one.types::text)
  cross join lateral (
    select min(k) as number
    from generate_series(greatest(one.least, other.least)::int, one.most::int) as k
    where one.types[0:k - 1] = other.types[0:k - 1]
  ) shared
where shared.number is not null
