import { commentOn, LEAVES, type Part, PLACE, type Query } from './part.ts';
import { OURS, otherOwner, RELATIONS } from './scope.ts';
import { ourStyle } from './sql-text.ts';

type Statistics = {
  oid: string;
  table: string;
  name: string;
  owner: string | null;
  definition: string;
  target: number | null;
  comment: string | null;
};

/** What `create statistics` has made. */
export async function readStatistics(query: Query): Promise<Part[]> {
  const found = await query<Statistics>(`
    select s.oid::text, c.oid::text as table, format('%I.%I', n.nspname, s.stxname) as name,
      ${otherOwner('s.stxowner')} as owner, pg_get_statisticsobjdef(s.oid) as definition,
      nullif(s.stxstattarget, -1) as target, obj_description(s.oid, 'pg_statistic_ext') as comment
    from ${RELATIONS} c
      join pg_statistic_ext s on s.stxrelid = c.oid
      join pg_namespace n on n.oid = s.stxnamespace
    where n.oid in ${OURS}`);
  return found.map(({ oid, table, name, owner, definition, target, comment }) => ({
    id: `pg_statistic_ext ${oid}`,
    home: `pg_class ${table}`,
    place: PLACE.index,
    // After the indexes.
    name: `\ufffe${name}`,
    leaves: LEAVES.expression,
    write: () => [
      `${ourStyle(definition)};`,
      ...(owner === null ? [] : [`alter statistics ${name} owner to ${owner};`]),
      ...(target === null ? [] : [`alter statistics ${name} set statistics ${target};`]),
    ],
    comments: commentOn(`statistics ${name}`, comment),
  }));
}
