import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import {
  authorize,
  callOf,
  createCompany,
  discrepancies,
  eventOf,
  failure,
  type Row,
  record,
  rowsOf,
  setPrices,
  settle,
  statusOf,
} from './support/ledger.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(() => database?.drop());

const db = () => database.owner;
const query = async (sql: string, values: unknown[] = []): Promise<Row[]> =>
  (await db().query(sql, values)).rows;

/** A price per token in micros, for a model of its own. */
const price = (model: string, input: number | null, output: number | null = input) =>
  setPrices(db(), [
    {
      provider: 'acme',
      model,
      input_price: input === null ? null : input * 1_000_000,
      output_price: output === null ? null : output * 1_000_000,
    },
  ]);

const historyOf = (model: string) =>
  query(
    `select input_price, lower(valid) as since, upper(valid) as until
     from app_public.ai_model_price_history where model = $1 order by valid`,
    [model],
  );

describe('the history of prices', () => {
  test('is one range after the other, the first for all the time before', async () => {
    await price('a', 1);
    await price('a', 1);
    expect(await historyOf('a')).toEqual([{ input_price: '1000000', since: null, until: null }]);
    await price('a', 2);
    await price('a', null);
    const ranges = await historyOf('a');
    expect(ranges.map((r) => r.input_price)).toEqual(['1000000', '2000000', null]);
    expect(ranges[0]?.until).toEqual(ranges[1]?.since);
    expect(ranges[1]?.until).toEqual(ranges[2]?.since);
    expect(ranges[2]?.until).toBeNull();
  });

  test('has a gap while a model is not listed', async () => {
    await price('b', 1);
    await query(`delete from app_public.ai_model_prices where model = 'b'`);
    await price('b', 1);
    const [first, second] = await historyOf('b');
    expect(first?.until).not.toBeNull();
    expect((second?.since as Date) >= (first?.until as Date)).toBe(true);
    expect(second?.until).toBeNull();
  });

  test('follows a list with new, changed and unchanged models in one statement', async () => {
    await price('c', 1);
    await price('d', 1);
    const seed = (model: string, micros: number) => ({
      provider: 'acme',
      model,
      input_price: micros,
      output_price: micros,
    });
    await setPrices(db(), [seed('c', 1_000_000), seed('d', 5), seed('e', 7)]);
    expect((await historyOf('c')).length).toBe(1);
    expect((await historyOf('d')).map((r) => r.input_price)).toEqual(['1000000', '5']);
    expect((await historyOf('e')).map((r) => r.input_price)).toEqual(['7']);
  });

  test('bears a thousand changes in one transaction', async () => {
    await price('f', 1);
    await query(`do $$ begin
      for i in 1..1000 loop update app_public.ai_model_prices set input_price = i where model = 'f'; end loop;
    end $$`);
    expect((await historyOf('f')).length).toBe(1001);
  });

  test('can’t overlap, not even by the owner’s hand', async () => {
    await price('g', 1);
    expect(
      await failure(
        query(`insert into app_public.ai_model_price_history (provider, model, valid)
               values ('acme', 'g', '[2020-01-01,2020-01-02)')`),
      ),
    ).toMatchObject({ code: '23P01' });
  });

  test('is changed by many at once without an error', async () => {
    await price('h', 1);
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        query(`update app_public.ai_model_prices set input_price = $1 where model = 'h'`, [i + 2]),
      ),
    );
    expect((await historyOf('h')).length).toBe(21);
  });
});

describe('usage', () => {
  test('that is reported late is priced as of its time, and what is booked stays', async () => {
    const company = await createCompany(db(), { people: ['ann'] });
    await price('late', 1);
    const before = new Date();
    const [early] = [eventOf(company.user('ann'), { model: 'late', input_tokens: 10 })];
    await record(db(), [early]);
    const call = callOf(company.user('ann'), { model: 'late', input_tokens: 10 });
    await authorize(db(), call);
    await price('late', 3);
    const events = [
      eventOf(company.user('ann'), {
        model: 'late',
        input_tokens: 10,
        occurred_at: before.toISOString(),
      }),
      eventOf(company.user('ann'), { model: 'late', input_tokens: 10 }),
    ];
    await record(db(), events);
    expect(
      await settle(db(), {
        request_id: call.request_id,
        input_tokens: 10,
        output_tokens: 0,
        occurred_at: before.toISOString(),
      }),
    ).toMatchObject({ cost_micros: '10', overage_micros: '0' });
    const ids = [early?.id, ...events.map((e) => e.id)];
    expect(
      await query(
        `select cost_micros, input_price from app_public.ai_usage_events
         where id = any ($1) order by array_position($1, id)`,
        [ids],
      ),
    ).toEqual([
      { cost_micros: '10.000000', input_price: '1000000' },
      { cost_micros: '10.000000', input_price: '1000000' },
      { cost_micros: '30.000000', input_price: '3000000' },
    ]);
  });

  test('without a price stays visible as unpriced until one arrives, and is then priced', async () => {
    const company = await createCompany(db(), {
      people: ['ann', 'bob'],
      settings: { unpriced_usage: 'allow' },
      groups: { red: { members: ['ann', 'bob'], budget: { limit: 100 } } },
    });
    await price('half', 1, null);
    const held = callOf(company.user('ann'), { model: 'half', input_tokens: 3 });
    await authorize(db(), held);
    await record(db(), [
      eventOf(company.user('ann'), { model: 'half', input_tokens: 2, output_tokens: 2 }),
      eventOf(company.user('bob'), { model: 'half', input_tokens: 1, output_tokens: 1 }),
      eventOf(company.user('bob'), { model: 'half', input_tokens: 5 }),
      eventOf(company.user('bob'), { model: 'none', output_tokens: 5 }),
    ]);
    // Held at 3, settled with a kind of token that has no price.
    expect(
      await settle(db(), { request_id: held.request_id, input_tokens: 3, output_tokens: 1 }),
    ).toMatchObject({ cost_micros: null, overage_micros: null });
    const daily = () =>
      query(
        `select model, sum(requests)::int as requests, sum(unpriced_requests)::int as unpriced, sum(cost_micros) as cost
         from app_public.ai_spend_daily where organization_id = $1 group by model order by model`,
        [company.id],
      );
    expect(await daily()).toEqual([
      { model: 'half', requests: 4, unpriced: 3, cost: '5.000000' },
      { model: 'none', requests: 1, unpriced: 1, cost: '0.000000' },
    ]);
    expect(await statusOf(db(), company.group('red'))).toMatchObject({ spent_micros: '5' });
    expect(await rowsOf(db(), 'price_unpriced_ai_usage')).toEqual([]);

    await price('half', 1, 10);
    expect(await rowsOf(db(), 'price_unpriced_ai_usage')).toEqual([
      {
        organization_id: company.id,
        provider: 'acme',
        model: 'half',
        events: '3',
        cost_micros: '46',
      },
    ]);
    expect(await rowsOf(db(), 'price_unpriced_ai_usage')).toEqual([]);
    expect(await daily()).toEqual([
      { model: 'half', requests: 4, unpriced: 0, cost: '51.000000' },
      { model: 'none', requests: 1, unpriced: 1, cost: '0.000000' },
    ]);
    expect(await statusOf(db(), company.group('red'))).toMatchObject({
      spent_micros: '51',
      overage_micros: '10',
      remaining_micros: '49',
    });
    expect(
      await query(
        `select cost_micros, overage_micros, output_price from app_public.ai_usage_events
         where organization_id = $1 order by cost_micros, id`,
        [company.id],
      ),
    ).toEqual([
      { cost_micros: '5.000000', overage_micros: null, output_price: null },
      { cost_micros: '11.000000', overage_micros: null, output_price: '10000000' },
      { cost_micros: '13.000000', overage_micros: '10.000000', output_price: '10000000' },
      { cost_micros: '22.000000', overage_micros: null, output_price: '10000000' },
      { cost_micros: null, overage_micros: null, output_price: null },
    ]);
  });

  test('is priced once by many who ask at the same time', async () => {
    const company = await createCompany(db(), {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 100 } } },
    });
    await record(
      db(),
      Array.from({ length: 50 }, () =>
        eventOf(company.user('ann'), { model: 'soon', input_tokens: 1 }),
      ),
    );
    await price('soon', 2);
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => rowsOf(db(), 'price_unpriced_ai_usage')),
    );
    const shares = answers.flat();
    expect(shares.reduce((sum, { events }) => sum + Number(events), 0)).toBe(50);
    expect(shares.reduce((sum, { cost_micros }) => sum + Number(cost_micros), 0)).toBe(100);
    expect(await statusOf(db(), company.group('red'))).toMatchObject({ spent_micros: '100' });
  });
});
