import { readFile } from 'node:fs/promises';
import type { ClientBase } from 'pg';
import { priceListOfPackage, priceListSource } from './price-list.ts';

export type PriceChanges = {
  readonly source: string;
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly leftAlone: number;
  /** Models that the database prices and the list does not name: they stay. */
  readonly unlisted: number;
  /** Prices of the list that are finer than a micro per million tokens, and so stay unknown. */
  readonly unrepresentable: readonly string[];
};

type Seed = { readonly source: string; readonly json: string; readonly unrepresentable: string[] };

/** The price list that the installed package ships. */
export function packagePrices(now: Date): Seed {
  const { seed, unrepresentable } = priceListOfPackage(now);
  return {
    source: `${priceListSource.name} ${priceListSource.version}`,
    json: JSON.stringify(seed),
    unrepresentable: unrepresentable.map(
      ({ provider, model, price, dollars }) => `${provider} ${model}: ${price} of $${dollars}`,
    ),
  };
}

/** A JSON array of prices from a file. Its text goes to the database as it is, numbers untouched. */
export async function pricesFromFile(path: string): Promise<Seed> {
  return { source: path, json: await readFile(path, 'utf8'), unrepresentable: [] };
}

/**
 * Writes a price list through upsert_ai_model_prices and says what that changed. Models whose prices stay
 * the same are not written, so that their updated_at tells when they last changed.
 *
 * @param dryRun Everything but the commit.
 */
export async function syncPrices(
  client: ClientBase,
  seed: Seed,
  { dryRun = false } = {},
): Promise<PriceChanges> {
  await client.query('begin');
  try {
    const before = await pricesByModel(client);
    // Written whole and first: what is wrong with the list is for the function to say.
    await client.query('savepoint whole_list');
    await client.query('select from app_public.upsert_ai_model_prices($1)', [seed.json]);
    const after = await pricesByModel(client);

    const added = [...after.keys()].filter((key) => !before.has(key));
    const changed = [...after]
      .filter(([key, prices]) => before.has(key) && before.get(key) !== prices)
      .map(([key]) => key);
    const { rows } = await client.query<{ listed: string }>(
      'select count(*) as listed from jsonb_array_elements($1)',
      [seed.json],
    );
    const listed = Number(rows[0]?.listed);

    await client.query('rollback to savepoint whole_list');
    if (!dryRun) await writeOnly(client, seed.json, [...added, ...changed]);
    await client.query(dryRun ? 'rollback' : 'commit');
    return {
      source: seed.source,
      added: added.map(nameOf),
      changed: changed.map(nameOf),
      leftAlone: listed - added.length - changed.length,
      unlisted: after.size - listed,
      unrepresentable: seed.unrepresentable,
    };
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

/** By a key that can't be that of another model: a provider or model may have spaces. */
async function pricesByModel(client: ClientBase): Promise<Map<string, string>> {
  const { rows } = await client.query<{ key: string; prices: string }>(
    `select jsonb_build_array(provider, model)::text as key,
       row(input_price, output_price, cache_read_price, cache_write_price)::text as prices
     from app_public.ai_model_prices
     order by provider, model`,
  );
  return new Map(rows.map((row) => [row.key, row.prices]));
}

function nameOf(key: string): string {
  return (JSON.parse(key) as [string, string]).join(' ');
}

async function writeOnly(client: ClientBase, json: string, keys: string[]): Promise<void> {
  await client.query(
    `select from app_public.upsert_ai_model_prices((
       select coalesce(jsonb_agg(element), '[]')
       from jsonb_array_elements($1::jsonb) as element
       where jsonb_build_array(element -> 'provider', element -> 'model')::text = any ($2)
     ))`,
    [json, keys],
  );
}
