import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import {
  authorize,
  type Company,
  callOf,
  createCompany,
  discrepancies,
  eventOf,
  failure,
  listModels,
  record,
  rowOf,
  settle,
  statusOf,
} from './support/ledger.ts';

/** What booking locks, and what it does not depend on. */
let database: TestDatabase;
let company: Company;
/** A member who may read their own spend, and has a login in psql. */
let member: Client;

beforeAll(async () => {
  database = await createTestDatabase();
  await listModels(database.owner);
  company = await createCompany(database.owner, {
    people: ['ann'],
    groups: { red: { members: ['ann'], budget: { limit: 1000 } } },
  });
  member = new Client({ connectionString: await database.createLogin(company.user('ann')) });
  await member.connect();
});
afterAll(async () => {
  await member?.end();
  expect(await discrepancies(database.owner)).toEqual([]);
  await database?.drop();
});

const db = () => database.owner;

test('a batch over many groups takes a handful of entries in the table of locks', async () => {
  const names = Array.from({ length: 300 }, (_, i) => `person ${i}`);
  const crowd = await createCompany(db(), {
    people: names,
    groups: Object.fromEntries(names.map((name) => [`group of ${name}`, { members: [name] }])),
  });
  const client = await db().connect();
  try {
    await client.query('begin');
    await record(
      client,
      names.map((name) =>
        eventOf(crowd.user(name), { group_id: crowd.group(`group of ${name}`), input_tokens: 1 }),
      ),
    );
    const { rows } = await client.query(
      `select locktype, count(*)::int from pg_locks where pid = pg_backend_pid() group by 1 order by 1`,
    );
    const entries = new Map(rows.map(({ locktype, count }) => [locktype, count]));
    expect(entries.get('advisory')).toBeUndefined();
    expect(entries.get('tuple')).toBeUndefined();
    expect(entries.get('relation')).toBeLessThan(150);
  } finally {
    await client.query('rollback');
    client.release();
  }
});

describe('somebody with a login in psql', () => {
  test('can lock nothing that a booking waits for', async () => {
    const call = callOf(company.user('ann'), { input_tokens: 1 });
    for (const statement of [
      'select from app_public.ai_usage_events for key share',
      'select from app_public.ai_spend_daily for update',
      'select from app_private.ai_spend_accounts for update',
      'begin; lock table app_public.ai_usage_events in exclusive mode',
      'begin; lock table app_private.ai_spend_accounts',
    ]) {
      expect(await failure(member.query(statement)), statement).toMatchObject({ code: '42501' });
      await member.query('rollback');
    }
    await member.query('begin');
    try {
      // What they may read, and every advisory lock that could be guessed from what they know.
      await member.query('select * from app_public.ai_usage_events');
      for (const text of [
        `account ${company.id} ${company.group('red')}`,
        `${company.id}`,
        'bursar price unpriced usage',
        'months of usage',
      ]) {
        await member.query(
          'select pg_advisory_lock(hashtextextended($1, 0)), pg_advisory_lock(hashtext($1))',
          [text],
        );
      }
      await db().query("set lock_timeout = '2s'");
      expect(await authorize(db(), call)).toMatchObject({ allowed: true });
      await settle(db(), { request_id: call.request_id, input_tokens: 1, output_tokens: 0 });
      await record(db(), [eventOf(company.user('ann'), { input_tokens: 1 })]);
      await rowOf(db(), 'upsert_group_ai_budget', {
        group_id: company.group('red'),
        spend_limit_micros: 1000,
      });
    } finally {
      await member.query('rollback');
      await member.query('select pg_advisory_unlock_all()');
    }
  });
});

describe('what a session has set', () => {
  test.each([
    ["set datestyle to 'German'", "set timezone to 'Pacific/Kiritimati'"],
    ["set datestyle to 'SQL, DMY'", "set timezone to 'America/Adak'"],
    ["set intervalstyle to 'sql_standard'", 'set extra_float_digits to 0'],
  ])('is not in the bounds of months, nor in amounts (%s, %s)', async (...settings) => {
    const away = await createCompany(db(), { people: ['ann'] });
    const client = await db().connect();
    const at = (month: number, hour: number) =>
      new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth() - month, 1, hour));
    try {
      for (const setting of settings) await client.query(setting);
      const events = [3, 4, 5, 6].flatMap((month) =>
        [-1, 0, 1].map((hour) =>
          eventOf(away.user('ann'), { input_tokens: 1, occurred_at: at(month, hour) }),
        ),
      );
      await record(client, events);
      // Again, now that there are the months: they join without overlap, each with its own.
      await record(
        client,
        events.map((event) => ({ ...event, id: randomUUID() })),
      );
    } finally {
      await client.query('reset all');
      client.release(true);
    }
    const { rows } = await db().query(
      `select e.tableoid::regclass::text as partition, e.occurred_at
       from app_public.ai_usage_events e where e.organization_id = $1`,
      [away.id],
    );
    expect(rows).toHaveLength(24);
    for (const { partition, occurred_at: occurredAt } of rows) {
      expect(partition).toBe(
        `app_private.ai_usage_events_${occurredAt.toISOString().slice(0, 7).replace('-', '_')}`,
      );
    }
  });
});

describe('a session that has its own idea of UTC', () => {
  // In these `at time zone 'UTC'` means something else, unless a function sets the time zone.
  test.each([
    "set timezone to 'UTC-5'",
    "set timezone to 'UTC+10'",
    "set timezone_abbreviations to 'Australia'",
  ])('%s', async (setting) => {
    const far = await createCompany(db(), {
      people: ['ann'],
      settings: { time_zone: 'America/New_York' },
      groups: { red: { members: ['ann'], budget: { limit: 1000, period: 'day' } } },
    });
    const plain = await statusOf(db(), far.group('red'));
    const client = await db().connect();
    try {
      await client.query(setting);
      const call = callOf(far.user('ann'), { input_tokens: 5 });
      const used = { request_id: call.request_id, input_tokens: 5, output_tokens: 0 };
      const decision = await authorize(client, call);
      expect(decision.period_start).toEqual(plain.period_start);
      const occurred_at = new Date().toISOString();
      const settlement = await settle(client, { ...used, occurred_at });
      expect(await settle(db(), { ...used, occurred_at })).toEqual(settlement);
      const events = [eventOf(far.user('ann'), { input_tokens: 6, occurred_at })];
      await record(client, events);
      await client.query(`select app_public.set_group_ai_budget_terms($1, period => 'month')`, [
        far.group('red'),
      ]);
      await client.query(`select app_public.set_group_ai_budget_terms($1, period => 'day')`, [
        far.group('red'),
      ]);
      expect(await statusOf(client, far.group('red'))).toMatchObject({ spent_micros: '11' });
      expect(await discrepancies(client)).toEqual([]);
    } finally {
      await client.query('reset all');
      client.release(true);
    }
    expect(await statusOf(db(), far.group('red'))).toMatchObject({
      spent_micros: '11',
      period_start: plain.period_start,
    });
    expect(await discrepancies(db())).toEqual([]);
  });

  test('every function that works with a calendar says what UTC is', async () => {
    const { rows } = await db().query(
      `select p.oid::regprocedure::text as function
       from pg_proc p
       where p.pronamespace in ('app_public'::regnamespace, 'app_hidden'::regnamespace, 'app_private'::regnamespace)
         and p.prosrc ~ 'at time zone|date_trunc|::date'
         and not coalesce(p.proconfig, '{}') @> array['TimeZone=UTC']`,
    );
    expect(rows).toEqual([]);
  });
});

test('an id that the ledger knows from a group or an organization that is gone is not used again', async () => {
  const again = await createCompany(db(), {
    people: ['ann'],
    groups: { red: { members: ['ann'], budget: { limit: 100 } }, unused: {} },
  });
  await authorize(db(), callOf(again.user('ann'), { input_tokens: 30 }));
  const insert = (id: string) =>
    db().query(
      `insert into app_public.groups (id, organization_id, name) values ($1, $2, 'again')`,
      [id, again.id],
    );
  for (const name of ['red', 'unused']) {
    await db().query('delete from app_public.groups where id = $1', [again.group(name)]);
  }
  expect(await failure(insert(again.group('red')))).toMatchObject({ code: 'BU400', column: 'id' });
  await insert(again.group('unused'));
  await db().query('delete from app_public.organizations where id = $1', [again.id]);
  expect(
    await failure(
      db().query(`insert into app_public.organizations (id, name) values ($1, 'again')`, [
        again.id,
      ]),
    ),
  ).toMatchObject({ code: 'BU400', column: 'id' });
});

test.each(['users', 'organizations', 'groups'])(
  'none of %s has the nil UUID, which stands for all',
  async (table) => {
    const nil = '00000000-0000-0000-0000-000000000000';
    const statement = {
      users: `insert into app_public.users (id, username) values ('${nil}', 'nil')`,
      organizations: `insert into app_public.organizations (id, name) values ('${nil}', 'nil')`,
      groups: `insert into app_public.groups (id, organization_id, name) values ('${nil}', '${company.id}', 'nil')`,
    }[table];
    expect(await failure(db().query(String(statement)))).toMatchObject({ code: '23514' });
  },
);

describe('months that are dropped', () => {
  test('leave totals, counters and ids behind, and the books agree', async () => {
    const old = await createCompany(db(), {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1000, period: 'lifetime' } } },
    });
    const monthsAgo = (count: number) =>
      new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth() - count, 15));
    const events = [20, 15, 1].map((count) =>
      eventOf(old.user('ann'), { input_tokens: 10, occurred_at: monthsAgo(count).toISOString() }),
    );
    await record(db(), events);
    const month = (count: number) => `${monthsAgo(count).toISOString().slice(0, 7)}-01`;
    const drop = (day: string) =>
      db().query('select app_private.drop_usage_before($1) as dropped', [day]);
    expect(await failure(drop(month(12)))).toMatchObject({ code: 'BU400', column: 'month' });
    expect(await failure(drop(month(16).replace(/01$/, '02')))).toMatchObject({ code: 'BU400' });
    const { rows } = await drop(month(14));
    expect(rows.map(({ dropped }) => dropped)).toEqual(
      expect.arrayContaining([
        `app_private.ai_usage_events_${month(15).slice(0, 7).replace('-', '_')}`,
      ]),
    );
    for (const { dropped } of rows) await db().query(`drop table ${dropped}`);
    expect(await discrepancies(db())).toEqual([]);
    // What comes late for the time before is booked as ever; what was booked stays so.
    const late = eventOf(old.user('ann'), {
      input_tokens: 5,
      occurred_at: monthsAgo(15).toISOString(),
    });
    expect(await record(db(), [...events, late])).toEqual({ recorded: '1', duplicates: '3' });
    expect(await authorize(db(), callOf(old.user('ann')))).toMatchObject({ spent_micros: '35' });
    await old.setBudget('red', { limit: 1000, period: 'year' });
    await old.setBudget('red', { limit: 1000, period: 'lifetime', appliesTo: 'member' });
    expect(await authorize(db(), callOf(old.user('ann')))).toMatchObject({ spent_micros: '35' });
    expect(await discrepancies(db())).toEqual([]);
  });
});

test('usage without a price is priced a part at a time, as often as it takes', async () => {
  const model = `soon ${randomUUID()}`;
  const crowd = await createCompany(db(), { people: ['ann'] });
  await record(
    db(),
    Array.from({ length: 25 }, () => eventOf(crowd.user('ann'), { model, input_tokens: 2 })),
  );
  await rowOf(db(), 'upsert_ai_model_prices', {
    seed: JSON.stringify([{ provider: 'acme', model, input_price: 1_000_000 }]),
  });
  const parts: unknown[] = [];
  for (;;) {
    const { rows } = await db().query(
      'select events, cost_micros from app_public.price_unpriced_ai_usage(at_most => 10)',
    );
    if (rows.length === 0) break;
    parts.push(rows[0]);
  }
  expect(parts).toEqual([
    { events: '10', cost_micros: '20' },
    { events: '10', cost_micros: '20' },
    { events: '5', cost_micros: '10' },
  ]);
  for (const at_most of [0, 100_001, null]) {
    expect(
      await failure(db().query('select app_public.price_unpriced_ai_usage($1)', [at_most])),
    ).toMatchObject({ code: 'BU400', column: 'at_most' });
  }
});

test('an explanation for a time that no budget can know is refused', async () => {
  for (const at of ['1999-12-31T00:00:00Z', '294276-12-31T00:00:00Z', 'infinity', '-infinity']) {
    expect(
      await failure(
        rowOf(db(), 'explain_ai_budget', {
          user_id: company.user('ann'),
          provider: 'acme',
          model: 'unit',
          at,
        }),
      ),
    ).toMatchObject({ code: 'BU400', column: 'at' });
  }
});
