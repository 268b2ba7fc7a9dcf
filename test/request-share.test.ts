import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { type GraphQLAnswer, startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// What one request may take of what all share, however much it asks for.

const POOL = 5;
const PRICES = 3_000;

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  await database.owner.query(
    `insert into app_public.ai_model_prices (provider, model, input_price)
     select 'acme', 'model ' || n, n from generate_series(1, $1) n`,
    [PRICES],
  );
  server = await startTestServer(database, { poolSize: POOL, resultLimit: 500_000 });
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

const lists = (count: number, first: number) =>
  `{ ${Array.from({ length: count }, (_, n) => `a${n}: aiModelPrices(first: ${first}, offset: ${n}) { nodes { model inputPrice } }`).join(' ')} }`;

const budget = () => server.request(world.people.member, `/api/v2/groups/${world.group}/ai/budget`);

async function statementsThatWait(): Promise<number> {
  const { rows } = await database.owner.query(
    `select count(*)::int as count from pg_locks
     where not granted and relation = 'app_public.ai_model_prices'::regclass
       and database = (select oid from pg_database where datname = current_database())`,
  );
  return rows[0].count;
}

test('of its statements four are under way, and the others leave connections to others', async () => {
  // Planned once, so that it is quick below.
  await server.graphql(world.people.member, lists(20, 1));
  const holder = await database.owner.connect();
  let asked: Promise<GraphQLAnswer>;
  try {
    await holder.query('begin; lock table app_public.ai_model_prices in access exclusive mode');
    asked = server.graphql(world.people.member, lists(20, 1));
    await expect.poll(statementsThatWait, { timeout: 4_000 }).toBe(4);
    // Those of others pass by.
    for (let n = 0; n < 5; n += 1) expect((await budget()).status).toBe(200);
    expect(await statementsThatWait()).toBe(4);
  } finally {
    await holder.query('rollback');
    holder.release();
  }
  const { data, errors } = await asked;
  expect(errors).toBeUndefined();
  expect(Object.keys(data ?? {})).toHaveLength(20);
});

test('its turns come back after statements that fail', async () => {
  // Each fails in PostgreSQL.
  const failing = `{ ${Array.from({ length: 12 }, (_, n) => `a${n}: aiModelPrices(offset: -1) { nodes { model } }`).join(' ')} b: groups { totalCount } }`;
  for (let n = 0; n < 3; n += 1) {
    const { errors } = await server.graphql(world.people.member, failing);
    expect(errors?.length).toBeGreaterThan(0);
  }
});

describe('its rows', () => {
  test('are counted over all of its statements', async () => {
    const one = await server.graphql(world.people.member, lists(1, 2_000));
    expect(one.errors).toBeUndefined();
    const { errors, data } = await server.graphql(world.people.member, lists(5, 2_000));
    // Which of them were first is chance.
    expect(Object.values(data ?? { none: null })).toContain(null);
    expect(errors?.length).toBeGreaterThan(0);
    for (const error of errors ?? []) {
      expect(error).toMatchObject({
        message: 'This is more than is answered at once: ask for a page, with first.',
        extensions: { code: 'VALIDATION_FAILED', field: 'first' },
      });
    }
  });

  test('are nobody else’s, also of those who wait for a connection at the same time', async () => {
    const large = Array.from({ length: 6 }, () =>
      server.graphql(world.people.member, lists(10, 2_000)),
    );
    const ordinary = Array.from({ length: 60 }, budget);
    for (const answer of await Promise.all(ordinary)) expect(answer.status).toBe(200);
    for (const { errors } of await Promise.all(large)) {
      expect(new Set(errors?.map(({ extensions }) => extensions.code))).toEqual(
        new Set(['VALIDATION_FAILED']),
      );
    }
    // The pool has made others for the connections that were broken off.
    for (let n = 0; n < 2 * POOL; n += 1) expect((await budget()).status).toBe(200);
  });
});
