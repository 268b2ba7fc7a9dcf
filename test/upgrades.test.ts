import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { check } from '../src/check.ts';
import { withClient } from '../src/database.ts';
import { MIGRATIONS_FOLDER } from '../src/folders.ts';
import { readHistory } from '../src/history.ts';
import { migrate } from '../src/migrate.ts';
import { withHistoryUpTo } from '../src/migrations/shadow.ts';
import { dumpSchema } from '../src/schema-dump.ts';
import { asSuperuser } from './support/database.ts';
import { createWorkflowDatabases } from './support/project.ts';

// Databases that are in use: migrated to each version that there was, filled as one of that version may be, and
// brought to the newest.

const DATA = join(import.meta.dirname, 'upgrades');
const history = await readHistory(MIGRATIONS_FOLDER);
const quiet = () => {};

let fresh: string;
const dropped: (() => Promise<void>)[] = [];

async function createDatabase(name: string) {
  const { urls, drop } = await createWorkflowDatabases(`${name}_${process.pid}`);
  dropped.push(drop);
  return urls;
}

/** A login that the data maps to a user: roles are the cluster's, and not in the data of a database. */
const LOGIN = 'ada_the_dba';

beforeAll(async () => {
  await asSuperuser('postgres', (client) => client.query(`create role ${LOGIN} login`));
  const urls = await createDatabase('fresh');
  await migrate(urls, quiet);
  fresh = await withClient(urls.owner, dumpSchema);
});

afterAll(async () => {
  for (const drop of dropped) await drop();
  await asSuperuser('postgres', (client) => client.query(`drop role ${LOGIN}`));
});

async function dataOf(file: string): Promise<string> {
  const text = await readFile(join(DATA, file), 'utf8');
  const parts = await Promise.all(
    text.split(/^--! include (\S+)$/m).map((part, i) => (i % 2 === 0 ? part : dataOf(part))),
  );
  return parts.join('');
}

async function fill(url: string, file: string): Promise<void> {
  const data = await dataOf(file);
  await withClient(url, async (client) => {
    for (const transaction of data.split(/^-- next transaction$/m)) await client.query(transaction);
  });
}

type Rows = {
  readonly columns: readonly string[];
  readonly rows: readonly Record<string, unknown>[];
};

/** What is in each table; what is in partitions is in the table that they are of. */
async function contents(client: Client): Promise<ReadonlyMap<string, Rows>> {
  const { rows: tables } = await client.query<{ name: string; columns: string[] }>(
    `select format('%I.%I', n.nspname, c.relname) as name, array_agg(a.attname::text order by a.attnum) as columns
     from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
       join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where n.nspname in ('app_public', 'app_private') and c.relkind in ('r', 'p') and not c.relispartition
     group by 1 order by 1`,
  );
  const found = new Map<string, Rows>();
  for (const { name, columns } of tables) {
    const { rows } = await client.query(`select to_jsonb(t)::text as row from ${name} t`);
    // As text: numbers of 64 bits would be rounded.
    found.set(name, { columns, rows: rows.map(({ row }) => fieldsOf(row)) });
  }
  return found;
}

/** The fields of a row, with numbers as they are written. */
function fieldsOf(row: string): Record<string, unknown> {
  return JSON.parse(row, (_key, value, context?: { source?: string }) =>
    typeof value === 'number' ? context?.source : value,
  );
}

function only(columns: readonly string[], row: Record<string, unknown>): string {
  return JSON.stringify(columns.map((column) => row[column]));
}

/** Rows that were there and are not any more, in the columns that are left. */
function lost(before: ReadonlyMap<string, Rows>, after: ReadonlyMap<string, Rows>): string[] {
  return [...before].flatMap(([name, then]) => {
    const now = after.get(name);
    if (now === undefined) return [`${name} is gone`];
    const columns = then.columns.filter((column) => now.columns.includes(column));
    const left = now.rows.map((row) => only(columns, row));
    return then.rows.flatMap((row) => {
      const at = left.indexOf(only(columns, row));
      if (at === -1) return [`${name}: ${only(columns, row)}`];
      left.splice(at, 1);
      return [];
    });
  });
}

test.each(history.map(({ file }, index) => ({ file, index })))(
  'from $file',
  async ({ file, index }) => {
    const data = `${file.slice(0, 6)}.sql`;
    if (!existsSync(join(DATA, data))) {
      expect.fail(
        `test/upgrades/${data} is missing: write what a database of ${file} may hold. Begin with "--! include ${String(index).padStart(6, '0')}.sql", then fill each table and column that ${file} adds, through its own functions where there are some; "-- next transaction" stands between transactions.`,
      );
    }
    const urls = await createDatabase(`from_${index + 1}`);
    await withHistoryUpTo(MIGRATIONS_FOLDER, history.slice(0, index + 1), (folder) =>
      migrate(urls, quiet, { folder }),
    );
    await fill(urls.owner, data);
    const before = await withClient(urls.owner, contents);
    const empty = [...before].filter(([, { rows }]) => rows.length === 0);
    expect(
      empty.map(([name]) => name),
      `test/upgrades/${data} puts nothing into`,
    ).toEqual([]);

    await migrate(urls, quiet);

    const after = await withClient(urls.owner, contents);
    expect(lost(before, after)).toEqual([]);
    await withClient(urls.owner, async (client) => {
      const doubtful = await client.query(
        'select conname from pg_constraint where not convalidated',
      );
      expect(doubtful.rows).toEqual([]);
      const discrepancies = await client.query('select * from app_public.ai_ledger_discrepancies');
      expect(discrepancies.rows).toEqual([]);
      expect(await dumpSchema(client)).toBe(fresh);
    });
    expect((await check(urls)).flatMap(({ missing }) => missing)).toEqual([]);
  },
);
