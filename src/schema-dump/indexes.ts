import { commentOn, LEAVES, type Part, PLACE, type Query } from './part.ts';
import { RELATIONS } from './scope.ts';
import { broken, ourStyle, outsideQuotes } from './sql-text.ts';

type Index = {
  oid: string;
  table: string;
  name: string;
  definition: string;
  isValid: boolean;
  statistics: { column: number; target: number }[] | null;
  comment: string | null;
};

/** Indexes that no constraint has made, and that do not belong to the index of a partitioned table. */
export async function readIndexes(query: Query): Promise<Part[]> {
  const indexes = await query<Index>(INDEXES);
  return indexes.map((index) => ({
    id: `pg_class ${index.oid}`,
    home: `pg_class ${index.table}`,
    place: PLACE.index,
    name: index.name,
    leaves: LEAVES.expression,
    write: () => [
      `${index.isValid ? '' : '-- not valid: make it again\n'}${definition(index)};`,
      ...(index.statistics ?? []).map(
        ({ column, target }) =>
          `alter index ${index.name} alter column ${column} set statistics ${target};`,
      ),
    ],
    comments: commentOn(`index ${index.name}`, index.comment),
  }));
}

/** Without what goes without saying: btree, and that the partitions get theirs later. */
function definition(index: Index): string {
  return broken(
    outsideQuotes(ourStyle(index.definition), (text) =>
      text.replace(' on only ', ' on ').replace(' using btree ', ' '),
    ),
    / (?=include \(|where )/g,
  );
}

const INDEXES = `
  select x.oid::text, c.oid::text as table, format('%I.%I', xn.nspname, x.relname) as name,
    pg_get_indexdef(x.oid, 0, true) as definition, i.indisvalid as "isValid",
    (
      select jsonb_agg(jsonb_build_object('column', a.attnum, 'target', a.attstattarget) order by a.attnum)
      from pg_attribute a where a.attrelid = x.oid and a.attstattarget >= 0
    ) as statistics,
    obj_description(x.oid, 'pg_class') as comment
  from ${RELATIONS} c
    join pg_index i on i.indrelid = c.oid
    join pg_class x on x.oid = i.indexrelid
    join pg_namespace xn on xn.oid = x.relnamespace
  where not x.relispartition
    and not exists (
      select from pg_constraint k where k.conindid = x.oid and k.conrelid = c.oid and k.contype in ('p', 'u', 'x')
    )`;
