import { join } from 'node:path';
import { type Project, readIfThere } from './project.ts';

/** Where a line of SQL was written. */
export type Place = { readonly file: string; readonly line: number };

/** SQL with what it includes written out, as the runner does it, and where each of its lines comes from. */
export type Source = { readonly text: string; readonly places: readonly Place[] };

export async function readCurrent(project: Project): Promise<Source> {
  return expand(project, 'migrations/current.sql');
}

/** The text of a file of migrations/fixtures, with what it includes in turn. */
export async function readFixture(project: Project, name: string): Promise<Source> {
  return expand(project, `migrations/fixtures/${name}`);
}

async function expand(project: Project, file: string, above: string[] = []): Promise<Source> {
  const text = (await readIfThere(join(project.folder, file))) ?? '';
  const lines: string[] = [];
  const places: Place[] = [];
  const add = (line: string, place: Place) => {
    lines.push(line);
    places.push(place);
  };
  for (const [index, line] of text.split('\n').entries()) {
    const place = { file, line: index + 1 };
    const name = /^--![ \t]*include[ \t]+(.*\.sql)[ \t]*$/.exec(line)?.[1];
    if (name === undefined) {
      add(line, place);
      continue;
    }
    const fixture = `migrations/fixtures/${name}`;
    if ([file, ...above].includes(fixture)) {
      throw new Error(`${file}, line ${place.line}: ${name} includes itself.`);
    }
    if ((await readIfThere(join(project.folder, fixture))) === undefined) {
      throw new Error(`${file}, line ${place.line} includes ${name}: there is no ${fixture}.`);
    }
    const included = trimmed(await expand(project, fixture, [file, ...above]));
    add(`--! Included ${name}`, place);
    for (const [i, one] of included.text.split('\n').entries()) {
      add(one, included.places[i] ?? place);
    }
    add(`--! EndIncluded ${name}`, place);
  }
  return { text: lines.join('\n'), places };
}

function trimmed({ text, places }: Source): Source {
  const above = /^\s*/.exec(text)?.[0].split('\n').length ?? 1;
  const kept = text.trim();
  return { text: kept, places: places.slice(above - 1, above - 1 + kept.split('\n').length) };
}

/** Whether there is nothing in it but comments. */
export function isBlank({ text }: Source): boolean {
  return (
    text
      .replace(/--.*$/gm, '')
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .trim() === ''
  );
}

export function placeOf(source: Source, line: number): string {
  const place = source.places[line - 1];
  return place === undefined ? 'current.sql' : `${place.file}, line ${place.line}`;
}
