import type { Pool } from 'pg';
import { makeSchema } from 'postgraphile';
import { grafast } from 'postgraphile/grafast';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPreset } from '../plugins/preset.ts';
import { createPool } from '../src/database.ts';
import { ask, Caller as Speaker } from '../src/on-behalf.ts';
import { budgetPath } from './support/actions.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { codesOf } from './support/doors.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// One connection for everybody: nobody may find on it what the one before has left.

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database, { poolSize: 1 });
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

type Caller = 'member' | 'foreigner' | 'nobody';

function idOf(caller: Caller): string | null {
  if (caller === 'nobody') return null;
  return caller === 'member' ? world.people.member : world.foreigner;
}

function groupsOf(caller: Caller): string[] {
  if (caller === 'nobody') return [];
  return caller === 'member'
    ? [world.group, world.organization].sort()
    : [world.foreignGroup, world.foreignOrganization].sort();
}

async function groupsSeen(caller: Caller): Promise<string[]> {
  const { data, errors } = await server.graphql(idOf(caller), '{ groups { nodes { id } } }');
  expect(errors).toBeUndefined();
  const { groups } = data as { groups: { nodes: { id: string }[] } };
  return groups.nodes.map((node) => node.id).sort();
}

async function budgetStatuses(caller: Caller): Promise<number[]> {
  const statuses: number[] = [];
  for (const group of [world.group, world.foreignGroup]) {
    const response = await server.request(idOf(caller), budgetPath(group));
    await response.body?.cancel();
    statuses.push(response.status);
  }
  return statuses;
}

const STATUSES: Readonly<Record<Caller, number[]>> = {
  member: [200, 404],
  foreigner: [404, 200],
  nobody: [401, 401],
};

/** What must not spoil the connection for whoever comes next. */
const MISHAPS: Record<string, () => Promise<void>> = {
  'a value that the database refuses': async () => {
    const query = upsertOf(world.group, '-1');
    expect(codesOf(await server.graphql(world.people.owner, query))).toEqual(['VALIDATION_FAILED']);
  },
  'a group that is not theirs': async () => {
    const query = upsertOf(world.group, '1');
    expect(codesOf(await server.graphql(world.foreigner, query))).toEqual(['NOT_FOUND']);
  },
  'a value that REST refuses': async () => {
    const init = { method: 'PUT', body: '{"spend_limit_micros":-1}' };
    const response = await server.request(world.people.owner, budgetPath(world.group), init);
    expect(response.status).toBe(400);
  },
  'one failure of two': async () => {
    const budget = (alias: string, group: string) =>
      `${alias}: upsertGroupAiBudget(input: { groupId: "${group}", spendLimitMicros: "500000000" }) {
         groupAiBudget { groupId } }`;
    const query = `mutation { ${budget('a', world.group)} ${budget('b', world.foreigner)} }`;
    expect(codesOf(await server.graphql(world.people.owner, query))).toEqual(['NOT_FOUND']);
  },
  'a caller who hangs up': async () => {
    const hangUp = new AbortController();
    const request = server.request(world.people.owner, budgetPath(world.group), {
      signal: hangUp.signal,
    });
    hangUp.abort();
    await expect(request).rejects.toThrow();
  },
};

function upsertOf(group: string, limit: string): string {
  return `mutation { upsertGroupAiBudget(input: { groupId: "${group}", spendLimitMicros: "${limit}" }) {
    groupAiBudget { groupId } } }`;
}

test('200 requests at once of two people and nobody: each sees only theirs', async () => {
  const callers: Caller[] = ['member', 'foreigner', 'member', 'foreigner', 'nobody'];
  await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const caller = callers[n % callers.length] ?? 'nobody';
      if (n % 2 === 0) expect(await groupsSeen(caller)).toEqual(groupsOf(caller));
      else expect(await budgetStatuses(caller)).toEqual(STATUSES[caller]);
    }),
  );
});

test.each(Object.entries(MISHAPS))(
  'after %s the next ones see only theirs',
  async (_name, mishap) => {
    await mishap();
    for (const caller of ['nobody', 'member', 'foreigner'] as const) {
      expect(await groupsSeen(caller)).toEqual(groupsOf(caller));
      expect(await budgetStatuses(caller)).toEqual(STATUSES[caller]);
    }
  },
);

test('mishaps among the requests of others change nothing for these', async () => {
  await Promise.all(
    Object.values(MISHAPS).flatMap((mishap) => [
      mishap(),
      ...(['member', 'foreigner', 'nobody'] as const).map(async (caller) =>
        expect(await groupsSeen(caller)).toEqual(groupsOf(caller)),
      ),
    ]),
  );
});

describe('a connection that is back in the pool', () => {
  let pool: Pool;
  beforeAll(() => {
    pool = createPool(database.urls.authenticator, 1, Number.POSITIVE_INFINITY, () => {});
  });
  afterAll(() => pool?.end());

  const owner = () => new Speaker(world.people.owner, 'rest');

  /** As the next one finds the connection. */
  async function expectNobody(): Promise<void> {
    const { rows } = await pool.query(
      `select current_user::text as role, session_user::text as login,
         coalesce(current_setting('bursar.user_id', true), '') as speaks_for`,
    );
    expect(rows).toEqual([
      { role: 'bursar_authenticator', login: 'bursar_authenticator', speaks_for: '' },
    ]);
    await expect(pool.query('select from app_public.groups')).rejects.toMatchObject({
      code: '42501',
    });
  }

  test('speaks for nobody after a request of REST', async () => {
    const { rows } = await ask(pool, owner(), {
      text: 'select app_hidden.current_user_id() as id',
    });
    expect(rows).toEqual([{ id: world.people.owner }]);
    await expectNobody();
  });

  test('speaks for nobody after a request of REST that failed', async () => {
    await expect(ask(pool, owner(), { text: 'select 1 / 0' })).rejects.toMatchObject({
      code: '22012',
    });
    await expectNobody();
  });

  test('speaks for nobody after requests of GraphQL, good and failed', async () => {
    const preset = createPreset({
      pool,
      gate: { name: 'NoGate', version: '1.0.0' },
      log: () => {},
      graphiql: false,
    });
    const { schema, resolvedPreset } = await makeSchema(preset);
    for (const [source, fails] of [
      ['{ groups { nodes { id } } }', false],
      [upsertOf(world.group, '500000000'), false],
      [upsertOf(world.group, '-1'), true],
    ] as const) {
      const result = await grafast({
        schema,
        resolvedPreset,
        source,
        requestContext: {
          expressv4: { req: { bursarCaller: new Speaker(world.people.owner, 'graphql') } },
        } as never,
      });
      expect('errors' in result).toBe(fails);
      await expectNobody();
    }
  });
});
