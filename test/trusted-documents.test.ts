import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { logOf } from './support/log.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// A server that runs registered documents alone, and describes nothing.

const DOCUMENTS = {
  budget: 'query Budget($id: UUID!) { groupAiBudget(groupId: $id) { spendLimitMicros } }',
  forget:
    'mutation Forget($id: UUID!) { deleteGroupAiBudget(input: { groupId: $id }) { clientMutationId } }',
};

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database, { trustedDocuments: DOCUMENTS, introspection: false });
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

async function send(body: object, userId: string | null = world.people.member) {
  const response = await server.request(userId, '/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, ...((await response.json()) as object) };
}

const variables = () => ({ id: world.group });
const BUDGET = { data: { groupAiBudget: { spendLimitMicros: '500000000' } } };

describe('registered documents', () => {
  test('run by their id, however clients send it', async () => {
    for (const by of [
      { documentId: 'budget' },
      { id: 'budget' },
      { extensions: { persistedQuery: { version: 1, sha256Hash: 'budget' } } },
    ]) {
      expect(await send({ ...by, variables: variables() })).toEqual({ status: 200, ...BUDGET });
    }
  });

  test('run as they were registered, whatever else is sent along', async () => {
    const body = { documentId: 'budget', query: DOCUMENTS.forget, variables: variables() };
    expect(await send(body, world.people.owner)).toEqual({ status: 200, ...BUDGET });
  });

  test('are bound by the rights of whoever sends them', async () => {
    expect(await send({ documentId: 'forget', variables: variables() })).toMatchObject({
      errors: [{ extensions: { code: 'NOT_FOUND' } }],
    });
  });
});

test('nothing else runs, and nothing of it reaches the log', async () => {
  const { result, log } = await logOf(async () =>
    Promise.all(
      [
        { query: '{ __typename }' },
        { query: DOCUMENTS.budget, variables: variables() },
        { query: DOCUMENTS.forget, documentId: 'absent', variables: variables() },
        { documentId: '__proto__', variables: variables() },
        { documentId: 'constructor' },
        { documentId: { budget: 1 }, query: '{ __typename }' },
        { documentId: ['budget'] },
        { extensions: { persistedQuery: null }, query: '{ __typename }' },
        { extensions: 7, id: 7 },
        {},
      ].map((body) => send(body, world.people.owner)),
    ),
  );
  for (const answer of result) {
    expect(answer).toMatchObject({
      status: 400,
      errors: [
        {
          message: expect.stringMatching(/^Registered documents alone are run here\./),
          extensions: { code: 'VALIDATION_FAILED' },
        },
      ],
    });
    expect(answer).not.toHaveProperty('data');
  }
  expect(log).toEqual([]);
  const { rowCount } = await database.owner.query(
    'select from app_public.group_ai_budgets where group_id = $1',
    [world.group],
  );
  expect(rowCount).toBe(1);
});

describe('without introspection', () => {
  let open: TestServer;
  beforeAll(async () => {
    open = await startTestServer(database, { introspection: false });
  });
  afterAll(() => open?.stop());

  test.each([
    '{ __schema { types { name } } }',
    '{ __type(name: "Group") { fields { name } } }',
    'query A { __typename } query B { a: __type(name: "Group") { name } }',
    'fragment F on Query { __schema { types { name } } } query { ...F }',
    '{ query { ... on Query { __type(name: "Group") { name } } } }',
  ])('nobody is told the schema by %s', async (query) => {
    expect(await open.graphql(world.people.owner, query)).toMatchObject({
      errors: [
        {
          message: 'This server does not describe its schema.',
          extensions: { code: 'VALIDATION_FAILED' },
        },
      ],
    });
  });

  test('a name that there is not tells no name that there is', async () => {
    const { errors } = await open.graphql(
      world.people.owner,
      '{ group(id: "00000000-0000-4000-8000-000000000000") { nam } groupss { nodes { id } } groups(frist: 1) { nodes { id } } }',
    );
    expect(errors?.length).toBeGreaterThan(2);
    expect(JSON.stringify(errors)).not.toMatch(/Did you mean|"name"|"first"|groups"/);
  });

  test('nor does a name or a value in variables', async () => {
    const { errors } = await open.graphql(
      world.people.owner,
      'query($f: GroupFilter, $o: [GroupOrderBy!]) { groups(filter: $f, orderBy: $o) { totalCount } }',
      { f: { organizationI: 1 }, o: ['NAME_AS'] },
    );
    expect(errors?.length).toBe(2);
    expect(JSON.stringify(errors)).not.toMatch(/Did you mean|NAME_ASC|organizationId/);
  });

  test('what clients need is there', async () => {
    expect(
      await open.graphql(world.people.member, '{ __typename groups { __typename } }'),
    ).toMatchObject({
      data: { __typename: 'Query', groups: { __typename: 'GroupConnection' } },
    });
  });
});
