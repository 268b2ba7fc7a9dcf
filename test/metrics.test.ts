import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// What Prometheus is told: `/metrics`.

const TOKEN = 'a-token-for-the-scraper';

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database, { metrics: { token: TOKEN } });
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

const scrape = async (from = server) => {
  const response = await fetch(`${from.url}/metrics`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  expect(response.status).toBe(200);
  return response.text();
};

/** The sample of a metric with just these labels, in whichever order; undefined where there is none. */
function sampleOf(
  text: string,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  for (const line of text.split('\n')) {
    const [, metric, list = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    const has: string[] = list.match(/\w+="[^"]*"/g) ?? [];
    if (metric !== name || has.length !== wanted.length) continue;
    if (wanted.every((label) => has.includes(label))) return Number(value);
  }
  return undefined;
}

/** A request has ended when its answer has left, which is a little after it has arrived. */
async function counted(labels: Record<string, string>, count: number) {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    if (sampleOf(await scrape(), 'bursar_requests_total', labels) === count) return;
    await sleep(20);
  }
  expect(sampleOf(await scrape(), 'bursar_requests_total', labels)).toBe(count);
}

describe('who reads it', () => {
  test('nobody without the token, whatever else they have', async () => {
    for (const authorization of [undefined, 'Bearer', `Bearer ${TOKEN}x`, TOKEN, 'Basic x']) {
      const response = await fetch(`${server.url}/metrics`, {
        headers: authorization === undefined ? {} : { authorization },
      });
      expect(response.status).toBe(401);
      expect(await response.text()).not.toContain('bursar_');
    }
    expect((await server.request(world.people.owner, '/metrics')).status).toBe(401);
  });

  test('nobody at all where no token is set; everybody with the embedded database', async () => {
    const closed = await startTestServer(database);
    const refusal = await fetch(`${closed.url}/metrics`);
    expect([refusal.status, await refusal.text()]).toEqual([
      403,
      'Metrics are shown where METRICS_TOKEN is set.\n',
    ]);
    await closed.stop();
    const open = await startTestServer(database, { metrics: 'everybody' });
    expect((await fetch(`${open.url}/metrics`)).status).toBe(200);
    await open.stop();
  });
});

test('requests are counted by operation and what became of them', async () => {
  const { owner, stranger } = world.people;
  const path = `/api/v2/groups/${world.group}/ai/budget`;
  await (await server.request(owner, path)).text();
  await (await server.request(stranger, path)).text();
  await (await server.request(null, path)).text();
  await server.graphql(owner, 'query Budgets { groupAiBudgets { totalCount } }');
  await server.graphql(owner, 'query Budgets { groupAiBudgets { totalCount } }');
  await server.graphql(owner, '{ groups { totalCount } }');
  const rest = { door: 'rest', operation: 'GET /api/v2/groups/:group/ai/budget' };
  await counted({ ...rest, outcome: 'ok' }, 1);
  await counted({ ...rest, outcome: 'not_found' }, 1);
  await counted({ door: 'graphql', operation: 'Budgets', outcome: 'ok' }, 2);
  await counted({ door: 'graphql', operation: 'anonymous', outcome: 'ok' }, 1);
  // However somebody writes a path, and whatever method they make up.
  await (await server.request(owner, path.replace('/api/v2', '/aPi/V2'))).text();
  await (await server.request(owner, path, { method: 'PROPFIND' })).text();
  await counted({ ...rest, outcome: 'ok' }, 2);
  await counted(
    { ...rest, operation: 'other /api/v2/groups/:group/ai/budget', outcome: 'validation_failed' },
    1,
  );
  const text = await scrape();
  expect(sampleOf(text, 'bursar_request_duration_seconds_count', rest)).toBe(3);
  // No id of anybody's, no path, no user.
  expect(text).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-/);
});

test('names that clients make up do not add up', async () => {
  const { owner, member } = world.people;
  // Neither what strangers ask, nor what fails, gets a name of its own.
  for (let n = 0; n < 5; n += 1) await server.graphql(null, `query MadeUp${n} { __typename }`);
  await server.graphql(owner, `query MadeUp${'x'.repeat(60)} { __typename }`);
  await server.graphql(member, 'query MadeUp { nothingOfThisName }');
  await server.graphql(
    null,
    'mutation MadeUp { deleteGroup(input: { id: "x" }) { clientMutationId } }',
  );
  for (let n = 0; n < 250; n += 1) await server.graphql(owner, `query Made${n} { __typename }`);
  await sleep(50);
  const text = await scrape();
  expect(text).not.toContain('MadeUp');
  const names = new Set(
    [...text.matchAll(/bursar_requests_total\{door="graphql",operation="([^"]+)"/g)].map(
      ([, name]) => name,
    ),
  );
  expect(names.size).toBeLessThanOrEqual(201);
  expect(names).toContain('other');
});

const priceOfOne = () =>
  server.graphql(
    world.people.owner,
    `mutation { upsertAiModelPrices(input: { seed: [{ provider: "acme", model: "one", input_price: 1000000, output_price: 1000000 }] }) { aiModelPrices { model } } }`,
  );

const authorize = (model: string, input_tokens: number) =>
  server.request(world.people.owner, '/api/v2/ai/spend/authorize', {
    method: 'POST',
    body: JSON.stringify({
      request_id: randomUUID(),
      user_id: world.people.member,
      provider: 'acme',
      model,
      input_tokens,
      max_output_tokens: 0,
      organization_id: world.organization,
    }),
  });

test('decisions about calls are counted through both doors, with the reason', async () => {
  const { owner, member } = world.people;
  const byGraphql = (model: string, selection: string) =>
    server.graphql(
      owner,
      `mutation($i: AuthorizeAiSpendInput!) { authorizeAiSpend(input: $i) { ${selection} } }`,
      {
        i: {
          requestId: randomUUID(),
          userId: member,
          provider: 'acme',
          model,
          inputTokens: '1000',
          maxOutputTokens: '1000',
          organizationId: world.organization,
        },
      },
    );
  await priceOfOne();
  expect((await authorize('one', 1_000)).status).toBe(200);
  await authorize('unknown', 1_000);
  expect(await byGraphql('one', 'decision { allowed }')).toMatchObject({ status: 200 });
  // Also where the client does not look at it.
  await byGraphql('unknown', 'clientMutationId');
  const text = await scrape();
  const ofDecision = (allowed: string, reason: string) =>
    sampleOf(text, 'bursar_authorizations_total', { allowed, reason });
  expect(ofDecision('true', '')).toBe(2);
  expect(ofDecision('false', 'UNPRICED_MODEL')).toBe(2);
});

/** The same that a server asks, without the time for which it is content with an answer. */
async function gauges(): Promise<Record<string, number>> {
  const { rows } = await database.owner.query('select * from app_hidden.spend_gauges()');
  return Object.fromEntries(
    Object.entries(rows[0] as object).map(([name, value]) => [name, Number(value)]),
  );
}

test('holds, unpriced usage and budgets of which much is spent are told', async () => {
  const { owner, member } = world.people;
  const before = await gauges();
  expect(before).toMatchObject({ budgets: 3, budgets_over_80_percent: 0 });
  await priceOfOne();
  const record = (model: string, input_tokens: number) =>
    server.request(owner, '/api/v2/ai/usage', {
      method: 'POST',
      body: JSON.stringify({
        events: [
          {
            id: randomUUID(),
            user_id: member,
            provider: 'acme',
            model,
            input_tokens,
            output_tokens: 0,
            organization_id: world.organization,
            group_id: world.group,
          },
        ],
      }),
    });
  // $400 of $500 are 80 %, and not more.
  expect((await record('one', 400_000_000)).status).toBe(200);
  expect((await record('unknown', 1)).status).toBe(200);
  const hold = await authorize('one', 500_000);
  expect(await hold.json()).toMatchObject({ allowed: true });
  expect(await gauges()).toMatchObject({
    budgets_over_80_percent: 0,
    unpriced_events: Number(before.unpriced_events) + 1,
    open_holds: Number(before.open_holds) + 1,
    held_micros: Number(before.held_micros) + 500_000,
  });
  await record('one', 1);
  expect(await gauges()).toMatchObject({ budgets_over_80_percent: 1 });

  const fresh = await startTestServer(database, { metrics: { token: TOKEN } });
  const text = await scrape(fresh);
  expect(sampleOf(text, 'bursar_database_up')).toBe(1);
  expect(sampleOf(text, 'bursar_budgets')).toBe(3);
  expect(sampleOf(text, 'bursar_budgets_over_80_percent')).toBe(1);
  expect(sampleOf(text, 'bursar_held_dollars')).toBe(Number((await gauges()).held_micros) / 1e6);
  await fresh.stop();
});

test('the pool and the process are told', async () => {
  const text = await scrape();
  expect(sampleOf(text, 'bursar_pool_connections_max')).toBe(5);
  expect(sampleOf(text, 'bursar_pool_waiting_requests')).toBe(0);
  const connections = ['idle', 'busy'].map(
    (state) => sampleOf(text, 'bursar_pool_connections', { state }) ?? Number.NaN,
  );
  expect(connections[0]).toBeGreaterThan(0);
  expect(sampleOf(text, 'process_resident_memory_bytes')).toBeGreaterThan(1e6);
});

test('nobody but a server asks the database for them', async () => {
  const login = new Client({ connectionString: await database.createLogin(world.people.owner) });
  await login.connect();
  for (const text of ['select app_hidden.spend_gauges()', 'select app_hidden.newest_migration()']) {
    await expect(login.query(text)).rejects.toMatchObject({ code: '42501' });
  }
  await login.end();
});
