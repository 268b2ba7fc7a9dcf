import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import {
  duration,
  expectCalm,
  expectNoGrowth,
  expectNothingLost,
  expectOnlyUnavailable,
  recoveryAfter,
  summaryOf,
} from '../support/count.ts';
import { type Line, startLine } from '../support/line.ts';
import { type Load, startLoad } from '../support/load.ts';
import { POOL_SIZE, type ServerProcess, startServer } from '../support/server-process.ts';
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

const slowest = (load: Load) => Math.max(...load.refusals.map(({ ms }) => ms), 0);

test('a slow line to the database makes answers slow, and refuses nobody', async ({ task }) => {
  const load = startLoad(server.url, shop);
  await load.progress(100);
  const began = performance.now();
  line.delayBy(150);
  await load.progress(60);
  line.delayBy(0);
  await load.progress(100);
  await load.stop();

  expect(load.refusals).toEqual([]);
  expect(load.broken).toEqual([]);
  await expectNothingLost(load, shop);
  const slow = Math.max(...load.answers.filter((a) => a.began >= began).map(({ ms }) => ms));
  task.meta.figures = [
    summaryOf('150 ms each way to the database', load),
    `With 150 ms each way to the database the slowest answer took ${duration(slow)}`,
  ];
});

test('a line that holds everything up for six seconds loses nothing, and what it held up is answered', async ({
  task,
}) => {
  const load = startLoad(server.url, shop, { clients: 12 });
  await load.progress(100);
  line.stall(true);
  await sleep(6_000);
  line.stall(false);
  const mended = performance.now();
  await load.progress(100);
  await load.stop();

  await expectNothingLost(load, shop);
  expectOnlyUnavailable(load);
  expect(load.broken).toEqual([]);
  expect(slowest(load)).toBeLessThan(8_000);
  const { first, last } = recoveryAfter(mended, load);
  expect(last).toBeLessThan(3);
  task.meta.figures = [
    summaryOf('The line to the database stands still for 6 s', load),
    `After it moved again the first answer came within ${first.toFixed(2)} s`,
  ];
});

test('a database that falls silent for good is given up, and found again at once when it speaks', async ({
  task,
}) => {
  const load = startLoad(server.url, shop, { clients: 12 });
  await load.progress(100);
  const memory = server.memory();
  line.stall(true);
  // Longer than the server waits for an answer to what it has sent.
  await sleep(14_000);
  const givenUp = load.refusals.filter(({ ms }) => ms > 10_000).length;
  // What it held up is gone, as with a machine that is switched off.
  line.reset();
  line.stall(false);
  const mended = performance.now();
  await load.progress(100);
  await load.stop();

  await expectNothingLost(load, shop);
  expectOnlyUnavailable(load);
  expect(load.broken).toEqual([]);
  expect(givenUp).toBe(POOL_SIZE);
  // Nobody waited as long who had not been sent.
  expect(load.refusals.filter(({ ms }) => ms < 8_000).length).toBeGreaterThan(12);
  expect(slowest(load)).toBeLessThan(16_000);
  const { first, last } = recoveryAfter(mended, load);
  expect(last).toBeLessThan(3);
  await expectCalm(database.superuserUrl);
  task.meta.figures = [
    summaryOf('The database falls silent for 14 s, and nothing of what was sent arrives', load),
    `After it spoke again the first answer came within ${first.toFixed(2)} s; ${expectNoGrowth(memory, server.memory())}`,
  ];
}, 60_000);
