import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve } from '../src/serve.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { configurationFor, startTestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// `/readyz`: whether requests are better sent elsewhere.

let database: TestDatabase;
let world: World;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
});

afterAll(() => database?.drop());

/** As a database that was restored from before the newest migration. */
async function whileOlder(work: () => Promise<void>): Promise<void> {
  const { rows } = await database.owner.query<{ filename: string }>(
    `with newest as (select max(filename) as filename from graphile_migrate.migrations)
     update graphile_migrate.migrations m set filename = '000000-older.sql' from newest n
     where m.filename = n.filename returning n.filename`,
  );
  try {
    await work();
  } finally {
    await database.owner.query(
      `update graphile_migrate.migrations set filename = $1 where filename = '000000-older.sql'`,
      [rows[0]?.filename],
    );
  }
}

test('a database older than the code is told apart from one that is away', async () => {
  const server = await startTestServer(database);
  const readyz = async () => {
    const response = await server.request(null, '/readyz');
    return [response.status, await response.text()];
  };
  expect(await readyz()).toEqual([200, 'ready\n']);
  await whileOlder(async () => {
    expect(await readyz()).toEqual([
      503,
      'The database is older than this server: run bursar migrate.\n',
    ]);
    // The process itself is well.
    expect((await server.request(null, '/healthz')).status).toBe(200);
    await expect(serve(configurationFor(database))).rejects.toThrow('run bursar migrate first');
  });
  expect(await readyz()).toEqual([200, 'ready\n']);
  // As while servers of the old code still run.
  await database.owner.query(
    `insert into graphile_migrate.migrations (hash, previous_hash, filename)
     select 'sha1:newer', hash, '999999-newer.sql' from graphile_migrate.migrations
     order by filename desc limit 1`,
  );
  expect(await readyz()).toEqual([200, 'ready\n']);
  await database.owner.query(`delete from graphile_migrate.migrations where hash = 'sha1:newer'`);
  await server.stop();
});

test('a server that was told to stop says so while it still answers, for as long as it was given', async () => {
  const server = await startTestServer(database, { drainSeconds: 1 });
  const budget = () =>
    server.request(world.people.member, `/api/v2/groups/${world.group}/ai/budget`);
  const began = performance.now();
  const stopped = server.stop();
  await sleep(100);
  const ready = await server.request(null, '/readyz');
  expect([ready.status, await ready.text()]).toEqual([503, 'The server is stopping.\n']);
  expect((await budget()).status).toBe(200);
  expect((await server.request(null, '/healthz')).status).toBe(200);
  await stopped;
  expect(performance.now() - began).toBeGreaterThan(900);
  await expect(budget()).rejects.toThrow('fetch failed');
});
