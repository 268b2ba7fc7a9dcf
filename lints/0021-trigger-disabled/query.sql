-- $1: the names of the schemas to look at.
with disabled as (
  select distinct
    t.tgrelid,
    -- PostgreSQL's own triggers do the work of a foreign key.
    coalesce(k.conname, t.tgname) as name,
    t.tgisinternal
  from pg_trigger t
    join pg_class c on c.oid = t.tgrelid
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_constraint k on k.oid = t.tgconstraint and t.tgisinternal
  where n.nspname = any ($1::text[])
    and t.tgenabled = 'D'
    and not exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
)
select
  format('%I on %s', d.name, d.tgrelid::regclass) as key,
  format('%I on %s', d.name, d.tgrelid::regclass) as object,
  case
    when d.tgisinternal then 'The triggers of the foreign key are disabled: rows may refer to what is not there.'
    else 'The trigger is disabled: what it does for each write is not done.'
  end as detail,
  case
    when d.tgisinternal
      then format('alter table %s enable trigger all, after a look for rows that break the rule', d.tgrelid::regclass)
    else format('alter table %s enable trigger %I', d.tgrelid::regclass, d.name)
  end as remedy
from disabled d
