import { depths, outsideQuotes, WIDTH } from './sql-text.ts';

/** Where a long line is broken, the loosest binding first. */
const BREAKS = [/ (?=from |where |union |group by |having )/, / (?=or )/, / (?=and )/];

/** A condition in lines that fit. Nothing changes but the white space outside of strings and quoted names. */
export function laidOut(sql: string, indent: string): string {
  return outsideQuotes(sql, (text) => {
    const line = text.replace(/\s+/g, ' ').replaceAll('( ', '(').replaceAll(' )', ')').trim();
    return lines(line, indent).join('\n');
  });
}

function lines(sql: string, indent: string): string[] {
  if (indent.length + sql.length <= WIDTH) return [indent + sql];
  for (const at of BREAKS) {
    const pieces = split(sql, at);
    if (pieces.length > 1) return pieces.flatMap((piece) => lines(piece, indent));
  }
  const group = longestGroup(sql);
  if (group === undefined) return [indent + sql];
  const [start, end] = group;
  return [
    indent + sql.slice(0, start + 1),
    ...lines(sql.slice(start + 1, end), `${indent}  `),
    indent + sql.slice(end),
  ];
}

function split(sql: string, at: RegExp): string[] {
  const depth = depths(sql);
  const pieces: string[] = [];
  let start = 0;
  for (const { index } of sql.matchAll(new RegExp(at, 'g'))) {
    if (depth[index] !== 0 || index === 0) continue;
    pieces.push(sql.slice(start, index));
    start = index + 1;
  }
  return [...pieces, sql.slice(start)];
}

function longestGroup(sql: string): [start: number, end: number] | undefined {
  const depth = depths(sql);
  let longest: [number, number] | undefined;
  for (let start = sql.indexOf('('); start >= 0; start = sql.indexOf('(', start + 1)) {
    if (depth[start] !== 0) continue;
    const end = depth.findIndex((d, i) => i > start && d === 0 && sql[i] === ')');
    if (end < 0) return undefined;
    if (longest === undefined || end - start > longest[1] - longest[0]) longest = [start, end];
  }
  return longest;
}
