import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { expectCalm, expectNothingLost, recoveryAfter, summaryOf } from '../support/count.ts';
import { startLoad } from '../support/load.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';
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

const ROUNDS = 2;

test('kill -9 of the server in the middle of mutations loses nothing and doubles nothing', async ({
  task,
}) => {
  const { url, port } = server;
  const load = startLoad(url, shop);
  const starts: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await load.progress(150);
    await server.kill();
    const killed = performance.now();
    await sleep(200);
    server = await startServer(database.urls.authenticator, { PORT: String(port) });
    await load.progress(50);
    starts.push(recoveryAfter(killed, load).first);
  }
  await load.stop();

  await expectNothingLost(load, shop);
  // Nothing was wrong with the database: whoever was answered was served.
  expect(load.refusals).toEqual([]);
  expect(load.broken.length).toBeGreaterThan(ROUNDS);
  await expectCalm(database.superuserUrl);
  task.meta.figures = [
    summaryOf(`The server killed (kill -9) and started again, ${ROUNDS} times`, load),
    `From the kill to the first answer of the next one at most ${Math.max(...starts).toFixed(1)} s, 0.2 s of them until somebody starts it`,
  ];
});
