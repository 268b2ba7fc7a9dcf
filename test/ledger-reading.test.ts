import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
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
  type Row,
  record,
  rowsOf,
  settle,
  statusOf,
} from './support/ledger.ts';

let database: TestDatabase;
let company: Company;
const sessions: Record<string, Client> = {};

beforeAll(async () => {
  database = await createTestDatabase();
  await listModels(database.owner);
  company = await createCompany(database.owner, {
    people: ['ann', 'bob', 'cleo', 'admin', 'auditor'],
    groups: {
      pool: { members: ['ann', 'bob'], budget: { limit: 100 } },
      each: { members: ['ann', 'bob'], budget: { limit: 50, appliesTo: 'member' } },
      none: { members: ['ann'] },
    },
  });
  await database.owner.query(
    `insert into app_public.organization_member_roles (organization_id, user_id, role)
     values ($1, $2, 'organization_admin'), ($1, $3, 'organization_auditor')`,
    [company.id, company.user('admin'), company.user('auditor')],
  );
  for (const name of ['ann', 'bob', 'cleo', 'admin', 'auditor']) {
    const session = new Client({
      connectionString: await database.createLogin(company.user(name)),
    });
    await session.connect();
    sessions[name] = session;
  }
  for (const [name, group, tokens] of [
    ['ann', 'pool', 10],
    ['bob', 'pool', 20],
    ['ann', 'each', 3],
    ['bob', 'each', 4],
    ['ann', 'none', 5],
  ] as const) {
    await record(database.owner, [
      eventOf(company.user(name), { group_id: company.group(group), input_tokens: tokens }),
    ]);
    await authorize(
      database.owner,
      callOf(company.user(name), { group_id: company.group(group), input_tokens: 1 }),
    );
  }
});
afterEach(async () => {
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(async () => {
  for (const session of Object.values(sessions)) await session.end();
  await database?.drop();
});

const as = (name: string): Client => sessions[name] as Client;
const seenBy = async (name: string, group: string): Promise<Row | undefined> =>
  (await rowsOf(as(name) as never, 'ai_budget_status', { group_id: company.group(group) }))[0];

describe('the status of a budget', () => {
  test('of a pool: everybody’s total, one’s own share, what is left for all', async () => {
    const pool = {
      limit_micros: '100',
      applies_to: 'group',
      period: 'month',
      spent_micros: '30',
      held_micros: '2',
      remaining_micros: '68',
      overage_micros: '0',
    };
    expect(await seenBy('ann', 'pool')).toMatchObject({
      ...pool,
      my_spent_micros: '10',
      my_held_micros: '1',
    });
    expect(await seenBy('bob', 'pool')).toMatchObject({ ...pool, my_spent_micros: '20' });
    for (const name of ['admin', 'auditor']) {
      expect(await seenBy(name, 'pool')).toMatchObject({
        ...pool,
        my_spent_micros: '0',
        my_held_micros: '0',
      });
    }
  });

  test('of a budget for each member: what is left for the one who asks', async () => {
    const each = { limit_micros: '50', applies_to: 'member', spent_micros: '7', held_micros: '2' };
    expect(await seenBy('ann', 'each')).toMatchObject({ ...each, remaining_micros: '46' });
    expect(await seenBy('bob', 'each')).toMatchObject({ ...each, remaining_micros: '45' });
    expect(await seenBy('admin', 'each')).toMatchObject({ ...each, remaining_micros: null });
  });

  test('without a budget: what was spent this month, and no limit', async () => {
    expect(await seenBy('ann', 'none')).toMatchObject({
      limit_micros: null,
      applies_to: null,
      period: null,
      spent_micros: '5',
      held_micros: '1',
      remaining_micros: null,
      my_spent_micros: '5',
    });
    expect((await seenBy('ann', 'none'))?.period_start).toBeInstanceOf(Date);
  });

  test('of Everyone: the whole organization', async () => {
    expect(await seenBy('cleo', 'Everyone')).toMatchObject({
      spent_micros: '42',
      held_micros: '5',
      my_spent_micros: '0',
    });
  });

  test('is nothing for whoever does not read the group', async () => {
    expect(await seenBy('cleo', 'pool')).toBeUndefined();
    expect(await seenBy('bob', 'none')).toBeUndefined();
  });

  test('is a field of the group', async () => {
    const { rows } = await as('ann').query(
      `select g.name, (app_public.groups_ai_budget_status(g)).spent_micros as spent
       from app_public.groups g order by g.name collate "C"`,
    );
    expect(rows).toEqual([
      { name: 'Everyone', spent: '42' },
      { name: 'each', spent: '7' },
      { name: 'none', spent: '5' },
      { name: 'pool', spent: '30' },
    ]);
  });
});

describe('explaining', () => {
  const explainTo = (name: string, whom: string, changes: Row = {}) =>
    rowsOf(as(name) as never, 'explain_ai_budget', {
      user_id: company.user(whom),
      provider: 'acme',
      model: 'unit',
      ...changes,
    });

  test('is for oneself and for whoever reads the organization', async () => {
    expect((await explainTo('ann', 'ann')).length).toBe(4);
    expect((await explainTo('admin', 'bob')).length).toBe(3);
    expect((await explainTo('auditor', 'cleo')).length).toBe(1);
    for (const [name, whom] of [
      ['ann', 'bob'],
      ['cleo', 'ann'],
    ] as const) {
      expect(await failure(explainTo(name, whom))).toMatchObject({ code: 'BU404' });
    }
  });

  test('does not tell a group that one can’t read from one that does not exist', async () => {
    const absent = '00000000-0000-4000-8000-000000000000';
    const [hidden, missing] = await Promise.all([
      failure(explainTo('cleo', 'cleo', { group_id: company.group('pool') })),
      failure(explainTo('cleo', 'cleo', { group_id: absent })),
    ]);
    expect(hidden).toEqual(missing);
    expect(hidden).toMatchObject({ code: 'BU404' });
  });

  test('does not tell an organization’s readers in which others a person is', async () => {
    const abroad = await createCompany(database.owner, {
      people: { bob: company.user('bob') },
      groups: { far: { members: ['bob'], budget: { limit: 1000 } } },
    });
    expect((await explainTo('admin', 'bob')).length).toBe(3);
    expect(await failure(explainTo('bob', 'bob'))).toMatchObject({ code: 'BU400' });
    expect((await explainTo('bob', 'bob', { organization_id: abroad.id })).length).toBe(2);
    expect(await failure(explainTo('admin', 'bob', { organization_id: abroad.id }))).toMatchObject({
      code: 'BU400',
    });
    await database.owner.query('delete from app_public.organizations where id = $1', [abroad.id]);
  });
});

describe('the daily totals', () => {
  test('are the ledger by day in UTC, group, user and model', async () => {
    const other = await createCompany(database.owner, { people: ['ann'] });
    const ann = other.user('ann');
    const month = new Date().toISOString().slice(0, 8);
    const at = (day: string, time: string) => ({ occurred_at: `${month}${day}T${time}Z` });
    const previous = new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth(), 0));
    const before = previous.toISOString().slice(0, 10);
    await record(database.owner, [
      eventOf(ann, { input_tokens: 1, output_tokens: 2, ...at('01', '00:00:00') }),
      eventOf(ann, { cache_read_tokens: 4, cache_write_tokens: 8, ...at('01', '00:00:01') }),
      eventOf(ann, { model: 'half', output_tokens: 1, ...at('01', '00:00:00') }),
      eventOf(ann, { input_tokens: 16, occurred_at: `${before}T23:59:59.999999Z` }),
    ]);
    const { rows } = await database.owner.query(
      `select day::text, model, requests, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
         cost_micros, unpriced_requests
       from app_public.ai_spend_daily where organization_id = $1 order by day, model`,
      [other.id],
    );
    const none = {
      input_tokens: '0',
      output_tokens: '0',
      cache_read_tokens: '0',
      cache_write_tokens: '0',
    };
    expect(rows).toEqual([
      {
        ...none,
        day: before,
        model: 'unit',
        requests: '1',
        input_tokens: '16',
        cost_micros: '16.000000',
        unpriced_requests: '0',
      },
      {
        ...none,
        day: `${month}01`,
        model: 'half',
        requests: '1',
        output_tokens: '1',
        cost_micros: '0.000000',
        unpriced_requests: '1',
      },
      {
        day: `${month}01`,
        model: 'unit',
        requests: '2',
        input_tokens: '1',
        output_tokens: '2',
        cache_read_tokens: '4',
        cache_write_tokens: '8',
        cost_micros: '15.000000',
        unpriced_requests: '0',
      },
    ]);
  });
});

describe('discrepancies', () => {
  const settled = async () => {
    const call = callOf(company.user('ann'), { input_tokens: 1, group_id: company.group('pool') });
    await authorize(database.owner, call);
    await settle(database.owner, {
      request_id: call.request_id,
      input_tokens: 1,
      output_tokens: 0,
    });
  };
  test.each<[string, string, string[]]>([
    [
      'a counter',
      'update app_private.ai_spend_counters set spent_micros = spent_micros + 0.000001',
      ['counter'],
    ],
    ['an overage', 'update app_private.ai_spend_counters set overage_micros = 1', ['counter']],
    [
      'a daily total',
      'update app_public.ai_spend_daily set cost_micros = cost_micros + 0.000001',
      ['daily'],
    ],
    ['a daily count', 'update app_public.ai_spend_daily set requests = requests + 1', ['daily']],
    ['a lost day', 'delete from app_public.ai_spend_daily', ['daily']],
    [
      'the cost of an event',
      'update app_public.ai_usage_events set cost_micros = cost_micros + 1',
      ['counter', 'daily', 'event'],
    ],
    [
      'the price of an event',
      'update app_public.ai_usage_events set input_price = 7 where input_tokens > 0',
      ['event'],
    ],
    [
      'the tokens of an event',
      'update app_public.ai_usage_events set output_tokens = 7',
      ['daily', 'event'],
    ],
    [
      'the group of an event',
      'update app_public.ai_usage_events set group_id = user_id',
      ['counter', 'daily'],
    ],
    [
      'the time of an event',
      `update app_public.ai_usage_events set occurred_at = occurred_at - interval '70 days'`,
      ['counter', 'daily', 'key'],
    ],
    ['a lost event', 'delete from app_public.ai_usage_events', ['counter', 'daily', 'key']],
    ['a lost key', 'delete from app_private.ai_usage_event_keys', ['key', 'request']],
    [
      'a request that was never booked',
      `update app_private.ai_spend_requests set state = 'settled' where state = 'held'`,
      ['hold', 'request'],
    ],
    [
      'a hold',
      'update app_private.ai_spend_accounts set held_micros = held_micros + 0.000001',
      ['hold'],
    ],
    ['a lost counter', 'delete from app_private.ai_spend_counters', ['counter']],
    [
      'an event in two organizations',
      `with twice as (
         insert into app_private.ai_usage_event_keys
         select gen_random_uuid(), id, occurred_at from app_private.ai_usage_event_keys limit 1
         returning *
       )
       insert into app_public.ai_usage_events
       select t.organization_id, e.id, e.occurred_at, e.recorded_at, e.group_id, e.user_id, e.provider, e.model,
         e.input_tokens, e.output_tokens, e.cache_read_tokens, e.cache_write_tokens,
         e.input_price, e.output_price, e.cache_read_price, e.cache_write_price, e.cost_micros, e.overage_micros
       from twice t join app_public.ai_usage_events e using (id)`,
      ['daily', 'event'],
    ],
  ])('show %s that was tampered with', async (_, sql, kinds) => {
    await settled();
    const client = await database.owner.connect();
    try {
      await client.query('begin');
      await client.query(sql);
      const found = await discrepancies(client);
      expect([...new Set(found.map((row) => row.kind))].sort()).toEqual(kinds);
      expect(new Set(found.map((row) => row.organization_id)).has(company.id)).toBe(true);
    } finally {
      await client.query('rollback');
      client.release();
    }
  });

  test('are shown to who reads all usage of the organization, and not to members', async () => {
    await database.owner.query(`update app_private.ai_spend_counters set overage_micros = 1`);
    expect((await discrepancies(database.owner)).length).toBeGreaterThan(0);
    expect(await discrepancies(as('admin') as never)).not.toEqual([]);
    for (const name of ['ann', 'cleo']) expect(await discrepancies(as(name) as never)).toEqual([]);
    await database.owner.query(`update app_private.ai_spend_counters set overage_micros = 0`);
  });
});

test('the status of a group can be asked without any usage', async () => {
  const empty = await createCompany(database.owner, { groups: { red: { budget: { limit: 5 } } } });
  expect(await statusOf(database.owner, empty.group('red'))).toMatchObject({
    spent_micros: '0',
    held_micros: '0',
    remaining_micros: '5',
    my_spent_micros: '0',
  });
});
