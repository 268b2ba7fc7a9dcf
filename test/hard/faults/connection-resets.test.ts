import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import {
  expectCalm,
  expectNoGrowth,
  expectNothingLost,
  expectOnlyUnavailable,
  recoveryAfter,
  summaryOf,
} from '../support/count.ts';
import { type Line, startLine } from '../support/line.ts';
import { startLoad } from '../support/load.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';
import { openShop, type Shop } from '../support/shop.ts';

let database: TestDatabase;
let shop: Shop;
let line: Line;
let server: ServerProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  shop = await openShop(database.owner);
  line = await startLine(database.urls.authenticator);
  server = await startServer(line.url);
});

afterAll(async () => {
  await server?.stop();
  await line?.stop();
  await database?.drop();
});

test('answers of the database that are lost with their connection lose nothing and double nothing', async ({
  task,
}) => {
  const load = startLoad(server.url, shop);
  await load.progress(300);
  const memory = server.memory();
  // What was committed and never said so is the worst of it.
  line.loseOneOf(20);
  await sleep(3_000);
  line.loseOneOf(0);
  for (let round = 0; round < 10; round += 1) {
    line.reset();
    await sleep(100);
  }
  const mended = performance.now();
  await load.progress(300);
  await load.stop();

  await expectNothingLost(load, shop);
  expectOnlyUnavailable(load);
  expect(load.broken).toEqual([]);
  expect(load.refusals.length).toBeGreaterThan(20);
  const { first, last } = recoveryAfter(mended, load);
  expect(last).toBeLessThan(3);
  await expectCalm(database.superuserUrl);
  task.meta.figures = [
    summaryOf(`Connections to the database reset in the middle, ${line.resets()} times`, load),
    `After the last reset the first answer came within ${first.toFixed(2)} s; ${expectNoGrowth(memory, server.memory())}`,
  ];
});
