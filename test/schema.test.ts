import { Pool } from 'pg';
import { makeSchema } from 'postgraphile';
import { grafast } from 'postgraphile/grafast';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BehaviorMemoryPlugin } from '../plugins/behavior-memory.ts';
import { createPreset } from '../plugins/preset.ts';
import { ERROR_TABLE, STATUS_OF_CODE } from '../src/errors.ts';
import { makeApi, printApi } from '../src/migrations/graphql-schema.ts';
import { Caller } from '../src/on-behalf.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { createWorld, type World } from './support/world.ts';

let database: TestDatabase;
let pool: Pool;
let world: World;
/** What the pool's connections were asked to run. */
const sql: string[] = [];
let api: Awaited<ReturnType<typeof makeApi>>;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  pool = new Pool({ connectionString: database.urls.authenticator, max: 2 });
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    client.query = ((...args: unknown[]) => {
      const [statement] = args as [string | { text: string }];
      sql.push(typeof statement === 'string' ? statement : statement.text);
      return query(...args);
    }) as typeof client.query;
  });
  api = await makeApi(pool);
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

// What changes here changes what clients are generated from, and how fast they are answered. When the
// change is meant: `npm test -- -u`, and look at the difference.

test('the GraphQL schema is the one that clients were generated from', async () => {
  await expect(printApi(api.schema)).toMatchFileSnapshot('../schema.graphql');
});

test('remembering what behaviors mean does not change what is generated', async () => {
  const preset = createPreset({
    pool,
    gate: { name: 'NoGate', version: '1.0.0' },
    log: () => {},
    graphiql: false,
  });
  const plugins = preset.plugins?.filter((plugin) => plugin !== BehaviorMemoryPlugin) ?? [];
  expect(plugins).toHaveLength((preset.plugins?.length ?? 0) - 1);
  const { schema } = await makeSchema({ ...preset, plugins });
  expect(printApi(schema)).toBe(printApi(api.schema));
});

const QUERIES: Record<string, (w: World) => string> = {
  'budget of a group': (w) => `{
    groupAiBudget(groupId: "${w.group}") { spendLimitMicros updatedAt }
  }`,
  'page of groups with budgets': () => `{
    groups(first: 50, orderBy: NAME_ASC) {
      nodes { id name groupAiBudget { spendLimitMicros } }
      pageInfo { hasNextPage endCursor }
    }
  }`,
  'group with members': (w) => `{
    group(id: "${w.group}") {
      name members { nodes { organizationMember { user { username } roles { nodes { role } } } } }
    }
  }`,
  'price of a model': () => `{
    aiModelPrice(provider: "acme", model: "one") { inputPrice outputPrice }
  }`,
  'prices of a provider': () => `{
    aiModelPrices(filter: { provider: { equalTo: "acme" } }, orderBy: MODEL_ASC, first: 20) {
      nodes { model inputPrice } totalCount
    }
  }`,
  'sum of budgets': () => '{ groupAiBudgets { aggregates { sum { spendLimitMicros } } } }',
  'page of groups with their standing': () => `{
    groups(first: 50, orderBy: NAME_ASC) {
      nodes { name groupAiBudget { spendLimitMicros } aiBudgetStatus { spentMicros remainingMicros } }
    }
  }`,
  'spend of a month by group and model': (w) => `{
    aiSpendDailies(filter: {
      organizationId: { equalTo: "${w.organization}" }
      day: { greaterThanOrEqualTo: "2026-11-01", lessThan: "2026-12-01" }
    }) {
      groupedAggregates(groupBy: [GROUP_ID, MODEL]) { keys sum { costMicros requests } }
    }
  }`,
  'page of the ledger': (w) => `{
    aiUsageEvents(
      filter: { organizationId: { equalTo: "${w.organization}" } }, orderBy: OCCURRED_AT_DESC, first: 20
    ) {
      nodes { id occurredAt model costMicros } pageInfo { hasNextPage endCursor }
    }
  }`,
  authorization: (w) => `mutation {
    authorizeAiSpend(input: {
      requestId: "00000000-0000-4000-8000-000000000001", userId: "${w.people.member}"
      provider: "acme", model: "one", inputTokens: "1", maxOutputTokens: "1"
    }) { decision { allowed reason remainingMicros } }
  }`,
  'budget upsert': (w) => `mutation {
    upsertGroupAiBudget(input: { groupId: "${w.group}", spendLimitMicros: "500000000" }) {
      groupAiBudget { spendLimitMicros group { name } }
    }
  }`,
  'budget deletion': (w) => `mutation {
    deleteGroupAiBudget(input: { groupId: "${w.group}" }) { groupAiBudget { spendLimitMicros } }
  }`,
  'price upsert': () => `mutation {
    upsertAiModelPrices(input: { seed: [{ provider: "acme", model: "two", input_price: 1 }] }) {
      aiModelPrices { model }
    }
  }`,
};

test.each(Object.entries(QUERIES))('the SQL behind: %s', async (name, query) => {
  sql.length = 0;
  const result = await grafast({
    ...api,
    source: query(world),
    requestContext: {
      expressv4: { req: { bursarCaller: new Caller(world.people.owner, 'graphql') } },
    } as never,
  });
  if (Symbol.asyncIterator in result) throw new Error('a plain answer was expected');
  expect(result.errors).toBeUndefined();
  await expect(`${sql.join('\n\n-- then\n\n')}\n`).toMatchFileSnapshot(
    `./snapshots/${name.replaceAll(' ', '-')}.sql`,
  );
});

test('docs/errors.md is the table that the code uses', async () => {
  const rows = ERROR_TABLE.map(
    ({ sqlstate, code, meaning }) =>
      `| \`${sqlstate}\` | \`${code}\` | ${STATUS_OF_CODE[code]} | ${meaning} |`,
  );
  const page = `# Errors

The same thing that goes wrong has the same code through every door. This page is written from
\`src/errors.ts\`, which GraphQL and REST use; \`npm test -- -u\` writes it again.

GraphQL says the code in \`extensions.code\`, REST in the status, psql in the SQLSTATE. An error about a value
names where it stood: \`extensions.field\`, \`validations[].field\`, the column of the error report.

| SQLSTATE | GraphQL | REST | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}
| anything else | \`INTERNAL\` | 500 | What happened is in the log, under the id that the answer carries. |

Two codes come from the server itself: \`UNAUTHENTICATED\` (401) for a token that is wrong or names no user, and
\`FEATURE_NOT_ENABLED\` (403 in REST, with \`extensions.feature\`) for what belongs to a feature that is off.
\`NOT_FOUND\` never tells absent from forbidden. \`UNAVAILABLE\` (503, with \`Retry-After\`) is also the answer when no connection
to the database can be had, or one breaks: what was under way may have been done, so send it again under the same ids.
`;
  await expect(page).toMatchFileSnapshot('../docs/errors.md');
});
