import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { budgetPath } from './support/actions.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type Person, type World } from './support/world.ts';

// Whoever may not read a group must not learn from any answer whether there is one.

let database: TestDatabase;
let server: TestServer;
let world: World;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

type Case = readonly [person: Person, group: 'group' | 'otherGroup' | 'foreignGroup'];

const UNREADABLE: readonly Case[] = [
  ['stranger', 'group'],
  ['stranger', 'foreignGroup'],
  ['member', 'otherGroup'],
  ['member', 'foreignGroup'],
  ['organization_admin', 'foreignGroup'],
  ['organization_user_admin', 'foreignGroup'],
  ['organization_auditor', 'foreignGroup'],
];
/** They know that it is there; for writing, it is not theirs. */
const READABLE: readonly Case[] = [
  ['auditor', 'group'],
  ['ai_gateway', 'foreignGroup'],
  ['organization_auditor', 'otherGroup'],
  ['member', 'group'],
];

const PUT = { method: 'PUT', body: '{"spend_limit_micros":123}' };
const REST_READS: readonly RequestInit[] = [{ method: 'GET' }, { method: 'HEAD' }];
const REST_WRITES: readonly RequestInit[] = [PUT, { method: 'DELETE' }];
/** What would be wrong with the request counts for those alone who can read the group. */
const REST_MISTAKES: readonly RequestInit[] = [
  { ...PUT, body: '{"spend_limit_micros":-1}' },
  { ...PUT, body: 'no JSON' },
  { method: 'POST' },
];

/** An answer down to the byte; neither the clock nor the request's id is anybody's secret. */
async function restAnswer(person: Person, group: string, init: RequestInit) {
  const response = await server.request(world.people[person], budgetPath(group), init);
  const headers = [...response.headers].filter(
    ([name]) => name !== 'date' && name !== 'x-request-id',
  );
  return { status: response.status, headers, body: await response.text() };
}

describe('REST', () => {
  const cases = [
    ...UNREADABLE.map((c) => [...c, [...REST_READS, ...REST_WRITES, ...REST_MISTAKES]] as const),
    ...READABLE.map((c) => [...c, REST_WRITES] as const),
  ];
  test.each(cases)(
    '%s: %s is answered as if it were not there',
    async (person, group, requests) => {
      for (const request of requests) {
        const forbidden = await restAnswer(person, world[group], request);
        const absent = await restAnswer(person, randomUUID(), request);
        expect(forbidden.status).toBe(404);
        expect(forbidden).toEqual(absent);
      }
    },
  );

  test('the feature that is off is told to those alone who can read the group', async () => {
    const { owner } = database;
    const state = async (person: Person) =>
      (await restAnswer(person, world.group, { method: 'GET' })).status;
    await owner.query("update app_public.features set enabled = false where name = 'ai_bridge'");
    try {
      await expect.poll(() => state('member'), { timeout: 10_000 }).toBe(403);
      expect(await state('stranger')).toBe(404);
    } finally {
      await owner.query("update app_public.features set enabled = true where name = 'ai_bridge'");
      await expect.poll(() => state('member'), { timeout: 10_000 }).toBe(200);
    }
  });
});

/** Operations by what they do to a group, which a caller names by id. */
const GRAPHQL_READS = {
  group: (id: string) => `{ group(id: "${id}") { name } }`,
  groups: (id: string) =>
    `{ groups(filter: { id: { equalTo: "${id}" } }) { nodes { name } totalCount } }`,
  groupMembers: (id: string) =>
    `{ groupMembers(condition: { groupId: "${id}" }) { nodes { userId } totalCount } }`,
  groupAiBudget: (id: string) => `{ groupAiBudget(groupId: "${id}") { spendLimitMicros } }`,
  'sum of budgets': (id: string) => `{ groupAiBudgets(condition: { groupId: "${id}" }) {
    aggregates { sum { spendLimitMicros } } } }`,
};

const GRAPHQL_WRITES = {
  upsertGroupAiBudget: (id: string) => `mutation { upsertGroupAiBudget(input: {
    groupId: "${id}", spendLimitMicros: "123" }) { groupAiBudget { groupId } } }`,
  deleteGroupAiBudget: (
    id: string,
  ) => `mutation { deleteGroupAiBudget(input: { groupId: "${id}" }) {
    groupAiBudget { groupId } } }`,
  updateGroup: (id: string) => `mutation { updateGroup(input: {
    id: "${id}", patch: { name: "New" } }) { group { id } } }`,
  deleteGroup: (id: string) => `mutation { deleteGroup(input: { id: "${id}" }) { group { id } } }`,
  // A member of both organizations, so that nothing but the group can be at fault.
  createGroupMember: (id: string) => `mutation { createGroupMember(input: { groupMember: {
    groupId: "${id}", userId: "${inBoth}" } }) { groupMember { userId } } }`,
  deleteGroupMember: (id: string) => `mutation { deleteGroupMember(input: {
    groupId: "${id}", userId: "${world.people.member}" }) { groupMember { userId } } }`,
};

let inBoth: string;

describe('GraphQL', () => {
  beforeAll(async () => {
    const { rows } = await database.owner.query<{ id: string }>(
      "insert into app_public.users (username) values ('in both') returning id",
    );
    inBoth = rows[0]?.id ?? '';
    await database.owner.query(
      'insert into app_public.organization_members values ($1, $3), ($2, $3)',
      [world.organization, world.foreignOrganization, inBoth],
    );
  });

  const answer = async (person: Person, query: string) => {
    const { status, data, errors } = await server.graphql(world.people[person], query);
    return { status, data, errors };
  };

  describe.each(UNREADABLE)('%s: %s', (person, group) => {
    test.each(Object.entries(GRAPHQL_READS))('%s shows nothing of it', async (_name, query) => {
      const forbidden = await answer(person, query(world[group]));
      expect(forbidden).toEqual(await answer(person, query(randomUUID())));
      expect(forbidden.errors).toBeUndefined();
    });
  });

  describe.each([...UNREADABLE, ...READABLE])('%s: %s', (person, group) => {
    test.each(Object.entries(GRAPHQL_WRITES))('%s is refused', async (_name, query) => {
      const forbidden = await answer(person, query(world[group]));
      const absent = await answer(person, query(randomUUID()));
      expect(forbidden.errors?.map((e) => e.extensions)).toEqual([{ code: 'NOT_FOUND' }]);
      expect(forbidden).toEqual(absent);
    });
  });
});
