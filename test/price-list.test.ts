import { calcPrice, type Usage, waitForUpdate } from '@pydantic/genai-prices';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  microsFromDollars,
  type PriceSeed,
  priceListOfPackage,
  priceListSource,
} from '../src/price-list.ts';

const now = new Date('2026-09-30T12:00:00Z');
const priceNames = [
  'input_price',
  'output_price',
  'cache_read_price',
  'cache_write_price',
] as const;
type PriceName = (typeof priceNames)[number];
type Call = { usage: Usage; side: 'input_price' | 'output_price'; listedAs: string };

function seedOf(provider: string, model: string, at = now): PriceSeed | undefined {
  return priceListOfPackage(at).seed.find((s) => s.provider === provider && s.model === model);
}

describe('dollars become micros', () => {
  test.each([
    [0, 0],
    [1e-6, 1],
    [0.0028, 2800],
    [0.0375, 37_500],
    [0.075, 75_000],
    [0.28, 280_000],
    [1.1, 1_100_000],
    [2.19, 2_190_000],
    // These two come out wrong by multiplication.
    [2.01, 2_010_000],
    [8.2, 8_200_000],
    [3, 3_000_000],
    [600, 600_000_000],
    [9_007_199_254, 9_007_199_254_000_000],
  ])('$%d is %i', (dollars, micros) => {
    expect(microsFromDollars(dollars)).toBe(micros);
  });

  test.each([1e-7, 1.5e-6, 5e-324, 0.1234567, 0.1 + 0.2, 0.08333333333333334])(
    '$%d takes a fraction of a micro, so it stays unknown',
    (dollars) => {
      expect(microsFromDollars(dollars)).toBeNull();
    },
  );

  test.each([-1, -1e-7, Number.NaN, Number.POSITIVE_INFINITY])('%d is no price', (dollars) => {
    expect(() => microsFromDollars(dollars)).toThrow(`${dollars} is not a price in dollars`);
  });

  test.each([9_007_199_255, 1e21, 1.5e300])('$%d is too much for 53 bits', (dollars) => {
    expect(() => microsFromDollars(dollars)).toThrow('is too much for a price in micros');
  });

  test('every decimal text with six places, exactly', () => {
    // 15 significant digits is what a double gives back unchanged.
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999_999_999_999 }), (micros) => {
        const digits = String(micros).padStart(7, '0');
        const text = `${digits.slice(0, -6)}.${digits.slice(-6)}`;
        expect(microsFromDollars(Number(text))).toBe(micros);
      }),
      { numRuns: 2000 },
    );
  });

  test('no decimal text with a seventh place', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 99_999_999_999_999 }),
        fc.integer({ min: 1, max: 9 }),
        (tenths, last) => {
          const digits = `${tenths}${last}`.padStart(8, '0');
          const text = `${digits.slice(0, -7)}.${digits.slice(-7)}`;
          expect(microsFromDollars(Number(text))).toBeNull();
        },
      ),
    );
  });
});

describe('the list of the package', () => {
  const { seed, unrepresentable } = priceListOfPackage(now);

  test('says where it comes from', () => {
    expect(priceListSource).toEqual({
      name: '@pydantic/genai-prices',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
  });

  test('has every provider and model of the package, each once', async () => {
    const listed = ((await waitForUpdate()) ?? []).flatMap((provider) =>
      provider.models.map((model) => JSON.stringify([provider.id, model.id])),
    );
    const seeded = seed.map((s) => JSON.stringify([s.provider, s.model]));
    expect(seeded.length).toBeGreaterThan(1000);
    expect(new Set(seeded).size).toBe(seeded.length);
    expect(new Set(seeded)).toEqual(new Set(listed));
  });

  test('is in the order of provider and model, whatever the locale', () => {
    for (const [i, after] of seed.entries()) {
      const before = seed[i - 1];
      if (before === undefined) continue;
      const inOrder =
        before.provider === after.provider
          ? before.model < after.model
          : before.provider < after.provider;
      expect(inOrder, `${before.model} before ${after.model}`).toBe(true);
    }
    expect(priceListOfPackage(now).seed).toEqual(seed);
  });

  test('goes through JSON unchanged, in exact integers', () => {
    expect(JSON.parse(JSON.stringify(seed))).toEqual(seed);
    for (const element of seed) {
      expect(Object.keys(element)).toEqual(['provider', 'model', ...priceNames]);
      for (const name of priceNames) {
        const price = element[name];
        expect(price === null || (Number.isSafeInteger(price) && price >= 0)).toBe(true);
      }
    }
  });

  test('has the prices people know', () => {
    // Its prices are tiered by context; these are the base.
    expect(seedOf('anthropic', 'claude-sonnet-4-5')).toEqual({
      provider: 'anthropic',
      model: 'claude-sonnet-4-5',
      input_price: 3_000_000,
      output_price: 15_000_000,
      cache_read_price: 300_000,
      cache_write_price: 3_750_000,
    });
    expect(seedOf('google', 'gemini-2.5-pro')).toMatchObject({
      input_price: 1_250_000,
      output_price: 10_000_000,
      cache_read_price: 125_000,
      cache_write_price: null,
    });
  });

  test('leaves unknown what the list does not say', () => {
    expect(seedOf('openai', 'gpt-4o')).toMatchObject({
      input_price: 2_500_000,
      output_price: 10_000_000,
      cache_read_price: 1_250_000,
      cache_write_price: null,
    });
    const unpriced = {
      input_price: null,
      output_price: null,
      cache_read_price: null,
      cache_write_price: null,
    };
    // Sold by the hour of audio.
    expect(seedOf('openai', 'whisper-1')).toMatchObject(unpriced);
    // The list has no price at all for it, which is not the same as a price of 0.
    expect(seedOf('cerebras', 'qwen-3-coder-480b')).toMatchObject(unpriced);
  });

  test('names the prices that are finer than a micro, and leaves them unknown', () => {
    for (const { provider, model, price } of unrepresentable) {
      expect(seedOf(provider, model)?.[price]).toBeNull();
    }
    expect(
      unrepresentable.map((u) => `${u.provider} ${u.model} ${u.price} ${u.dollars}`),
    ).toMatchInlineSnapshot(`
      [
        "huggingface_together Qwen/Qwen3-VL-8B-Instruct input_price 0.18000000000000002",
        "openrouter google/gemini-2.5-flash-image cache_write_price 0.08333333333333334",
        "openrouter google/gemini-2.5-flash-lite cache_write_price 0.08333333333333334",
        "openrouter google/gemini-3-flash-preview cache_write_price 0.08333333333333334",
        "openrouter google/gemini-3.1-flash-lite cache_write_price 0.08333333333333334",
        "openrouter google/gemini-3.5-flash cache_write_price 0.08333333333333334",
        "openrouter ~google/gemini-flash-latest cache_write_price 0.08333333333333334",
      ]
    `);
  });
});

describe('a dated price is the one that holds', () => {
  test.each([
    ['2025-06-09T23:59:59.999Z', 10_000_000, 40_000_000],
    ['2025-06-10T00:00:00Z', 2_000_000, 8_000_000],
  ])('from its day on: o3 at %s', (at, input_price, output_price) => {
    expect(seedOf('openai', 'o3', new Date(at))).toMatchObject({ input_price, output_price });
  });

  test.each([
    ['2026-12-31T23:59:59.999Z', 750_000],
    ['2027-01-01T00:00:00Z', 1_500_000],
  ])('also when that day is to come: gemini-3.6-flash at %s', (at, input_price) => {
    expect(seedOf('google', 'gemini-3.6-flash', new Date(at))).toMatchObject({ input_price });
  });

  test.each([
    ['2025-06-10T00:29:59.999Z', 135_000],
    ['2025-06-10T00:30:00Z', 270_000],
    ['2025-06-10T16:29:59.999Z', 270_000],
    ['2025-06-10T16:30:00Z', 135_000],
  ])('by the hour: deepseek-chat at %s', (at, input_price) => {
    expect(seedOf('deepseek', 'deepseek-chat', new Date(at))).toMatchObject({ input_price });
  });

  test.each([
    ['2026-08-16T02:00:00Z', 440_000],
    ['2026-08-16T12:00:00Z', 140_000],
    ['2026-08-17T12:00:00Z', 220_000],
    ['2026-08-17T09:00:00Z', 440_000],
  ])('by day and hour: deepseek-v4-flash at %s', (at, input_price) => {
    expect(seedOf('deepseek', 'deepseek-v4-flash', new Date(at))).toMatchObject({ input_price });
  });

  test('and a date that is none is an error', () => {
    expect(() => priceListOfPackage(new Date('yesterday'))).toThrow('Invalid time value');
  });
});

describe('the package, asked what a call costs, says the same', () => {
  // A thousand tokens stay below every context tier.
  const tokens = 1000;
  const calls: Record<PriceName, Call> = {
    input_price: {
      usage: { input_tokens: tokens },
      side: 'input_price',
      listedAs: 'input_mtok',
    },
    output_price: {
      usage: { output_tokens: tokens },
      side: 'output_price',
      listedAs: 'output_mtok',
    },
    // The package counts cached tokens as part of the input.
    cache_read_price: {
      usage: { input_tokens: tokens, cache_read_tokens: tokens },
      side: 'input_price',
      listedAs: 'cache_read_mtok',
    },
    cache_write_price: {
      usage: { input_tokens: tokens, cache_write_tokens: tokens },
      side: 'input_price',
      listedAs: 'cache_write_mtok',
    },
  };

  test.each([
    '2025-01-01T12:00:00Z',
    '2026-08-17T02:00:00Z',
    '2026-09-30T20:00:00Z',
    '2027-01-01T00:00:00Z',
  ])('for every model and kind of token, at %s', async (at) => {
    const timestamp = new Date(at);
    const { seed, unrepresentable } = priceListOfPackage(timestamp);
    const key = (...parts: string[]) => JSON.stringify(parts);
    const seeds = new Map(seed.map((s) => [key(s.provider, s.model), s]));
    const tooFine = new Set(unrepresentable.map((u) => key(u.provider, u.model, u.price)));
    const wrong: unknown[] = [];
    let compared = 0;
    for (const provider of (await waitForUpdate()) ?? []) {
      for (const model of provider.models) {
        // Alone, or another model whose pattern matches the same name answers.
        const alone = { ...provider, models: [{ ...model, match: { equals: model.id } }] };
        for (const [name, { usage, side, listedAs }] of Object.entries(calls)) {
          if (tooFine.has(key(provider.id, model.id, name))) continue;
          const micros = seeds.get(key(provider.id, model.id))?.[name as PriceName];
          const answer = calcPrice(usage, model.id, { provider: alone, timestamp });
          if (answer === null || micros === undefined) {
            wrong.push([provider.id, model.id, name, 'missing']);
          } else if (micros === null) {
            // The package charges nothing for it, or the plain input price for cached tokens.
            const listed = answer.model_price[listedAs];
            if (listed !== undefined) wrong.push([provider.id, model.id, name, null, listed]);
          } else {
            compared += 1;
            const charged = (answer[side] / tokens) * 1e12;
            if (!(Math.abs(charged - micros) <= micros * 4 * Number.EPSILON)) {
              wrong.push([provider.id, model.id, name, micros, charged]);
            }
          }
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThan(3000);
  });
});
