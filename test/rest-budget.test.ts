import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { ON, switchAiBridge } from './support/features.ts';
import { logOf } from './support/log.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database, { poolSize: 10 });
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

const pathOf = (group: string) => `/api/v2/groups/${group}/ai/budget`;
const get = (group: string, user = world.people.owner) => server.request(user, pathOf(group));
const put = (group: string, body: string | Uint8Array, user = world.people.owner) =>
  server.request(user, pathOf(group), { method: 'PUT', body });
const remove = (group: string, user = world.people.owner) =>
  server.request(user, pathOf(group), { method: 'DELETE' });

/** Every budget there is, as PostgreSQL writes it: to see that a refusal left all of them alone. */
async function allBudgets(): Promise<string> {
  const { rows } = await database.owner.query<{ all: string }>(
    'select json_agg(b order by group_id)::text as all from app_public.group_ai_budgets b',
  );
  return rows[0]?.all ?? '';
}

type Budget = {
  group_id: string;
  spend_limit_micros: number;
  created_at: string;
  updated_at: string;
};

describe('a budget', () => {
  test('is created, read, replaced and deleted', async () => {
    const group = world.otherGroup;
    expect((await remove(group)).status).toBe(204);

    const created = await put(group, '{"spend_limit_micros": 250000000}');
    expect(created.status).toBe(200);
    expect(created.headers.get('content-type')).toMatch(/^application\/json\b/);
    const first = (await created.json()) as Budget;
    expect(Object.keys(first)).toEqual([
      'group_id',
      'spend_limit_micros',
      'created_at',
      'updated_at',
    ]);
    expect(first).toMatchObject({ group_id: group, spend_limit_micros: 250_000_000 });
    expect(first.updated_at).toBe(first.created_at);

    const replaced = await put(group, '{"spend_limit_micros": 0}');
    expect(replaced.status).toBe(200);
    const second = (await replaced.json()) as Budget;
    expect(second).toMatchObject({ spend_limit_micros: 0, created_at: first.created_at });
    expect(Date.parse(second.updated_at)).toBeGreaterThan(Date.parse(first.updated_at));

    const read = await get(group);
    expect(read.status).toBe(200);
    expect(await read.json()).toEqual(second);

    const deleted = await remove(group);
    expect(deleted.status).toBe(204);
    expect(await deleted.text()).toBe('');
    expect((await get(group)).status).toBe(404);
    expect((await remove(group)).status).toBe(404);
    await put(group, '{"spend_limit_micros": 7000000}');
  });

  test('is answered to HEAD as to GET, without the body', async () => {
    const head = await server.request(world.people.member, pathOf(world.group), { method: 'HEAD' });
    const whole = await get(world.group, world.people.member);
    expect(head.status).toBe(200);
    for (const name of ['content-type', 'content-length', 'etag']) {
      expect(head.headers.get(name)).toBe(whole.headers.get(name));
    }
    expect(await head.text()).toBe('');
  });

  test.each(['0', '1', '2147483648', '999999999999999', '1000000000000000'])(
    'of %s is exact to the last digit, both ways',
    async (limit) => {
      const body = `{"spend_limit_micros": ${limit}}`;
      for (const response of [await put(world.group, body), await get(world.group)]) {
        expect(response.status).toBe(200);
        expect(await response.text()).toMatch(new RegExp(`"spend_limit_micros" ?: ?${limit}[,}]`));
      }
      const { rows } = await database.owner.query(
        'select spend_limit_micros::text as stored from app_public.group_ai_budgets where group_id = $1',
        [world.group],
      );
      expect(rows).toEqual([{ stored: limit }]);
    },
  );

  test('is taken whatever the media type, the case of the id, and members that mean nothing', async () => {
    const response = await server.request(world.people.owner, pathOf(world.group.toUpperCase()), {
      method: 'PUT',
      headers: { 'content-type': 'text/plain' },
      body: '{"note": "x", "spend_limit_micros": 12}',
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ group_id: world.group, spend_limit_micros: 12 });
  });
});

describe('a body that is refused', () => {
  let before: string;
  beforeEach(async () => {
    before = await allBudgets();
  });
  afterEach(async () => {
    expect(await allBudgets()).toBe(before);
  });

  test.each([
    '5.5',
    '5.0',
    '"5"',
    '1e3',
    'true',
    '-1',
    '1000000000000001',
    '9007199254740993',
    '9223372036854775808',
    '99999999999999999999',
    'null',
    '[5]',
    '{"a": 5}',
    '[[[[5]]]]',
  ])('spend_limit_micros: %s', async (value) => {
    const response = await put(world.group, `{"spend_limit_micros": ${value}}`);
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toMatch(/^application\/json\b/);
    const answer = (await response.json()) as { message: string; validations: object[] };
    expect(answer.validations).toEqual([{ field: 'spend_limit_micros', detail: answer.message }]);
    // What the caller is told they sent is what they sent.
    if (value !== 'null')
      expect(answer.message.replaceAll(' ', '')).toContain(value.replaceAll(' ', ''));
  });

  test.each([
    ['missing', '{}'],
    ['in another case', '{"Spend_Limit_Micros": 5}'],
    ['inherited', '{"__proto__": {"spend_limit_micros": 5}}'],
  ])('spend_limit_micros %s', async (_how, body) => {
    const response = await put(world.group, body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ validations: [{ field: 'spend_limit_micros' }] });
  });

  test.each([
    ['empty', ''],
    ['no JSON', 'spend_limit_micros=5'],
    ['cut off', '{"spend_limit_micros": 5'],
    ['with something behind it', '{"spend_limit_micros": 5} 6'],
    ['a number with a leading zero', '{"spend_limit_micros": 007}'],
    ['NaN', '{"spend_limit_micros": NaN}'],
    ['an array', '[{"spend_limit_micros": 5}]'],
    ['a number', '5'],
    ['a string', '"5"'],
    ['null', 'null'],
    ['deeply nested', `${'['.repeat(8_000)}${']'.repeat(8_000)}`],
    ['nested in the field', `{"spend_limit_micros": ${'['.repeat(8_000)}${']'.repeat(8_000)}}`],
    ['UTF-16', Buffer.from('{"spend_limit_micros": 5}', 'utf16le')],
    ['not UTF-8', Buffer.from('{"spend_limit_micros": 5, "note": "\xff"}', 'latin1')],
  ])('%s', async (_what, body) => {
    const response = await put(world.group, body);
    expect(response.status).toBe(400);
    const answer = (await response.json()) as { message: string };
    expect(answer.message).not.toBe('');
    expect(answer.message.length).toBeLessThan(200);
  });

  test.each([20_000, 2_000_000])('too large: %s bytes', async (size) => {
    const note = 'x'.repeat(size);
    const response = await put(world.group, `{"spend_limit_micros": 5, "note": "${note}"}`);
    expect(response.status).toBe(413);
    expect(await response.json()).toEqual({ message: 'The body is too large.' });
  });
});

describe('absent and forbidden', () => {
  /** Everything that a caller can see of an answer, but for the time and the request's id. */
  async function seen(response: Response): Promise<object> {
    const headers = [...response.headers]
      .filter(([name]) => name !== 'date' && name !== 'x-request-id')
      .sort();
    return { status: response.status, headers, body: await response.text() };
  }

  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH'])('are the same to %s', async (method) => {
    const init = {
      method,
      ...(method === 'PUT' ? { body: '{"spend_limit_micros": 5}' } : {}),
    };
    const { member } = world.people;
    const absent = await seen(await server.request(member, pathOf(randomUUID()), init));
    expect(absent).toMatchObject({ status: 404 });
    for (const group of [world.foreignGroup, world.otherGroup]) {
      expect(await seen(await server.request(member, pathOf(group), init))).toEqual(absent);
    }
    // A group that they can read and not change.
    if (method === 'PUT' || method === 'DELETE') {
      expect(await seen(await server.request(member, pathOf(world.group), init))).toEqual(absent);
    }
  });

  test('a refused write leaves the budget alone', async () => {
    const before = await allBudgets();
    for (const person of ['auditor', 'ai_gateway', 'organization_auditor', 'member'] as const) {
      const user = world.people[person];
      expect((await put(world.group, '{"spend_limit_micros": 5}', user)).status).toBe(404);
      expect((await remove(world.group, user)).status).toBe(404);
    }
    expect(await allBudgets()).toBe(before);
  });
});

test('the grace period passes, with a Warning that names the feature', async () => {
  const { owner } = world.people;
  await switchAiBridge(database, server, owner, { entitlement: 'grace_period', enabled: true });
  try {
    for (const response of [
      await get(world.group),
      await put(world.group, '{"spend_limit_micros": 5}'),
      await remove(world.group),
    ]) {
      expect(response.ok).toBe(true);
      expect(response.headers.get('warning')).toMatch(/^299 - ".*\bai_bridge\b.*"$/);
    }
  } finally {
    await switchAiBridge(database, server, owner, ON);
  }
  const restored = await put(world.group, '{"spend_limit_micros": 500000000}');
  expect(restored.headers.has('warning')).toBe(false);
});

test.each([
  ['GET', 'group_ai_budget(uuid)', 'group_ai_budget'],
  ['PUT', 'upsert_group_ai_budget(uuid, bigint)', 'upsert_group_ai_budget'],
  ['DELETE', 'delete_group_ai_budget(uuid)', 'delete_group_ai_budget'],
])(
  '%s that fails inside says so with an id, and the log has the rest',
  async (method, signature, name) => {
    const moved = signature.replace(name, `${name}_moved`);
    await database.owner.query(`alter function app_public.${signature} rename to ${name}_moved`);
    try {
      const body = method === 'PUT' ? '{"spend_limit_micros": 5}' : null;
      const { result: response, log } = await logOf(() =>
        server.request(world.people.owner, pathOf(world.group), { method, body }),
      );
      expect(response.status).toBe(500);
      const answer = await response.text();
      const id = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(answer)?.[0];
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      expect(Object.keys(JSON.parse(answer) as object)).toEqual(['message', 'detail']);
      expect(answer).not.toMatch(
        /group_ai_budget|function|select|42883|\.ts|\.js|\/work|app_public/i,
      );
      expect(log).toContainEqual(
        expect.objectContaining({
          level: 'error',
          id,
          sqlstate: '42883',
          stack: expect.anything(),
        }),
      );
    } finally {
      await database.owner.query(`alter function app_public.${moved} rename to ${name}`);
    }
  },
);

describe('fifty callers at once, through REST, GraphQL and SQL', () => {
  const UPSERT = `mutation ($group: UUID!, $limit: BigInt!) {
    upsertGroupAiBudget(input: { groupId: $group, spendLimitMicros: $limit }) {
      groupAiBudget { spendLimitMicros }
    }
  }`;

  test.each([
    ['replace one budget', false],
    ['create one budget', true],
  ])('%s', async (_what, fresh) => {
    const group = world.group;
    const { organization_admin: admin } = world.people;
    if (fresh) expect((await remove(group)).status).toBe(204);
    const created = fresh ? null : ((await (await get(group)).json()) as Budget).created_at;
    const login = new Pool({ connectionString: await database.createLogin(admin), max: 14 });
    try {
      const doors: ((limit: number) => Promise<number>)[] = [
        async (limit) => {
          const response = await put(group, `{"spend_limit_micros": ${limit}}`, admin);
          expect(response.status).toBe(200);
          return ((await response.json()) as Budget).spend_limit_micros;
        },
        async (limit) => {
          const { data, errors } = await server.graphql(admin, UPSERT, { group, limit });
          expect(errors).toBeUndefined();
          expect(data).toEqual({
            upsertGroupAiBudget: { groupAiBudget: { spendLimitMicros: String(limit) } },
          });
          return limit;
        },
        async (limit) => {
          const { rows } = await login.query<{ spend_limit_micros: string }>(
            'select spend_limit_micros from app_public.upsert_group_ai_budget($1, $2)',
            [group, limit],
          );
          return Number(rows[0]?.spend_limit_micros);
        },
      ];
      const limits = Array.from({ length: 50 }, (_, index) => 1_000 + index);
      const answers = await Promise.all(
        limits.map((limit, index) => doors[index % doors.length]?.(limit)),
      );
      // Each caller is told of their own write.
      expect(answers).toEqual(limits);
    } finally {
      await login.end();
    }
    const { rows } = await database.owner.query<{ limit: string }>(
      'select spend_limit_micros as limit from app_public.group_ai_budgets where group_id = $1',
      [group],
    );
    expect(rows).toHaveLength(1);
    expect(Number(rows[0]?.limit)).toBeGreaterThanOrEqual(1_000);
    expect(Number(rows[0]?.limit)).toBeLessThan(1_050);
    if (created !== null)
      expect(await (await get(group)).json()).toMatchObject({ created_at: created });
  });
});
