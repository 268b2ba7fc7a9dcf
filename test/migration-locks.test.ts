import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { check } from '../src/check.ts';
import { migrate } from '../src/migrate.ts';
import { settingsOf } from '../src/on-behalf.ts';
import { PATIENCE } from '../src/run-migrations.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { createProject, type TestProject } from './support/project.ts';

// A migration on a busy database: it must not hold up whoever comes after it, and must not stop half way.

let database: TestDatabase;
let project: TestProject;
/** Somebody else. */
let other: Client;
const said: string[] = [];

beforeAll(async () => {
  [database, project] = await Promise.all([createTestDatabase(), createProject()]);
  // What is being written is history in the project, and not yet in the database.
  await migrate(database.urls, () => {}, { folder: project.migrations });
  other = new Client({ connectionString: database.urls.owner, application_name: 'a long report' });
  await other.connect();
});

afterEach(async () => {
  said.length = 0;
  await other.query('rollback');
});

afterAll(async () => {
  await other?.end();
  await database?.drop();
  await project?.remove();
});

const run = (patience: { lockTimeoutMs: number; attempts: number; pauseMs: number }) =>
  migrate(database.urls, (line) => said.push(line), { folder: project.migrations, patience });

const exists = async (relation: string) =>
  (await database.owner.query('select to_regclass($1) is not null as it', [relation])).rows[0].it;

const hasColumn = async (column: string) =>
  (
    await database.owner.query(
      `select from pg_attribute where attrelid = 'app_public.groups'::regclass and attname = $1`,
      [column],
    )
  ).rowCount === 1;

describe('a migration that waits for a lock', () => {
  test('waits for a lock for less time than a request does, and tries again a few times', () => {
    expect(PATIENCE).toEqual({ lockTimeoutMs: 3000, attempts: 5, pauseMs: 1000 });
    expect(settingsOf({ userId: null, door: 'rest' }).lock_timeout).toBe('5s');
  });

  test('gives up, names whom it waited for, changes nothing, and lets others pass', async () => {
    const file = await project.addMigration(
      'create type app_private.made_before as (id int);\nalter table app_public.groups add column note text;',
    );
    await other.query('begin; select from app_public.groups');

    let gaveUp = false;
    const waiting = expect(run({ lockTimeoutMs: 500, attempts: 2, pauseMs: 50 }))
      .rejects.toMatchObject({
        name: 'MigrationError',
        message: expect.stringMatching(
          new RegExp(
            `^${file} waits for a lock that is held by process \\d+ \\(bursar_owner, a long report\\): gave up after 2 attempts of 500 ms.* Nothing of this migration was changed\\. Run it again`,
          ),
        ),
      })
      .then(() => {
        gaveUp = true;
      });
    // Behind the migration, which waits, a reader has to wait too; not for the long report, and for one attempt alone.
    await sleep(150);
    await database.owner.query('select count(*) from app_public.groups');
    expect(gaveUp).toBe(false);
    await waiting;

    expect(said.filter((line) => line.includes('tries again in 50 ms'))).toHaveLength(1);
    expect(await exists('app_private.made_before')).toBe(false);
    expect(await hasColumn('note')).toBe(false);
  });

  test('gets it when the other session ends meanwhile', async () => {
    await other.query('begin; select from app_public.groups');
    const migrated = run({ lockTimeoutMs: 150, attempts: 5, pauseMs: 50 });
    while (!said.some((line) => line.includes('tries again'))) await sleep(10);
    await other.query('commit');
    await migrated;
    expect(await exists('app_private.made_before')).toBe(true);
    expect(await hasColumn('note')).toBe(true);
  });
});

test('limits of the database for its requests are not for migrations', async () => {
  const { rows } = await database.owner.query('select current_database() as name');
  await database.owner.query(`alter database ${rows[0].name} set statement_timeout to '100ms'`);
  await project.addMigration('select pg_sleep(0.3);');
  try {
    await run({ lockTimeoutMs: 1_000, attempts: 1, pauseMs: 0 });
  } finally {
    await database.owner.query(`alter database ${rows[0].name} reset statement_timeout`);
  }
});

test('an index that was interrupted is not taken for a finished one', async () => {
  const file = await project.addMigration(
    '--! no-transaction\ncreate index concurrently if not exists group_name on app_public.groups (name);',
  );
  await other.query(`begin; insert into app_public.organizations (name) values ('Busy')`);
  await expect(run({ lockTimeoutMs: 200, attempts: 3, pauseMs: 10 })).rejects.toThrow(
    new RegExp(`^${file} waits for a lock .*MIGRATION_LOCK_TIMEOUT_MS=0$`),
  );
  await other.query('commit');
  const findings = await check(database.urls, project.migrations);
  expect(findings.flatMap(({ missing }) => missing)).toEqual([
    `${file.slice(0, 6)}.sql has not run: run bursar migrate`,
    'the index app_public.group_name is half made: drop index concurrently app_public.group_name, and make it again',
  ]);

  await database.owner.query('drop index concurrently app_public.group_name');
  await other.query(`begin; insert into app_public.organizations (name) values ('Busier')`);
  const migrated = run({ lockTimeoutMs: 0, attempts: 1, pauseMs: 0 });
  await sleep(300);
  await other.query('commit');
  await migrated;
  expect((await check(database.urls, project.migrations)).flatMap((f) => f.missing)).toEqual([]);
});

test('what else goes wrong names the file and the line', async () => {
  const file = await project.addMigration('select 1;\n\nselect missing from app_public.groups;');
  await expect(run({ lockTimeoutMs: 200, attempts: 1, pauseMs: 0 })).rejects.toThrow(
    `${file}, line 6: column "missing" does not exist. Nothing of this migration was changed.`,
  );
});
