import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import {
  authorize,
  type Company,
  callOf,
  createCompany,
  discrepancies,
  eventOf,
  failure,
  listModels,
  type Row,
  record,
  release,
  settle,
  statusOf,
} from './support/ledger.ts';

let database: TestDatabase;
let company: Company;

beforeAll(async () => {
  database = await createTestDatabase();
  await listModels(database.owner);
  company = await createCompany(database.owner, {
    people: ['ann', 'bob'],
    groups: {
      red: { members: ['ann'], budget: { limit: 1000 } },
    },
  });
});
afterEach(async () => {
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(() => database?.drop());

const db = () => database.owner;
const red = () => statusOf(db(), company.group('red'));
const ask = async (changes: Row = {}) =>
  (await authorize(db(), callOf(company.user('ann'), { input_tokens: 10, ...changes }))) as Row;
const askFor = async (changes: Row = {}) => {
  const call = callOf(company.user('ann'), { input_tokens: 10, ...changes });
  return { request_id: call.request_id, decision: await authorize(db(), call) };
};
const eventRow = async (id: unknown) =>
  (await db().query('select * from app_public.ai_usage_events where id = $1', [id])).rows[0];

describe('settling', () => {
  test('books what was used, at the prices of the time, and lets the hold go', async () => {
    const before = await red();
    const { request_id } = await askFor({ max_output_tokens: 90, cache_read_tokens: 5 });
    expect(await red()).toMatchObject({ held_micros: '105', spent_micros: before.spent_micros });
    const answer = await settle(db(), {
      request_id,
      input_tokens: 10,
      output_tokens: 20,
      cache_read_tokens: 3,
      cache_write_tokens: 4,
    });
    expect(answer).toEqual({
      event_id: request_id,
      group_id: company.group('red'),
      cost_micros: '37',
      overage_micros: '0',
    });
    expect(await red()).toMatchObject({
      held_micros: '0',
      spent_micros: String(Number(before.spent_micros) + 37),
    });
    expect(await eventRow(request_id)).toMatchObject({
      organization_id: company.id,
      group_id: company.group('red'),
      user_id: company.user('ann'),
      provider: 'acme',
      model: 'unit',
      input_tokens: '10',
      output_tokens: '20',
      cache_read_tokens: '3',
      cache_write_tokens: '4',
      input_price: '1000000',
      cache_write_price: '1000000',
      cost_micros: '37.000000',
      overage_micros: '0.000000',
    });
  });

  test('books the real cost also when it is more than the hold, and more than the limit', async () => {
    const { request_id } = await askFor({ group_id: company.group('red') });
    const before = await red();
    expect(await settle(db(), { request_id, input_tokens: 10, output_tokens: 5000 })).toMatchObject(
      { cost_micros: '5010', overage_micros: '5000' },
    );
    expect(await red()).toMatchObject({
      spent_micros: String(Number(before.spent_micros) + 5010),
      overage_micros: '5000',
      remaining_micros: '0',
    });
    expect(await ask({ model: 'free' })).toMatchObject({
      allowed: false,
      reason: 'GROUP_BUDGET_EXCEEDED',
      remaining_micros: '0',
    });
    await company.setBudget('red', { limit: 1_000_000 });
  });

  test('by hold_id is the same as by request_id', async () => {
    const { request_id, decision } = await askFor();
    const used = { input_tokens: 10, output_tokens: 0 };
    const answer = await settle(db(), { hold_id: decision.hold_id, ...used });
    expect(answer).toMatchObject({ event_id: request_id });
    expect(await settle(db(), { request_id, ...used })).toEqual(answer);
    expect(
      await failure(settle(db(), { request_id, hold_id: randomUUID(), ...used })),
    ).toMatchObject({ code: 'BU400' });
    expect(await failure(settle(db(), used))).toMatchObject({ code: 'BU400' });
  });

  test('that comes again changes nothing and answers the same, whatever the session’s time zone', async () => {
    const { request_id } = await askFor();
    const occurred_at = new Date(Date.now() - 3_600_000).toISOString();
    const used = { request_id, input_tokens: 10, output_tokens: 1, occurred_at };
    const answers = await Promise.all([1, 2, 3, 4].map(() => settle(db(), used)));
    const after = await red();
    const client = new Client({ connectionString: database.urls.owner });
    await client.connect();
    await client.query(`set timezone to 'Asia/Kolkata'`);
    answers.push(await settle(client as never, used));
    await client.end();
    await setPricesAnew('2000000');
    answers.push(await settle(db(), used));
    await setPricesAnew('1000000');
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await red()).toEqual(after);
    expect(await eventRow(request_id)).toMatchObject({ occurred_at: new Date(occurred_at) });
  });

  const setPricesAnew = (price: string) =>
    db().query(`update app_public.ai_model_prices set input_price = $1 where model = 'unit'`, [
      price,
    ]);

  test('with other content, of a refused and of an unknown request fails', async () => {
    const { request_id } = await askFor();
    const used = { request_id, input_tokens: 10, output_tokens: 0 };
    await settle(db(), used);
    expect(await failure(settle(db(), { ...used, output_tokens: 1 }))).toEqual({
      code: 'BU409',
      message: `The request ${request_id} was settled before, with other content.`,
      column: 'request_id',
    });
    const refused = await askFor({ input_tokens: 1_000_000_000 });
    expect(refused.decision).toMatchObject({ allowed: false });
    expect(await failure(settle(db(), { ...used, request_id: refused.request_id }))).toEqual({
      code: 'BU409',
      message: `The request ${refused.request_id} was refused: there is nothing to settle.`,
      column: 'request_id',
    });
    const unknown = randomUUID();
    for (const named of [{ request_id: unknown }, { hold_id: unknown }]) {
      expect(await failure(settle(db(), { ...named, input_tokens: 1, output_tokens: 1 }))).toEqual({
        code: 'BU404',
        message: `There is no request ${unknown}.`,
      });
    }
  });

  test.each([
    ['input_tokens', { input_tokens: undefined }],
    ['output_tokens', { output_tokens: -1 }],
    ['cache_read_tokens', { cache_read_tokens: 1_000_000_000_001 }],
    ['cache_write_tokens', { cache_write_tokens: -1 }],
    ['occurred_at', { occurred_at: '1999-12-31T23:59:59Z' }],
    ['occurred_at', { occurred_at: 'infinity' }],
    ['occurred_at', { occurred_at: new Date(Date.now() + 2 * 86_400_000).toISOString() }],
  ])('names %s when it is wrong: %j', async (column, changes) => {
    const { request_id, decision } = await askFor();
    const used = { request_id, input_tokens: 1, output_tokens: 1, ...changes };
    expect(await failure(settle(db(), used))).toMatchObject({ code: 'BU400', column });
    expect(await release(db(), { hold_id: decision.hold_id })).toBe(true);
  });

  test('counts usage once that was reported as an event under the request’s id too', async () => {
    const { request_id } = await askFor();
    const before = await red();
    expect(
      await record(db(), [eventOf(company.user('ann'), { id: request_id, input_tokens: 8 })]),
    ).toEqual({ recorded: '1', duplicates: '0' });
    expect(await settle(db(), { request_id, input_tokens: 9, output_tokens: 0 })).toMatchObject({
      cost_micros: '8',
    });
    expect(await red()).toMatchObject({
      spent_micros: String(Number(before.spent_micros) + 8),
      held_micros: '0',
    });
  });

  test('of an unpriced call books it as unpriced, without overage', async () => {
    await company.change({ unpriced_usage: 'allow' });
    const { request_id } = await askFor({ model: 'unheard of' });
    await company.change({ unpriced_usage: 'refuse' });
    expect(await settle(db(), { request_id, input_tokens: 9, output_tokens: 0 })).toMatchObject({
      cost_micros: null,
      overage_micros: null,
    });
  });

  test('goes on when the person and the group are gone', async () => {
    const gone = await createCompany(db(), {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1000 } } },
    });
    const call = callOf(gone.user('ann'), { input_tokens: 1 });
    await authorize(db(), call);
    await db().query('delete from app_public.organizations where id = $1', [gone.id]);
    await db().query('delete from app_public.users where id = $1', [gone.user('ann')]);
    expect(
      await settle(db(), { request_id: call.request_id, input_tokens: 1, output_tokens: 1 }),
    ).toMatchObject({ group_id: gone.group('red'), cost_micros: '2', overage_micros: '1' });
  });
});

describe('releasing', () => {
  test('gives the hold back once; a settle that comes later is still booked', async () => {
    const before = await red();
    const { request_id } = await askFor();
    expect(await release(db(), { request_id })).toBe(true);
    expect(await release(db(), { request_id })).toBe(false);
    expect(await red()).toEqual(before);
    expect(await settle(db(), { request_id, input_tokens: 7, output_tokens: 0 })).toMatchObject({
      cost_micros: '7',
    });
    expect(await release(db(), { request_id })).toBe(false);
    expect(await red()).toMatchObject({
      spent_micros: String(Number(before.spent_micros) + 7),
      held_micros: '0',
    });
  });

  test('of a refused request gives nothing back, of an unknown one fails', async () => {
    const refused = await askFor({ input_tokens: 1_000_000_000 });
    expect(await release(db(), { request_id: refused.request_id })).toBe(false);
    expect(await failure(release(db(), { request_id: randomUUID() }))).toMatchObject({
      code: 'BU404',
    });
    expect(await failure(release(db(), {}))).toMatchObject({ code: 'BU400' });
  });
});

describe('an expired hold', () => {
  test('counts as nothing from that instant, and is booked when it is settled all the same', async () => {
    const hasty = await createCompany(db(), {
      people: ['ann'],
      settings: { hold_seconds: 1 },
      groups: { red: { members: ['ann'], budget: { limit: 10 } } },
    });
    const call = callOf(hasty.user('ann'), { input_tokens: 10 });
    const again = () => authorize(db(), callOf(hasty.user('ann'), { input_tokens: 10 }));
    const decision = await authorize(db(), call);
    expect(decision).toMatchObject({ allowed: true });
    expect(await again()).toMatchObject({ allowed: false });
    await sleep((decision.expires_at as Date).getTime() - Date.now() + 2);
    expect(await statusOf(db(), hasty.group('red'))).toMatchObject({
      held_micros: '0',
      remaining_micros: '10',
    });
    expect(await again()).toMatchObject({ allowed: true });
    // The decision of then is repeated, and holds nothing anew.
    expect(await authorize(db(), call)).toEqual(decision);
    expect(await statusOf(db(), hasty.group('red'))).toMatchObject({ held_micros: '10' });
    expect(
      await settle(db(), { request_id: call.request_id, input_tokens: 10, output_tokens: 0 }),
    ).toMatchObject({ cost_micros: '10', overage_micros: '0' });
    expect(await statusOf(db(), hasty.group('red'))).toMatchObject({
      spent_micros: '10',
      held_micros: '10',
      remaining_micros: '0',
    });
  });

  test('lasts as long as the organization says', async () => {
    const patient = await createCompany(db(), {
      people: ['ann'],
      settings: { hold_seconds: 86_400 },
    });
    const { expires_at } = await authorize(db(), callOf(patient.user('ann')));
    const seconds = ((expires_at as Date).getTime() - Date.now()) / 1000;
    expect(seconds).toBeGreaterThan(86_300);
    expect(seconds).toBeLessThanOrEqual(86_400);
    expect(await failure(patient.change({ hold_seconds: 0 }))).toMatchObject({ code: '23514' });
  });
});
