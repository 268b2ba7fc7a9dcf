import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import {
  authorize,
  callOf,
  createCompany,
  discrepancies,
  failure,
  listModels,
  rowsOf,
  statusOf,
} from './support/ledger.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await listModels(database.owner);
});
afterEach(async () => {
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(() => database?.drop());

describe('a request', () => {
  test('that comes again gets the same decision, word for word, and holds nothing twice', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 10 } } },
    });
    const call = callOf(company.user('ann'), { input_tokens: 6 });
    const refusedCall = callOf(company.user('ann'), { input_tokens: 5 });
    const first = await authorize(database.owner, call);
    const refused = await authorize(database.owner, refusedCall);
    await company.setBudget('red', { limit: 1000 });
    expect(await authorize(database.owner, call)).toEqual(first);
    expect(await authorize(database.owner, { ...call, cache_read_tokens: 0 })).toEqual(first);
    expect(await authorize(database.owner, refusedCall)).toEqual(refused);
    const together = callOf(company.user('ann'), { input_tokens: 1 });
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => authorize(database.owner, together)),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await statusOf(database.owner, company.group('red'))).toMatchObject({
      held_micros: '7',
    });
  });

  test('with other content under the same id is a conflict', async () => {
    const company = await createCompany(database.owner, { people: ['ann', 'bob'] });
    const call = callOf(company.user('ann'));
    await authorize(database.owner, call);
    for (const changes of [
      { input_tokens: 1 },
      { max_output_tokens: 1 },
      { cache_write_tokens: 1 },
      { model: 'free' },
      { provider: 'other' },
      { user_id: company.user('bob') },
      { group_id: company.id },
    ]) {
      expect(await failure(authorize(database.owner, { ...call, ...changes }))).toEqual({
        code: 'BU409',
        message: `The request ${call.request_id} was made before, with other content.`,
        column: 'request_id',
      });
    }
  });

  test.each([
    ['request_id', { request_id: null }],
    ['user_id', { user_id: null }],
    ['provider', { provider: ' ' }],
    ['model', { model: 'm'.repeat(201) }],
    ['input_tokens', { input_tokens: null }],
    ['input_tokens', { input_tokens: -1 }],
    ['max_output_tokens', { max_output_tokens: 1_000_000_000_001 }],
    ['cache_read_tokens', { cache_read_tokens: -1 }],
    ['cache_write_tokens', { cache_write_tokens: -1 }],
  ])('names %s when it is wrong: %j', async (column, changes) => {
    const company = await createCompany(database.owner, { people: ['ann'] });
    const call = callOf(company.user('ann'), changes);
    expect(await failure(authorize(database.owner, call))).toMatchObject({ code: 'BU400', column });
    const { rows } = await database.owner.query(
      'select from app_private.ai_spend_requests where organization_id = $1',
      [company.id],
    );
    expect(rows).toEqual([]);
  });

  test('is not decided in a transaction that can’t see what others commit', async () => {
    const company = await createCompany(database.owner, { people: ['ann'] });
    const client = await database.owner.connect();
    try {
      await client.query('begin isolation level repeatable read');
      expect(
        await failure(rowsOf(client, 'authorize_ai_spend', callOf(company.user('ann')))),
      ).toMatchObject({
        code: 'BU400',
      });
    } finally {
      await client.query('rollback');
      client.release();
    }
  });
});
