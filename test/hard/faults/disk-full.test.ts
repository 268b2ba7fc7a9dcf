import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withClient } from '../../../src/database.ts';
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
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';

let disk: SmallDisk | undefined;
let whyNot = '';
let postgres: OwnPostgres;
let shop: Shop;
let server: ServerProcess;

beforeAll(async () => {
  const mounted = mountSmallDisk(256);
  if ('whyNot' in mounted) {
    whyNot = mounted.whyNot;
    return;
  }
  disk = mounted;
  postgres = await startOwnPostgres({
    dataFolder: disk.folder,
    settings: { min_wal_size: '32MB', max_wal_size: '64MB' },
  });
  shop = await openShop(postgres.owner);
  server = await startServer(postgres.authenticator);
});

afterAll(async () => {
  await server?.stop();
  disk?.empty();
  await postgres?.stop().catch(() => {});
  disk?.remove();
});

test('a full disk under the tables, and then under the log, loses nothing and doubles nothing', async ({
  task,
  skip,
}) => {
  if (disk === undefined) return skip(whyNot);
  const load = startLoad(server.url, shop);
  await load.progress(200);
  const memory = server.memory();

  // Tables can't grow; what only reads goes on.
  disk.fill();
  await sleep(3_000);
  const whileFull = load.refusals.length;
  disk.empty();
  const roomy = performance.now();
  await load.progress(200);
  const underTables = recoveryAfter(roomy, load);

  // The log can't grow either, and PostgreSQL ends.
  let hasDied = false;
  void postgres.running().died.then(() => {
    hasDied = true;
  });
  disk.fill();
  for (let attempt = 0; attempt < 50 && !hasDied; attempt += 1) {
    await withClient(postgres.superuserUrl, (client) =>
      client.query('select pg_switch_wal()'),
    ).catch(() => {});
    await sleep(100);
  }
  await sleep(500);
  disk.empty();
  const died = hasDied;
  if (died) await postgres.start();
  const back = performance.now();
  await load.progress(200);
  await load.stop();

  await expectNothingLost(load, shop);
  expectOnlyUnavailable(load);
  expect(load.broken).toEqual([]);
  expect(load.refusals.length).toBeGreaterThan(20);
  const { first, last } = recoveryAfter(back, load);
  expect(last).toBeLessThan(4);
  await expectCalm(postgres.superuserUrl);
  task.meta.figures = [
    summaryOf('The disk of PostgreSQL full for 3 s, then full again until it ends', load),
    `With no room for tables ${whileFull} requests got 503; once there was room the last 503 came after ${underTables.last.toFixed(2)} s`,
    `With no room for its log PostgreSQL ${died ? 'ended' : 'started again by itself'}; once there was room ${died ? 'and it was started ' : ''}the first answer came after ${first.toFixed(2)} s; ${expectNoGrowth(memory, server.memory())}`,
  ];
});
