import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { killPostgres } from '../../support/kill-postgres.ts';
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
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';
import { openShop, type Shop } from '../support/shop.ts';
import { type Standby, startStandby } from '../support/standby.ts';

let primary: OwnPostgres;
let standby: Standby;
let shop: Shop;
let line: Line;
let server: ServerProcess;

beforeAll(async () => {
  primary = await startOwnPostgres();
  shop = await openShop(primary.owner);
  standby = await startStandby(primary);
  line = await startLine(primary.authenticator);
  server = await startServer(line.url);
});

afterAll(async () => {
  await server?.stop();
  await line?.stop();
  await standby?.stop();
  await primary?.stop();
});

test('a primary that dies is followed by its standby, and nothing that was acknowledged is lost', async ({
  task,
}) => {
  const load = startLoad(server.url, shop);
  await load.progress(200);
  const memory = server.memory();

  await killPostgres(primary.running(), primary.dataFolder);
  const died = performance.now();
  // The address moves first, to one that still only reads.
  line.leadTo(standby.postgres.port);
  line.reset();
  await sleep(1_500);
  const ready = await fetch(`${server.url}/readyz`);
  expect([ready.status, await ready.text()]).toEqual([
    503,
    'The database is a standby: it takes no writes.\n',
  ]);
  await standby.promote();
  const promoted = performance.now();
  await load.progress(200);
  await load.stop();

  const owner = new Pool({
    connectionString: `postgres://bursar_owner:owner@127.0.0.1:${standby.postgres.port}/bursar`,
  });
  try {
    await expectNothingLost(load, { ...shop, owner });
  } finally {
    await owner.end();
  }
  expectOnlyUnavailable(load);
  expect(load.broken).toEqual([]);
  expect(load.refusals.length).toBeGreaterThan(20);
  const { first, last } = recoveryAfter(promoted, load);
  expect(last).toBeLessThan(3);
  await expectCalm(standby.postgres.superuserUrl('bursar'));
  task.meta.figures = [
    summaryOf('Failover to a synchronous standby, the primary killed (kill -9)', load),
    `The standby took over ${((promoted - died) / 1000).toFixed(1)} s after the kill (1.5 s of them on purpose only to read); the first answer came ${first.toFixed(2)} s later; ${expectNoGrowth(memory, server.memory())}`,
  ];
});
