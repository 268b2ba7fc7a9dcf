import { randomUUID } from 'node:crypto';
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
  statusOf,
} from './support/ledger.ts';

let database: TestDatabase;
let company: Company;

beforeAll(async () => {
  database = await createTestDatabase();
  await listModels(database.owner);
  company = await createCompany(database.owner, {
    people: ['ann', 'bob'],
    groups: {
      red: { members: ['ann'], budget: { limit: 1000 } },
      blue: { members: ['ann'], budget: { limit: 10 } },
    },
  });
});
afterEach(async () => {
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(() => database?.drop());

const db = () => database.owner;
const event = (changes: Row = {}) => eventOf(company.user('ann'), changes);
const query = async (sql: string, values: unknown[] = []) => (await db().query(sql, values)).rows;
const count = async () =>
  Number((await query('select count(*) as n from app_public.ai_usage_events'))[0].n);

describe('a batch', () => {
  test('is charged where authorize would charge it, at once or not at all', async () => {
    const ids = [randomUUID(), randomUUID(), randomUUID()];
    expect(
      await record(db(), [
        event({ id: ids[0], input_tokens: 3, cache_read_tokens: null, cache_write_tokens: 1 }),
        event({ id: ids[1], output_tokens: 5, group_id: company.group('blue') }),
        event({ id: ids[2], user_id: company.user('bob'), organization_id: company.id }),
      ]),
    ).toEqual({ recorded: '3', duplicates: '0' });
    expect(
      await query(
        `select id, group_id, user_id, cost_micros, overage_micros, cache_write_tokens
         from app_public.ai_usage_events where id = any ($1) order by array_position($1, id)`,
        [ids],
      ),
    ).toEqual([
      {
        id: ids[0],
        group_id: company.group('red'),
        user_id: company.user('ann'),
        cost_micros: '4.000000',
        overage_micros: null,
        cache_write_tokens: '1',
      },
      expect.objectContaining({ group_id: company.group('blue'), cost_micros: '5.000000' }),
      expect.objectContaining({ group_id: company.id, cost_micros: '0.000000' }),
    ]);
  });

  test('books each id once: in one batch, in the next, and in several at the same time', async () => {
    const before = await count();
    const twice = event({ input_tokens: 2 });
    expect(await record(db(), [twice, { ...twice, input_tokens: 900 }, event()])).toEqual({
      recorded: '2',
      duplicates: '1',
    });
    expect(await record(db(), [twice])).toEqual({ recorded: '0', duplicates: '1' });
    expect(await record(db(), [])).toEqual({ recorded: '0', duplicates: '0' });
    const batch = Array.from({ length: 200 }, () => event({ input_tokens: 1 }));
    const receipts = await Promise.all(
      Array.from({ length: 5 }, (_, i) => record(db(), i % 2 === 0 ? batch : [...batch].reverse())),
    );
    const total = (key: string) => receipts.reduce((sum, r) => sum + Number(r[key]), 0);
    expect([total('recorded'), total('duplicates')]).toEqual([200, 800]);
    expect(await count()).toBe(before + 202);
  });

  test('books an id once, also when it comes again for somebody else elsewhere', async () => {
    const other = await createCompany(db(), { people: ['eve'] });
    const first = event({ input_tokens: 1 });
    await record(db(), [first]);
    expect(await record(db(), [{ ...first, user_id: other.user('eve') }])).toEqual({
      recorded: '0',
      duplicates: '1',
    });
    const rows = await query(
      'select organization_id from app_public.ai_usage_events where id = $1',
      [first.id],
    );
    expect(rows).toEqual([{ organization_id: company.id }]);
  });

  test('is not that of somebody else’s request, and a request is not what was recorded before', async () => {
    const call = callOf(company.user('ann'), { input_tokens: 1 });
    await authorize(db(), call);
    const reported = event({ id: call.request_id, user_id: company.user('bob') });
    expect(await failure(record(db(), [event(), reported]))).toMatchObject({
      code: 'BU400',
      column: 'events[1].user_id',
    });
    const first = event({ input_tokens: 1 });
    await record(db(), [first]);
    const late = callOf(company.user('ann'), { request_id: first.id, input_tokens: 1 });
    expect(await failure(authorize(db(), late))).toMatchObject({
      code: 'BU409',
      column: 'request_id',
    });
  });

  test('of what is recorded already passes when its person has left since', async () => {
    const leaver = await createCompany(db(), { people: ['cleo'] });
    const events = [eventOf(leaver.user('cleo'))];
    await record(db(), events);
    await query('delete from app_public.organization_members where user_id = $1', [
      leaver.user('cleo'),
    ]);
    expect(await record(db(), events)).toEqual({ recorded: '0', duplicates: '1' });
  });

  test('of thousands from hundreds of people is one call', async () => {
    const people = Array.from({ length: 300 }, (_, i) => `person ${i}`);
    const crowd = await createCompany(db(), { people, groups: {} });
    const events = Array.from({ length: 6000 }, (_, i) =>
      eventOf(crowd.user(people[i % 300] as string), {
        input_tokens: i,
        occurred_at: new Date(Date.now() - i * 600_000).toISOString(),
      }),
    );
    expect(await record(db(), events)).toEqual({ recorded: '6000', duplicates: '0' });
    expect(await record(db(), events)).toEqual({ recorded: '0', duplicates: '6000' });
  });
});

describe('a bad event', () => {
  test.each<[string, string | undefined, unknown]>([
    ['no object', undefined, 7],
    ['no object', undefined, null],
    ['no id', 'id', { id: undefined }],
    ['a wrong id', 'id', { id: 'x' }],
    ['no user', 'user_id', { user_id: null }],
    ['a wrong group', 'group_id', { group_id: 5 }],
    ['a wrong organization', 'organization_id', { organization_id: '' }],
    ['no provider', 'provider', { provider: undefined }],
    ['a blank model', 'model', { model: ' ' }],
    ['a long model', 'model', { model: 'm'.repeat(201) }],
    ['a model behind much space', 'model', { model: `${' '.repeat(300)}m` }],
    ['a model of tabs', 'model', { model: '\t\n' }],
    ['no input tokens', 'input_tokens', { input_tokens: undefined }],
    ['tokens as text', 'input_tokens', { input_tokens: '5' }],
    ['negative tokens', 'output_tokens', { output_tokens: -1 }],
    ['half a token', 'output_tokens', { output_tokens: 0.5 }],
    ['too many tokens', 'cache_read_tokens', { cache_read_tokens: 1_000_000_000_001 }],
    ['tokens as a list', 'cache_write_tokens', { cache_write_tokens: [] }],
    ['a time that is none', 'occurred_at', { occurred_at: 'yesterday' }],
    ['a day that is none', 'occurred_at', { occurred_at: '2026-02-30T00:00:00Z' }],
    ['a time as a number', 'occurred_at', { occurred_at: 1_700_000_000 }],
    ['a time long ago', 'occurred_at', { occurred_at: '1999-12-31T23:59:59Z' }],
    ['a time to come', 'occurred_at', { occurred_at: '2999-01-01T00:00:00Z' }],
    ['a misspelt key', 'cost', { cost: 5 }],
  ])('with %s is named (%s), and nothing is written', async (_, key, changes) => {
    const before = await count();
    const bad = typeof changes === 'object' && changes !== null ? event({ ...changes }) : changes;
    const column = `events[1]${key === undefined ? '' : `.${key}`}`;
    const error = await failure(record(db(), [event(), bad, event()]));
    expect(error).toMatchObject({ code: 'BU400', column });
    expect(String(error.message).startsWith(`${column} `)).toBe(true);
    expect(await count()).toBe(before);
  });

  test.each<[string, string, () => Row]>([
    ['a person who does not exist', 'user_id', () => ({ user_id: randomUUID() })],
    ['a group that does not exist', 'group_id', () => ({ group_id: randomUUID() })],
    [
      'a group that is not theirs',
      'group_id',
      () => ({ user_id: company.user('bob'), group_id: company.group('red') }),
    ],
    ['an organization that is not theirs', 'user_id', () => ({ organization_id: randomUUID() })],
  ])('of %s is named (%s), and nothing is written', async (_, field, changes) => {
    const before = await count();
    const error = await failure(record(db(), [event(), event(), event(changes())]));
    expect(error).toMatchObject({ code: 'BU400', column: `events[2].${field}` });
    expect(String(error.message).startsWith(`events[2].${field}: `)).toBe(true);
    expect(await count()).toBe(before);
  });

  test('is not even looked for where there is no array', async () => {
    for (const events of ['{}', 'null', '"x"', null]) {
      expect(
        await failure(db().query('select app_public.record_ai_usage($1)', [events])),
      ).toMatchObject({ code: 'BU400', column: 'events' });
    }
  });
});

describe('months', () => {
  const partitionsOf = async (ids: unknown[]) =>
    query(
      `select tableoid::regclass::text as partition from app_public.ai_usage_events
       where id = any ($1) order by array_position($1, id)`,
      [ids],
    );
  const monthsAgo = (months: number) => {
    const at = new Date();
    at.setUTCDate(1);
    at.setUTCMonth(at.getUTCMonth() - months);
    return at.toISOString();
  };
  const nameOf = (months: number) =>
    `app_private.ai_usage_events_${monthsAgo(months).slice(0, 7).replace('-', '_')}`;

  test('are made ahead: this one and the next two', async () => {
    const rows = await query(
      `select to_regclass($1)::text as a, to_regclass($2)::text as b, to_regclass($3)::text as c`,
      [nameOf(0), nameOf(-1), nameOf(-2)],
    );
    expect(rows).toEqual([{ a: nameOf(0), b: nameOf(-1), c: nameOf(-2) }]);
  });

  test('that are missing are made by the traffic; years ago stays unplaced, and nothing fails', async () => {
    const events = [20, 14, 60, 0].map((months) =>
      event({ input_tokens: 1, occurred_at: monthsAgo(months) }),
    );
    expect(await record(db(), events)).toEqual({ recorded: '4', duplicates: '0' });
    expect(await partitionsOf(events.map((e) => e.id))).toEqual([
      { partition: nameOf(20) },
      { partition: nameOf(14) },
      { partition: 'app_private.ai_usage_events_unplaced' },
      { partition: nameOf(0) },
    ]);
    // The same id in another month is the same event.
    expect(await record(db(), [{ ...events[0], occurred_at: monthsAgo(1) }])).toEqual({
      recorded: '0',
      duplicates: '1',
    });
  });

  test('that can’t be made now leave the row unplaced; it moves when they can', async () => {
    const reader = await db().connect();
    const first = event({ input_tokens: 1, occurred_at: monthsAgo(9) });
    try {
      await reader.query('begin');
      await reader.query('select count(*) from app_public.ai_usage_events');
      expect(await record(db(), [first])).toEqual({ recorded: '1', duplicates: '0' });
    } finally {
      await reader.query('rollback');
      reader.release();
    }
    expect(await partitionsOf([first.id])).toEqual([
      { partition: 'app_private.ai_usage_events_unplaced' },
    ]);
    const second = event({ input_tokens: 1, occurred_at: monthsAgo(9) });
    await record(db(), [second]);
    expect(await partitionsOf([first.id, second.id])).toEqual([
      { partition: nameOf(9) },
      { partition: nameOf(9) },
    ]);
    expect(await record(db(), [first, second])).toEqual({ recorded: '0', duplicates: '2' });
  });

  test('are made once when many need the same one, and nobody fails', async () => {
    const batches = Array.from({ length: 5 }, () =>
      Array.from({ length: 20 }, (_, i) =>
        event({ input_tokens: 1, occurred_at: monthsAgo(2 + (i % 6)) }),
      ),
    );
    const before = await count();
    await Promise.all(batches.map((batch) => record(db(), batch)));
    expect(await count()).toBe(before + 100);
    expect(
      await query('select relrowsecurity from pg_class where oid = $1::regclass', [nameOf(2)]),
    ).toEqual([{ relrowsecurity: true }]);
  });

  test('long ago count for a lifetime', async () => {
    const old = await createCompany(db(), {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1000, period: 'lifetime' } } },
    });
    await record(db(), [
      eventOf(old.user('ann'), { input_tokens: 5, occurred_at: '2001-01-01T00:00:00Z' }),
      eventOf(old.user('ann'), { input_tokens: 6 }),
    ]);
    expect(await statusOf(db(), old.group('red'))).toMatchObject({ spent_micros: '11' });
  });
});
