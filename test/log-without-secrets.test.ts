import { afterAll, beforeAll, expect, test } from 'vitest';
import { signToken } from '../src/identity.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { logOf } from './support/log.ts';
import { whileRaising } from './support/raising.ts';
import { SECRET, startTestServer, type TestServer } from './support/server.ts';
import { now, token } from './support/tokens.ts';
import { createWorld, type World } from './support/world.ts';

// Whatever goes wrong: what lets somebody in, and what they sent, is not in the log.

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  // As much as there is.
  server = await startTestServer(database, { logLevel: 'info' });
});

afterAll(async () => {
  await logOf(async () => server?.stop());
  await database?.drop();
});

const WRITTEN = 'what the caller wrote';

test('no token, no key, no password and no body is in the log', async () => {
  const { owner } = world.people;
  const good = await signToken(owner, 3600, { secret: SECRET });
  const tokens = [
    good,
    await signToken(owner, 3600, { secret: 'another secret, of more than 32 bytes' }),
    await token({ sub: owner, exp: now() - 60 }),
    await token({ sub: 'nobody', exp: now() + 60 }),
    'no token at all',
  ];
  const ask = async (bearer: string) => {
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
    const budget = `${server.url}/api/v2/groups/${world.group}/ai/budget`;
    const query = `mutation ($limit: BigInt!) {
      upsertGroupAiBudget(input: { groupId: "${world.group}", spendLimitMicros: $limit }) { clientMutationId }
    }`;
    const answers = [
      await fetch(budget, { headers }),
      await fetch(budget, {
        method: 'PUT',
        headers,
        body: `{"spend_limit_micros": 7, "${WRITTEN}": 1}`,
      }),
      await fetch(budget, { method: 'PUT', headers, body: `{"spend_limit_micros": "${WRITTEN}"` }),
      await fetch(budget, { method: 'PUT', headers, body: '{"spend_limit_micros": 7}' }),
      await fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ query, variables: { limit: '7', more: WRITTEN } }),
      }),
    ];
    return answers.map(({ status }) => status);
  };

  const { result, log } = await logOf(async () => {
    const statuses = [];
    for (const bearer of tokens) statuses.push(await ask(bearer));
    // What nobody expects has a line with its stack.
    await database.owner.query('alter function app_public.upsert_group_ai_budget rename to moved');
    try {
      statuses.push(await ask(good));
    } finally {
      await database.owner.query(
        'alter function app_public.moved rename to upsert_group_ai_budget',
      );
    }
    return statuses;
  });
  expect(result[0]).toEqual([200, 200, 400, 200, 200]);
  for (const statuses of result.slice(1, 5)) expect(new Set(statuses)).toEqual(new Set([401]));
  expect(result[5]).toContain(500);
  expect(log).toContainEqual(expect.objectContaining({ level: 'error' }));

  const text = JSON.stringify(log);
  const { password } = new URL(database.urls.authenticator);
  const signatures = tokens.map((bearer) => bearer.split('.').at(-1) ?? '');
  for (const secret of [SECRET, `:${password}@`, WRITTEN, 'Bearer', ...tokens, ...signatures])
    expect(text).not.toContain(secret);
});

test('no header, path, query string, literal or variable is in the log, whatever goes wrong', async () => {
  const { member, owner } = world.people;
  const password = new URL(database.urls.authenticator).password;
  const marker = 'MARKER-of-a-caller';
  const token = (await server.tokenOf(owner)) ?? '';
  const { log } = await logOf(async () => {
    const post = (path: string, body: string, headers: Record<string, string> = {}) =>
      server.request(owner, path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });
    const graphql = (query: string, variables: object) =>
      post('/graphql', JSON.stringify({ query, variables }));
    await server.request(null, `/api/v2/groups/${world.group}/ai/budget`, {
      headers: { authorization: `Bearer ${marker}` },
    });
    await server.request(null, '/graphql', { headers: { authorization: `Basic ${marker}` } });
    await server.request(member, `/nothing/${marker}?token=${marker}`, {
      headers: { cookie: marker, 'x-api-key': marker },
    });
    await post('/api/v2/ai/usage', JSON.stringify({ events: [{ id: marker }] }));
    await post('/api/v2/ai/spend/authorize', marker);
    await graphql(
      'query($m: String) { groups(filter: { name: { equalTo: $m } }) { nodes { id } } }',
      { m: marker },
    );
    await graphql(
      `{ groups(filter: { name: { equalTo: "${marker}" } }) { nodes { id nothing } } }`,
      {},
    );
    await graphql('mutation($i: UpdateGroupInput!) { updateGroup(input: $i) { group { name } } }', {
      i: { id: world.group, patch: { name: marker } },
    });
    await whileRaising(database.owner, 'app_hidden.require_user(uuid)', 'XX000', async () => {
      await graphql(
        'query($m: String) { groups(filter: { name: { equalTo: $m } }) { nodes { id } } }',
        { m: marker },
      );
      await post('/api/v2/ai/usage', JSON.stringify({ events: [], [marker]: 1 }));
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
  });
  expect(log.length).toBeGreaterThan(10);
  const text = JSON.stringify(log);
  for (const secret of [marker, token, token.split('.')[2] ?? '', SECRET]) {
    expect(text).not.toContain(secret);
  }
  expect(text).not.toMatch(new RegExp(`:${password}@|Bearer |postgres://`));
});
