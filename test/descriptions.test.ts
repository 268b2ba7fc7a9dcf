import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Pool } from 'pg';
import { makeSchema } from 'postgraphile';
import { buildSchema, type GraphQLSchema } from 'postgraphile/graphql';
import { beforeAll, expect, test } from 'vitest';
import { thingsOf } from '../plugins/descriptions.ts';
import { createPreset } from '../plugins/preset.ts';
import { ERROR_TABLE } from '../src/errors.ts';
import { createTestDatabase } from './support/database.ts';

let schema: GraphQLSchema;

beforeAll(async () => {
  schema = buildSchema(await readFile(join(import.meta.dirname, '../schema.graphql'), 'utf8'));
});

test('everything that clients are generated from says what it is', () => {
  const undescribed = [...thingsOf(schema)]
    .filter(([, { description }]) => !description)
    .map(([path]) => path);
  expect(undescribed, 'write a comment in SQL (@param in that of the function)').toEqual([]);
});

test('descriptions speak GraphQL: no tags, no SQLSTATEs', () => {
  const states = new RegExp(`\\b(?:${ERROR_TABLE.map((row) => row.sqlstate).join('|')})\\b`);
  for (const [path, { description }] of thingsOf(schema)) {
    if (!description) continue;
    expect(description, path).not.toMatch(/^\s*@\w/m);
    expect(description, path).not.toMatch(states);
    expect(description.length, path).toBeGreaterThan(3);
  }
  const { authorizeAiSpend, recordAiUsage } = schema.getMutationType()?.getFields() ?? {};
  expect(authorizeAiSpend?.description).toContain('CONFLICT for a requestId that comes again');
  // The keys of JSON are what they are.
  expect(recordAiUsage?.description).toContain('{id, user_id, provider, model, input_tokens,');
});

test('what stands beside it describes what SQL can’t comment', () => {
  const things = thingsOf(schema);
  const description = (path: string) => things.get(path)?.description;
  expect(description('Query.aiUsageEvent(occurredAt)')).toBe('When the call was made (UTC).');
  expect(description('UpsertGroupAiBudgetInput.spendLimitMicros')).toBe(
    description('GroupAiBudget.spendLimitMicros'),
  );
  expect(description('BudgetScope.member')).toBe('Each member has the limit for themselves.');
  expect(description('AiSpendDailyOrderBy.USER_ID_DESC')).toBe('By user id, descending.');
});

test('the comment of a function describes its arguments and columns', async () => {
  const database = await createTestDatabase();
  const pool = new Pool({ connectionString: database.urls.authenticator, max: 1 });
  try {
    await database.owner.query(`
      comment on function app_public.release_ai_spend(uuid, uuid) is
        E'@resultFieldName released\\n@param request_id Which request.\\nGives back.';
      comment on function app_public.explain_ai_budget(uuid, text, text, timestamptz, uuid, uuid) is
        E'@param at The moment.\\n@param is_charged Whether it pays, see user_id.\\nExplains.';
      comment on type app_public.budget_period is
        'Long words that come first, so that the line has to be broken somewhere near quarter: three months.';
    `);
    const gate = { name: 'NoGate', version: '1.0.0' };
    const api = await makeSchema(createPreset({ pool, gate, log: () => {}, graphiql: false }));
    const things = thingsOf(api.schema);
    const description = (path: string) => things.get(path)?.description;
    expect(description('ReleaseAiSpendInput.requestId')).toBe('Which request.');
    expect(description('Mutation.releaseAiSpend')).toBe('Gives back.');
    expect(description('Query.explainAiBudget(at)')).toBe('The moment.');
    expect(description('ExplainAiBudgetRecord')).toBe('Explains.');
    expect(description('ExplainAiBudgetRecord.isCharged')).toBe('Whether it pays, see userId.');
    expect(description('BudgetPeriod.quarter')).toBe('Three months.');
  } finally {
    await pool.end();
    await database.drop();
  }
});
