import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import {
  authorize,
  type Company,
  callOf,
  createCompany,
  listModels,
  release,
  settle,
} from './support/ledger.ts';

let database: TestDatabase;
let company: Company;

beforeAll(async () => {
  database = await createTestDatabase();
  company = await createCompany(database.owner, {
    people: ['ann'],
    groups: { team: { members: ['ann'], budget: { limit: 1_000_000_000 } } },
  });
  await listModels(database.owner);
});
afterAll(() => database?.drop());

const GROWING = [
  'ai_spend_requests',
  'ai_spend_counters',
  'ai_spend_accounts',
  'ai_usage_event_keys',
];

async function scans(db: Client): Promise<Record<string, number>> {
  await db.query('select pg_stat_clear_snapshot()');
  const { rows } = await db.query(
    `select relname, seq_scan + coalesce((
         select seq_scan from pg_stat_xact_all_tables x where x.relid = t.relid
       ), 0) as scans
     from pg_stat_all_tables t where relname = any ($1)`,
    [GROWING],
  );
  return Object.fromEntries(rows.map(({ relname, scans }) => [relname, Number(scans)]));
}

test('calls are decided and booked by index, also by plans of when the tables were empty', async () => {
  const db = new Client({ connectionString: database.urls.owner });
  await db.connect();
  // What a restored or new database is told before its first call.
  await db.query('analyze');
  const call = async () => {
    const asked = callOf(company.user('ann'), { input_tokens: 10, max_output_tokens: 10 });
    await authorize(db as never, asked);
    return { request_id: asked.request_id };
  };
  const usage = { input_tokens: 10, output_tokens: 5 };
  await settle(db as never, { ...(await call()), ...usage });
  await release(db as never, await call());

  await db.query('begin');
  const before = await scans(db);
  for (let n = 0; n < 3; n += 1) await settle(db as never, { ...(await call()), ...usage });
  await release(db as never, await call());
  expect(Object.keys(before).sort()).toEqual([...GROWING].sort());
  expect(await scans(db)).toEqual(before);
  await db.query('rollback');
  await db.end();
});
