import { calcPrice, waitForUpdate } from '@pydantic/genai-prices';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type PriceSeed, priceListOfPackage } from '../src/price-list.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import {
  authorize,
  type Company,
  callOf,
  createCompany,
  discrepancies,
  eventOf,
  listModels,
  type Row,
  record,
  setPrices,
  settle,
} from './support/ledger.ts';

const NOW = new Date();
const { seed } = priceListOfPackage(NOW);
const KINDS = ['input', 'output', 'cache_read', 'cache_write'] as const;
type Tokens = Record<(typeof KINDS)[number], number>;

let database: TestDatabase;
let company: Company;

beforeAll(async () => {
  database = await createTestDatabase();
  company = await createCompany(database.owner, { people: ['ann'] });
  await listModels(database.owner);
  await setPrices(database.owner, seed);
});
afterEach(async () => {
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(() => database?.drop());

/** Exact: micros with six decimals, or null where a price that is needed is unknown. */
function exactCost(prices: Row, tokens: Tokens): string | null {
  let millionths = 0n;
  for (const kind of KINDS) {
    const price = prices[`${kind}_price`];
    if (tokens[kind] === 0) continue;
    if (price === null || price === undefined) return null;
    millionths += BigInt(tokens[kind]) * BigInt(price as number);
  }
  const digits = String(millionths).padStart(7, '0');
  return `${digits.slice(0, -6)}.${digits.slice(-6)}`;
}

const tokensOf = (tokens: Tokens): Row => ({
  input_tokens: tokens.input,
  output_tokens: tokens.output,
  cache_read_tokens: tokens.cache_read,
  cache_write_tokens: tokens.cache_write,
});

async function costsOf(events: Row[]): Promise<(string | null)[]> {
  await record(database.owner, events);
  const { rows } = await database.owner.query(
    `select cost_micros from app_public.ai_usage_events where id = any ($1) order by array_position($1, id)`,
    [events.map((event) => event.id)],
  );
  return rows.map((row) => row.cost_micros);
}

test('the cost of every model on the list is exact', async () => {
  const cases = seed.map((prices, i) => {
    const tokens: Tokens = {
      input: 1 + i * 7919,
      output: 3 + i * 104_729,
      cache_read: prices.cache_read_price === null ? 0 : 11 + i,
      cache_write: prices.cache_write_price === null ? 0 : 13 * i,
    };
    return { prices, tokens };
  });
  const costs = await costsOf(
    cases.map(({ prices, tokens }) =>
      eventOf(company.user('ann'), {
        provider: prices.provider,
        model: prices.model,
        ...tokensOf(tokens),
      }),
    ),
  );
  expect(cases.length).toBeGreaterThan(500);
  expect(costs).toEqual(cases.map(({ prices, tokens }) => exactCost(prices, tokens)));
});

test('the cost of any tokens at any prices is exact, held, settled and reported', async () => {
  const count = fc.oneof(fc.nat(10), fc.integer({ min: 0, max: 1_000_000_000_000 }));
  // As text: a JSON number over 2^53 would be rounded before it gets here.
  const price = fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String), { freq: 8 });
  let number = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(price, price, price, price),
      fc.tuple(count, count, count, count),
      async (prices, counts) => {
        number += 1;
        const model = `any ${number}`;
        await database.owner.query(
          `insert into app_public.ai_model_prices
             (provider, model, input_price, output_price, cache_read_price, cache_write_price)
           values ('acme', $1, $2, $3, $4, $5)`,
          [model, ...prices],
        );
        const [input, output, cache_read, cache_write] = counts;
        const tokens = { input, output, cache_read, cache_write };
        const expected = exactCost(
          Object.fromEntries(KINDS.map((kind, i) => [`${kind}_price`, prices[i]])),
          tokens,
        );
        const { output_tokens, ...asked } = { model, ...tokensOf(tokens) } as Row;
        expect(await costsOf([eventOf(company.user('ann'), { ...asked, output_tokens })])).toEqual([
          expected,
        ]);
        const call = callOf(company.user('ann'), { ...asked, max_output_tokens: output_tokens });
        const trimmed = expected === null ? null : expected.replace(/\.?0+$/, '');
        expect((await authorize(database.owner, call)).estimate_micros).toBe(trimmed);
        expect(
          await settle(database.owner, { request_id: call.request_id, ...tokensOf(tokens) }),
        ).toMatchObject({
          cost_micros: trimmed,
          overage_micros: trimmed === null ? null : '0',
        });
      },
    ),
    { numRuns: 50 },
  );
}, 60_000);

test('the cost is that of the price package, within the precision of its doubles', async () => {
  const providers = await waitForUpdate();
  if (providers === null) throw new Error('the package ships no price list');
  const tokens: Tokens = { input: 701, output: 97, cache_read: 211, cache_write: 53 };
  const compared: { prices: PriceSeed; tokens: Tokens; dollars: number }[] = [];
  for (const prices of seed) {
    const info = providers
      .find((provider) => provider.id === prices.provider)
      ?.models.find((model) => model.id === prices.model);
    if (info === undefined || prices.input_price === null || prices.output_price === null) continue;
    const used = {
      ...tokens,
      cache_read: prices.cache_read_price === null ? 0 : tokens.cache_read,
      cache_write: prices.cache_write_price === null ? 0 : tokens.cache_write,
    };
    const answer = calcPrice(
      {
        // The package counts cached tokens as input as well; Bursar's kinds don't overlap.
        input_tokens: used.input + used.cache_read + used.cache_write,
        output_tokens: used.output,
        cache_read_tokens: used.cache_read,
        cache_write_tokens: used.cache_write,
      },
      prices.model,
      {
        provider: {
          id: prices.provider,
          name: prices.provider,
          api_pattern: '',
          models: [{ ...info, match: { equals: info.id } }],
        },
        timestamp: NOW,
      },
    );
    if (answer === null) throw new Error(`the package does not know ${prices.model}`);
    // Sold by the call as well: no tokens, no column.
    if (answer.model_price.requests_kcount !== undefined) continue;
    compared.push({ prices, tokens: used, dollars: answer.total_price });
  }
  expect(compared.length).toBeGreaterThan(400);
  const costs = await costsOf(
    compared.map(({ prices, tokens: used }) =>
      eventOf(company.user('ann'), {
        provider: prices.provider,
        model: prices.model,
        ...tokensOf(used),
      }),
    ),
  );
  const wrong = compared.flatMap(({ prices, dollars }, i) => {
    const micros = Number(costs[i]);
    return Math.abs(micros - dollars * 1e6) <= Math.abs(micros) * 1e-12
      ? []
      : [{ model: `${prices.provider} ${prices.model}`, micros, dollars }];
  });
  expect(wrong).toEqual([]);
});
