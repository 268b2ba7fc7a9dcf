import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CutLine, startCutLine } from './support/cut-line.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { gateOf, OFF, ON, switchAiBridge } from './support/features.ts';
import { logOf } from './support/log.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// The database goes away under a running server, and comes back.

let database: TestDatabase;
let world: World;
let line: CutLine;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  line = await startCutLine(database.urls.authenticator);
  server = await startTestServer(database, {
    authDatabaseUrl: line.url,
    listenDatabaseUrl: line.url,
  });
});

afterAll(async () => {
  await server?.stop();
  await line?.stop();
  await database?.drop();
});

const budget = () => `/api/v2/groups/${world.group}/ai/budget`;

const REQUESTS: Record<string, () => Promise<Response>> = {
  'a budget by REST': () => server.request(world.people.member, budget()),
  'a budget that is set by REST': () =>
    server.request(world.people.owner, budget(), {
      method: 'PUT',
      body: '{"spend_limit_micros": 500000000}',
    }),
  'a budget by GraphQL': () => byGraphql('{ groupAiBudgets { nodes { spendLimitMicros } } }'),
  'what needs no database, by GraphQL': () => byGraphql('{ __typename }'),
  'nobody’s groups by GraphQL': () => byGraphql('{ groups { totalCount } }', null),
  'nobody’s prices, behind the gate': () => byGraphql('{ aiModelPrices { totalCount } }', null),
  'what is no GraphQL': () => byGraphql('{'),
  'no such route': () => server.request(world.people.member, '/api/v2/nothing'),
};

const byGraphql = (query: string, userId: string | null = world.people.member) =>
  server.request(userId, '/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });

const statusOf = async (path: string) => (await server.request(null, path)).status;

test('while it answers, so do we', async () => {
  expect(await statusOf('/healthz')).toBe(200);
  expect(await statusOf('/readyz')).toBe(200);
  for (const ask of Object.values(REQUESTS)) expect((await ask()).status).toBeLessThan(500);
});

test('requests that run as it goes are told to try again, and others are so at once', async () => {
  const { result: answers, log } = await logOf(async () => {
    const under = Array.from({ length: 40 }, () => Object.values(REQUESTS).map((ask) => ask()));
    await line.cut();
    const answers = await Promise.all(under.flat());
    const began = performance.now();
    for (const [what, ask] of Object.entries(REQUESTS)) {
      const answer = await ask();
      expect(answer.status, what).toBe(503);
      expect(answer.headers.get('retry-after'), what).toBe('1');
      expect(await answer.text(), what).toMatch(/The database does not answer: try again/);
    }
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(await statusOf('/readyz')).toBe(503);
    expect(await statusOf('/healthz')).toBe(200);
    return answers;
  });
  expect(answers.filter(({ status }) => status >= 500 && status !== 503)).toEqual([]);
  // One line for all requests; the others are of connections that broke.
  const absence = log.filter(({ message }) => /requests are told/.test(String(message)));
  expect(absence).toHaveLength(1);
  expect(log.filter(({ level }) => level === 'error')).toEqual([]);
});

test('it is back with the first request after it is, and the gate hears of flips again', async () => {
  await line.mend();
  for (const ask of Object.values(REQUESTS)) expect((await ask()).status).toBeLessThan(500);
  expect(await statusOf('/readyz')).toBe(200);
  await switchAiBridge(database, server, world.people.owner, OFF);
  await switchAiBridge(database, server, world.people.owner, ON);
  expect(await gateOf(server, world.people.owner)).toBe('on');
});
