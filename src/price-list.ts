import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { calcPrice, type ModelInfo, type ModelPrice, waitForUpdate } from '@pydantic/genai-prices';

/** One element of what `upsert_ai_model_prices` takes: micros per million tokens, null = unknown. */
export type PriceSeed = {
  provider: string;
  model: string;
  input_price: number | null;
  output_price: number | null;
  cache_read_price: number | null;
  cache_write_price: number | null;
};

/** A price that the list has and the seed leaves unknown: it is finer than a micro. */
export type UnrepresentablePrice = {
  provider: string;
  model: string;
  price: keyof typeof listedAs;
  dollars: string;
};

// cache_write_mtok is the write that lives for five minutes; the hour-long one has a key of its own
// and no column here. Prices by request, page or hour have none either: a model that is sold only
// that way keeps its row, unpriced.
const listedAs = {
  input_price: 'input_mtok',
  output_price: 'output_mtok',
  cache_read_price: 'cache_read_mtok',
  cache_write_price: 'cache_write_mtok',
} as const;

const packageName = '@pydantic/genai-prices';

// As long as nobody calls updatePrices, the wait is for nothing: no network, the list that ships.
// It is the only export that gives all providers. Kept from the start, so that a later
// updatePrices elsewhere in the process can't pass for what version `priceListSource` says.
const providers = await waitForUpdate();

export const priceListSource: { name: string; version: string } = {
  name: packageName,
  version: installedVersion(),
};

/**
 * The package's prices as they hold at `now`, by provider and model. A price that depends on the
 * time of day is the one of that hour, a price with context tiers is its base.
 */
export function priceListOfPackage(now: Date): {
  seed: PriceSeed[];
  unrepresentable: UnrepresentablePrice[];
} {
  if (providers === null) throw new Error(`${packageName} ships no price list`);
  const unrepresentable: UnrepresentablePrice[] = [];
  const seed = providers.flatMap(({ id: provider, models }) =>
    models.map((info): PriceSeed => {
      const model = info.id;
      const prices = pricesAt(now, provider, info);
      const micros = (price: keyof typeof listedAs): number | null => {
        const listed = prices[listedAs[price]];
        if (listed === undefined) return null;
        const dollars = typeof listed === 'object' ? listed.base : listed;
        const exact = microsFromDollars(dollars);
        if (exact === null) {
          unrepresentable.push({ provider, model, price, dollars: String(dollars) });
        }
        return exact;
      };
      return {
        provider,
        model,
        input_price: micros('input_price'),
        output_price: micros('output_price'),
        cache_read_price: micros('cache_read_price'),
        cache_write_price: micros('cache_write_price'),
      };
    }),
  );
  return { seed: seed.sort(byName), unrepresentable: unrepresentable.sort(byName) };
}

/**
 * Dollars as micros, or null where that takes a fraction of a micro. Goes by the shortest decimal
 * text of the number, which is what the list says: 8.2 * 1e6 is 8199999.999999999.
 */
export function microsFromDollars(dollars: number): number | null {
  const text = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(dollars));
  if (text === null) throw new RangeError(`${dollars} is not a price in dollars`);
  const [, whole = '', fraction = '', exponent = '0'] = text;
  const digits = BigInt(whole + fraction);
  const scale = Number(exponent) - fraction.length + 6;
  const power = 10n ** BigInt(Math.abs(scale));
  if (scale < 0 && digits % power !== 0n) return null;
  const micros = scale < 0 ? digits / power : digits * power;
  if (micros > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(`$${dollars} is too much for a price in micros`);
  }
  return Number(micros);
}

// Asks the package which of a model's dated prices holds, so that its rule stays in one place. The
// provider made up of this one model keeps the package from answering for another whose pattern
// matches the same name.
function pricesAt(now: Date, provider: string, info: ModelInfo): ModelPrice {
  const only = { ...info, match: { equals: info.id } };
  const answer = calcPrice({}, info.id, {
    provider: { id: provider, name: provider, api_pattern: '', models: [only] },
    timestamp: now,
  });
  if (answer === null) throw new Error(`${packageName} does not know its own ${info.id}`);
  return answer.model_price;
}

// Code units, not a locale: the order is the same on every machine.
function byName(a: { provider: string; model: string }, b: { provider: string; model: string }) {
  return compare(a.provider, b.provider) || compare(a.model, b.model);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

// The package does not export its package.json, so it can't be imported.
function installedVersion(): string {
  const file = findPackageJSON(packageName, import.meta.url);
  if (file === undefined) throw new Error(`${packageName} is not installed`);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}
