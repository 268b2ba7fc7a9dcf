-- $1: the names of the schemas to look at.
select
  i.indexrelid::regclass::text as key,
  i.indexrelid::regclass::text as object,
  case
    when x.relkind = 'I' then format('The index is not on every partition of %s, so it is not one of the whole.', i.indrelid::regclass)
    else format('The index on %s was not finished: each write keeps it, and no query uses it.', i.indrelid::regclass)
  end as detail,
  case
    when x.relkind = 'I' then format('create it on each partition, and: alter index %s attach partition …', i.indexrelid::regclass)
    else format('reindex index concurrently %s, or drop it', i.indexrelid::regclass)
  end as remedy
from pg_index i
  join pg_class x on x.oid = i.indexrelid
  join pg_namespace n on n.oid = x.relnamespace
where n.nspname = any ($1::text[])
  and not (i.indisvalid and i.indisready)
