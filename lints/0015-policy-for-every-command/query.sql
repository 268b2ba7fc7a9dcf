-- $1: the names of the schemas to look at.
select
  format('%I on %s', p.polname, p.polrelid::regclass) as key,
  format('%I on %s', p.polname, p.polrelid::regclass) as object,
  case
    when p.polwithcheck is null
      then 'It is for all commands: whoever may see a row may change and delete it, as soon as that is granted.'
    else 'It is for all commands: what is granted next on the table has a policy already.'
  end as detail,
  'Write one policy for each command that is granted.' as remedy
from pg_policy p
  join pg_class t on t.oid = p.polrelid
  join pg_namespace n on n.oid = t.relnamespace
where n.nspname = any ($1::text[])
  and p.polcmd = '*'
  and p.polpermissive
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
  )
