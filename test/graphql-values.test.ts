import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { postGraphQL } from './support/graphql-answer.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

/** Values that callers send: exact, or refused with the field that they stood in. */
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

const post = (body: string | object) => postGraphQL(server, world.people.owner, body);

const RESULT = '{ groupAiBudget { spendLimitMicros } }';

/** The three places in which an upsert can say its two values: `id` and `limit` are JSON. */
const PLACES = {
  literal: (id: string, limit: string) => ({
    query: `mutation { upsertGroupAiBudget(input: { groupId: ${id}, spendLimitMicros: ${limit} }) ${RESULT} }`,
    variables: '{}',
  }),
  variable: (id: string, limit: string) => ({
    query: `mutation ($id: UUID!, $limit: BigInt!) {
      upsertGroupAiBudget(input: { groupId: $id, spendLimitMicros: $limit }) ${RESULT}
    }`,
    variables: `{"id": ${id}, "limit": ${limit}}`,
  }),
  input: (id: string, limit: string) => ({
    query: `mutation ($input: UpsertGroupAiBudgetInput!) { upsertGroupAiBudget(input: $input) ${RESULT} }`,
    variables: `{"input": {"groupId": ${id}, "spendLimitMicros": ${limit}}}`,
  }),
} as const;
type Place = keyof typeof PLACES;
const EVERY_PLACE = Object.keys(PLACES) as Place[];

/** The JSON is put together by hand: `JSON.stringify` would round the numbers that are tested here. */
function upsert(place: Place, id: string, limit: string) {
  const { query, variables } = PLACES[place](id, limit);
  return post(`{"query": ${JSON.stringify(query)}, "variables": ${variables}}`);
}

const groupId = () => `"${world.group}"`;

describe('BigInt is exact', () => {
  const exact = (limit: string) => ({
    errors: [],
    data: { upsertGroupAiBudget: { groupAiBudget: { spendLimitMicros: limit } } },
  });

  test.each(EVERY_PLACE)('as a string, in a %s', async (place) => {
    for (const limit of ['0', '999999999999999', '1000000000000000']) {
      expect(await upsert(place, groupId(), `"${limit}"`)).toMatchObject(exact(limit));
    }
  });

  test.each(EVERY_PLACE)('as a number up to 2^53, in a %s', async (place) => {
    expect(await upsert(place, groupId(), '999999999999999')).toMatchObject(
      exact('999999999999999'),
    );
  });

  // The table of prices holds what a budget can't: all of the 64 bits.
  test('up to 2^63 - 1, in filters and out of the database', async () => {
    const price = '9223372036854775807';
    const seed = `[{"provider": "acme", "model": "dear", "input_price": ${price}}]`;
    await database.owner.query('select app_public.upsert_ai_model_prices($1)', [seed]);
    const { text } = await post({
      query: '{ aiModelPrice(provider: "acme", model: "dear") { inputPrice outputPrice } }',
    });
    expect(text).toContain(`"inputPrice":"${price}","outputPrice":null`);
  });
});

describe('VALIDATION_FAILED names the field', () => {
  let before: unknown;
  const budgets = async () =>
    (await database.owner.query('select b::text from app_public.group_ai_budgets b order by 1'))
      .rows;
  beforeEach(async () => {
    before = await budgets();
  });
  afterEach(async () => {
    expect(await budgets()).toEqual(before);
  });

  const refused = (field: string) => [{ extensions: { code: 'VALIDATION_FAILED', field } }];

  describe.each(EVERY_PLACE)('in a %s', (place) => {
    test.each([
      '"abc"',
      '""',
      '" 5"',
      '"0x10"',
      '1.5',
      '"1.5"',
      '"1e3"',
      'true',
      'null',
      '[5]',
      '{}',
      '-1',
      '"-1"',
      '1000000000000001',
      '"1000000000000001"',
      '9007199254740993',
      '9223372036854775807',
      '"9223372036854775808"',
      '99999999999999999999',
    ])('spendLimitMicros: %s', async (limit) => {
      const { errors } = await upsert(place, groupId(), limit);
      expect(errors).toMatchObject(refused('spendLimitMicros'));
    });

    test.each(['"garbage"', '""', '5', 'null', '"00000000-0000-0000-0000-00000000000g"'])(
      'groupId: %s',
      async (id) => {
        expect((await upsert(place, id, '5')).errors).toMatchObject(refused('groupId'));
      },
    );
  });

  test('a JSON number over 2^53 is refused even where a rounded one would be acceptable', async () => {
    const { errors } = await upsert('variable', groupId(), '9007199254740993');
    expect(errors[0]?.message).toMatch(/2\^53/);
  });

  test.each([
    [
      'missing, literal',
      { query: `mutation { upsertGroupAiBudget(input: { groupId: "A_GROUP" }) ${RESULT} }` },
    ],
    ['missing, variable', { query: PLACES.variable('', '').query, variables: { id: 'A_GROUP' } }],
    [
      'missing, nested',
      { query: PLACES.input('', '').query, variables: { input: { groupId: 'A_GROUP' } } },
    ],
  ])('spendLimitMicros %s', async (_how, body) => {
    const text = JSON.stringify(body).replace('A_GROUP', world.group);
    expect((await post(text)).errors).toMatchObject(refused('spendLimitMicros'));
  });

  const LIST = 'query ($filter: GroupFilter) { groups(filter: $filter) { totalCount } }';
  const SEED =
    'mutation ($seed: JSON!) { upsertAiModelPrices(input: { seed: $seed }) { clientMutationId } }';
  const SET =
    'mutation ($to: FeatureEntitlement) { setFeature(input: { name: "ai_bridge", entitlement: $to }) { clientMutationId } }';
  test.each([
    ['an argument', 'id', { query: '{ group(id: "x") { id } }' }],
    [
      'an argument’s variable',
      'id',
      { query: 'query ($x: UUID!) { group(id: $x) { id } }', variables: { x: 'x' } },
    ],
    ['first', 'first', { query: '{ groups(first: "a") { totalCount } }' }],
    ['first, below 0', 'first', { query: '{ groups(first: -1) { nodes { id } } }' }],
    ['offset, below 0', 'offset', { query: '{ groups(offset: -1) { nodes { id } } }' }],
    ['a cursor', 'after', { query: '{ groups(first: 1, after: "x") { nodes { id } } }' }],
    ['an order', 'orderBy', { query: '{ groups(orderBy: NOPE) { totalCount } }' }],
    ['a filter', 'in', { query: '{ groups(filter: { id: { in: ["x"] } }) { totalCount } }' }],
    [
      'a filter’s variable',
      'equalTo',
      { query: LIST, variables: { filter: { id: { equalTo: 'x' } } } },
    ],
    [
      'a list within a variable',
      'in',
      { query: LIST, variables: { filter: { id: { in: ['x'] } } } },
    ],
    [
      'an element of a list that is a variable',
      'orderBy',
      {
        query: 'query ($v: [GroupOrderBy!]) { groups(orderBy: $v) { totalCount } }',
        variables: { v: [null] },
      },
    ],
    ['an unknown member', 'nope', { query: LIST, variables: { filter: { nope: 1 } } }],
    ['an enum', 'entitlement', { query: SET, variables: { to: 'nope' } }],
    ['JSON of the wrong form', 'seed', { query: SEED, variables: { seed: {} } }],
    [
      'an element of JSON',
      'seed[1].input_price',
      {
        query: SEED,
        variables: {
          seed: [
            { provider: 'a', model: 'b' },
            { provider: 'a', model: 'c', input_price: -1 },
          ],
        },
      },
    ],
    ['an empty filter', 'filter', { query: '{ groups(filter: {}) { totalCount } }' }],
    [
      'null in a filter',
      'filter',
      { query: LIST, variables: { filter: { id: { equalTo: null } } } },
    ],
    ['null as a filter', 'filter', { query: LIST, variables: { filter: { id: null } } }],
    ...['sum', 'average', 'stddevSample', 'variancePopulation', 'distinctCount'].map(
      (of): [string, string, object] => [
        `the ${of} of days`,
        'having',
        {
          query: `{ aiSpendDailies { groupedAggregates(groupBy: [MODEL],
            having: { ${of}: { day: { greaterThan: "2026-11-01T00:00:00Z" } } }) { keys } } }`,
        },
      ],
    ),
    [
      'an empty list',
      'filter',
      { query: '{ organizations(filter: { groups: { some: {} } }) { totalCount } }' },
    ],
    [
      'a patch without a change',
      'patch',
      {
        query: `mutation {
          updateUserByUsername(input: { username: "member", patch: {} }) { user { id } }
        }`,
      },
    ],
  ])('%s', async (_what, field, body) => {
    expect((await post(body)).errors).toMatchObject(refused(field));
  });

  test('a text with NUL, of which PostgreSQL does not say where it stood', async () => {
    const { errors } = await post({ query: '{ userByUsername(username: "a\\u0000b") { id } }' });
    expect(errors).toMatchObject([{ extensions: { code: 'VALIDATION_FAILED' } }]);
  });

  test.each(['deleteGroupByNodeId', 'deleteUserByNodeId'])(
    '%s with an id that is none does not look like a success',
    async (mutation) => {
      const query = `mutation { ${mutation}(input: { nodeId: "x" }) { clientMutationId } }`;
      const { errors } = await post({ query });
      expect(['VALIDATION_FAILED', 'NOT_FOUND']).toContain(errors[0]?.extensions.code);
    },
  );

  test.each([
    ['name', { name: '' }],
    ['name', { name: 'x'.repeat(201) }],
    ['organizationId', { organizationId: '00000000-0000-4000-8000-000000000000' }],
  ])('a rule that %s breaks: %o', async (field, change) => {
    const query =
      'mutation ($group: GroupInput!) { createGroup(input: { group: $group }) { group { id } } }';
    const group = { organizationId: world.organization, name: 'Fine', ...change };
    expect((await post({ query, variables: { group } })).errors).toMatchObject(refused(field));
  });
});

describe('dates, times and decimals', () => {
  const ask = (field: string, type: string, value: string) =>
    post(
      `{"query": "query($v: ${type}) { aiUsageEvents(filter: { ${field}: { greaterThan: $v } }) { totalCount } }", "variables": {"v": ${value}}}`,
    );

  test.each([
    ['occurredAt', 'Datetime', '"2026-11-23T12:00:00Z"'],
    ['occurredAt', 'Datetime', '"2026-11-23 12:00:00.123456+01:30"'],
    ['occurredAt', 'Datetime', '"2024-02-29"'],
    ['occurredAt', 'Datetime', '"infinity"'],
    ['costMicros', 'BigFloat', '"1.5"'],
    ['costMicros', 'BigFloat', '1e3'],
    ['costMicros', 'BigFloat', '"12345678901234567890.123456"'],
  ])('%s: %s = %s is one', async (field, type, value) => {
    expect(await ask(field, type, value)).toMatchObject({ status: 200, errors: [] });
  });

  test.each([
    ['occurredAt', 'Datetime', '"now"'],
    ['occurredAt', 'Datetime', '"2026-02-29T00:00:00Z"'],
    ['occurredAt', 'Datetime', '"23/11/2026"'],
    ['occurredAt', 'Datetime', '20261123'],
    ['occurredAt', 'Datetime', '["2026-11-23"]'],
    ['occurredAt', 'Datetime', '{}'],
    ['costMicros', 'BigFloat', '"NaN"'],
    ['costMicros', 'BigFloat', '"1 000"'],
    ['costMicros', 'BigFloat', '{"a": 1}'],
    ['costMicros', 'BigFloat', '1e400'],
  ])('%s: %s = %s is none, and the answer says so', async (field, type, value) => {
    const { status, errors } = await ask(field, type, value);
    expect(status).toBe(400);
    expect(errors).toEqual([
      expect.objectContaining({
        message: expect.stringMatching(/ is no (date|time|number)\b/),
        extensions: expect.objectContaining({ code: 'VALIDATION_FAILED' }),
      }),
    ]);
  });

  test('the field is named', async () => {
    const { errors } = await post({
      query: 'query($f: AiUsageEventFilter) { aiUsageEvents(filter: $f) { totalCount } }',
      variables: { f: { occurredAt: { lessThan: 'yesterday' } } },
    });
    expect(errors[0]?.extensions).toEqual({ code: 'VALIDATION_FAILED', field: 'lessThan' });
  });
});
