import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { speakingFor } from './support/as-user.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { createWorld, type World } from './support/world.ts';

// How the policies are planned, whatever the size of the tables: the planner is told to read none of them whole.

let database: TestDatabase;
let world: World;
let client: Client;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  client = new Client({ connectionString: database.urls.authenticator });
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await database?.drop();
});

const planOf = (statement: string): Promise<string> =>
  speakingFor(client, world.people.member, 'rest', async () => {
    await client.query('set local enable_seqscan to off; set local enable_indexonlyscan to off');
    const { rows } = await client.query(`explain (costs off) ${statement}`);
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  });

const LISTS = ['groups', 'group_members', 'organizations', 'organization_members'];

test.each(LISTS)('the rows of %s that somebody reads are found by index', async (table) => {
  const plan = await planOf(`select created_at from app_public.${table}`);
  expect(plan).toMatch(/BitmapOr/);
  expect(plan).not.toMatch(/Seq Scan|SubPlan/);
});

test.each(['ai_spend_daily', 'ai_usage_events'])(
  'the rows of %s that somebody reads are found by index, and no row is looked up',
  async (table) => {
    const plan = await planOf(`select group_id from app_public.${table}`);
    expect(plan).toMatch(/BitmapOr/);
    expect(plan).not.toMatch(/Seq Scan|hashed|SubPlan/);
  },
);

test('a budget is found by its group, and its group by id, with each right asked once', async () => {
  const plan = await planOf(
    `select spend_limit_micros from app_public.group_ai_budgets where group_id = '${world.group}'`,
  );
  expect(plan).toMatch(/Index Scan using group_has_one_budget/);
  expect(plan).toMatch(/Index Scan using group_id_is_taken_once on groups/);
  expect(plan).not.toMatch(/Seq Scan|hashed/);
});

test('a list asks each right at most once, however many rows there are', async () => {
  const { rows } = await speakingFor(client, world.people.owner, 'rest', () =>
    client.query('explain (analyze, verbose, costs off) select id from app_public.groups'),
  );
  const plan = rows.map((row) => row['QUERY PLAN'] as string);
  const calls = plan.filter((line) =>
    /Output: .*(my_groups|organizations_i_read|every_id_from)\(/.test(line),
  );
  expect(calls).toHaveLength(3);
  for (const call of calls) {
    const node = plan[plan.indexOf(call) - 1] ?? '';
    expect(node).toMatch(/loops=1\)|never executed/);
  }
});
