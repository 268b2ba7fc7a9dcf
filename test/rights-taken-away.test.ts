import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { READS, type Statement, WRITES } from './support/actions.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { type Door, graphqlDoor, restDoor, Sessions, sqlDoor } from './support/doors.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type Person, type World } from './support/world.ts';

// Rights are rows. A token or a session that was good a moment ago carries none of them along.

let database: TestDatabase;
let server: TestServer;
let sessions: Sessions;
let world: World;
let doors: Readonly<Record<DoorName, Door>>;

const DOORS = ['SQL', 'GraphQL', 'REST'] as const;
type DoorName = (typeof DOORS)[number];

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  sessions = new Sessions(database);
  const started = await startTestServer(database);
  // One token for each person, made once and kept.
  const tokens = new Map<string, Promise<string | undefined>>();
  server = {
    ...started,
    async graphql(userId, query) {
      const response = await server.request(userId, '/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query }),
      });
      const answer = (await response.json()) as object;
      return { status: response.status, headers: response.headers, ...answer };
    },
    async request(userId, path, init = {}) {
      const key = String(userId);
      if (!tokens.has(key)) tokens.set(key, started.tokenOf(userId));
      const headers = new Headers(init.headers);
      headers.set('authorization', `Bearer ${await tokens.get(key)}`);
      return started.request(userId, path, { ...init, headers });
    },
  };
  doors = { SQL: sqlDoor(sessions), GraphQL: graphqlDoor(server), REST: restDoor(server) };
});

afterAll(async () => {
  await server?.stop();
  await sessions?.close();
  await database?.drop();
});

type Row = { take: Statement; give: Statement };

function row(table: string, columns: Record<string, string>): Row {
  const names = Object.keys(columns);
  const places = names.map((_name, index) => `$${index + 1}`);
  const named = names.map((name, index) => `${name}::text = $${index + 1}`).join(' and ');
  const values = Object.values(columns);
  return {
    take: [`delete from app_public.${table} where ${named}`, ...values],
    give: [
      `insert into app_public.${table} (${names.join(', ')}) values (${places.join(', ')})`,
      ...values,
    ],
  };
}

/** For each right, the row that it rests on. */
const RESTS_ON: Partial<Record<Person, (w: World) => Row>> = {
  ...Object.fromEntries(
    (['owner', 'user_admin', 'auditor', 'ai_gateway'] as const).map((role) => [
      role,
      (w: World) => row('user_site_roles', { user_id: w.people[role], role }),
    ]),
  ),
  ...Object.fromEntries(
    (['organization_admin', 'organization_user_admin', 'organization_auditor'] as const).map(
      (role) => [
        role,
        (w: World) =>
          row('organization_member_roles', {
            organization_id: w.organization,
            user_id: w.people[role],
            role,
          }),
      ],
    ),
  ),
  member: (w) => row('group_members', { group_id: w.group, user_id: w.people.member }),
};
const HOLDERS = Object.keys(RESTS_ON) as Person[];
const WRITERS: readonly Person[] = [
  'owner',
  'user_admin',
  'organization_admin',
  'organization_user_admin',
];

async function change([text, ...values]: Statement): Promise<void> {
  expect((await database.owner.query(text, values)).rowCount).toBe(1);
}

describe.each(DOORS)('%s', (door) => {
  test.each(HOLDERS)('%s reads no budget once the row is gone', async (person) => {
    const right = RESTS_ON[person]?.(world) as Row;
    const read = async () =>
      (await doors[door].read(world.people[person], READS['read its budget'](world))).flat();

    expect(await read()).not.toEqual([]);
    await change(right.take);
    try {
      expect(await read()).toEqual([]);
    } finally {
      await change(right.give);
    }
    expect(await read()).not.toEqual([]);
  });

  test.each(WRITERS)('%s writes no budget once the row is gone', async (person) => {
    const right = RESTS_ON[person]?.(world) as Row;
    const [upsert] = WRITES['write its budget'](world);
    if (upsert === undefined) throw new Error('there is no write');
    const write = () => doors[door].write(world.people[person], upsert);

    expect(await write()).toBe(true);
    await change(right.take);
    try {
      expect(await write()).toBe(false);
    } finally {
      await change(right.give);
    }
    expect(await write()).toBe(true);
  });
});

describe('a session that stays open', () => {
  const count = async (session: Client) => {
    const { rows } = await session.query<{ n: number }>({
      // A name makes it a prepared statement; its plan is kept after the first few times.
      name: 'count_groups',
      text: 'select count(*)::int as n from app_public.groups',
    });
    return rows[0]?.n;
  };

  test('loses the right within its transaction, with a plan that is kept', async () => {
    const right = RESTS_ON.auditor?.(world) as Row;
    const session = await sessions.of(world.people.auditor);
    await session.query('begin');
    try {
      for (let time = 0; time < 8; time += 1) expect(await count(session)).toBe(5);
      await change(right.take);
      expect(await count(session)).toBe(0);
      await change(right.give);
      expect(await count(session)).toBe(5);
    } finally {
      await session.query('rollback');
    }
  });

  test('speaks for nobody once the user is gone', async () => {
    const { rows } = await database.owner.query<{ id: string }>(
      "insert into app_public.users (username) values ('leaver') returning id",
    );
    const id = rows[0]?.id ?? '';
    await change([
      "insert into app_public.user_site_roles (user_id, role) values ($1, 'auditor')",
      id,
    ]);
    const session = await sessions.of(id);
    expect(await count(session)).toBe(5);
    await change(['delete from app_public.users where id = $1', id]);
    expect(await count(session)).toBe(0);
  });
});

test('whoever leaves the organization loses its groups and roles', async () => {
  const { owner } = database;
  const id = world.people.organization_admin;
  await owner.query('insert into app_public.group_members (group_id, user_id) values ($1, $2)', [
    world.group,
    id,
  ]);
  await change(['delete from app_public.organization_members where user_id = $1', id]);
  for (const door of DOORS) {
    const ways = await doors[door].read(id, READS['read the group'](world));
    expect(ways.flat()).toEqual([]);
  }
  // Coming back as a member brings back neither.
  await change([
    'insert into app_public.organization_members (organization_id, user_id) values ($1, $2)',
    world.organization,
    id,
  ]);
  const left = await owner.query(
    `select from app_public.organization_member_roles where user_id = $1
     union all select from app_public.group_members where user_id = $1`,
    [id],
  );
  expect(left.rowCount).toBe(0);
});
