import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import {
  authorize,
  callOf,
  createCompany,
  discrepancies,
  eventOf,
  failure,
  listModels,
  record,
  rowOf,
  statusOf,
} from './support/ledger.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await listModels(database.owner);
});
afterEach(async () => {
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(() => database?.drop());

const windowOf = async (period: string, at: string, timeZone: string) => {
  const { rows } = await database.owner.query(
    'select * from app_hidden.budget_window($1, $2, $3)',
    [period, at, timeZone],
  );
  const { period_start: start, period_end: end } = rows[0];
  return [start, end].map((moment) =>
    moment instanceof Date ? moment.toISOString().replace(':00.000Z', 'Z') : String(moment),
  );
};

describe('a period', () => {
  test.each([
    // spring forward: a day of 23 hours; fall back: one of 25
    ['day', '2026-03-29T12:00Z', 'Europe/Berlin', '2026-03-28T23:00Z', '2026-03-29T22:00Z'],
    ['day', '2026-10-25T12:00Z', 'Europe/Berlin', '2026-10-24T22:00Z', '2026-10-25T23:00Z'],
    ['day', '2026-03-08T12:00Z', 'America/New_York', '2026-03-08T05:00Z', '2026-03-09T04:00Z'],
    ['day', '2026-11-01T12:00Z', 'America/New_York', '2026-11-01T04:00Z', '2026-11-02T05:00Z'],
    // the hour that comes twice belongs to the same day both times
    ['day', '2026-10-25T00:30Z', 'Europe/Berlin', '2026-10-24T22:00Z', '2026-10-25T23:00Z'],
    ['day', '2026-10-25T01:30Z', 'Europe/Berlin', '2026-10-24T22:00Z', '2026-10-25T23:00Z'],
    // midnight that comes twice: the day begins with the first
    ['day', '2026-11-01T04:30Z', 'America/Havana', '2026-11-01T04:00Z', '2026-11-02T05:00Z'],
    ['day', '2026-11-01T05:30Z', 'America/Havana', '2026-11-01T04:00Z', '2026-11-02T05:00Z'],
    ['day', '2026-10-25T00:30Z', 'Atlantic/Azores', '2026-10-25T00:00Z', '2026-10-26T01:00Z'],
    // an evening that comes again after midnight
    ['day', '2006-10-29T02:45Z', 'America/St_Johns', '2006-10-29T02:30Z', '2006-10-30T03:30Z'],
    // midnight that does not exist: the day begins at one
    ['day', '2026-03-29T12:00Z', 'Asia/Beirut', '2026-03-28T22:00Z', '2026-03-29T21:00Z'],
    // the edges themselves: the start is in, the end is out
    ['day', '2026-03-28T23:00Z', 'Europe/Berlin', '2026-03-28T23:00Z', '2026-03-29T22:00Z'],
    ['day', '2026-03-29T22:00Z', 'Europe/Berlin', '2026-03-29T22:00Z', '2026-03-30T22:00Z'],
    ['month', '2026-03-15T12:00Z', 'Europe/Berlin', '2026-02-28T23:00Z', '2026-03-31T22:00Z'],
    ['month', '2028-02-29T23:59Z', 'UTC', '2028-02-01T00:00Z', '2028-03-01T00:00Z'],
    ['month', '2026-01-31T23:30Z', 'Asia/Kolkata', '2026-01-31T18:30Z', '2026-02-28T18:30Z'],
    ['month', '2026-12-31T23:59Z', 'UTC', '2026-12-01T00:00Z', '2027-01-01T00:00Z'],
    ['month', '2026-08-01T03:59Z', 'America/New_York', '2026-07-01T04:00Z', '2026-08-01T04:00Z'],
    // a week begins on Monday: 2026-11-23 is one
    ['week', '2026-11-29T23:59Z', 'UTC', '2026-11-23T00:00Z', '2026-11-30T00:00Z'],
    ['week', '2026-11-23T00:00Z', 'UTC', '2026-11-23T00:00Z', '2026-11-30T00:00Z'],
    ['week', '2026-03-29T12:00Z', 'Europe/Berlin', '2026-03-22T23:00Z', '2026-03-29T22:00Z'],
    ['quarter', '2026-03-31T21:59Z', 'Europe/Berlin', '2025-12-31T23:00Z', '2026-03-31T22:00Z'],
    ['quarter', '2026-11-23T12:00Z', 'UTC', '2026-10-01T00:00Z', '2027-01-01T00:00Z'],
    ['year', '2026-12-31T22:59Z', 'Europe/Berlin', '2025-12-31T23:00Z', '2026-12-31T23:00Z'],
    ['lifetime', '2026-12-31T22:59Z', 'Europe/Berlin', '-Infinity', 'Infinity'],
  ])('%s around %s in %s', async (period, at, timeZone, start, end) => {
    expect(await windowOf(period, at, timeZone)).toEqual([start, end]);
  });

  test.each([
    ['this year, in every zone', "name not like 'posix%'", '2026-01-01', '2027-01-01'],
    [
      'in zones whose clock went back over midnight, or skipped it, or a whole day',
      `name in ('America/Havana', 'Atlantic/Azores', 'America/St_Johns', 'America/Sao_Paulo', 'America/Asuncion',
        'America/Scoresbysund', 'Asia/Beirut', 'Asia/Amman', 'Africa/Cairo', 'Pacific/Apia', 'Australia/Lord_Howe')`,
      '2004-01-01',
      '2012-02-01',
    ],
  ])(
    'has its moment in it and joins the next, around every change of clocks %s',
    async (_, zones, from, to) => {
      const { rows } = await database.owner.query(
        `with days as (
         select generate_series($1::timestamptz, $2, '1 day') as day
       ), changes as (
         select name as zone, day
         from pg_timezone_names, days
         where ${zones}
           and (day at time zone name) - (day at time zone 'UTC')
             <> ((day + '24 hours') at time zone name) - ((day + '24 hours') at time zone 'UTC')
       ), looks as (
         select zone, at, w.*, n.period_start as next_start
         from changes
           cross join generate_series(day - interval '6 hours', day + interval '30 hours', '30 minutes') as at
           cross join lateral app_hidden.budget_window('day', at, zone) w
           cross join lateral app_hidden.budget_window('day', w.period_end, zone) n
       )
       select count(*)::int as looks,
         count(*) filter (where not (period_start <= at and at < period_end and period_end = next_start))::int as wrong
       from looks`,
        [from, to],
      );
      expect(rows[0].looks).toBeGreaterThan(1000);
      expect(rows[0].wrong).toBe(0);
    },
  );

  test('longer than a day joins the next as well', async () => {
    const { rows } = await database.owner.query(
      `select zone, period, at
       from unnest(array['UTC', 'America/Havana', 'Atlantic/Azores', 'Pacific/Apia', 'Asia/Beirut']) as zone
         cross join unnest(array['week', 'month', 'quarter', 'year']::app_public.budget_period[]) as period
         cross join generate_series('2009-12-20Z'::timestamptz, '2012-02-01Z', '11 hours') as at
         cross join lateral app_hidden.budget_window(period, at, zone) w
         cross join lateral app_hidden.budget_window(period, w.period_end, zone) n
       where not (w.period_start <= at and at < w.period_end and w.period_end = n.period_start)`,
    );
    expect(rows).toEqual([]);
  });

  test('must be of a time zone that exists', async () => {
    const company = await createCompany(database.owner, {});
    for (const time_zone of [
      'Mars/Olympus',
      '',
      'UTC+3:30:77',
      "x'; drop table",
      'CET',
      'EST',
      'posix/UTC',
    ]) {
      expect(await failure(company.change({ time_zone }))).toMatchObject({
        code: 'BU400',
        column: 'time_zone',
      });
    }
    await company.change({ time_zone: 'America/Argentina/Buenos_Aires' });
  });
});

/** What of the usage falls on the same local day, by another implementation of calendars. */
function spentOnTheDayOf(now: Date, timeZone: string, usage: Map<Date, number>): number {
  const day = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' });
  return [...usage]
    .filter(([at]) => day.format(at) === day.format(now))
    .reduce((sum, [, cost]) => sum + cost, 0);
}

describe('a change in the middle of a period', () => {
  test('of the time zone counts anew from the ledger, and goes on', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1_000_000, period: 'day' } } },
    });
    const usage = new Map<Date, number>();
    const book = async (times: Date[]) => {
      const events = times.map((at, i) => {
        const cost = 2 ** i + usage.size;
        usage.set(at, cost);
        return eventOf(company.user('ann'), { input_tokens: cost, occurred_at: at.toISOString() });
      });
      await record(database.owner, events);
    };
    const now = new Date();
    const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000);
    await book(Array.from({ length: 10 }, (_, i) => hoursAgo(i * 4.7)));
    for (const time_zone of [
      'Pacific/Kiritimati',
      'America/New_York',
      'UTC',
      'Asia/Kolkata',
      'Pacific/Kiritimati',
    ]) {
      await company.change({ time_zone });
      await authorize(database.owner, callOf(company.user('ann')));
      // Booked while counters of several zones exist.
      await book([hoursAgo(0.1), hoursAgo(11), hoursAgo(23)]);
      expect(await statusOf(database.owner, company.group('red'))).toMatchObject({
        spent_micros: String(spentOnTheDayOf(now, time_zone, usage)),
      });
    }
  });

  test('of the period and of whom it is for counts anew from the ledger', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann', 'bob'],
      groups: { red: { members: ['ann', 'bob'], budget: { limit: 100 } } },
    });
    const long = new Date(Date.now() - 400 * 86_400_000).toISOString();
    await record(database.owner, [
      eventOf(company.user('ann'), { input_tokens: 3 }),
      eventOf(company.user('bob'), { input_tokens: 4 }),
      eventOf(company.user('bob'), { input_tokens: 50, occurred_at: long }),
    ]);
    const spent = async (name: string, terms: { period?: string; appliesTo?: string }) => {
      await company.setBudget('red', { limit: 100, ...terms });
      return (await authorize(database.owner, callOf(company.user(name)))).spent_micros;
    };
    for (const period of ['month', 'day', 'week', 'quarter', 'year']) {
      expect(await spent('ann', { period })).toBe('7');
      expect(await spent('bob', { period, appliesTo: 'member' })).toBe('4');
    }
    expect(await spent('ann', { period: 'lifetime' })).toBe('57');
    expect(await spent('bob', { period: 'lifetime', appliesTo: 'member' })).toBe('54');
    await record(database.owner, [
      eventOf(company.user('bob'), { input_tokens: 1 }),
      eventOf(company.user('bob'), { input_tokens: 2, occurred_at: long }),
    ]);
    expect(await spent('bob', { period: 'lifetime', appliesTo: 'member' })).toBe('57');
    expect(await spent('ann', { period: 'lifetime', appliesTo: 'member' })).toBe('3');
    expect(await spent('ann', { period: 'lifetime' })).toBe('60');
    expect(await spent('ann', { period: 'month' })).toBe('8');
    expect(await authorize(database.owner, callOf(company.user('ann')))).toMatchObject({
      limit_micros: '100',
    });
  });

  test('a lifetime has no edges to show, and another period both', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 100, period: 'lifetime' } } },
    });
    const decide = () => authorize(database.owner, callOf(company.user('ann')));
    expect(await decide()).toMatchObject({ period_start: null, period_end: null });
    await company.setBudget('red', { limit: 100, period: 'year' });
    const year = new Date().getUTCFullYear();
    expect(await decide()).toMatchObject({
      period_start: new Date(`${year}-01-01T00:00:00Z`),
      period_end: new Date(`${year + 1}-01-01T00:00:00Z`),
    });
  });

  test('what a call leaves out of the terms stays, and without a budget there are none', async () => {
    const company = await createCompany(database.owner, {
      groups: { red: { budget: { limit: 5, appliesTo: 'member', period: 'week' } }, blue: {} },
    });
    const terms = (group: string, changes: object) =>
      rowOf(database.owner, 'set_group_ai_budget_terms', {
        group_id: company.group(group),
        ...changes,
      });
    const kept = { spend_limit_micros: '5', applies_to: 'member' };
    expect(await terms('red', {})).toMatchObject({ ...kept, period: 'week' });
    expect(await terms('red', { period: 'day' })).toMatchObject({ ...kept, period: 'day' });
    // The seed's function keeps the terms as they are.
    expect(
      await rowOf(database.owner, 'upsert_group_ai_budget', {
        group_id: company.group('red'),
        spend_limit_micros: 6,
      }),
    ).toMatchObject({ spend_limit_micros: '6', applies_to: 'member', period: 'day' });
    expect(await failure(terms('blue', { period: 'day' }))).toMatchObject({ code: 'BU404' });
  });
});
