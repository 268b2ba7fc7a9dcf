import fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { budgetPath } from './support/actions.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import {
  build,
  type Group,
  generated,
  ORGANIZATION_ROLES,
  SITE_ROLES,
  store,
  type Universe,
} from './support/universe.ts';

// Any organizations, groups and people: each door must show and allow what a model of ten lines says.

//------------------------------------------------------------------------------
// The model
//------------------------------------------------------------------------------

type Caller = string | null;

const hasSiteRole = (u: Universe, caller: Caller, ...roles: string[]) =>
  u.siteRoles.some((r) => r.user === caller && roles.includes(r.role));
const hasRoleIn = (u: Universe, caller: Caller, organization: string, ...roles: string[]) =>
  u.organizationRoles.some(
    (r) => r.user === caller && r.organization === organization && roles.includes(r.role),
  );
const belongsTo = (u: Universe, caller: Caller, group: Group) =>
  group.id === group.organization
    ? u.members.some((m) => m.user === caller && m.organization === group.organization)
    : u.groupMembers.some((m) => m.user === caller && m.group === group.id);
const mayRead = (u: Universe, caller: Caller, group: Group) =>
  hasSiteRole(u, caller, ...SITE_ROLES) ||
  hasRoleIn(u, caller, group.organization, ...ORGANIZATION_ROLES) ||
  belongsTo(u, caller, group);
const mayWrite = (u: Universe, caller: Caller, group: Group) =>
  hasSiteRole(u, caller, 'owner', 'user_admin') ||
  hasRoleIn(u, caller, group.organization, 'organization_admin', 'organization_user_admin');

/** What one caller sees. */
type View = { groups: string[]; budgets: string[]; members: string[] };

function modelView(u: Universe, caller: Caller): View {
  const groups = u.groups.filter((group) => mayRead(u, caller, group));
  const ids = groups.map((group) => group.id);
  return sorted({
    groups: ids,
    budgets: groups.filter((group) => group.hasBudget).map((group) => group.id),
    members: u.groupMembers.filter((m) => ids.includes(m.group)).map((m) => m.group + m.user),
  });
}

const sorted = ({ groups, budgets, members }: View): View => ({
  groups: groups.toSorted(),
  budgets: budgets.toSorted(),
  members: members.toSorted(),
});

//------------------------------------------------------------------------------
// The doors
//------------------------------------------------------------------------------

let database: TestDatabase;
let server: TestServer;
/** Logged in as the server is. */
let session: Client;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database);
  session = new Client({ connectionString: database.urls.authenticator });
  await session.connect();
});

afterAll(async () => {
  await server?.stop();
  await session?.end();
  await database?.drop();
});

/** Like a request of the server, and nothing of it stays. */
async function onBehalfOf<T>(caller: Caller, work: () => Promise<T>): Promise<T> {
  await session.query('begin');
  try {
    await session.query('set local role bursar_user');
    await session.query("select set_config('bursar.user_id', $1, true)", [caller ?? '']);
    return await work();
  } finally {
    await session.query('rollback');
  }
}

async function column(text: string): Promise<string[]> {
  const { rows } = await session.query<{ value: string }>(text);
  return rows.map((row) => row.value);
}

const sqlView = (caller: Caller): Promise<View> =>
  onBehalfOf(caller, async () =>
    sorted({
      groups: await column('select id as value from app_public.groups'),
      budgets: await column('select group_id as value from app_public.group_ai_budgets'),
      members: await column(
        'select group_id::text || user_id::text as value from app_public.group_members',
      ),
    }),
  );

async function graphqlView(caller: Caller): Promise<View> {
  const { data, errors } = await server.graphql(
    caller,
    '{ groups { nodes { id } } groupAiBudgets { nodes { groupId } } groupMembers { nodes { groupId userId } } }',
  );
  expect(errors).toBeUndefined();
  const { groups, groupAiBudgets, groupMembers } = data as Record<
    string,
    { nodes: Record<string, string>[] }
  >;
  const ids = (connection: typeof groups, ...names: string[]) =>
    connection?.nodes.map((node) => names.map((name) => node[name]).join('')) ?? [];
  return sorted({
    groups: ids(groups, 'id'),
    budgets: ids(groupAiBudgets, 'groupId'),
    members: ids(groupMembers, 'groupId', 'userId'),
  });
}

async function restBudgets(caller: Caller, groups: readonly Group[]): Promise<string[]> {
  const shown: string[] = [];
  for (const group of groups) {
    const response = await server.request(caller, budgetPath(group.id));
    await response.body?.cancel();
    if (response.status === 200) shown.push(group.id);
    else expect(response.status).toBe(caller === null ? 401 : 404);
  }
  return shown.toSorted();
}

const sqlWritable = (caller: Caller, groups: readonly Group[]): Promise<string[]> =>
  onBehalfOf(caller, async () => {
    const written: string[] = [];
    for (const group of groups) {
      await session.query('savepoint before');
      try {
        await session.query('select from app_public.upsert_group_ai_budget($1, 5)', [group.id]);
        written.push(group.id);
      } catch (error) {
        expect(error).toMatchObject({ code: 'BU404' });
      }
      await session.query('rollback to savepoint before');
    }
    return written.toSorted();
  });

test('each door shows and allows what the model says', { timeout: 120_000, retry: 0 }, async () => {
  await fc.assert(
    fc.asyncProperty(generated, async (g) => {
      const universe = build(g);
      await store(database.owner, universe);
      for (const caller of [...universe.users, null]) {
        const view = modelView(universe, caller);
        const writable = universe.groups.filter((group) => mayWrite(universe, caller, group));
        const who = caller ?? 'nobody';
        expect(await sqlView(caller), `SQL, ${who}`).toEqual(view);
        expect(await graphqlView(caller), `GraphQL, ${who}`).toEqual(view);
        expect(await restBudgets(caller, universe.groups), `REST, ${who}`).toEqual(view.budgets);
        expect(await sqlWritable(caller, universe.groups), `SQL writes, ${who}`).toEqual(
          writable.map((group) => group.id).toSorted(),
        );
      }
    }),
    { numRuns: 30 },
  );
});
