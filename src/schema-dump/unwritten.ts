import type { Query } from './part.ts';
import { OURS, ofExtension } from './scope.ts';
import { byCodeUnits } from './sql-text.ts';

/** Refuses a schema with something in it that the dump would leave out in silence. */
export async function refuseTheUnwritten(query: Query): Promise<void> {
  const found = await query<{ what: string }>(UNWRITTEN);
  if (found.length === 0) return;
  const things = found.map(({ what }) => what).sort(byCodeUnits);
  throw new Error(
    `The dump of the schema can't write ${things.join(', ')}: drop what is not needed, or teach src/schema-dump to write it.`,
  );
}

const UNWRITTEN = `
  with ours as (
    select d.classid, d.objid from pg_depend d
    where d.refclassid = 'pg_namespace'::regclass and d.refobjid in ${OURS}
  )
  -- kinds of things in our schemas: operators, collations, text search, …
  select pg_describe_object(o.classid, o.objid, 0) as what
  from ours o
  where o.classid not in (
      'pg_class'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass, 'pg_statistic_ext'::regclass,
      'pg_default_acl'::regclass, 'pg_extension'::regclass, 'pg_publication_namespace'::regclass
    )
    and not exists (
      select from pg_depend e where e.classid = o.classid and e.objid = o.objid and e.deptype = 'e'
    )
  union all
  -- things outside that are about ours: casts, event triggers, transforms, …
  select distinct pg_describe_object(d.classid, d.objid, 0)
  from ours o join pg_depend d on d.refclassid = o.classid and d.refobjid = o.objid
  where d.classid in (
      'pg_cast'::regclass, 'pg_event_trigger'::regclass, 'pg_transform'::regclass, 'pg_language'::regclass,
      'pg_am'::regclass, 'pg_foreign_data_wrapper'::regclass, 'pg_conversion'::regclass
    )
    -- Range types make theirs, and extensions bring theirs.
    and not exists (
      select from pg_depend i where i.classid = d.classid and i.objid = d.objid and i.deptype in ('i', 'e')
    )
  union all
  select pg_describe_object('pg_class'::regclass, c.oid, 0)
  from pg_class c
  where c.relnamespace in ${OURS} and not ${ofExtension('pg_class', 'c.oid')}
    and (c.relkind = 'f' or c.reloftype <> 0)
  union all
  -- base types and shells
  select pg_describe_object('pg_type'::regclass, t.oid, 0)
  from pg_type t
  where t.typnamespace in ${OURS} and not ${ofExtension('pg_type', 't.oid')}
    and (t.typtype = 'p' or t.typtype = 'b' and t.typelem = 0 or not t.typisdefined)
  union all
  select format('the security label of %s', pg_describe_object(l.classoid, l.objoid, l.objsubid))
  from pg_seclabel l join ours o on o.classid = l.classoid and o.objid = l.objoid`;
