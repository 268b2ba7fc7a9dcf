import {
  buildClientSchema,
  type GraphQLNamedType,
  type GraphQLSchema,
  getIntrospectionQuery,
  parse,
  validate,
} from 'postgraphile/graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { OFF, ON, switchAiBridge } from './support/features.ts';
import { type GatedPath, gatedPaths } from './support/gated-paths.ts';
import { postGraphQL, type RawAnswer } from './support/graphql-answer.ts';
import { logOf } from './support/log.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

/**
 * While ai_bridge is off, no operation may reach what its tag marks, whatever way it takes. The ways are
 * found here by walking the schema that the server shows, by names that come from the database, and never
 * by the marks that the gate itself goes by: what the gate forgets, this finds.
 */
let database: TestDatabase;
let world: World;
let server: TestServer;
let schema: GraphQLSchema;
let paths: GatedPath[];
/** The opaque id of one row of each type. */
let nodeIds: Record<string, string>;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  await database.owner.query(MORE_TAGGED_THINGS);
  server = await startTestServer(database);
  const introspection = await ask(getIntrospectionQuery());
  schema = buildClientSchema(introspection.data as never);
  nodeIds = await findNodeIds();
  const isGated = await gatedNames();
  paths = gatedPaths({ schema, isGated, valueFor });
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

/** Kinds of things that could carry the tag one day: a list under a group, a computed column, a plain function. */
const MORE_TAGGED_THINGS = `
  create table app_public.ai_notes (
    id uuid primary key default gen_random_uuid(),
    group_id uuid not null references app_public.groups,
    tokens bigint not null
  );
  create index on app_public.ai_notes (group_id);
  create index on app_public.ai_notes (tokens);
  grant select, insert, update, delete on app_public.ai_notes to bursar_user;
  comment on table app_public.ai_notes is E'@feature ai_bridge\\n@behavior +aggregates';
  insert into app_public.ai_notes (group_id, tokens) select id, 5 from app_public.groups;

  create function app_public.groups_ai_headroom(g app_public.groups) returns bigint
    language sql stable return 5;
  comment on function app_public.groups_ai_headroom is
    E'@feature ai_bridge\\n@behavior +orderBy +filterBy';
  create function app_public.ai_weather() returns text language sql stable return 'fair';
  comment on function app_public.ai_weather is '@feature ai_bridge';
  create function app_public.ai_forecasts() returns setof text language sql stable
    begin atomic select 'fair'; end;
  comment on function app_public.ai_forecasts is '@feature ai_bridge';
  create function app_public.ring_ai(loudness int) returns text language sql volatile return 'rung';
  comment on function app_public.ring_ai is '@feature ai_bridge';
  -- No tag of its own: what it returns has one.
  create function app_public.any_price() returns app_public.ai_model_prices language sql stable
    as 'select * from app_public.ai_model_prices limit 1';
  grant execute on function app_public.groups_ai_headroom, app_public.ai_weather,
    app_public.ai_forecasts, app_public.ring_ai, app_public.any_price to bursar_user;
`;

const ask = (query: string, variables = {}, operationName?: string): Promise<RawAnswer> =>
  postGraphQL(server, world.people.owner, { query, variables, operationName });

/** Recognizes names that are made of a tagged table's or function's, as the database says it. */
async function gatedNames(): Promise<(name: string) => boolean> {
  const { rows } = await database.owner.query<{ name: string }>(`
    select c.relname as name from pg_class c
    where c.relnamespace = 'app_public'::regnamespace
      and obj_description(c.oid, 'pg_class') ~ '@feature ai_bridge'
    union all
    -- A computed column is called after its function, without the table.
    select regexp_replace(p.proname, '^groups_', '') from pg_proc p
    where p.pronamespace = 'app_public'::regnamespace
      and obj_description(p.oid, 'pg_proc') ~ '@feature ai_bridge'`);
  expect(rows.length).toBeGreaterThanOrEqual(10);
  // groupAiBudgets, GroupAiBudget, GROUP_AI_BUDGET and group_ai_budget are one name.
  const plain = (name: string) => name.replaceAll('_', '').toLowerCase();
  const stems = rows.map(({ name }) => plain(name).replace(/s$/, ''));
  return (name) => stems.some((stem) => plain(name).includes(stem));
}

async function findNodeIds(): Promise<Record<string, string>> {
  // Lists of rows, which have conditions, and not of what a function makes up.
  const lists = Object.values(schema.getQueryType()?.getFields() ?? {}).filter(({ args }) =>
    args.some(({ name }) => name === 'condition'),
  );
  const selections = lists.map(({ name }) => `${name} { nodes { __typename nodeId } }`);
  const { data } = await ask(`{ ${selections.join('\n')} }`);
  const found = Object.values(data ?? {}) as { nodes: { __typename: string; nodeId: string }[] }[];
  return Object.fromEntries(
    found.flatMap(({ nodes }) => nodes.map(({ __typename, nodeId }) => [__typename, nodeId])),
  );
}

function valueFor(
  name: string,
  type: GraphQLNamedType,
  field: { name: string; type: unknown },
): unknown {
  switch (type.name) {
    case 'UUID':
      if (name === 'userId' || /user/i.test(field.name)) return world.people.member;
      if (name === 'organizationId' || /organization/i.test(field.name)) return world.organization;
      return world.group;
    case 'ID':
      return nodeIds[String(field.type)] ?? nodeIds.Group;
    case 'BigInt':
    case 'BigFloat':
      return '5';
    case 'Int':
      return 1;
    case 'Boolean':
      return true;
    case 'JSON':
      return '[]';
    case 'Datetime':
      return '2030-01-01T00:00:00Z';
    case 'Date':
      return '2030-01-01';
    default:
      return { provider: 'acme', model: 'one', username: 'member' }[name] ?? 'Engineering';
  }
}

/** Of some operations those that were not refused as they must be, one for each thing that they reach. */
async function notRefused(operations: readonly GatedPath[]): Promise<object> {
  const wrong = new Map<string, { query: string; text: string }>();
  const next = operations[Symbol.iterator]();
  const run = async () => {
    for (const { to, query, variables } of next) {
      const { text, data, errors } = await ask(query, variables);
      const [error] = errors;
      const isRefused =
        data === undefined &&
        errors.length === 1 &&
        error?.extensions.code === 'FEATURE_NOT_ENABLED' &&
        error.extensions.feature === 'ai_bridge';
      if (!isRefused) wrong.set(to.replace(/^.*\) /, ''), { query, text: text.slice(0, 200) });
    }
  };
  // Whatever slips through and fails inside has no business in this run's output.
  await logOf(() => Promise.all([run(), run(), run(), run()]));
  return Object.fromEntries(wrong);
}

const ofKind = (...kinds: GatedPath['kind'][]) => paths.filter(({ kind }) => kinds.includes(kind));

describe('the walk', () => {
  test('finds ways of every kind, none of them made up', () => {
    const count = (kind: GatedPath['kind']) => ofKind(kind).length;
    const insides = new Set(
      ofKind('inside').map(({ to, query }) => `${query.split(' ')[0]} ${to.split('.')[0]}`),
    );
    expect(count('field')).toBeGreaterThanOrEqual(35);
    expect(count('inside')).toBeGreaterThanOrEqual(150);
    expect(count('whole')).toBe(insides.size);
    expect(count('payload')).toBeGreaterThanOrEqual(35);
    expect(count('literal')).toBeGreaterThanOrEqual(250);
    expect(count('variable')).toBe(count('literal'));
    expect(count('default')).toBe(count('literal'));
    const invalid = paths.flatMap(({ query }) =>
      validate(schema, parse(query)).map(({ message }) => ({ query, message })),
    );
    expect(invalid).toEqual([]);
  });

  test.each([
    'Query.groupAiBudget',
    'Query.groupAiBudgetByNodeId',
    'Query.groupAiBudgets',
    'Query.aiModelPrice',
    'Query.aiModelPrices',
    'Query.aiWeather',
    'Query.aiForecasts',
    'Query.anyPrice',
    'Group.groupAiBudget',
    'Group.aiHeadroom',
    'Mutation.upsertGroupAiBudget',
    'Mutation.deleteGroupAiBudget',
    'Mutation.upsertAiModelPrices',
    'Mutation.createAiNote',
    'Mutation.ringAi',
    'GroupAiBudgetConnection.totalCount',
    'GroupAiBudgetConnection.edges',
    'GroupAiBudgetConnection.pageInfo',
    'GroupAiBudgetConnection.aggregates',
    'GroupAiBudgetSumAggregates.spendLimitMicros',
    'UpsertGroupAiBudgetPayload.query',
    'UpsertGroupAiBudgetPayload.groupAiBudgetEdge',
    'Query.groups(filter) GroupFilter.groupAiBudgetExists',
    'Query.groups(filter) GroupFilter.aiHeadroom',
    'Query.groups(orderBy) GroupOrderBy.AI_HEADROOM_ASC',
    'Query.groups(orderBy) GroupOrderBy.AI_NOTES_COUNT_ASC',
    'Query.organizations(filter) GroupFilter.groupAiBudget',
  ])('knows %s', (to) => {
    expect(paths.map((path) => path.to)).toContain(to);
  });

  test('with the feature on, every one of its queries runs', async () => {
    const failed = [];
    // Of the three ways to give one value, one; of a type, all of its fields at once. Running is for the path,
    // one at a time and in each way is for the gate.
    const queries = ofKind('field', 'whole', 'literal').filter(
      ({ query }) => !query.startsWith('mutation'),
    );
    for (const { query, variables } of queries) {
      const { text, errors } = await ask(query, variables);
      if (errors.length > 0) failed.push({ query, text });
    }
    expect(failed).toEqual([]);
  });
});

describe('with the feature off', () => {
  beforeAll(() => switchAiBridge(database, server, world.people.owner, OFF));
  afterAll(() => switchAiBridge(database, server, world.people.owner, ON));

  test('every field that leads there is shut', async () => {
    expect(await notRefused(ofKind('field'))).toEqual({});
  });

  test('everything there is shut', async () => {
    expect(await notRefused(ofKind('inside'))).toEqual({});
  });

  test('every mutation’s way back to the queries is shut, and nothing was written', async () => {
    const groups = async () => (await database.owner.query('table app_public.groups')).rows;
    const before = await groups();
    expect(await notRefused(ofKind('payload'))).toEqual({});
    expect(await groups()).toEqual(before);
  });

  test('every filter, condition and order that asks about it is shut', async () => {
    expect(await notRefused(ofKind('literal', 'variable', 'default'))).toEqual({});
  });

  test('what has nothing to do with it works', async () => {
    const { data, errors } = await ask(
      `
      query ($filter: GroupFilter, $node: ID!) {
        groups(filter: $filter, orderBy: NAME_ASC) { nodes { id name organization { id } } }
        node(nodeId: $node) { nodeId }
        features { nodes { name enabled } }
      }`,
      { filter: { id: { equalTo: world.group } }, node: nodeIds.Group },
    );
    expect(errors).toEqual([]);
    expect(data).toMatchObject({
      groups: { nodes: [{ id: world.group }] },
      node: { nodeId: nodeIds.Group },
      features: { nodes: [{ name: 'ai_bridge', enabled: false }] },
    });
    expect((await ask(getIntrospectionQuery())).errors).toEqual([]);
  });
});
