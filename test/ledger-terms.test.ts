import { randomUUID } from 'node:crypto';
import type { PoolClient } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { connectGateways, type Gateway } from './support/gateway.ts';
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
  rowOf,
  settle,
  statusOf,
} from './support/ledger.ts';
import { createWorld, type World } from './support/world.ts';

/** What happens to calls while somebody changes what they are decided by. */
let database: TestDatabase;
let world: World;
const gateways: Gateway[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  await listModels(database.owner);
});
afterEach(async () => {
  await Promise.all(gateways.splice(0).map((gateway) => gateway.end()));
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(() => database?.drop());

const db = () => database.owner;

/** Runs `change` in a transaction that stays open until `meanwhile` waits for it. */
async function whileUncommitted(
  change: (client: PoolClient) => Promise<unknown>,
  meanwhile: () => Promise<unknown>,
): Promise<unknown> {
  const client = await db().connect();
  try {
    await client.query('begin');
    await change(client);
    const waiting = meanwhile();
    // Its failure is for whoever awaits it below.
    waiting.catch(() => {});
    await expect.poll(() => waitsForLocks(), { timeout: 5_000, interval: 5 }).toBeGreaterThan(0);
    await client.query('commit');
    return await waiting;
  } finally {
    await client.query('rollback');
    client.release();
  }
}

async function waitsForLocks(): Promise<number> {
  const { rowCount } = await db().query(
    `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return rowCount ?? 0;
}

describe('a call that waits for a change of terms is decided by the new ones', () => {
  const setTerms = (client: PoolClient, groupId: string, terms: object) =>
    rowOf(client, 'set_group_ai_budget_terms', { group_id: groupId, ...terms });

  test('a lower limit', async () => {
    const company = await createCompany(db(), {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1000 } } },
    });
    const ask = () => authorize(db(), callOf(company.user('ann'), { input_tokens: 80 }));
    expect(await ask()).toMatchObject({ allowed: true });
    const answer = await whileUncommitted(
      (client) =>
        rowOf(client, 'upsert_group_ai_budget', {
          group_id: company.group('red'),
          spend_limit_micros: 100,
        }),
      ask,
    );
    expect(answer).toMatchObject({
      allowed: false,
      reason: 'GROUP_BUDGET_EXCEEDED',
      limit_micros: '100',
      held_micros: '80',
    });
  });

  test('one pool where each had a share', async () => {
    const company = await createCompany(db(), {
      people: ['ann', 'bob'],
      groups: { red: { members: ['ann', 'bob'], budget: { limit: 100, appliesTo: 'member' } } },
    });
    const ask = (name: string) => () =>
      authorize(db(), callOf(company.user(name), { input_tokens: 80 }));
    await ask('ann')();
    const answer = await whileUncommitted(
      (client) => setTerms(client, company.group('red'), { applies_to: 'group' }),
      ask('bob'),
    );
    expect(answer).toMatchObject({ reason: 'GROUP_BUDGET_EXCEEDED', held_micros: '80' });
  });

  test('a share for each where there was one pool: what each holds stays theirs', async () => {
    const company = await createCompany(db(), {
      people: ['ann', 'bob'],
      groups: { red: { members: ['ann', 'bob'], budget: { limit: 200 } } },
    });
    const ask = (name: string) => () =>
      authorize(db(), callOf(company.user(name), { input_tokens: 75 }));
    const held = callOf(company.user('ann'), { input_tokens: 90 });
    await authorize(db(), held);
    await record(db(), [eventOf(company.user('ann'), { input_tokens: 30 })]);
    const answer = await whileUncommitted(async (client) => {
      await setTerms(client, company.group('red'), { applies_to: 'member' });
      await rowOf(client, 'upsert_group_ai_budget', {
        group_id: company.group('red'),
        spend_limit_micros: 160,
      });
    }, ask('ann'));
    expect(answer).toMatchObject({
      reason: 'MEMBER_BUDGET_EXCEEDED',
      spent_micros: '30',
      held_micros: '90',
    });
    expect(await ask('bob')()).toMatchObject({ allowed: true, held_micros: '75' });
    await settle(db(), { request_id: held.request_id, input_tokens: 50, output_tokens: 0 });
    expect(await ask('ann')()).toMatchObject({ allowed: true, spent_micros: '80' });
  });

  test('a ceiling that was not there', async () => {
    const company = await createCompany(db(), {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1000 } } },
    });
    const answer = await whileUncommitted(
      (client) =>
        rowOf(client, 'upsert_group_ai_budget', { group_id: company.id, spend_limit_micros: 5 }),
      () => authorize(db(), callOf(company.user('ann'), { input_tokens: 6 })),
    );
    expect(answer).toMatchObject({ reason: 'ORGANIZATION_BUDGET_EXCEEDED' });
  });

  test('a budget that is taken away from the group that was to be charged: try again', async () => {
    const company = await createCompany(db(), {
      people: ['ann'],
      groups: {
        red: { members: ['ann'], budget: { limit: 1000 } },
        blue: { members: ['ann'], budget: { limit: 5 } },
      },
    });
    const call = callOf(company.user('ann'), { input_tokens: 6 });
    const answer = await failure(
      whileUncommitted(
        (client) => rowOf(client, 'delete_group_ai_budget', { group_id: company.group('red') }),
        () => authorize(db(), call),
      ),
    );
    expect(answer).toMatchObject({ code: '40001' });
    expect(await authorize(db(), call)).toMatchObject({
      group_id: company.group('blue'),
      reason: 'GROUP_BUDGET_EXCEEDED',
    });
  });
});

test('usage that is booked while the period changes is in the new counters', async () => {
  const company = await createCompany(db(), {
    people: ['ann'],
    groups: { red: { members: ['ann'], budget: { limit: 1000, period: 'month' } } },
  });
  await record(db(), [eventOf(company.user('ann'), { input_tokens: 3 })]);
  await whileUncommitted(
    (client) =>
      rowOf(client, 'set_group_ai_budget_terms', {
        group_id: company.group('red'),
        applies_to: 'member',
        period: 'lifetime',
      }),
    () => record(db(), [eventOf(company.user('ann'), { input_tokens: 4 })]),
  );
  expect(await authorize(db(), callOf(company.user('ann')))).toMatchObject({ spent_micros: '7' });
});

test('a change of terms, and somebody’s leaving, come to their turn however many calls there are', async () => {
  const company = await createCompany(db(), {
    people: ['ann', 'bob'],
    groups: { red: { members: ['ann', 'bob'], budget: { limit: 1_000_000_000 } } },
  });
  gateways.push(
    ...(await connectGateways(database.urls.authenticator, world.people.ai_gateway, 12)),
  );
  let over = false;
  let calls = 0;
  const traffic = gateways.map(async (gateway) => {
    while (!over) {
      const call = callOf(company.user('ann'), { input_tokens: 1 });
      await gateway.call((one) => authorize(one, call));
      await gateway.call((one) =>
        settle(one, { request_id: call.request_id, input_tokens: 1, output_tokens: 0 }),
      );
      calls += 1;
    }
  });
  /** In calls that went through meanwhile, so that it is the same on a slow machine. */
  const waits: number[] = [];
  const counted = async (work: Promise<unknown>) => {
    const before = calls;
    await work;
    waits.push(calls - before);
  };
  await expect.poll(() => calls, { timeout: 10_000 }).toBeGreaterThan(20);
  for (const period of ['day', 'week', 'year', 'lifetime']) {
    await counted(company.setBudget('red', { limit: 1_000_000_000, period }));
  }
  await counted(company.change({ time_zone: 'Europe/Berlin' }));
  await counted(
    db().query('delete from app_public.organization_members where user_id = $1', [
      company.user('bob'),
    ]),
  );
  over = true;
  await Promise.all(traffic);
  // 10 is usual: those who stood before it in the queue.
  expect(Math.max(...waits)).toBeLessThan(100);
  expect(await statusOf(db(), company.group('red'))).toMatchObject({
    spent_micros: String(calls),
    held_micros: '0',
  });
});

describe('a price that changes while a call is under way', () => {
  const priced = async (model: string, price: number) =>
    rowOf(db(), 'upsert_ai_model_prices', {
      seed: JSON.stringify([{ provider: 'acme', model, input_price: price * 1_000_000 }]),
    });

  test('is not that of the call: what fitted when it was authorized costs no more', async () => {
    const model = `dearer ${randomUUID()}`;
    await priced(model, 1);
    const company = await createCompany(db(), {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1000 } } },
    });
    const calls = [1, 2].map(() => callOf(company.user('ann'), { model, input_tokens: 500 }));
    const [first, second] = calls as [Row, Row];
    const client = await db().connect();
    let waiting: Promise<Row>;
    try {
      await client.query('begin');
      await authorize(client, first);
      waiting = authorize(db(), second);
      await expect.poll(() => waitsForLocks(), { timeout: 5_000, interval: 5 }).toBe(1);
      await priced(model, 10);
      await client.query('commit');
    } finally {
      await client.query('rollback');
      client.release();
    }
    expect(await waiting).toMatchObject({ allowed: true, estimate_micros: '500' });
    for (const { request_id } of calls) {
      expect(await settle(db(), { request_id, input_tokens: 500, output_tokens: 0 })).toMatchObject(
        { cost_micros: '500', overage_micros: '0' },
      );
    }
  });

  test('and is not committed yet counts for neither the estimate nor the cost', async () => {
    const model = `dearer ${randomUUID()}`;
    await priced(model, 1);
    const company = await createCompany(db(), {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1000 } } },
    });
    const call = callOf(company.user('ann'), { model, input_tokens: 900 });
    const client = await db().connect();
    try {
      await client.query('begin');
      await client.query(
        'update app_public.ai_model_prices set input_price = 10000000 where model = $1',
        [model],
      );
      expect(await authorize(db(), call)).toMatchObject({ allowed: true, estimate_micros: '900' });
      await client.query('commit');
    } finally {
      client.release();
    }
    expect(
      await settle(db(), { request_id: call.request_id, input_tokens: 900, output_tokens: 0 }),
    ).toMatchObject({ cost_micros: '900' });
  });
});

test('a request_id that is asked in two organizations at once is one request', async () => {
  const one = await createCompany(db(), { people: ['ann'] });
  const two = await createCompany(db(), { people: { ann: one.user('ann') } });
  const call = callOf(one.user('ann'), { input_tokens: 5, organization_id: one.id });
  const answer = await failure(
    whileUncommitted(
      (client) => authorize(client, call),
      () => authorize(db(), { ...call, organization_id: two.id }),
    ),
  );
  expect(answer).toMatchObject({ code: 'BU409' });
});

describe('statements over many rows, and calls, wait for each other and never in a circle', () => {
  /** A call on one group stands in the way of the statement, and a call on another comes behind it. */
  const crossing = async (statement: string, values: (company: Company) => unknown[]) => {
    const company = await createCompany(db(), {
      people: ['ann', 'bob'],
      groups: {
        // Everyone's budget is the first in the table, and its pool the last in the order.
        Everyone: { budget: { limit: 1_000_000 } },
        red: { members: ['ann'], budget: { limit: 1000 } },
        blue: { members: ['bob'], budget: { limit: 1000 } },
      },
    });
    const first = await db().connect();
    try {
      await first.query('begin');
      await authorize(first, callOf(company.user('ann')));
      const changed = db()
        .query(statement, values(company))
        .then(
          () => undefined,
          (error: { code?: string }) => error.code,
        );
      await expect.poll(() => waitsForLocks(), { timeout: 5_000, interval: 5 }).toBe(1);
      const second = authorize(db(), callOf(company.user('bob'))).then(
        () => undefined,
        (error: { code?: string }) => error.code,
      );
      await expect.poll(() => waitsForLocks(), { timeout: 5_000, interval: 5 }).toBe(2);
      await first.query('commit');
      return await Promise.all([changed, second]);
    } finally {
      await first.query('rollback');
      first.release();
    }
  };

  test.each<[string, string, (company: Company) => unknown[]]>([
    [
      'all budgets of an organization',
      `update app_public.group_ai_budgets set spend_limit_micros = spend_limit_micros + 1
       where group_id in (select id from app_public.groups where organization_id = $1)`,
      ({ id }) => [id],
    ],
    [
      'its time zone',
      `update app_public.organizations set time_zone = 'Asia/Tokyo' where id = $1`,
      ({ id }) => [id],
    ],
    [
      'the organization itself',
      'delete from app_public.organizations where id = $1',
      ({ id }) => [id],
    ],
    [
      'its groups',
      'delete from app_public.groups where organization_id = $1 and id <> $1',
      ({ id }) => [id],
    ],
  ])('%s', async (_, statement, values) => {
    const errors = await crossing(statement, values);
    expect(errors).not.toContain('40P01');
    expect(errors[0]).toBeUndefined();
  });

  test('the time zones of several organizations, and a batch over them', async () => {
    const one = await createCompany(db(), { people: ['ann'] });
    const two = await createCompany(db(), { people: ['bob'] });
    const [low, high] = [one, two].sort((a, b) => (a.id < b.id ? -1 : 1)) as [Company, Company];
    const person = (company: Company) => company.user(company === one ? 'ann' : 'bob');
    const holder = await db().connect();
    try {
      await holder.query('begin');
      await authorize(holder, callOf(person(high)));
      // Found in the order of the table, in which the higher one may come first.
      const changed = db().query(
        `update app_public.organizations set time_zone = 'Asia/Tokyo' where id in ($1, $2)`,
        [high.id, low.id],
      );
      await expect.poll(() => waitsForLocks(), { timeout: 5_000, interval: 5 }).toBe(1);
      const booked = record(db(), [
        eventOf(person(low), { input_tokens: 1 }),
        eventOf(person(high), { input_tokens: 1 }),
      ]);
      await expect.poll(() => waitsForLocks(), { timeout: 5_000, interval: 5 }).toBe(2);
      await holder.query('commit');
      await changed;
      expect(await booked).toEqual({ recorded: '2', duplicates: '0' });
    } finally {
      await holder.query('rollback');
      holder.release();
    }
  });

  test('a group is deleted while the time zone changes, or its period', async () => {
    for (const statement of [
      `update app_public.organizations set time_zone = 'Asia/Tokyo' where id = $1`,
      `update app_public.group_ai_budgets set period = 'day'
       where group_id in (select id from app_public.groups where organization_id = $1 and id <> $1)`,
    ]) {
      const company = await createCompany(db(), {
        people: ['ann'],
        groups: { red: { members: ['ann'], budget: { limit: 1000 } } },
      });
      const holder = await db().connect();
      try {
        await holder.query('begin');
        await authorize(holder, callOf(company.user('ann')));
        const deleted = db().query('delete from app_public.groups where id = $1', [
          company.group('red'),
        ]);
        await expect.poll(() => waitsForLocks(), { timeout: 5_000, interval: 5 }).toBe(1);
        const changed = db().query(statement, [company.id]);
        await expect.poll(() => waitsForLocks(), { timeout: 5_000, interval: 5 }).toBe(2);
        await holder.query('commit');
        await Promise.all([deleted, changed]);
      } finally {
        await holder.query('rollback');
        holder.release();
      }
    }
  });

  test('a group that comes while the time zone changes is counted by the new one', async () => {
    const company = await createCompany(db(), {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1000 } } },
    });
    const holder = await db().connect();
    try {
      await holder.query('begin');
      await authorize(holder, callOf(company.user('ann')));
      const changed = company.change({ time_zone: 'Asia/Tokyo' });
      await expect.poll(() => waitsForLocks(), { timeout: 5_000, interval: 5 }).toBe(1);
      const added = db().query<{ id: string }>(
        `insert into app_public.groups (organization_id, name) values ($1, 'new') returning id`,
        [company.id],
      );
      await expect.poll(() => waitsForLocks(), { timeout: 5_000, interval: 5 }).toBe(2);
      await holder.query('commit');
      await changed;
      const id = String((await added).rows[0]?.id);
      await db().query('insert into app_public.group_members (group_id, user_id) values ($1, $2)', [
        id,
        company.user('ann'),
      ]);
      await record(db(), [eventOf(company.user('ann'), { group_id: id, input_tokens: 9 })]);
      expect(await statusOf(db(), id)).toMatchObject({ spent_micros: '9' });
    } finally {
      await holder.query('rollback');
      holder.release();
    }
  });
});

describe('at another isolation level', () => {
  const inSnapshot = async (work: (client: PoolClient) => Promise<unknown>) => {
    const client = await db().connect();
    try {
      await client.query('begin isolation level repeatable read');
      return await failure(work(client));
    } finally {
      await client.query('rollback');
      client.release();
    }
  };

  test('what counts refuses to work on a stale picture, and says so', async () => {
    const company = await createCompany(db(), {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1000 } } },
    });
    const refused = {
      code: 'BU400',
      message:
        'Spend is counted in transactions of isolation level read committed, not repeatable read.',
    };
    expect(await inSnapshot((c) => authorize(c, callOf(company.user('ann'))))).toEqual(refused);
    expect(await inSnapshot((c) => record(c, [eventOf(company.user('ann'))]))).toEqual(refused);
    expect(
      await inSnapshot((c) =>
        rowOf(c, 'set_group_ai_budget_terms', { group_id: company.group('red'), period: 'day' }),
      ),
    ).toEqual(refused);
    expect(
      await inSnapshot((c) =>
        c.query(`update app_public.organizations set time_zone = 'Asia/Tokyo' where id = $1`, [
          company.id,
        ]),
      ),
    ).toEqual(refused);
  });
});

test('a group that is deleted takes its budget along, and what it spent stays the organization’s', async () => {
  const company = await createCompany(db(), {
    people: ['ann'],
    groups: {
      red: { members: ['ann'], budget: { limit: 100, appliesTo: 'member' } },
      Everyone: { budget: { limit: 1000 } },
    },
  });
  const call = callOf(company.user('ann'), { input_tokens: 20 });
  await authorize(db(), call);
  await record(db(), [eventOf(company.user('ann'), { input_tokens: 30 })]);
  await db().query('delete from app_public.groups where id = $1', [company.group('red')]);
  expect(await statusOf(db(), company.id)).toMatchObject({ spent_micros: '30', held_micros: '20' });
  await settle(db(), { request_id: call.request_id, input_tokens: 25, output_tokens: 0 });
  expect(await statusOf(db(), company.id)).toMatchObject({ spent_micros: '55', held_micros: '0' });
  const named = callOf(company.user('ann'), { group_id: company.group('red') });
  expect(await failure(authorize(db(), named))).toMatchObject({
    code: 'BU400',
    column: 'group_id',
  });
  expect(await authorize(db(), callOf(company.user('ann'), { request_id: randomUUID() }))).toEqual(
    expect.objectContaining({ group_id: company.id, limit_micros: '1000' }),
  );
});
