import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asSuperuser, createTestDatabase, type TestDatabase } from './support/database.ts';
import { gateOf, OFF, ON, setAiBridge, switchAiBridge } from './support/features.ts';
import { postGraphQL } from './support/graphql-answer.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

/** The gate against the forms that an operation can take, and against tags that name nothing. */
let database: TestDatabase;
let world: World;
let server: TestServer;
let budgetId: string;
let groupId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
  const { data } = await ask(`{ group(id: "${world.group}") { nodeId groupAiBudget { nodeId } } }`);
  const group = data?.group as { nodeId: string; groupAiBudget: { nodeId: string } };
  groupId = group.nodeId;
  budgetId = group.groupAiBudget.nodeId;
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

const ask = (query: string, variables: object = {}, operationName?: string, at = server) =>
  postGraphQL(at, world.people.owner, { query, variables, operationName });

const refused = (feature: unknown = 'ai_bridge') => ({
  data: undefined,
  errors: [{ extensions: { code: 'FEATURE_NOT_ENABLED', feature } }],
});

describe('with the feature off', () => {
  beforeAll(() => switchAiBridge(database, server, world.people.owner, OFF));
  afterAll(() => switchAiBridge(database, server, world.people.owner, ON));

  test.each([
    ['an alias', '{ x: groupAiBudgets { y: totalCount } }'],
    ['a sibling', '{ groups { totalCount } groupAiBudgets { totalCount } }'],
    ['__typename alone', '{ groupAiBudgets { __typename } }'],
    ['an inline fragment', '{ ... on Query { groupAiBudgets { totalCount } } }'],
    ['a fragment without a type', '{ ... { groupAiBudgets { totalCount } } }'],
    ['a named fragment', 'fragment F on Query { aiModelPrices { totalCount } } { ...F }'],
    [
      'a chain of fragments',
      `{ ...A } fragment A on Query { ...B } fragment B on Query { groups { nodes { ...C } } }
       fragment C on Group { groupAiBudget { spendLimitMicros } }`,
    ],
    ['query within query', '{ query { query { query { aiModelPrices { totalCount } } } } }'],
    [
      'a field that is skipped',
      '{ groups { totalCount } aiModelPrices @skip(if: true) { totalCount } }',
    ],
    ['a field that is not included', '{ aiModelPrices @include(if: false) { totalCount } }'],
    [
      'a fragment that is skipped',
      '{ ... on Query @skip(if: true) { aiModelPrices { totalCount } } }',
    ],
    [
      'a loop of relations',
      '{ groups { nodes { organization { groups { nodes { groupAiBudget { groupId } } } } } } }',
    ],
    ['edges', '{ groupAiBudgets { edges { cursor } } }'],
    ['pages', '{ groupAiBudgets(first: 1) { pageInfo { hasNextPage } } }'],
    ['aggregates', '{ groupAiBudgets { aggregates { sum { spendLimitMicros } } } }'],
    [
      'a mutation that is written after a harmless one',
      `mutation {
       setFeature(input: { name: "ai_bridge", enabled: true }) { feature { enabled } }
       upsertAiModelPrices(input: { seed: [] }) { clientMutationId }
     }`,
    ],
  ])('%s', async (_what, query) => {
    expect(await ask(query)).toMatchObject(refused());
  });

  test('the operation that is named counts, and no other', async () => {
    const query = `
      query Shut { groupAiBudgets { ...Count } }
      query Open { groups { totalCount } }
      fragment Count on GroupAiBudgetConnection { totalCount }`;
    expect(await ask(query, {}, 'Shut')).toMatchObject(refused());
    expect(await ask(query, {}, 'Open')).toMatchObject({ errors: [], data: { groups: {} } });
    expect(await ask(query, {}, 'Shut')).toMatchObject(refused());
    for (const name of ['', 'None', undefined])
      expect((await ask(query, {}, name)).data).toBeUndefined();
  });

  describe('node', () => {
    test.each([
      ['', '{ nodeId }'],
      [' and __typename', '{ __typename }'],
      [' with its type', '{ ... on GroupAiBudget { spendLimitMicros } }'],
      [' with its type in a fragment', '{ ...F }'],
      [' with the type of another', '{ ... on Group { id } }'],
    ])('of a budget%s', async (_how, selection) => {
      const fragment = selection.includes('...F')
        ? 'fragment F on GroupAiBudget { spendLimitMicros }'
        : '';
      for (const [query, variables] of [
        [`query { node(nodeId: "${budgetId}") ${selection} }`, {}],
        [`query { query { x: node(nodeId: """${budgetId}""") ${selection} } }`, {}],
        [`query ($id: ID!) { node(nodeId: $id) ${selection} }`, { id: budgetId }],
        [`query ($id: ID! = "${budgetId}") { node(nodeId: $id) ${selection} }`, {}],
      ] as const) {
        expect(await ask(`${query} ${fragment}`, variables)).toMatchObject(refused());
      }
    });

    test('of a budget in another spelling of its id', async () => {
      // What decodes to the same must be gated the same.
      for (const id of [
        ` ${budgetId}`,
        `${budgetId}\n`,
        budgetId.replace(/=+$/, ''),
        `${budgetId}=`,
      ]) {
        const { data, errors } = await ask('query ($id: ID!) { node(nodeId: $id) { nodeId } }', {
          id,
        });
        if (errors.length === 0) expect(data).toEqual({ node: null });
      }
    });

    test('of a group with a selection on budgets', async () => {
      const query = `{ node(nodeId: "${groupId}") { ... on Group { groupAiBudget { groupId } } } }`;
      expect(await ask(query)).toMatchObject(refused());
    });

    test('of a group', async () => {
      const query = `query ($id: ID!) { node(nodeId: $id) { ... on Group { id } } }`;
      expect(await ask(query, { id: groupId })).toMatchObject({
        errors: [],
        data: { node: { id: world.group } },
      });
    });
  });

  test('a filter in a nested variable', async () => {
    const query = 'query ($f: OrganizationFilter) { organizations(filter: $f) { totalCount } }';
    const f = { and: [{ groups: { some: { groupAiBudget: { groupId: { isNull: false } } } } }] };
    expect(await ask(query, { f })).toMatchObject(refused());
    expect(await ask(query, { f: { and: [{ groupsExist: true }] } })).toMatchObject({
      errors: [],
    });
  });

  test('whether budgets exist is no question for a filter either', async () => {
    const query = 'query ($f: GroupFilter) { groups(filter: $f) { totalCount } }';
    expect(await ask(query, { f: { groupAiBudgetExists: true } })).toMatchObject(refused());
    const literal = '{ groups(filter: { groupAiBudgetExists: true }) { nodes { name } } }';
    expect(await ask(literal)).toMatchObject(refused());
  });

  test('whoever is not signed in meets the same gate', async () => {
    const answer = await postGraphQL(server, null, { query: '{ aiModelPrices { totalCount } }' });
    expect(answer).toMatchObject(refused());
  });
});

describe('the states of a feature', () => {
  afterAll(() => switchAiBridge(database, server, world.people.owner, ON));
  const path = () => `/api/v2/groups/${world.group}/ai/budget`;

  test.each([
    ['entitled', true, 'on'],
    ['entitled', false, 'off'],
    ['grace_period', true, 'grace_period'],
    ['grace_period', false, 'off'],
    ['not_entitled', true, 'off'],
    ['not_entitled', false, 'off'],
  ] as const)(
    '%s, enabled: %s is %s, for GraphQL and REST',
    async (entitlement, enabled, state) => {
      await switchAiBridge(database, server, world.people.owner, { entitlement, enabled });
      const rest = await server.request(world.people.owner, path());
      const graphql = await ask('{ groupAiBudgets { totalCount } }');
      expect(rest.status).toBe(state === 'off' ? 403 : 200);
      if (state === 'off') expect(graphql).toMatchObject(refused());
      else
        expect(graphql).toMatchObject({ errors: [], data: { groupAiBudgets: { totalCount: 3 } } });
      const warning = state === 'grace_period' ? /^299 - ".*\bai_bridge\b.*"$/ : /^$/;
      expect(rest.headers.get('warning') ?? '').toMatch(warning);
      expect(graphql.headers.get('warning') ?? '').toMatch(warning);
    },
  );

  test('an operation that has nothing to do with it is not warned', async () => {
    await switchAiBridge(database, server, world.people.owner, {
      entitlement: 'grace_period',
      enabled: true,
    });
    expect((await ask('{ groups { totalCount } }')).headers.has('warning')).toBe(false);
  });

  test('a feature without a row is off', async () => {
    await setAiBridge(database, ON);
    const name = new URL(database.superuserUrl).pathname.slice(1);
    await asSuperuser(name, async (client) => {
      const { rows } = await client.query('delete from app_public.features returning *');
      try {
        await expect
          .poll(() => gateOf(server, world.people.owner), { interval: 5, timeout: 10_000 })
          .toBe('off');
        expect((await server.request(world.people.owner, path())).status).toBe(403);
      } finally {
        await client.query(
          'insert into app_public.features select * from jsonb_populate_recordset(null::app_public.features, $1)',
          [JSON.stringify(rows)],
        );
      }
    });
  });
});

test('a tag that names no feature, or an unknown one, keeps its table and functions shut', async () => {
  await database.owner.query(`
    create table app_public.unknowns (id int primary key);
    create table app_public.namelesses (id int primary key);
    create table app_public.doubles (id int primary key);
    create function app_public.unknown_answer() returns int language sql stable return 42;
    create function app_public.nameless_answer() returns int language sql stable return 42;
    grant select on app_public.unknowns, app_public.namelesses, app_public.doubles to bursar_user;
    grant execute on function app_public.unknown_answer, app_public.nameless_answer to bursar_user;
    comment on table app_public.unknowns is '@feature teleport';
    comment on table app_public.namelesses is '@feature';
    comment on table app_public.doubles is E'@feature ai_bridge\\n@feature teleport';
    comment on function app_public.unknown_answer is '@feature teleport';
    comment on function app_public.nameless_answer is '@feature';
  `);
  const fresh = await startTestServer(database);
  try {
    expect(await gateOf(fresh, world.people.owner)).toBe('on');
    for (const [query, feature] of [
      ['{ unknowns { totalCount } }', 'teleport'],
      ['{ doubles { totalCount } }', 'teleport'],
      ['{ unknown(id: 1) { id } }', 'teleport'],
      ['{ namelesses { totalCount } }', expect.anything()],
      ['{ unknownAnswer }', 'teleport'],
      ['{ namelessAnswer }', expect.anything()],
    ] as const) {
      expect(await ask(query, {}, undefined, fresh), query).toMatchObject(refused(feature));
    }
  } finally {
    await fresh.stop();
  }
});
