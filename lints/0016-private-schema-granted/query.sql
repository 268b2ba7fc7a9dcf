-- $1: the names of the schemas to look at.
select
  format('%I to %s', n.nspname, role.name) as key,
  quote_ident(n.nspname) as object,
  format(
    '%s has %s on the schema, whose name says that it is out of reach.',
    case a.grantee when 0 then 'Everybody' else a.grantee::regrole::text end,
    string_agg(lower(a.privilege_type), ', ' order by a.privilege_type)
  ) as detail,
  format('revoke all on schema %I from %s', n.nspname, role.name) as remedy
from pg_namespace n
  cross join lateral aclexplode(n.nspacl) a
  cross join lateral (
    select case a.grantee when 0 then 'public' else a.grantee::regrole::text end as name
  ) role
where n.nspname = any ($1::text[])
  and n.nspname ~ '(^|_)private$'
  and a.grantee <> n.nspowner
group by n.nspname, a.grantee, role.name
