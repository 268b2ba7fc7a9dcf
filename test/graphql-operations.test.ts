import {
  buildClientSchema,
  type GraphQLSchema,
  getIntrospectionQuery,
  isObjectType,
} from 'postgraphile/graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { setAiBridge } from './support/features.ts';
import { postGraphQL } from './support/graphql-answer.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type Person, type World } from './support/world.ts';

/** What clients of the GraphQL API do all day. */
let database: TestDatabase;
let world: World;
let server: TestServer;
let schema: GraphQLSchema;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
  schema = buildClientSchema((await data(getIntrospectionQuery())) as never);
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

/** What an operation that must not fail gives. */
async function data(
  query: string,
  variables: object = {},
  person: Person = 'owner',
): Promise<Record<string, unknown>> {
  const answer = await postGraphQL(server, world.people[person], { query, variables });
  expect(answer.errors).toEqual([]);
  return answer.data ?? {};
}

describe('the schema', () => {
  const fieldsOf = (type: GraphQLSchema['getQueryType'] extends () => infer T ? T : never) =>
    Object.keys(type?.getFields() ?? {});

  test('changes budgets, prices and features through their functions alone', () => {
    const mutations = fieldsOf(schema.getMutationType());
    const found = mutations.filter((name) => /budget|price|feature/i.test(name));
    expect(found.sort()).toEqual([
      'deleteGroupAiBudget',
      'priceUnpricedAiUsage',
      'setFeature',
      'setGroupAiBudgetTerms',
      'upsertAiModelPrices',
      'upsertGroupAiBudget',
    ]);
    expect(schema.getSubscriptionType() ?? undefined).toBeUndefined();
  });

  test('has what is promised at its root', () => {
    expect(fieldsOf(schema.getQueryType())).toEqual(
      expect.arrayContaining([
        'group',
        'groups',
        'organization',
        'organizations',
        'user',
        'users',
        'groupAiBudget',
        'groupAiBudgets',
        'aiModelPrice',
        'aiModelPrices',
        'features',
        'node',
      ]),
    );
  });

  test('calls ids id, and the opaque ones nodeId', () => {
    const types = Object.values(schema.getTypeMap()).filter(isObjectType);
    for (const type of types) expect(fieldsOf(type), type.name).not.toContain('rowId');
    for (const name of ['Group', 'Organization', 'User']) {
      const type = schema.getType(name);
      if (!isObjectType(type)) throw new Error(`${name} is no object type.`);
      expect(String(type.getFields().id?.type)).toBe('UUID!');
      expect(String(type.getFields().nodeId?.type)).toBe('ID!');
    }
  });

  test('never shows what is hidden', () => {
    const names = Object.keys(schema.getTypeMap()).join(' ');
    expect(names).not.toMatch(/hidden|private|migrat|isSignedIn|FeatureState\b/i);
  });
});

describe('budgets', () => {
  const BUDGET = 'groupId spendLimitMicros createdAt updatedAt';

  test('are read by group, from the group, and in a list', async () => {
    const found = await data(
      `query ($id: UUID!) {
        groupAiBudget(groupId: $id) { ${BUDGET} group { id name } }
        group(id: $id) { id name groupAiBudget { ${BUDGET} } }
        groupAiBudgets(orderBy: GROUP_ID_ASC) {
          totalCount
          nodes { groupId spendLimitMicros }
          aggregates { sum { spendLimitMicros } }
        }
      }`,
      { id: world.group },
    );
    const budget = { groupId: world.group, spendLimitMicros: '500000000' };
    expect(found).toMatchObject({
      groupAiBudget: { ...budget, group: { id: world.group, name: 'Engineering' } },
      group: { id: world.group, groupAiBudget: budget },
      groupAiBudgets: { totalCount: 3, aggregates: { sum: { spendLimitMicros: '516000000' } } },
    });
    expect(found.groupAiBudgets).toMatchObject({ nodes: expect.arrayContaining([budget]) });
  });

  test('of others are nowhere: not in lists, counts or sums', async () => {
    const found = await data(
      `query ($id: UUID!) {
        groupAiBudget(groupId: $id) { groupId }
        group(id: $id) { id }
        groupAiBudgets { totalCount nodes { groupId } aggregates { sum { spendLimitMicros } } }
      }`,
      { id: world.foreignGroup },
      'member',
    );
    expect(found).toEqual({
      groupAiBudget: null,
      group: null,
      groupAiBudgets: {
        totalCount: 1,
        nodes: [{ groupId: world.group }],
        aggregates: { sum: { spendLimitMicros: '500000000' } },
      },
    });
  });

  test('are set, replaced and deleted', async () => {
    const upsert = (limit: string) =>
      data(
        `mutation ($group: UUID!, $limit: BigInt!) {
          upsertGroupAiBudget(input: { groupId: $group, spendLimitMicros: $limit, clientMutationId: "c" }) {
            clientMutationId
            groupAiBudget { ${BUDGET} group { name } }
            query { groupAiBudget(groupId: $group) { spendLimitMicros } }
          }
        }`,
        { group: world.otherGroup, limit },
        'organization_admin',
      );
    type Upserted = { groupAiBudget: { createdAt: string; updatedAt: string } };
    const first = (await upsert('1')).upsertGroupAiBudget as Upserted;
    const second = (await upsert('0')).upsertGroupAiBudget as Upserted;
    expect(second).toMatchObject({
      clientMutationId: 'c',
      groupAiBudget: {
        groupId: world.otherGroup,
        spendLimitMicros: '0',
        group: { name: 'Research' },
      },
      query: { groupAiBudget: { spendLimitMicros: '0' } },
    });
    expect(second.groupAiBudget.createdAt).toBe(first.groupAiBudget.createdAt);
    expect(Date.parse(second.groupAiBudget.updatedAt)).toBeGreaterThan(
      Date.parse(first.groupAiBudget.updatedAt),
    );
    const remove = `mutation ($group: UUID!) {
      deleteGroupAiBudget(input: { groupId: $group }) {
        groupAiBudget { groupId spendLimitMicros }
        query { groupAiBudget(groupId: $group) { groupId } }
      }
    }`;
    const group = world.otherGroup;
    expect(await data(remove, { group }, 'organization_admin')).toEqual({
      deleteGroupAiBudget: {
        groupAiBudget: { groupId: group, spendLimitMicros: '0' },
        query: { groupAiBudget: null },
      },
    });
    const again = await postGraphQL(server, world.people.owner, {
      query: remove,
      variables: { group },
    });
    expect(again.errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
  });
});

describe('prices', () => {
  const SEED =
    'mutation ($seed: JSON!) { upsertAiModelPrices(input: { seed: $seed }) { aiModelPrices { provider model inputPrice outputPrice } } }';

  test('are written as a whole, read one by one, filtered, ordered and paged', async () => {
    const seed = ['a', 'b', 'c', 'd', 'e'].map((model, index) => ({
      provider: 'paged',
      model,
      input_price: index,
    }));
    expect(await data(SEED, { seed })).toEqual({
      upsertAiModelPrices: {
        aiModelPrices: seed.map(({ provider, model, input_price }) => ({
          provider,
          model,
          inputPrice: String(input_price),
          outputPrice: null,
        })),
      },
    });

    // Whoever is signed in reads prices. 0 is free, and null is unknown.
    const one =
      '{ aiModelPrice(provider: "paged", model: "a") { inputPrice outputPrice cacheReadPrice } }';
    expect(await data(one, {}, 'stranger')).toEqual({
      aiModelPrice: { inputPrice: '0', outputPrice: null, cacheReadPrice: null },
    });
    expect(await data('{ aiModelPrice(provider: "paged", model: "z") { model } }')).toEqual({
      aiModelPrice: null,
    });

    type Page = {
      aiModelPrices: {
        totalCount: number;
        nodes: { model: string }[];
        pageInfo: { hasNextPage: boolean; endCursor: string };
      };
    };
    const models: string[][] = [];
    let after: string | null = null;
    for (let more = true; more; ) {
      const { aiModelPrices: page }: Page = (await data(
        `query ($after: Cursor) {
          aiModelPrices(first: 2, after: $after, filter: { provider: { equalTo: "paged" } }, orderBy: MODEL_DESC) {
            totalCount nodes { model } pageInfo { hasNextPage endCursor }
          }
        }`,
        { after },
      )) as Page;
      expect(page.totalCount).toBe(5);
      models.push(page.nodes.map(({ model }) => model));
      after = page.pageInfo.endCursor;
      more = page.pageInfo.hasNextPage;
    }
    expect(models).toEqual([['e', 'd'], ['c', 'b'], ['a']]);
  });

  test('are the owner’s to write', async () => {
    const before = (await database.owner.query('table app_public.ai_model_prices')).rows;
    for (const person of ['user_admin', 'auditor', 'organization_admin', 'member'] as const) {
      const answer = await postGraphQL(server, world.people[person], {
        query: SEED,
        variables: { seed: [{ provider: 'acme', model: 'one', input_price: 1 }] },
      });
      expect(answer.errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
    }
    expect((await database.owner.query('table app_public.ai_model_prices')).rows).toEqual(before);
  });
});

describe('features', () => {
  const SET = `mutation ($name: String!, $entitlement: FeatureEntitlement, $enabled: Boolean) {
    setFeature(input: { name: $name, entitlement: $entitlement, enabled: $enabled }) {
      feature { name entitlement enabled }
    }
  }`;

  test('are set by owners, each part on its own', async () => {
    const set = async (change: object) =>
      (await data(SET, { name: 'ai_bridge', ...change })).setFeature;
    try {
      expect(await set({ entitlement: 'grace_period' })).toEqual({
        feature: { name: 'ai_bridge', entitlement: 'grace_period', enabled: true },
      });
      expect(await set({ enabled: false })).toEqual({
        feature: { name: 'ai_bridge', entitlement: 'grace_period', enabled: false },
      });
    } finally {
      await setAiBridge(database, { entitlement: 'entitled', enabled: true });
    }
  });

  test.each(['user_admin', 'auditor', 'member', 'stranger'] as const)(
    'are not set by a %s',
    async (person) => {
      const variables = { name: 'ai_bridge', enabled: false };
      const answer = await postGraphQL(server, world.people[person], { query: SET, variables });
      expect(answer.errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
      expect(await data('{ feature(name: "ai_bridge") { enabled } }', {}, person)).toEqual({
        feature: { enabled: true },
      });
    },
  );
});
