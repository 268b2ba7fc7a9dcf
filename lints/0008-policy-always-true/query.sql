-- $1: the names of the schemas to look at.
--
-- A condition is constant when the tree that PostgreSQL keeps of it has no column, function or subselect. Its nodes
-- stand in braces; a brace that belongs to a name has a backslash before it.
with expression as (
  select p.oid as policy, p.polname, p.polrelid, p.polpermissive, c.name as clause, c.expr
  from pg_policy p
    join pg_class t on t.oid = p.polrelid
    join pg_namespace n on n.oid = t.relnamespace
    cross join lateral (
      values ('using', p.polqual), ('with check', p.polwithcheck)
    ) as c (name, expr)
  where n.nspname = any ($1::text[])
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
),
piece as (
  select
    e.policy, e.clause, s.place, s.text,
    sum(case left(s.text, 1) when '{' then 1 when '}' then -1 else 0 end)
      over (partition by e.policy, e.clause order by s.place) as level
  from expression e
    cross join lateral regexp_split_to_table(e.expr::text, '(?<!\\)(?=[{}])') with ordinality as s (text, place)
),
-- The whole condition, or each of the alternatives when it is an "or".
alternative as (
  select
    p.policy, p.clause,
    count(*) filter (where left(p.text, 1) = '{' and p.level = top.level)
      over (partition by p.policy, p.clause order by p.place) as number,
    p.text
  from piece p
    cross join lateral (
      select case when e.expr::text like '{BOOLEXPR :boolop or %' then 2 else 1 end as level
      from expression e
      where (e.policy, e.clause) = (p.policy, p.clause)
    ) top
),
constant as (
  select policy, clause
  from alternative
  where number > 0
  group by policy, clause, number
  having bool_and(text !~ '^\{(VAR|PARAM|SUBLINK|FUNCEXPR|SQLVALUEFUNCTION|CURRENTOFEXPR|NEXTVALUEEXPR) ')
    -- "false" and "null" let no row through.
    and not bool_and(text ~ '^\{CONST .*(:constisnull true|:constvalue 1 \[ 0 )' or left(text, 1) <> '{')
)
select
  format('%I on %s', e.polname, e.polrelid::regclass) as key,
  format('%I on %s', e.polname, e.polrelid::regclass) as object,
  string_agg(
    format(
      case
        when e.polpermissive then '%s (%s) is decided without the row or the caller: it lets everything through.'
        else '%s (%s) is decided without the row or the caller: it restricts nothing.'
      end,
      e.clause, pg_get_expr(e.expr, e.polrelid, true)
    ),
    ' ' order by e.clause
  ) as detail,
  'Say whose rows they are; where all are meant for all who are granted the table, waive it.' as remedy
from expression e
where (e.policy, e.clause) in (select policy, clause from constant)
group by e.polname, e.polrelid
