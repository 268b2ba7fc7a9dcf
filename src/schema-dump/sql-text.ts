const QUOTED = /'(?:[^']|'')*'|"(?:[^"]|"")*"/g;
export const WIDTH = 110;

/** Stands for a string or a quoted name, as wide as that: the catalogue prints such characters only within them. */
const HIDDEN = /\uE000\uE001*/g;

/** Changes SQL everywhere but in its strings and quoted names. */
export function outsideQuotes(sql: string, change: (text: string) => string): string {
  const quoted: string[] = [];
  const open = sql.replace(QUOTED, (part) => {
    quoted.push(part);
    return `\uE000${'\uE001'.repeat(part.length - 1)}`;
  });
  return change(open).replace(HIDDEN, () => quoted.shift() ?? '');
}

/** What the catalogue prints, in our style. Names with capitals are quoted, so the other capitals are keywords. */
export function ourStyle(sql: string): string {
  return outsideQuotes(sql, (text) =>
    text
      .toLowerCase()
      .replace(/\btimestamp(\(\d\))? with time zone\b/g, 'timestamptz$1')
      .replace(/\btimestamp(\(\d\))? without time zone\b/g, 'timestamp$1')
      .replace(/\btime(\(\d\))? without time zone\b/g, 'time$1')
      .replace(/\bcharacter varying\b/g, 'varchar')
      .replace(/\breferences (\S+)\(/, 'references $1 (')
      .replaceAll('( select', '(select')
      // The name that a column has anyway.
      .replace(/\(select ((?:[a-z_]\w*\.)?([a-z_]\w*)\(\)) as \2\)/g, '(select $1)'),
  );
}

/** A string, on one line whatever is in it. */
export function literal(value: string): string {
  const doubled = value.replaceAll("'", "''");
  if (!/[\\\n\r\t]/.test(value)) return `'${doubled}'`;
  const escaped = doubled
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
  return `E'${escaped}'`;
}

/** A function's body, between the shortest marks that do not occur in it. */
export function dollarQuoted(body: string): string {
  for (let n = 0; ; n += 1) {
    const mark = n === 0 ? '$$' : n === 1 ? '$body$' : `$body${n}$`;
    if (`${body}${mark}`.indexOf(mark) === body.length) return `${mark}${body}${mark}`;
  }
}

/** `before (a, b)after`: on one line where it fits, else an item a line. */
export function enclosed(before: string, items: readonly string[], after = ''): string {
  const line = `${before}(${items.join(', ')})${after}`;
  if (line.length <= WIDTH && !items.some((item) => item.includes('\n'))) return line;
  return `${before}(\n${items.map((item) => `  ${item}`).join(',\n')}\n)${after}`;
}

/** Two halves of a statement: the second on a line of its own where both don't fit on one. */
export function halves(first: string, second: string, indent = '  '): string {
  const line = `${first} ${second}`;
  return line.length <= WIDTH ? line : `${first}\n${indent}${second}`;
}

/** Storage parameters as the catalogue keeps them, `name=value` each. */
export function parameters(options: readonly string[]): string {
  const written = options.map((option) => {
    const at = option.indexOf('=');
    const value = option.slice(at + 1);
    const plain = /^(-?\d+(\.\d+)?|true|false|on|off|auto|local|cascaded)$/.test(value);
    return `${option.slice(0, at)} = ${plain ? value : literal(value)}`;
  });
  return `(${written.sort(byCodeUnits).join(', ')})`;
}

/** The same order in every database, whatever its collation. */
export function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const NAME_BYTES = 63;

/** The name that PostgreSQL makes up for what belongs to a table's column: the longer name is cut first. */
export function madeUpName(table: string, column: string, label: string): string {
  const room = NAME_BYTES - label.length - 2;
  let [ofTable, ofColumn] = [Buffer.byteLength(table), Buffer.byteLength(column)];
  while (ofTable + ofColumn > room) {
    if (ofTable > ofColumn) ofTable -= 1;
    else ofColumn -= 1;
  }
  return [cut(table, ofTable), cut(column, ofColumn), label].join('_');
}

/** To so many bytes, and no character in two. */
function cut(name: string, bytes: number): string {
  let kept = name;
  while (Buffer.byteLength(kept) > bytes) kept = [...kept].slice(0, -1).join('');
  return kept;
}

/** A statement that is too long for a line, in several: broken where the pattern says. */
export function broken(sql: string, at: RegExp, width = WIDTH): string {
  return sql.length <= width ? sql : outsideQuotes(sql, (text) => text.replace(at, '\n  '));
}

/** For each character, in how many brackets it stands. */
export function depths(sql: string): number[] {
  let depth = 0;
  return Array.from({ length: sql.length }, (_, i) => {
    if (sql[i] === ')') depth -= 1;
    const here = depth;
    if (sql[i] === '(') depth += 1;
    return here;
  });
}
