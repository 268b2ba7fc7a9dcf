import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';

/** A migration that was committed, as its file has it. */
export type Migration = {
  readonly file: string;
  readonly text: string;
  /** What its header says; empty where it has none. */
  readonly hash: string;
  readonly previous: string;
  readonly body: string;
};

/** The committed migrations of a folder, in order. */
export async function readHistory(migrationsFolder: string): Promise<Migration[]> {
  const folder = join(migrationsFolder, 'committed');
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(
    files.map(async (file) => migrationOf(file, await readFile(join(folder, file), 'utf8'))),
  );
}

export function migrationOf(file: string, text: string): Migration {
  const [, head = '', body = ''] = /^((?:--! [^\n]*\n)+)\n([\s\S]*)$/.exec(text) ?? [];
  const header = (key: string) => new RegExp(`^--! ${key}: (.*)$`, 'm').exec(head)?.[1] ?? '';
  return { file, text, hash: header('Hash'), previous: header('Previous'), body };
}

/** The hash that a migration has which says `body` and comes after the one with the hash `previous`. */
export function hashOf(previous: string, body: string): string {
  const told = `${previous === '-' ? '' : previous}\n${body.trim()}`.trim();
  return `sha1:${createHash('sha1').update(`${told}\n`).digest('hex')}`;
}

/** What each included file said when it was last committed. */
export function lastIncluded(history: readonly Migration[]): ReadonlyMap<string, string> {
  const included = new Map<string, string>();
  const collect = (text: string) => {
    for (const [, file = '', body = ''] of text.matchAll(
      /^--! Included (\S+)\n([\s\S]*?)\n--! EndIncluded \1$/gm,
    )) {
      included.set(file, body);
      // An included file may include others.
      collect(body);
    }
  };
  for (const { text } of history) collect(text);
  return included;
}

export type Applied = {
  /** Nothing has ever run there. */
  readonly nothing: boolean;
  readonly pending: readonly string[];
  /** Has run, and is not among the files. */
  readonly unknown: readonly string[];
  /** Has run in another form than the file has. */
  readonly differing: readonly string[];
};

/** What of a history has run in a database. */
export async function appliedOf(client: Client, history: readonly Migration[]): Promise<Applied> {
  const table = await client.query<{ is_there: boolean }>(
    "select to_regclass('graphile_migrate.migrations') is not null as is_there",
  );
  // The runner records the number alone.
  const known = new Map(history.map(({ file, hash }) => [`${file.slice(0, 6)}.sql`, hash]));
  const nothing = table.rows[0]?.is_there !== true;
  const { rows } = nothing
    ? { rows: [] }
    : await client.query<{ filename: string; hash: string }>(
        'select filename, hash from graphile_migrate.migrations order by filename',
      );
  const applied = new Set(rows.map((row) => row.filename));
  return {
    nothing,
    pending: [...known.keys()].filter((name) => !applied.has(name)),
    unknown: rows.flatMap(({ filename }) => (known.has(filename) ? [] : [filename])),
    differing: rows.flatMap(({ filename, hash }) =>
      known.has(filename) && known.get(filename) !== hash ? [filename] : [],
    ),
  };
}
