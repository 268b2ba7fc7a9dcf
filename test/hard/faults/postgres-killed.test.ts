import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { killBackend, killPostgres } from '../../support/kill-postgres.ts';
import {
  expectCalm,
  expectNoGrowth,
  expectNothingLost,
  expectOnlyUnavailable,
  recoveryAfter,
  summaryOf,
} from '../support/count.ts';
import { startLoad } from '../support/load.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';
import { openShop, type Shop } from '../support/shop.ts';

let postgres: OwnPostgres;
let shop: Shop;
let server: ServerProcess;

beforeAll(async () => {
  postgres = await startOwnPostgres();
  shop = await openShop(postgres.owner);
  server = await startServer(postgres.authenticator);
});

afterAll(async () => {
  await server?.stop();
  await postgres?.stop();
});

test('kill -9 of PostgreSQL, whole and in parts, loses nothing and doubles nothing', async ({
  task,
}) => {
  const load = startLoad(server.url, shop);
  await load.progress(200);
  const memory = server.memory();

  const { rows } = await postgres.owner.query<{ pid: number }>(
    "select pid from pg_stat_activity where application_name = 'bursar' limit 1",
  );
  killBackend(rows[0]?.pid ?? 0, postgres.dataFolder);
  const crashed = performance.now();
  await load.progress(200);
  const byItself = recoveryAfter(crashed, load);
  expect(byItself.last).toBeLessThan(5);

  await killPostgres(postgres.running(), postgres.dataFolder);
  await sleep(1_000);
  await postgres.start();
  const back = performance.now();
  await load.progress(200);
  await load.stop();

  await expectNothingLost(load, shop);
  expectOnlyUnavailable(load);
  expect(load.broken).toEqual([]);
  expect(load.refusals.length).toBeGreaterThan(20);
  // While nobody listens, at once.
  expect(Math.max(...load.refusals.map(({ ms }) => ms))).toBeLessThan(5_000);
  const { first, last } = recoveryAfter(back, load);
  expect(last).toBeLessThan(3);
  await expectCalm(postgres.superuserUrl);
  task.meta.figures = [
    summaryOf('PostgreSQL killed (kill -9): one backend, then all of it', load),
    `PostgreSQL that lost one backend was back by itself: the last 503 came ${byItself.last.toFixed(2)} s after the kill`,
    `After PostgreSQL was started again the first answer came within ${first.toFixed(2)} s; ${expectNoGrowth(memory, server.memory())}`,
  ];
});
