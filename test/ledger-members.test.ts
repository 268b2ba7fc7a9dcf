import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type PoolClient } from 'pg';
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
  settle,
} from './support/ledger.ts';

/** Usage of people who move and leave: it is reported late, and again. */
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await listModels(database.owner);
});
afterEach(async () => {
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(() => database?.drop());

const db = () => database.owner;
const query = async (sql: string, values: unknown[]) => (await db().query<Row>(sql, values)).rows;

const waiting = async () =>
  (
    await query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      [],
    )
  ).length;

const leave = (company: Company, name: string) =>
  query('delete from app_public.organization_members where organization_id = $1 and user_id = $2', [
    company.id,
    company.user(name),
  ]);
const join = (company: Company, userId: string) =>
  query('insert into app_public.organization_members values ($1, $2)', [company.id, userId]);
const chargedTo = async (...events: Row[]) =>
  (
    await query(
      `select group_id from app_public.ai_usage_events
       where id = any ($1) order by array_position($1, id)`,
      [events.map(({ id }) => id)],
    )
  ).map(({ group_id }) => group_id);

/** A time that lies between what was done before and what is done next. */
const aMoment = async () => {
  await sleep(5);
  const moment = new Date().toISOString();
  await sleep(5);
  return moment;
};

const companies = async () => {
  const old = await createCompany(db(), {
    people: ['ann', 'bob'],
    groups: { red: { members: ['ann', 'bob'], budget: { limit: 100 } } },
  });
  const next = await createCompany(db(), {
    groups: { Everyone: { budget: { limit: 100 } } },
  });
  return { old, next };
};

describe('a batch that is sent again after its person has moved', () => {
  test('books only what is new, and that where they are now', async () => {
    const { old, next } = await companies();
    const before = eventOf(old.user('ann'), { input_tokens: 3 });
    await record(db(), [before]);
    await leave(old, 'ann');
    await join(next, old.user('ann'));
    const after = eventOf(old.user('ann'), { input_tokens: 4 });
    expect(await record(db(), [before, after])).toEqual({ recorded: '1', duplicates: '1' });
    expect(await chargedTo(before, after)).toEqual([old.group('red'), next.id]);
  });

  test('while it is being booked, waits for the move or makes the move wait: it is booked once', async () => {
    const { old, next } = await companies();
    const event = eventOf(old.user('ann'), { input_tokens: 3 });
    const first = await db().connect();
    try {
      await first.query('begin');
      await record(first, [event]);
      let moved = false;
      const move = (async () => {
        await leave(old, 'ann');
        await join(next, old.user('ann'));
        moved = true;
      })();
      await expect.poll(waiting, { timeout: 5_000, interval: 5 }).toBe(1);
      expect(moved).toBe(false);
      await first.query('commit');
      await move;
    } finally {
      await first.query('rollback');
      first.release();
    }
    expect(await record(db(), [event])).toEqual({ recorded: '0', duplicates: '1' });
    expect(await chargedTo(event)).toEqual([old.group('red')]);
  });

  test('while it is being booked where they were last, makes their joining another wait', async () => {
    const { old, next } = await companies();
    await leave(old, 'ann');
    const event = eventOf(old.user('ann'), { input_tokens: 3 });
    const first = await db().connect();
    try {
      await first.query('begin');
      await record(first, [event]);
      const joined = join(next, old.user('ann'));
      await expect.poll(waiting, { timeout: 5_000, interval: 5 }).toBe(1);
      await first.query('commit');
      await joined;
    } finally {
      await first.query('rollback');
      first.release();
    }
    expect(await record(db(), [event])).toEqual({ recorded: '0', duplicates: '1' });
    expect(await chargedTo(event)).toEqual([old.id]);
  });

  test('and that meets the move halfway asks to be sent again', async () => {
    const { old, next } = await companies();
    const event = eventOf(old.user('ann'), { input_tokens: 3 });
    const mover: PoolClient = await db().connect();
    let booking: Promise<unknown>;
    try {
      await mover.query('begin');
      await mover.query('delete from app_public.organization_members where user_id = $1', [
        old.user('ann'),
      ]);
      booking = failure(record(db(), [event]));
      await expect.poll(waiting, { timeout: 5_000, interval: 5 }).toBe(1);
      await mover.query('commit');
    } finally {
      await mover.query('rollback');
      mover.release();
    }
    expect(await booking).toMatchObject({ code: '40001' });
    await join(next, old.user('ann'));
    expect(await record(db(), [event])).toEqual({ recorded: '1', duplicates: '0' });
    expect(await chargedTo(event)).toEqual([next.id]);
  });
});

test('a call that waits while its person leaves is not authorized', async () => {
  const { old } = await companies();
  const leaving = await db().connect();
  let call: Promise<unknown>;
  try {
    await leaving.query('begin');
    await leaving.query('delete from app_public.organization_members where user_id = $1', [
      old.user('ann'),
    ]);
    call = failure(authorize(db(), callOf(old.user('ann'))));
    await expect.poll(waiting, { timeout: 5_000, interval: 5 }).toBe(1);
    await leaving.query('commit');
  } finally {
    await leaving.query('rollback');
    leaving.release();
  }
  expect(await call).toMatchObject({ code: '40001' });
});

describe('usage of somebody who has left', () => {
  test('is charged where they belonged when it occurred, beside that of who is still there', async () => {
    const { old } = await companies();
    const early = await aMoment();
    await leave(old, 'ann');
    const events = [
      eventOf(old.user('ann'), { input_tokens: 1, occurred_at: early }),
      eventOf(old.user('bob'), { input_tokens: 1 }),
      eventOf(old.user('ann'), {
        input_tokens: 1,
        occurred_at: early,
        group_id: old.group('red'),
        organization_id: old.id,
      }),
    ];
    expect(await record(db(), events)).toEqual({ recorded: '3', duplicates: '0' });
    expect(await chargedTo(...events)).toEqual(Array(3).fill(old.group('red')));
  });

  test('that occurred a little later is charged where they last belonged, and costs nobody their batch', async () => {
    const { old } = await companies();
    await leave(old, 'ann');
    const events = [
      eventOf(old.user('bob')),
      eventOf(old.user('ann')),
      eventOf(old.user('ann'), { group_id: old.group('red') }),
    ];
    expect(await record(db(), events)).toEqual({ recorded: '3', duplicates: '0' });
    expect(await chargedTo(...events)).toEqual([old.group('red'), old.id, old.group('red')]);
    const elsewhere = eventOf(old.user('ann'), { organization_id: old.group('red') });
    expect(await failure(record(db(), [elsewhere]))).toMatchObject({ code: 'BU400' });
    expect(await failure(authorize(db(), callOf(old.user('ann'))))).toMatchObject({
      code: 'BU400',
      column: 'user_id',
    });
  });

  test('who moved in one long transaction belongs to one organization at any time', async () => {
    const { old, next } = await companies();
    const mover = await db().connect();
    const times: string[] = [];
    try {
      await mover.query('begin');
      await mover.query('select now()');
      times.push(await aMoment());
      await mover.query('delete from app_public.organization_members where user_id = $1', [
        old.user('ann'),
      ]);
      times.push(await aMoment());
      await mover.query('insert into app_public.organization_members values ($1, $2)', [
        next.id,
        old.user('ann'),
      ]);
      await mover.query('commit');
    } finally {
      mover.release();
    }
    const events = [...times, await aMoment()].map((occurred_at) =>
      eventOf(old.user('ann'), { occurred_at }),
    );
    await record(db(), events);
    expect(new Set(await chargedTo(...events))).toEqual(new Set([next.id]));
  });

  test('is charged to the group of that time, whichever they have joined since', async () => {
    const { old } = await companies();
    const { rows } = await db().query<{ id: string }>(
      `insert into app_public.groups (organization_id, name) values ($1, 'blue') returning id`,
      [old.id],
    );
    const blue = String(rows[0]?.id);
    await db().query('insert into app_public.group_ai_budgets values ($1, 1000000)', [blue]);
    const early = await aMoment();
    await query('delete from app_public.group_members where user_id = $1', [old.user('ann')]);
    await query('insert into app_public.group_members (group_id, user_id) values ($1, $2)', [
      blue,
      old.user('ann'),
    ]);
    const events = [eventOf(old.user('ann'), { occurred_at: early }), eventOf(old.user('ann'))];
    await record(db(), events);
    expect(await chargedTo(...events)).toEqual([old.group('red'), blue]);
  });

  test('goes to the organization of that time where they have a new one', async () => {
    const { old, next } = await companies();
    const early = await aMoment();
    await leave(old, 'ann');
    await join(next, old.user('ann'));
    const events = [
      eventOf(old.user('ann'), { input_tokens: 1, occurred_at: early }),
      eventOf(old.user('ann'), { input_tokens: 1 }),
    ];
    await record(db(), events);
    expect(await chargedTo(...events)).toEqual([old.group('red'), next.id]);
  });

  test('is booked where the user, the group or the whole organization is gone', async () => {
    const { old } = await companies();
    const early = await aMoment();
    await query('delete from app_public.groups where id = $1', [old.group('red')]);
    await query('delete from app_public.users where id = $1', [old.user('ann')]);
    const event = eventOf(old.user('ann'), { occurred_at: early, group_id: old.group('red') });
    await record(db(), [event]);
    await query('delete from app_public.organizations where id = $1', [old.id]);
    const last = eventOf(old.user('bob'), { occurred_at: early });
    await record(db(), [last]);
    expect(await chargedTo(event, last)).toEqual([old.group('red'), old.id]);
  });

  test('that was authorized is settled where it was, and reported there too', async () => {
    const { old, next } = await companies();
    const calls = [1, 2].map(() => callOf(old.user('ann'), { input_tokens: 5 })) as [Row, Row];
    for (const call of calls) await authorize(db(), call);
    await leave(old, 'ann');
    await join(next, old.user('ann'));
    const [settled, reported] = calls;
    await settle(db(), { request_id: settled.request_id, input_tokens: 5, output_tokens: 0 });
    const events = calls.map(({ request_id: id }) =>
      eventOf(old.user('ann'), { id, input_tokens: 5 }),
    );
    expect(await record(db(), events)).toEqual({ recorded: '1', duplicates: '1' });
    await settle(db(), { request_id: reported.request_id, input_tokens: 5, output_tokens: 0 });
    expect(await chargedTo(...events)).toEqual([old.group('red'), old.group('red')]);
  });
});

test('who has left a group or an organization reads nothing of it, nor as of a time when they were there', async () => {
  const { old } = await companies();
  const client = new Client({ connectionString: await database.createLogin(old.user('ann')) });
  await client.connect();
  const groupsAt = async (at: string) =>
    (
      await client.query(
        `select candidate_group_id as id from app_public.explain_ai_budget($1, 'acme', 'unit', $2)`,
        [old.user('ann'), at],
      )
    ).rows.map(({ id }) => id);
  try {
    const then = await aMoment();
    expect(await groupsAt(then)).toEqual([old.group('red'), old.id]);
    await query('delete from app_public.group_members where user_id = $1', [old.user('ann')]);
    expect(await groupsAt(then)).toEqual([old.id]);
    await leave(old, 'ann');
    expect(await failure(groupsAt(then))).toMatchObject({ code: 'BU400', column: 'user_id' });
  } finally {
    await client.end();
  }
});

test('an admin learns of somebody’s memberships in their own organization alone', async () => {
  const { old, next } = await companies();
  await query(
    `insert into app_public.organization_member_roles (organization_id, user_id, role)
     values ($1, $2, 'organization_admin')`,
    [old.id, old.user('bob')],
  );
  const client = new Client({ connectionString: await database.createLogin(old.user('bob')) });
  await client.connect();
  const ask = async () =>
    (
      await client.query(
        `select candidate_group_id from app_public.explain_ai_budget($1, 'acme', 'unit', '2026-06-01')`,
        [old.user('ann')],
      )
    ).rows;
  try {
    const before = await ask();
    await query(
      `insert into app_public.organization_members (organization_id, user_id, created_at)
       values ($1, $2, '2026-05-01')`,
      [next.id, old.user('ann')],
    );
    expect(await ask()).toEqual(before);
  } finally {
    await client.end();
  }
});

test('the usage of an organization that is gone is read by whoever reads all', async () => {
  const { old } = await companies();
  await record(db(), [eventOf(old.user('ann'), { input_tokens: 7 })]);
  const auditor = await createCompany(db(), { people: ['audrey'] });
  await query(`insert into app_public.user_site_roles (user_id, role) values ($1, 'auditor')`, [
    auditor.user('audrey'),
  ]);
  await query('delete from app_public.organizations where id = $1', [old.id]);
  const client = new Client({
    connectionString: await database.createLogin(auditor.user('audrey')),
  });
  await client.connect();
  try {
    const { rows } = await client.query(
      'select cost_micros::int as cost from app_public.ai_usage_events where organization_id = $1',
      [old.id],
    );
    expect(rows).toEqual([{ cost: 7 }]);
  } finally {
    await client.end();
  }
});
