import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withClient } from '../../../src/database.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import {
  expectCalm,
  expectNoGrowth,
  expectNothingLost,
  expectOnlyUnavailable,
  recoveryAfter,
  summaryOf,
} from '../support/count.ts';
import { startLoad } from '../support/load.ts';
import { POOL_SIZE, type ServerProcess, startServer } from '../support/server-process.ts';
import { openShop, type Shop } from '../support/shop.ts';

let database: TestDatabase;
let shop: Shop;
let server: ServerProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  shop = await openShop(database.owner);
  server = await startServer(database.urls.authenticator);
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

test('while all connections wait for a lock callers hear so within seconds, and all is well after it', async ({
  task,
}) => {
  const load = startLoad(server.url, shop, { clients: 4 * POOL_SIZE });
  await load.progress(200);
  const memory = server.memory();

  // What a migration does that was not tried before.
  await withClient(database.urls.owner, async (client) => {
    await client.query('begin');
    // Which every request reads. One table alone: whoever takes a second one may meet the requests head-on.
    await client.query('lock table app_public.users in access exclusive mode');
    await sleep(7_000);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    await client.query('commit');
  });
  const free = performance.now();
  await load.progress(200);
  await load.stop();

  await expectNothingLost(load, shop);
  expectOnlyUnavailable(load, { orTimeout: true });
  expect(load.broken).toEqual([]);
  expect(load.refusals.length).toBeGreaterThan(POOL_SIZE);
  // 5 s for a connection or a lock, and what a busy machine takes.
  expect(Math.max(...load.refusals.map(({ ms }) => ms))).toBeLessThan(8_000);
  const { first, last } = recoveryAfter(free, load);
  expect(last).toBeLessThan(3);
  await expectCalm(database.superuserUrl);
  const timeouts = load.refusals.filter(({ retryAfter }) => retryAfter === undefined).length;
  task.meta.figures = [
    summaryOf(
      `All ${POOL_SIZE} connections held by statements that wait for a lock, ${4 * POOL_SIZE} clients, 7 s`,
      load,
    ),
    `Of these, ${timeouts} had waited for the lock itself (TIMEOUT: nothing was written), the others for a connection`,
    `After the lock was gone the first answer came within ${first.toFixed(2)} s; ${expectNoGrowth(memory, server.memory())}`,
  ];
});
