import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asUser } from './support/as-user.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { fastest } from './support/fastest.ts';
import { createWorld, type Person, type World } from './support/world.ts';

// ai_model_price() and upsert_ai_model_prices() through SQL; the list of the package is in
// functions-price-sync.test.ts.

const GREATEST = '9223372036854775807';

let database: TestDatabase;
let pool: Pool;
let world: World;

type Row = Record<string, unknown>;

const PRICES = 'provider, model, input_price, output_price, cache_read_price, cache_write_price';
const WITH_TIMES = `${PRICES}, created_at::text, updated_at::text`;

async function as(person: Person | null, sql: string, values: unknown[] = []): Promise<Row[]> {
  const id = person === null ? null : world.people[person];
  const { rows } = await asUser(pool, id, 'rest', (client) => client.query<Row>(sql, values));
  return rows;
}

/** A string goes to PostgreSQL as it is, so that no number passes through a double here. */
function load(seed: string | object | null, person: Person | null = 'owner'): Promise<Row[]> {
  const json = typeof seed === 'string' || seed === null ? seed : JSON.stringify(seed);
  return as(person, `select ${WITH_TIMES} from app_public.upsert_ai_model_prices($1)`, [json]);
}

async function prices(): Promise<Row[]> {
  const { rows } = await database.owner.query<Row>(
    `select ${WITH_TIMES} from app_public.ai_model_prices order by provider, model`,
  );
  return rows;
}

const of = async (model: string) => (await prices()).find((row) => row.model === model);

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  pool = new Pool({ connectionString: database.urls.authenticator, max: 4 });
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

beforeEach(async () => {
  await database.owner.query('delete from app_public.ai_model_prices');
  await database.owner.query(
    `insert into app_public.ai_model_prices (${PRICES}) values ('acme', 'one', 3000000, 15000000, 300000, null)`,
  );
  // The next transaction is later than this one, to the microsecond.
  await sleep(1);
});

describe('ai_model_price', () => {
  const price = (person: Person | null, provider: string, model: string) =>
    as(person, `select ${PRICES} from app_public.ai_model_price($1, $2)`, [provider, model]);

  test('is the row of the model, for whoever is signed in', async () => {
    const row = {
      provider: 'acme',
      model: 'one',
      input_price: '3000000',
      output_price: '15000000',
      cache_read_price: '300000',
      cache_write_price: null,
    };
    expect(await price('stranger', 'acme', 'one')).toEqual([row]);
    expect(await price('ai_gateway', 'acme', 'one')).toEqual([row]);
  });

  test('is no row for another name, another case, or nobody', async () => {
    expect(await price('owner', 'acme', 'two')).toEqual([]);
    expect(await price('owner', 'one', 'acme')).toEqual([]);
    expect(await price('owner', 'ACME', 'one')).toEqual([]);
    expect(await price(null, 'acme', 'one')).toEqual([]);
  });
});

describe('upsert_ai_model_prices writes', () => {
  test('the whole array, and returns its rows', async () => {
    const rows = await load([
      { provider: 'acme', model: 'two', input_price: 1, output_price: 2 },
      { provider: 'acme', model: 'one', input_price: 4, cache_write_price: 5 },
    ]);
    expect(rows).toEqual(expect.arrayContaining(await prices()));
    expect(rows).toHaveLength(2);
  });

  test('a missing or null price as unknown, also over a known one; 0 stays 0', async () => {
    const before = await of('one');
    await load('[{"provider": "acme", "model": "one", "input_price": 0, "output_price": null}]');
    expect(await of('one')).toEqual({
      ...before,
      input_price: '0',
      output_price: null,
      cache_read_price: null,
      cache_write_price: null,
      updated_at: expect.not.stringMatching(String(before?.updated_at)),
    });
  });

  test.each(['missing', 'null'])('each of the four that is %s as unknown', async (how) => {
    const names = ['input_price', 'output_price', 'cache_read_price', 'cache_write_price'];
    const all = (value: number | null) => Object.fromEntries(names.map((name) => [name, value]));
    const model = { provider: 'acme', model: 'one' };
    await load([{ ...model, ...all(7) }]);
    expect(await of('one')).toMatchObject(Object.fromEntries(names.map((name) => [name, '7'])));
    await load([{ ...model, ...(how === 'null' ? all(null) : {}) }]);
    expect(await of('one')).toMatchObject(all(null));
  });

  test('no created_at over an old one, and no row that the array does not name', async () => {
    const before = await prices();
    await load([{ provider: 'acme', model: 'two' }]);
    expect((await prices()).filter((row) => row.model === 'one')).toEqual(before);
    expect(await of('two')).toMatchObject({ input_price: null, cache_write_price: null });
  });

  test('prices exactly, up to the greatest that the column holds', async () => {
    await load(
      `[{"provider": "a", "model": "great", "input_price": ${GREATEST}, "output_price": 9007199254740993,
         "cache_read_price": 3.0, "cache_write_price": 1e18}]`,
    );
    expect(await of('great')).toMatchObject({
      input_price: GREATEST,
      output_price: '9007199254740993',
      cache_read_price: '3',
      cache_write_price: '1000000000000000000',
    });
  });

  test('names as they are: 200 characters, other scripts, quotes', async () => {
    const names = ['x'.repeat(200), '模型', `it's "quoted" \\ {x}`, 'models/a:b@c'];
    await load(names.map((model) => ({ provider: 'p', model })));
    expect(new Set((await prices()).map((row) => row.model))).toEqual(new Set(['one', ...names]));
  });
});

describe('upsert_ai_model_prices refuses', () => {
  const good = '{"provider": "new", "model": "good", "input_price": 1}';
  const price = (value: string) => `{"provider": "p", "model": "m", "input_price": ${value}}`;
  const long = 'x'.repeat(201);

  const wrong: [element: string, field: string, problem: string][] = [
    ['null', 'seed[1]', 'must be an object, not null'],
    ['7', 'seed[1]', 'must be an object, not 7'],
    [`[${good}]`, 'seed[1]', 'must be an object, not ['],
    ['{}', 'seed[1].model', 'must be text of 1 to 200 characters, not missing'],
    ['{"model": "m"}', 'seed[1].provider', 'not missing'],
    ['{"provider": "p"}', 'seed[1].model', 'not missing'],
    ['{"provider": "p", "model": ""}', 'seed[1].model', 'not ""'],
    ['{"provider": "p", "model": "  "}', 'seed[1].model', 'not "  "'],
    ['{"provider": null, "model": "m"}', 'seed[1].provider', 'not null'],
    ['{"provider": "p", "model": 5}', 'seed[1].model', 'not 5'],
    [`{"provider": "${long}", "model": "m"}`, 'seed[1].provider', 'must be text of 1 to 200'],
    [`{"provider": "p", "model": "${long}"}`, 'seed[1].model', 'must be text of 1 to 200'],
    [price('-1'), 'seed[1].input_price', '(p m) must be a whole number'],
    [price('0.5'), 'seed[1].input_price', 'not 0.5'],
    [price('1e-7'), 'seed[1].input_price', 'not 0.0000001'],
    [price('"3000000"'), 'seed[1].input_price', 'not "3000000"'],
    [price('true'), 'seed[1].input_price', 'not true'],
    [price('{"base": 1}'), 'seed[1].input_price', 'not {"base": 1}'],
    [price('[1]'), 'seed[1].input_price', 'not [1]'],
    [price('9223372036854775808'), 'seed[1].input_price', 'not 9223372036854775808'],
    [price('1e400'), 'seed[1].input_price', 'not 1000'],
    ['{"provider": "p", "model": "m", "output_price": -1}', 'seed[1].output_price', 'not -1'],
    ['{"provider": "p", "model": "m", "cache_read_price": -1}', 'seed[1].cache_read_price', '-1'],
    ['{"provider": "p", "model": "m", "cache_write_price": -1}', 'seed[1].cache_write_price', '-1'],
    ['{"provider": "p", "model": "m", "inputPrice": 1}', 'seed[1].inputPrice', 'is no key of'],
    ['{"provider": "p", "model": "m", "created_at": null}', 'seed[1].created_at', 'is no key of'],
    [good, 'seed[1]', 'repeats seed[0]'],
    ['{"provider": "new", "model": "good", "input_price": 2}', 'seed[1]', 'repeats seed[0]'],
  ];
  for (const [element, field, problem] of wrong)
    test(`${element.slice(0, 80)}, names it, and writes nothing`, async () => {
      const before = await prices();
      const seed = `[${good}, ${element}, {"provider": "acme", "model": "one", "input_price": 9}]`;
      const error = await load(seed).then(
        () => expect.fail('this should have been refused'),
        (e: Error & { code?: string; column?: string }) => e,
      );
      expect(error).toMatchObject({ code: 'BU400', column: field });
      expect(error.message.startsWith(field), error.message).toBe(true);
      expect(error.message).toContain(problem);
      expect(error.message.length).toBeLessThan(500);
      expect(await prices()).toEqual(before);
    });

  test('a key of any length, without repeating it whole', async () => {
    const key = 'k'.repeat(100_000);
    const error = await load(`[{"provider": "p", "model": "m", "${key}": 1}]`).catch((e) => e);
    expect(error.code).toBe('BU400');
    expect(error.message.length).toBeLessThan(1000);
    expect(error.column.length).toBeLessThan(1000);
  });

  test('the first thing that is wrong, whatever else is', async () => {
    await expect(load(`[${good}, {"provider": "p"}, 7, ${good}]`)).rejects.toMatchObject({
      column: 'seed[1].model',
    });
  });

  test.each([
    [null, 'not null.'],
    ['null', 'not null.'],
    ['{"provider": "p", "model": "m"}', 'not {"model": "m", "provider": "p"}.'],
    ['7', 'not 7.'],
    ['"[]"', 'not "[]".'],
  ])('the seed %s', async (seed, problem) => {
    await expect(load(seed)).rejects.toMatchObject({
      code: 'BU400',
      column: 'seed',
      message: `seed must be an array of prices, ${problem}`,
    });
  });

  test.each<Person | null>([
    'user_admin',
    'auditor',
    'ai_gateway',
    'organization_admin',
    'member',
    'stranger',
    null,
  ])('%s, whatever the seed', async (person) => {
    const before = await prices();
    for (const seed of ['[]', `[${good}]`, '[7]', 'null', null])
      await expect(load(seed, person), String(seed)).rejects.toMatchObject({ code: '42501' });
    expect(await prices()).toEqual(before);
  });

  test('nothing about an empty array, for an owner', async () => {
    const before = await prices();
    expect(await load('[]')).toEqual([]);
    expect(await prices()).toEqual(before);
  });
});

describe('upsert_ai_model_prices with much to do', () => {
  const list = (length: number, price: number) =>
    Array.from({ length }, (_, i) => ({
      provider: `provider-${i % 30}`,
      model: `model-${String(i).padStart(5, '0')}`,
      input_price: price,
      output_price: price * 5,
      cache_read_price: 0,
      cache_write_price: null,
    }));

  test('writes 5,000 rows, new or not, with history and trail, in a few times what the rows alone take', async () => {
    // The same upsert on a table with nothing behind it, so that the speed of the machine does not matter.
    await database.owner.query(
      `create table app_private.bare (provider text, model text, input_price bigint, output_price bigint,
         cache_read_price bigint, cache_write_price bigint, primary key (provider, model))`,
    );
    const bare = (price: number) =>
      database.owner.query(
        `insert into app_private.bare select * from jsonb_populate_recordset(null::app_private.bare, $1)
         on conflict (provider, model) do update set input_price = excluded.input_price,
           output_price = excluded.output_price, cache_read_price = excluded.cache_read_price,
           cache_write_price = excluded.cache_write_price`,
        [JSON.stringify(list(5000, price))],
      );
    // 10 to 16 times is usual.
    const most = 30;
    let price = 0;
    const upsert = async () => {
      price += 1;
      await as('owner', 'select from app_public.upsert_ai_model_prices($1)', [
        JSON.stringify(list(5000, price)),
      ]);
      const { rows } = await database.owner.query(
        'select count(*)::int as n from app_public.ai_model_prices where input_price = $1',
        [price],
      );
      expect(rows).toEqual([{ n: 5000 }]);
    };
    for (const what of ['inserted', 'updated']) {
      const both = { whole: Number.POSITIVE_INFINITY, bare: Number.POSITIVE_INFINITY };
      for (let round = 0; round < 2; round += 1) {
        if (what === 'inserted')
          await database.owner.query(
            'delete from app_public.ai_model_prices; delete from app_private.bare',
          );
        both.bare = Math.min(both.bare, await fastest(1, () => bare(price + 1)));
        both.whole = Math.min(both.whole, await fastest(1, upsert));
      }
      process.stdout.write(
        `5,000 prices ${what} in ${both.whole.toFixed(0)} ms, and alone in ${both.bare.toFixed(0)} ms\n`,
      );
      expect(both.whole / both.bare).toBeLessThan(most);
    }
  });

  test('lets two loads of overlapping lists in opposite orders wait for each other', async () => {
    const forwards = list(500, 1);
    const backwards = list(600, 2).reverse();
    for (let round = 0; round < 4; round += 1)
      await Promise.all([load(forwards), load(backwards), load(forwards), load(backwards)]);
    const { rows } = await database.owner.query(
      `select count(*)::int as n, count(distinct input_price)::int as lists
       from app_public.ai_model_prices where model < 'model-00500' and provider <> 'acme'`,
    );
    // Whole lists, not a mixture of both.
    expect(rows).toEqual([{ n: 500, lists: 1 }]);
  });
});

describe('the table behind it holds, whoever writes', () => {
  test.each([
    ['input_price', -1, 'input_price_is_not_negative'],
    ['output_price', -1, 'output_price_is_not_negative'],
    ['cache_read_price', -1, 'cache_read_price_is_not_negative'],
    ['cache_write_price', -1, 'cache_write_price_is_not_negative'],
    ['provider', ' ', 'provider_has_1_to_200_characters'],
    ['model', '', 'model_has_1_to_200_characters'],
  ])('no %s of "%s"', async (column, value, constraint) => {
    await expect(
      database.owner.query(`update app_public.ai_model_prices set ${column} = $1`, [value]),
    ).rejects.toMatchObject({ code: '23514', constraint });
  });
});
