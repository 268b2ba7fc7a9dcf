-- $1: the names of the schemas to look at.
--
-- The text of a policy does not say which subselect a call stands in; the tree that PostgreSQL keeps of it does.
-- Its nodes stand in braces. A brace that belongs to a name has a backslash before it.
with expression as (
  select p.oid as policy, c.name as clause, c.tree
  from pg_policy p
    join pg_class t on t.oid = p.polrelid
    join pg_namespace n on n.oid = t.relnamespace
    cross join lateral (
      values ('using', p.polqual::text), ('with check', p.polwithcheck::text)
    ) as c (name, tree)
  where n.nspname = any ($1::text[])
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
),
piece as (
  select
    e.policy, e.clause, s.place, s.text,
    -- The brace that closes a node is on the level of the one that opens it.
    sum(case left(s.text, 1) when '{' then 1 when '}' then -1 else 0 end)
      over (partition by e.policy, e.clause order by s.place)
      + (left(s.text, 1) = '}')::int as level,
    lag(s.text) over (partition by e.policy, e.clause order by s.place) as before
  from expression e
    cross join lateral regexp_split_to_table(e.tree, '(?<!\\)(?=[{}])') with ordinality as s (text, place)
),
span as (
  select
    policy, clause, text,
    substring(text from '^\{([A-Z]+)') as type,
    -- What the node is to the one around it.
    substring(before from ':(\w+) \(?$') as part,
    level,
    place as opens,
    lead(place) over (partition by policy, clause, level order by place) as closes
  from piece
  where left(text, 1) in ('{', '}')
),
node as (
  select * from span where type is not null
),
subselect as (
  select
    q.*,
    (
      select count(*)
      from node o
      where (o.policy, o.clause, o.type) = (q.policy, q.clause, 'QUERY') and q.opens between o.opens and o.closes
    ) as depth,
    not exists (
      select
      from node f
      where (f.policy, f.clause, f.type, f.level) = (q.policy, q.clause, 'FROMEXPR', q.level + 1)
        and f.opens between q.opens and q.closes
        and f.text not like '{FROMEXPR :fromlist <>%'
    ) as reads_nothing
  from node q
  where q.type = 'QUERY'
),
-- Each column, with the depth of the select whose row it is of: 0 is the policy's own table.
col as (
  select
    v.policy, v.clause, v.opens,
    (
      select count(*)
      from subselect o
      where (o.policy, o.clause) = (v.policy, v.clause) and v.opens between o.opens and o.closes
    ) - substring(v.text from ':varlevelsup (\d+)')::int as depth
  from node v
  where v.type = 'VAR'
),
call as (
  select
    c.*, f.oid as function, f.provolatile as volatility,
    q.opens as q_opens, q.closes as q_closes, q.depth as q_depth, q.reads_nothing,
    (
      select min(v.depth)
      from col v
      where (v.policy, v.clause) = (c.policy, c.clause) and v.opens between c.opens and c.closes
    ) as outermost_column,
    exists (
      select
      from node s
      where (s.policy, s.clause) = (c.policy, c.clause) and s.opens > c.opens and s.opens < c.closes
        and s.type in ('VAR', 'SUBLINK', 'PARAM', 'FUNCEXPR', 'SQLVALUEFUNCTION')
    ) as depends
  from node c
    join pg_proc f on f.oid = substring(c.text from ':(?:op)?funcid (\d+)')::oid
    -- The innermost subselect around it.
    left join lateral (
      select q.*
      from subselect q
      where (q.policy, q.clause) = (c.policy, c.clause) and c.opens between q.opens and q.closes
      order by q.opens desc
      limit 1
    ) q on true
  where
    case
      when f.pronamespace = 'pg_catalog'::regnamespace
        then f.proname = 'current_setting' or f.proname = 'pg_has_role' or f.proname ~ '^has_\w+_privilege$'
      else not exists (
        select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
      )
    end
),
repeated as (
  select
    c.*,
    case
      when c.q_depth is null then 'The %s clause calls %s once per row.'
      when exists (
        select
        from col v
        where (v.policy, v.clause) = (c.policy, c.clause)
          and v.opens between c.q_opens and c.q_closes and v.depth < c.q_depth
      ) then 'The %s clause calls %s once per row: the subselect around it depends on the row.'
      else 'The %s clause calls %s once for each row that its subselect reads.'
    end as sentence
  from call c
  where
    -- PostgreSQL works such a call out before it begins.
    not (c.volatility = 'i' and not c.depends)
    -- Where all else has failed: a function that raises, with words for whoever is refused.
    and not (
      c.clause = 'with check' and not c.depends and c.text not like '% :args <>%'
      and exists (
        select
        from node e
        where (e.policy, e.clause, e.part) = (c.policy, c.clause, 'defresult') and c.opens between e.opens and e.closes
      )
    )
    -- A subselect that does not depend on what is around it is run once.
    and not (
      c.q_depth is not null
      and not exists (
        select
        from col v
        where (v.policy, v.clause) = (c.policy, c.clause)
          and v.opens between c.q_opens and c.q_closes and v.depth < c.q_depth
      )
      and (
        c.reads_nothing
        or (
          coalesce(c.outermost_column > c.q_depth, true)
          and exists (
            select
            from node r
            where (r.policy, r.clause, r.type) = (c.policy, c.clause, 'RANGETBLFUNCTION')
              and r.opens > c.q_opens and c.opens between r.opens and r.closes
          )
        )
      )
    )
)
select
  format('%I on %s: %s', p.polname, p.polrelid::regclass, r.function::regprocedure) as key,
  format('%I on %s', p.polname, p.polrelid::regclass) as object,
  string_agg(distinct format(r.sentence, r.clause, r.function::regprocedure), ' ') as detail,
  case
    when bool_and(r.outermost_column is null) then
      format(
        'Write (select %s(%s)): then it is called once for each statement.',
        split_part(r.function::regprocedure::text, '(', 1), case when f.pronargs > 0 then '…' end
      )
    else
      'Ask once which rows are meant, with a function that is given no column: column in (select …).'
  end as remedy
from repeated r
  join pg_policy p on p.oid = r.policy
  join pg_proc f on f.oid = r.function
group by p.polname, p.polrelid, r.function, f.pronargs
