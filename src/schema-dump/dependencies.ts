import type { Part, Query } from './part.ts';
import { OURS } from './scope.ts';

/** For each part, the parts that must be there before it. */
export type Needs = ReadonlyMap<string, ReadonlySet<string>>;

export async function readNeeds(query: Query, parts: readonly Part[]): Promise<Needs> {
  const written = new Set(parts.map((part) => part.id));
  const standsFor = new Map(
    (await query<{ id: string; part: string }>(STANDS_FOR)).map((row) => [row.id, row.part]),
  );
  const partOf = (id: string) => {
    let part = id;
    // An array of the rows of a table leads to the row type, and that to the table.
    for (let next = standsFor.get(part); next !== undefined; next = standsFor.get(part))
      part = next;
    return written.has(part) ? part : undefined;
  };
  const needs = new Map<string, Set<string>>();
  const add = (from: string | undefined, to: string | undefined) => {
    if (from === undefined || to === undefined || from === to) return;
    needs.set(from, (needs.get(from) ?? new Set()).add(to));
  };
  for (const { from, to } of await query<{ from: string; to: string }>(DEPENDENCIES)) {
    add(partOf(from), partOf(to));
  }
  for (const part of parts) {
    for (const need of part.needs ?? []) add(part.id, partOf(need));
    if (part.home !== part.id) add(part.id, part.home);
  }
  return needs;
}

// That a sequence goes with a column is said apart from the sequence, which the column's default needs.
const DEPENDENCIES = `
  select distinct d.classid::regclass || ' ' || d.objid as from, d.refclassid::regclass || ' ' || d.refobjid as to
  from pg_depend d
  where d.deptype in ('n', 'a', 'i')
    -- What initdb made has lower numbers.
    and d.objid >= 16384 and d.refobjid >= 16384
    and d.classid in (
      'pg_class'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass,
      'pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_rewrite'::regclass, 'pg_statistic_ext'::regclass
    )
    and d.refclassid in (
      'pg_class'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass, 'pg_constraint'::regclass, 'pg_rewrite'::regclass
    )
    and not (d.classid = 'pg_class'::regclass and d.deptype = 'a'
      and exists (select from pg_class s where s.oid = d.objid and s.relkind = 'S'))`;

/** What the catalogue keeps as a thing of its own, and the dump writes with another. */
const STANDS_FOR = `
  -- rows of a table or view
  select 'pg_type ' || t.oid as id, 'pg_class ' || c.oid as part
  from pg_type t join pg_class c on c.oid = t.typrelid
  where t.typnamespace in ${OURS} and c.relkind in ('r', 'p', 'v', 'm')
  union all
  -- a composite type, whose columns are in pg_class
  select 'pg_class ' || c.oid, 'pg_type ' || c.reltype
  from pg_class c where c.relnamespace in ${OURS} and c.relkind = 'c'
  union all
  -- arrays
  select 'pg_type ' || t.typarray, 'pg_type ' || t.oid
  from pg_type t where t.typnamespace in ${OURS} and t.typarray <> 0
  union all
  -- multiranges
  select 'pg_type ' || r.rngmultitypid, 'pg_type ' || r.rngtypid
  from pg_range r join pg_type t on t.oid = r.rngtypid where t.typnamespace in ${OURS}
  union all
  -- the query of a view
  select 'pg_rewrite ' || r.oid, 'pg_class ' || r.ev_class
  from pg_rewrite r join pg_class c on c.oid = r.ev_class
  where c.relnamespace in ${OURS} and r.rulename = '_RETURN'
  union all
  -- the index of a constraint
  select 'pg_class ' || k.conindid, 'pg_constraint ' || k.oid
  from pg_constraint k where k.connamespace in ${OURS} and k.contype in ('p', 'u', 'x')
  union all
  -- the sequence of an identity column
  select 'pg_class ' || d.objid, 'pg_class ' || d.refobjid
  from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
  where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'i'
    and s.relnamespace in ${OURS}`;
