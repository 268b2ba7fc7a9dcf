import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { type Balancer, startBalancer } from '../support/balancer.ts';
import { expectCalm, expectNothingLost, summaryOf } from '../support/count.ts';
import { startLoad } from '../support/load.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';
import { openShop, type Shop } from '../support/shop.ts';

let database: TestDatabase;
let shop: Shop;
let servers: ServerProcess[];
let balancer: Balancer;

beforeAll(async () => {
  database = await createTestDatabase();
  shop = await openShop(database.owner);
  servers = await Promise.all([1, 2].map(() => startServer(database.urls.authenticator, DRAIN)));
  balancer = await startBalancer(servers.map(({ port }) => port));
  for (const { port } of servers) await balancer.until(port, true);
});

afterAll(async () => {
  await balancer?.stop();
  for (const server of servers ?? []) await server.stop();
  await database?.drop();
});

const CLIENTS = 5;
/** Longer than the balancer takes to notice. */
const DRAIN = { DRAIN_SECONDS: '1' };

test('two servers are restarted one after the other, and no request fails', async ({ task }) => {
  const fresh = startLoad(balancer.url, shop, { clients: CLIENTS, keepAlive: false });
  const kept = startLoad(balancer.url, shop, { clients: CLIENTS, from: CLIENTS });
  const loads = [fresh, kept];
  const progress = (count: number) => Promise.all(loads.map((load) => load.progress(count)));
  await progress(50);
  for (const [number, old] of servers.entries()) {
    await old.stop();
    const next = await startServer(database.urls.authenticator, {
      ...DRAIN,
      PORT: String(old.port),
    });
    servers[number] = next;
    await balancer.until(next.port, true);
    await progress(50);
  }
  await Promise.all(loads.map((load) => load.stop()));

  for (const load of loads) {
    await expectNothingLost(load, shop);
    expect(load.refusals).toEqual([]);
    expect(load.broken).toEqual([]);
    expect(Math.max(...load.answers.map(({ ms }) => ms))).toBeLessThan(5_000);
  }
  await expectCalm(database.superuserUrl, servers.length);
  const what = 'Two servers restarted one after the other behind a balancer that asks /readyz';
  task.meta.figures = [
    summaryOf(`${what}, clients that connect for each request`, fresh),
    summaryOf(`${what}, clients that keep their connections`, kept),
  ];
});
