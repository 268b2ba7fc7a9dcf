import { depths } from './sql-text.ts';

// Strings and quoted names are hidden: \uE000, and \uE001 for each character that follows.
const NAME = String.raw`(?:[a-z_]\w*|\uE000\uE001*)`;
const COLUMNS = String.raw`(?:\([^()]*\))?`;
const FROM_ONE = new RegExp(
  String.raw`\n {2,3}from (?:${NAME}\.)?(${NAME})${COLUMNS}(?: (${NAME}))?${COLUMNS}(?=\n {1,2}\S|$)`,
);

/**
 * The query of a view as PostgreSQL 16 and newer print it: where it reads one table only, columns come without its
 * name. Where that can't be told for sure, it stays as it is.
 */
export function withoutPrefixes(query: string): string {
  const from = FROM_ONE.exec(query);
  const isSimple =
    from !== null &&
    depths(query)[from.index] === 0 &&
    !/^ *with |\n *(union|except|intersect)\b/.test(query);
  const name = from?.[2] ?? from?.[1];
  if (!isSimple || !/^\w+$/.test(name ?? '')) return query;
  const inSubquery = subqueries(query);
  const sorted = query.search(/\n {2}order by /);
  return query.replace(
    new RegExp(`(?<![\\w.])${name}\\.(${NAME})`, 'g'),
    (full, column: string, at: number) => {
      // There a name alone would be that of a column of the view.
      const isAmbiguous = sorted >= 0 && at > sorted && query.includes(` as ${column}`);
      return inSubquery[at] || isAmbiguous ? full : column;
    },
  );
}

/** For each character, whether it stands in a query within the query. */
function subqueries(query: string): boolean[] {
  const open: boolean[] = [];
  return Array.from({ length: query.length }, (_, i) => {
    if (query[i] === '(') open.push(query.startsWith('(select', i) || open.at(-1) === true);
    if (query[i] === ')') open.pop();
    return open.at(-1) === true;
  });
}
