import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { priceListOfPackage } from '../src/price-list.ts';
import { packagePrices, pricesFromFile, syncPrices } from '../src/prices.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';

// What `bursar prices sync` does, on the list of the package and on lists from files.

const NOW = new Date('2026-09-30T12:00:00Z');

let database: TestDatabase;
let client: Client;
let folder: string;

type Row = Record<string, unknown>;

async function prices(): Promise<Row[]> {
  const { rows } = await client.query<Row>(
    `select provider, model, input_price, output_price, cache_read_price, cache_write_price,
       created_at::text, updated_at::text
     from app_public.ai_model_prices order by provider collate "C", model collate "C"`,
  );
  return rows;
}

const untimed = (rows: Row[]) => rows.map(({ created_at, updated_at, ...price }) => price);

async function fileWith(text: string | object): Promise<string> {
  const path = join(folder, 'prices.json');
  await writeFile(path, typeof text === 'string' ? text : JSON.stringify(text));
  return path;
}

const syncFile = async (text: string | object, options = {}) =>
  syncPrices(client, await pricesFromFile(await fileWith(text)), options);

beforeAll(async () => {
  database = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'bursar-prices-'));
  client = new Client({ connectionString: database.urls.owner });
  await client.connect();
});

afterAll(async () => {
  await client?.end();
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(() => client.query('delete from app_public.ai_model_prices'));

describe('the list of the package', () => {
  const { seed, unrepresentable } = priceListOfPackage(NOW);

  test('is loaded whole, each price as the list has it', async () => {
    const changes = await syncPrices(client, packagePrices(NOW));
    expect(changes).toMatchObject({ changed: [], leftAlone: 0, unlisted: 0 });
    expect(changes.source).toMatch(/^@pydantic\/genai-prices \d+\.\d+\.\d+/);
    expect(changes.added).toHaveLength(seed.length);
    expect(changes.unrepresentable).toHaveLength(unrepresentable.length);

    const text = (price: number | null) => (price === null ? null : String(price));
    expect(untimed(await prices())).toEqual(
      seed.map((row) => ({
        ...row,
        input_price: text(row.input_price),
        output_price: text(row.output_price),
        cache_read_price: text(row.cache_read_price),
        cache_write_price: text(row.cache_write_price),
      })),
    );
  });

  test('changes nothing the second time', async () => {
    await syncPrices(client, packagePrices(NOW));
    const before = await prices();
    expect(await syncPrices(client, packagePrices(NOW))).toMatchObject({
      added: [],
      changed: [],
      leftAlone: seed.length,
    });
    expect(await prices()).toEqual(before);
  });

  test('mends the price that differs, the one that is gone, and no other', async () => {
    await syncPrices(client, packagePrices(NOW));
    const before = await prices();
    const [changed, missing] = before;
    await client.query(
      'update app_public.ai_model_prices set input_price = 1 where (provider, model) = ($1, $2)',
      [changed?.provider, changed?.model],
    );
    await client.query(
      'delete from app_public.ai_model_prices where (provider, model) = ($1, $2)',
      [missing?.provider, missing?.model],
    );
    await client.query(
      `insert into app_public.ai_model_prices (provider, model, input_price) values ('acme', 'own', 7)`,
    );
    expect(await syncPrices(client, packagePrices(NOW))).toMatchObject({
      added: [`${missing?.provider} ${missing?.model}`],
      changed: [`${changed?.provider} ${changed?.model}`],
      leftAlone: seed.length - 2,
      unlisted: 1,
    });

    const after = await prices();
    expect(untimed(after.filter((row) => row.provider !== 'acme'))).toEqual(untimed(before));
    expect(after.find((row) => row.provider === 'acme')).toMatchObject({ input_price: '7' });
    const others = (rows: Row[]) =>
      rows.filter((row) => ![changed?.model, missing?.model, 'own'].includes(row.model));
    expect(others(after)).toEqual(others(before));
    expect(after.find((row) => row.model === changed?.model)?.created_at).toBe(changed?.created_at);
  });
});

describe('a list from a file', () => {
  const LIST = '[{"provider": "a", "model": "m", "input_price": 9223372036854775807}]';

  test('keeps its numbers to the last digit', async () => {
    expect(await syncFile(LIST)).toMatchObject({ added: ['a m'], changed: [] });
    expect(await prices()).toMatchObject([{ input_price: '9223372036854775807' }]);
    expect(await syncFile(LIST)).toMatchObject({ added: [], changed: [], leftAlone: 1 });
  });

  test('tells unknown from free', async () => {
    await syncFile([{ provider: 'a', model: 'm', input_price: 0 }]);
    expect(await syncFile([{ provider: 'a', model: 'm' }])).toMatchObject({ changed: ['a m'] });
    expect(await prices()).toMatchObject([{ input_price: null }]);
    expect(await syncFile([{ provider: 'a', model: 'm', input_price: 0 }])).toMatchObject({
      changed: ['a m'],
    });
    expect(await prices()).toMatchObject([{ input_price: '0' }]);
  });

  test('says what a dry run would change, and writes nothing', async () => {
    await syncFile([
      { provider: 'a', model: 'm', input_price: 1 },
      { provider: 'a', model: 'same' },
    ]);
    const before = await prices();
    const list = [
      { provider: 'a', model: 'm', input_price: 2 },
      { provider: 'a', model: 'n' },
      { provider: 'a', model: 'same' },
    ];
    const foreseen = await syncFile(list, { dryRun: true });
    expect(foreseen).toMatchObject({ added: ['a n'], changed: ['a m'], leftAlone: 1 });
    expect(await prices()).toEqual(before);
    expect(await syncFile(list)).toEqual(foreseen);
    expect(await prices()).not.toEqual(before);
  });

  test('is written for every model, also where two names read alike with a space between', async () => {
    const list = (price: number) => [
      { provider: 'a', model: 'b c', input_price: price },
      { provider: 'a b', model: 'c', input_price: 1 },
    ];
    const first = await syncFile(list(1));
    expect([first.added.length, first.leftAlone, first.unlisted]).toEqual([2, 0, 0]);
    const second = await syncFile(list(2));
    expect([second.changed.length, second.leftAlone]).toEqual([1, 1]);
    expect(await prices()).toMatchObject([{ input_price: '2' }, { input_price: '1' }]);
  });

  test.each([
    ['[{"provider": "a", "model": "m", "input_price": -1}]', 'BU400'],
    ['{"provider": "a", "model": "m"}', 'BU400'],
    ['[{"provider": "a", "model": "m"}, {"provider": "a", "model": "m"}]', 'BU400'],
    ['[{"provider": "a"', '22P02'],
    ['', '22P02'],
  ])('%s is refused, and the connection serves on', async (text, code) => {
    await syncFile([{ provider: 'kept', model: 'm' }]);
    const before = await prices();
    for (const dryRun of [true, false])
      await expect(syncFile(text, { dryRun })).rejects.toMatchObject({ code });
    expect(await prices()).toEqual(before);
    const { rows } = await client.query('select pg_current_xact_id_if_assigned() as open');
    expect(rows).toEqual([{ open: null }]);
  });
});
