import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withClient } from '../src/database.ts';
import { addDba } from '../src/dba.ts';
import { makeDemo } from '../src/demo.ts';
import { asSuperuser, createTestDatabase, type TestDatabase } from './support/database.ts';

// docs/cookbook.md: each question has one query, which an auditor of the site asks in psql.

const page = await readFile(join(import.meta.dirname, '../docs/cookbook.md'), 'utf8');
const QUESTIONS = [...page.matchAll(/^## (\d+)\. (.*)\n\n```sql\n([\s\S]*?)```$/gm)].map(
  ([, number = '', question = '', sql = '']) => ({ number: Number(number), question, sql }),
);

let database: TestDatabase;
let auditor: Client;
const LOGINS = ['cookbook_auditor', 'cookbook_admin'];

beforeAll(async () => {
  database = await createTestDatabase();
  await withClient(database.urls.owner, async (client) => {
    await makeDemo(client);
    await client.query('select app_public.upsert_ai_model_prices($1)', [
      JSON.stringify([
        {
          provider: 'anthropic',
          model: 'claude-sonnet-4-5',
          input_price: 3000000,
          output_price: 15000000,
        },
        { provider: 'openai', model: 'gpt-5', input_price: 1250000, output_price: 10000000 },
      ]),
    ]);
    await client.query('select app_public.record_ai_usage($1)', [
      JSON.stringify(await usage(client)),
    ]);
    const overdrawn = '00000000-0000-4000-8000-0000000000ff';
    await client.query(
      `select app_public.authorize_ai_spend($1, (select id from app_public.users where username = 'mia'),
         'anthropic', 'claude-sonnet-4-5', 100, 100)`,
      [overdrawn],
    );
    await client.query('select app_public.settle_ai_spend($1, 200, 100)', [overdrawn]);
    const [asAuditor, asAdmin] = LOGINS as [string, string];
    await addDba(client, asAuditor, 'audrey', async () => 'a password');
    await addDba(client, asAdmin, 'adam', async () => 'a password');
    const admin = await logIn(asAdmin);
    await admin.query(
      `select upsert_group_ai_budget(id, 10000000) from groups where name = 'Marketing'`,
    );
    await admin.end();
    auditor = await logIn(asAuditor);
  });
});

afterAll(async () => {
  await auditor?.end();
  await database?.drop();
  await asSuperuser('postgres', async (client) => {
    for (const login of LOGINS) await client.query(`drop role if exists ${login}`);
  });
});

async function usage(client: Client): Promise<object[]> {
  const { rows } = await client.query<{ username: string; id: string }>(
    'select username, id from app_public.users',
  );
  const idOf = new Map(rows.map((row) => [row.username, row.id]));
  return [
    ['mia', 'anthropic', 'claude-sonnet-4-5', 1000, 100],
    ['mia', 'openai', 'gpt-5', 1000, 100],
    ['ursula', 'anthropic', 'claude-sonnet-4-5', 2_000_000, 200_000],
    ['ursula', 'acme', 'unheard of', 10, 10],
  ].map(([username, provider, model, input_tokens, output_tokens], i) => ({
    id: `00000000-0000-4000-8000-00000000000${i + 1}`,
    user_id: idOf.get(username as string),
    provider,
    model,
    input_tokens,
    output_tokens,
  }));
}

async function logIn(name: string): Promise<Client> {
  const url = new URL(database.urls.owner);
  url.username = name;
  url.password = 'a password';
  const client = new Client({ connectionString: url.href });
  await client.connect();
  return client;
}

/** What the demo's answers must have among them. No entry: the answer is empty. */
const ANSWERS: Record<number, object[]> = {
  1: [{ username: 'audrey', site_roles: ['auditor'], organization_roles: [] }],
  2: [
    { group: 'Engineering', limit: '$500.00', spent: '$0.00885', remaining: '$499.99115' },
    { group: 'Everyone', limit: null, spent: '$9.00885' },
    { group: 'Marketing', limit: '$10.00', spent: '$9.00', remaining: '$1.00', period: 'day' },
    { group: 'Research', limit: '$0.00' },
    { group: 'Sales', limit: null },
  ],
  3: [{ group: 'Marketing', percent: '90.0' }],
  4: [
    { group: 'Everyone', state: 'no budget: nothing is enforced' },
    { group: 'Research', state: 'limit 0: everything is blocked' },
    { group: 'Sales', state: 'no budget: nothing is enforced' },
  ],
  5: [
    { group: 'Marketing', calls: '2', cost: '$9.00', without_a_price: '1' },
    { group: 'Engineering', calls: '3', cost: '$0.00885' },
  ],
  6: [{ model: 'claude-sonnet-4-5', calls: '3' }, { model: 'gpt-5' }, { model: 'unheard of' }],
  7: [{ user: 'ursula', cost: '$9.00' }, { user: 'mia' }],
  8: [{ cost: '$9.00885', times_the_week_before: null }],
  9: [{ group_name: 'Engineering', is_charged: true, is_priced: true }, { group_name: 'Everyone' }],
  10: [{ username: 'mia', group: 'Engineering', input_tokens: '1000', cost: '$0.0045' }],
  11: [{ username: 'mia', cost: '$0.0021', overage: '$0.0003' }],
  12: [{ provider: 'acme', model: 'unheard of', calls: '1' }],
  13: [{ from_when: null, until_when: null, input: '$3.00', output: '$15.00', cache_read: null }],
  14: [
    { who: 'adam', door: 'sql', change: 'limit $8.00 → $10.00' },
    { who: 'bursar_owner (no user)', change: 'limit none → $8.00, period month → day' },
  ],
  15: [{ who: 'adam', organization: 'Acme', what: 'budget of group Marketing' }],
  16: [
    { username: 'adam', through: 'organization_admin' },
    { username: 'olivia', through: 'owner' },
    { username: 'uma', through: 'user_admin' },
    { username: 'ursula', through: 'organization_user_admin' },
  ],
  17: [
    { username: 'gateway', role: 'ai_gateway' },
    { username: 'audrey', role: 'auditor' },
    { username: 'adam', role: 'organization_admin', organization: 'Acme' },
  ],
  18: [
    { username: 'adam', pg_role: 'cookbook_admin', can_log_in: true },
    { username: 'audrey', pg_role: 'cookbook_auditor', can_log_in: true },
  ],
  19: [{ name: 'ai_bridge', is_on: true }],
};

describe('the cookbook', () => {
  test('has twenty questions, in order, each with one query', () => {
    expect(QUESTIONS.map(({ number }) => number)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    expect(page.match(/```sql/g)).toHaveLength(20);
    for (const { question } of QUESTIONS) expect(question).toMatch(/\?$/);
  });

  test.each(QUESTIONS)('$number. $question', async ({ number, sql }) => {
    const { rows } = await auditor.query(sql);
    const expected = ANSWERS[number] ?? [];
    expect(rows.slice(0, expected.length || undefined)).toMatchObject(expected);
    if (expected.length === 0) expect(rows).toEqual([]);
  });

  test('answers nobody', async () => {
    const nobody = new Client({ connectionString: await database.createLogin(null) });
    await nobody.connect();
    await nobody.query('set search_path to app_public');
    for (const { question, sql } of QUESTIONS) {
      expect((await nobody.query(sql)).rows, question).toEqual([]);
    }
    await nobody.end();
  });
});
