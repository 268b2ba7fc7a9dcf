import { calcPrice } from '@pydantic/genai-prices';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  anthropicResponse,
  type Bursar,
  callThrough,
  connect,
  eventOf,
  openaiResponse,
  pricedModel,
  tokenCountsOf,
} from '../examples/gateway.ts';
import { packagePrices, syncPrices } from '../src/prices.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

let database: TestDatabase;
let world: World;
let server: TestServer;
let bursar: Bursar;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  const client = await database.owner.connect();
  await syncPrices(client, packagePrices(new Date()));
  client.release();
  server = await startTestServer(database);
  bursar = connect(server.url, (await server.tokenOf(world.people.ai_gateway)) ?? '');
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

const PROVIDERS = [
  {
    provider: 'openai',
    flavor: 'chat',
    response: openaiResponse,
    model: 'gpt-4o',
    counts: {
      input_tokens: 86,
      output_tokens: 300,
      cache_read_tokens: 1920,
      cache_write_tokens: 0,
    },
    // 86 x 2.5 + 300 x 10 + 1920 x 1.25
    cost: 5615,
  },
  {
    provider: 'anthropic',
    flavor: 'default',
    response: anthropicResponse,
    model: 'claude-sonnet-4-5',
    counts: {
      input_tokens: 50,
      output_tokens: 300,
      cache_read_tokens: 1920,
      cache_write_tokens: 1000,
    },
    // 50 x 3 + 300 x 15 + 1920 x 0.3 + 1000 x 3.75
    cost: 8976,
  },
] as const;

test.each(PROVIDERS)('$provider: cached tokens are counted once', (provider) => {
  const { counts, model } = provider;
  expect(tokenCountsOf(provider.provider, provider.flavor, provider.response)).toEqual(counts);
  expect(pricedModel(provider.provider, provider.response.model)).toBe(model);
});

test.each(PROVIDERS)('$provider: a call is booked at what it costs', async (provider) => {
  const { provider: name, flavor, response, model, cost } = provider;
  const result = await callThrough(
    bursar,
    {
      user_id: world.people.member,
      provider: name,
      model: response.model,
      flavor,
      input_tokens: 4_000,
      max_output_tokens: 1_000,
    },
    async () => response,
  );
  expect(result).toMatchObject({ response, settlement: { cost_micros: cost, overage_micros: 0 } });

  const { input_tokens, cache_read_tokens, cache_write_tokens, output_tokens } = provider.counts;
  const listed = calcPrice(
    {
      input_tokens: input_tokens + cache_read_tokens + cache_write_tokens,
      output_tokens,
      cache_read_tokens,
      cache_write_tokens,
    },
    model,
    { providerId: name },
  );
  expect((listed?.total_price ?? 0) * 1e6).toBeCloseTo(cost, 6);
});

test('a call that fails gives its hold back, and one that is refused is not made', async () => {
  const call = {
    user_id: world.people.member,
    provider: 'openai',
    model: 'gpt-4o',
    flavor: 'chat',
    input_tokens: 4_000,
    max_output_tokens: 1_000,
  };
  const broken = callThrough(bursar, call, async () => {
    throw new Error('the provider is away');
  });
  await expect(broken).rejects.toThrow('the provider is away');
  const spend = await server.request(world.people.owner, `/api/v2/groups/${world.group}/ai/spend`);
  expect(await spend.json()).toMatchObject({ held_micros: 0 });

  const refused = await callThrough(bursar, { ...call, input_tokens: 1e9 }, async () => {
    throw new Error('must not be called');
  });
  expect(refused).toEqual({ refused: 'GROUP_BUDGET_EXCEEDED' });
});

test('events are reported once', async () => {
  const events = PROVIDERS.map((p) =>
    eventOf(p.provider, p.flavor, world.people.member, p.response),
  );
  expect(await bursar.record(events)).toEqual({ recorded: 2, duplicates: 0 });
  expect(await bursar.record(events)).toEqual({ recorded: 0, duplicates: 2 });
  const { rows } = await database.owner.query(
    'select sum(cost_micros)::float as cost from app_public.ai_usage_events where id = any ($1)',
    [events.map((event) => (event as { id: string }).id)],
  );
  expect(rows).toEqual([{ cost: 5615 + 8976 }]);
});

test('what Bursar refuses is an error with its words', async () => {
  await expect(bursar.release({ request: 5 })).rejects.toThrow('is no field here');
});
