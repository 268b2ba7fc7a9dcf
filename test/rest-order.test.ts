import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { OFF, ON, switchAiBridge } from './support/features.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

/**
 * What is wrong with a request to `/api/v2/groups/{group}/ai/budget` is told in one order, so that an answer
 * never says more than its caller may know. Each request here is wrong in two ways or more: the earlier one
 * must be the answer.
 */
let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

type Draft = {
  user: string | null;
  authorization?: string;
  group: string;
  method: string;
  body: string;
};

/** One thing that can be wrong, and the place of its check among the others. */
type Wrong = {
  name: string;
  check: 'token' | 'uuid' | 'group' | 'body' | 'right' | 'method';
  status: number;
  apply: (draft: Draft) => Partial<Draft>;
};

const ORDER = ['token', 'uuid', 'group', 'body', 'right', 'method'] as const;

const WRONGS: readonly Wrong[] = [
  { name: 'no token', check: 'token', status: 401, apply: () => ({ user: null }) },
  {
    name: 'a bad token',
    check: 'token',
    status: 401,
    apply: () => ({ authorization: 'Bearer not.a.token' }),
  },
  {
    name: 'another scheme than Bearer',
    check: 'token',
    status: 401,
    apply: () => ({ authorization: 'Basic bWU6bWU=' }),
  },
  { name: 'a group that is no UUID', check: 'uuid', status: 400, apply: () => ({ group: 'x1' }) },
  {
    name: 'a group that can’t be decoded',
    check: 'uuid',
    status: 400,
    apply: () => ({ group: '%ZZ' }),
  },
  { name: 'an absent group', check: 'group', status: 404, apply: () => ({ group: randomUUID() }) },
  {
    name: 'a group of others',
    check: 'group',
    status: 404,
    apply: () => ({ user: world.people.member, group: world.foreignGroup }),
  },
  { name: 'no JSON', check: 'body', status: 400, apply: () => ({ body: '{' }) },
  { name: 'no limit', check: 'body', status: 400, apply: () => ({ body: '{}' }) },
  {
    name: 'a negative limit',
    check: 'body',
    status: 400,
    apply: () => ({ body: '{"spend_limit_micros": -1}' }),
  },
  {
    name: 'a large body',
    check: 'body',
    status: 413,
    apply: () => ({ body: `{"x": "${'x'.repeat(20_000)}"}` }),
  },
  {
    name: 'no right to change it',
    check: 'right',
    status: 404,
    apply: ({ user }) => (user === null ? {} : { user: world.people.member }),
  },
  { name: 'PATCH', check: 'method', status: 405, apply: () => ({ method: 'PATCH' }) },
];

/** Pairs of which the first is checked before the second. A method that is not PUT has no body to be wrong. */
const PAIRS = WRONGS.flatMap((first) =>
  WRONGS.filter(
    (second) =>
      ORDER.indexOf(first.check) < ORDER.indexOf(second.check) &&
      !(first.check === 'uuid' && second.check === 'group') &&
      !(['body', 'right'].includes(first.check) && second.check === 'method'),
  ).map((second) => [first.name, second.name, first, second] as const),
);

async function send(wrongs: readonly Wrong[]): Promise<Response> {
  let draft: Draft = {
    user: world.people.owner,
    group: world.group,
    method: 'PUT',
    body: '{"spend_limit_micros": 5}',
  };
  // The first wins where both touch the same part.
  for (const wrong of wrongs.toReversed()) draft = { ...draft, ...wrong.apply(draft) };
  return server.request(draft.user, `/api/v2/groups/${draft.group}/ai/budget`, {
    method: draft.method,
    body: draft.body,
    headers: draft.authorization === undefined ? {} : { authorization: draft.authorization },
  });
}

async function expectAnswer(response: Response, status: number): Promise<void> {
  const answer = await response.text();
  expect({ status: response.status, answer }).toEqual({ status, answer });
  expect(response.headers.get('content-type')).toMatch(/^application\/json\b/);
  expect(JSON.parse(answer)).toHaveProperty('message');
  expect(response.headers.has('www-authenticate')).toBe(status === 401);
  expect(response.headers.has('allow')).toBe(status === 405);
}

async function budgets(): Promise<unknown> {
  const { rows } = await database.owner.query(
    'select b::text from app_public.group_ai_budgets b order by group_id',
  );
  return rows;
}

let before: unknown;
beforeEach(async () => {
  before = await budgets();
});
afterEach(async () => {
  expect(await budgets()).toEqual(before);
});

describe('one thing wrong', () => {
  test.each(WRONGS.map((wrong) => [wrong.name, wrong] as const))('%s', async (_name, wrong) => {
    await expectAnswer(await send([wrong]), wrong.status);
  });

  test.each(['x1', 'a b', '"', '123'])('a group that is no UUID is named: %s', async (group) => {
    const response = await server.request(
      world.people.owner,
      `/api/v2/groups/${encodeURIComponent(group)}/ai/budget`,
    );
    expect(response.status).toBe(400);
    expect(((await response.json()) as { message: string }).message).toContain(group);
  });

  test('a group that can’t be decoded is named', async () => {
    const response = await server.request(world.people.owner, '/api/v2/groups/%ZZ/ai/budget');
    expect(response.status).toBe(400);
    expect(((await response.json()) as { message: string }).message).toContain('%ZZ');
  });

  test.each(['PATCH', 'POST', 'OPTIONS'])('%s is told which methods there are', async (method) => {
    const response = await server.request(
      world.people.owner,
      `/api/v2/groups/${world.group}/ai/budget`,
      { method },
    );
    await expectAnswer(response, 405);
    expect(response.headers.get('allow')?.split(/, */).sort()).toEqual([
      'DELETE',
      'GET',
      'HEAD',
      'PUT',
    ]);
  });
});

describe('two things wrong', () => {
  test('the table is whole', () => {
    expect(PAIRS.length).toBeGreaterThan(40);
  });

  test.each(PAIRS)('%s before %s', async (_first, _second, first, second) => {
    await expectAnswer(await send([first, second]), first.status);
  });

  test.each(WRONGS.filter(({ check }) => check === 'body' || check === 'right'))(
    'PATCH is PATCH whatever else: $name',
    async (wrong) => {
      const patch = WRONGS.filter(({ check }) => check === 'method');
      await expectAnswer(await send([...patch, wrong]), 405);
    },
  );

  test('a member learns of a bad body, and then that the group is not theirs to change', async () => {
    const byName = (name: string) => WRONGS.filter((wrong) => wrong.name === name);
    const right = byName('no right to change it');
    await expectAnswer(await send([...byName('no JSON'), ...right]), 400);
    const forbidden = await (await send(right)).text();
    const absent = await (await send(byName('an absent group'))).text();
    expect(forbidden).toBe(absent);
  });
});

describe('the feature is off', () => {
  beforeAll(() => switchAiBridge(database, server, world.people.owner, OFF));
  afterAll(() => switchAiBridge(database, server, world.people.owner, ON));

  test.each(WRONGS.map((wrong) => [wrong.name, wrong] as const))('and %s', async (_name, wrong) => {
    const isEarlier = ['token', 'uuid', 'group'].includes(wrong.check);
    await expectAnswer(await send([wrong]), isEarlier ? wrong.status : 403);
  });

  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH'])('%s names it', async (method) => {
    const response = await server.request(
      world.people.owner,
      `/api/v2/groups/${world.group}/ai/budget`,
      { method },
    );
    expect(response.status).toBe(403);
    if (method === 'HEAD') return;
    expect(((await response.json()) as { message: string }).message).toContain('ai_bridge');
  });
});
