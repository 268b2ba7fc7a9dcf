import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asUser } from './support/as-user.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { createWorld, type Person, type World } from './support/world.ts';

// Budgets and features through SQL, as a server session that speaks for somebody. Prices are in
// functions-prices.test.ts, groups and their members in functions-groups.test.ts.

const BILLION_DOLLARS = '1000000000000000';

let database: TestDatabase;
let pool: Pool;
let world: World;

type Row = Record<string, unknown>;

async function as(person: Person | null, sql: string, values: unknown[] = []): Promise<Row[]> {
  const id = person === null ? null : world.people[person];
  const { rows } = await asUser(pool, id, 'rest', (client) => client.query<Row>(sql, values));
  return rows;
}

/** Times as text: a Date would drop the microseconds in which two transactions differ. */
const BUDGET = 'group_id, spend_limit_micros, created_at::text, updated_at::text';
const upsert = (person: Person | null, group: string | null, limit: string | null) =>
  as(person, `select ${BUDGET} from app_public.upsert_group_ai_budget($1, $2)`, [group, limit]);
const remove = (person: Person | null, group: string | null) =>
  as(person, `select ${BUDGET} from app_public.delete_group_ai_budget($1)`, [group]);
const read = (person: Person | null, group: string | null) =>
  as(person, `select ${BUDGET} from app_public.group_ai_budget($1)`, [group]);

async function budgets(): Promise<Row[]> {
  const { rows } = await database.owner.query<Row>(
    `select ${BUDGET} from app_public.group_ai_budgets order by group_id`,
  );
  return rows;
}

/** Everything of an error that a caller could tell two of them apart by. */
async function refusal(attempt: Promise<unknown>): Promise<Row> {
  const error = await attempt.then(
    () => expect.fail('this should have been refused'),
    (e: unknown) => e as Row,
  );
  const { code, message, detail, hint, column, where } = error;
  return { code, message, detail, hint, column, where };
}

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  pool = new Pool({ connectionString: database.urls.authenticator, max: 4 });
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

describe('group_ai_budget', () => {
  test('is the row of the group', async () => {
    expect(await read('member', world.group)).toMatchObject([
      { group_id: world.group, spend_limit_micros: '500000000' },
    ]);
  });

  test('is no row where there is no budget, no group, or none to be seen', async () => {
    expect(await read('owner', world.organization)).toEqual([]);
    expect(await read('owner', randomUUID())).toEqual([]);
    expect(await read('owner', null)).toEqual([]);
    expect(await read('member', world.foreignGroup)).toEqual([]);
    expect(await read(null, world.group)).toEqual([]);
  });
});

describe('upsert_group_ai_budget', () => {
  beforeEach(() =>
    database.owner.query('delete from app_public.group_ai_budgets where group_id = $1', [
      world.organization,
    ]),
  );

  test.each<Person>(['owner', 'user_admin', 'organization_admin', 'organization_user_admin'])(
    'inserts, and then replaces, for %s',
    async (person) => {
      const [first] = await upsert(person, world.organization, '1');
      expect(first).toMatchObject({ group_id: world.organization, spend_limit_micros: '1' });
      expect(first?.updated_at).toBe(first?.created_at);

      await sleep(2);
      const [second] = await upsert(person, world.organization, '2');
      expect(second).toMatchObject({ spend_limit_micros: '2', created_at: first?.created_at });
      expect(Date.parse(String(second?.updated_at))).toBeGreaterThan(
        Date.parse(String(first?.updated_at)),
      );
      expect(await read(person, world.organization)).toEqual([second]);
      expect((await budgets()).filter((b) => b.group_id === world.organization)).toEqual([second]);
    },
  );

  test('moves updated_at although the limit stays', async () => {
    const [first] = await upsert('owner', world.organization, '5');
    await sleep(2);
    const [second] = await upsert('owner', world.organization, '5');
    expect(second).toMatchObject({ ...first, updated_at: expect.any(String) });
    expect(second?.updated_at).not.toBe(first?.updated_at);
  });

  test.each(['0', '1', BILLION_DOLLARS])('takes a limit of %s', async (limit) => {
    expect(await upsert('organization_admin', world.organization, limit)).toMatchObject([
      { spend_limit_micros: limit },
    ]);
    expect(await read('member', world.organization)).toMatchObject([{ spend_limit_micros: limit }]);
  });

  test.each(['-1', '1000000000000001', '9223372036854775807', '-9223372036854775808'])(
    'refuses a limit of %s, and names the field and the value',
    async (limit) => {
      const before = await budgets();
      for (const group of [world.group, world.organization]) {
        expect(await refusal(upsert('organization_admin', group, limit))).toMatchObject({
          code: 'BU400',
          message: `spend_limit_micros must be between 0 and 1000000000000000 ($1 billion), not ${limit}.`,
          column: 'spend_limit_micros',
        });
      }
      expect(await budgets()).toEqual(before);
    },
  );

  test('refuses what is missing, and names it', async () => {
    expect(await refusal(upsert('owner', world.group, null))).toMatchObject({
      code: 'BU400',
      message: 'spend_limit_micros is missing.',
      column: 'spend_limit_micros',
    });
    expect(await refusal(upsert('owner', null, '1'))).toMatchObject({
      code: 'BU400',
      message: 'group_id is missing.',
      column: 'group_id',
    });
  });

  test('does not tell an absent group from a forbidden one, nor a readable from a hidden one', async () => {
    const before = await budgets();
    const absent = await refusal(upsert('owner', randomUUID(), '1'));
    expect(absent.code).toBe('BU404');
    for (const [person, group] of [
      ['organization_admin', world.foreignGroup],
      ['auditor', world.group],
      ['ai_gateway', world.group],
      ['organization_auditor', world.group],
      ['member', world.group],
      ['member', world.otherGroup],
      ['stranger', world.group],
    ] as const) {
      expect(await refusal(upsert(person, group, '1')), `${person}`).toEqual(
        await refusal(upsert(person, randomUUID(), '1')),
      );
    }
    // Nobody is told the same, with a hint that tells them so.
    expect(await refusal(upsert(null, world.group, '1'))).toMatchObject({
      code: absent.code,
      message: absent.message,
    });
    expect(await budgets()).toEqual(before);
  });

  test('two at once leave one budget, and both succeed', async () => {
    const limits = ['1', '2', '3', '4'];
    await Promise.all(limits.map((limit) => upsert('owner', world.organization, limit)));
    const left = (await budgets()).filter((b) => b.group_id === world.organization);
    expect(left).toHaveLength(1);
    expect(limits).toContain(left[0]?.spend_limit_micros);
  });
});

describe('delete_group_ai_budget', () => {
  test('returns the row that was, and takes only that one', async () => {
    const before = await budgets();
    const was = await read('organization_admin', world.otherGroup);
    expect(was).toHaveLength(1);
    expect(await remove('organization_admin', world.otherGroup)).toEqual(was);
    expect(await read('organization_admin', world.otherGroup)).toEqual([]);
    expect(await budgets()).toEqual(before.filter((b) => b.group_id !== world.otherGroup));

    expect(await refusal(remove('organization_admin', world.otherGroup))).toMatchObject({
      code: 'BU404',
      message: 'This group has no budget.',
    });
    await upsert('organization_admin', world.otherGroup, '7000000');
  });

  test('does not tell an absent group from a forbidden one', async () => {
    const before = await budgets();
    expect(await refusal(remove('owner', randomUUID()))).toMatchObject({ code: 'BU404' });
    for (const [person, group] of [
      ['organization_admin', world.foreignGroup],
      ['auditor', world.group],
      ['member', world.group],
      // Without a budget there would be another thing to say, to whoever may know.
      ['member', world.organization],
    ] as const) {
      expect(await refusal(remove(person, group)), `${person}`).toEqual(
        await refusal(remove(person, randomUUID())),
      );
    }
    expect(await budgets()).toEqual(before);
  });

  test('a budget goes with its group', async () => {
    const group = randomUUID();
    await as(
      'owner',
      'insert into app_public.groups (id, organization_id, name) values ($1, $2, $3)',
      [group, world.organization, 'Short-lived'],
    );
    await upsert('owner', group, '1');
    await as('owner', 'delete from app_public.groups where id = $1', [group]);
    expect((await budgets()).filter((b) => b.group_id === group)).toEqual([]);
  });
});

describe('the table behind it holds, whoever writes', () => {
  test.each(['-1', '1000000000000001'])('no limit of %s', async (limit) => {
    const insert = `insert into app_public.group_ai_budgets (group_id, spend_limit_micros) values ($1, $2)`;
    const broken = {
      code: '23514',
      constraint: 'spend_limit_micros_is_between_0_and_1_billion_dollars',
    };
    await expect(database.owner.query(insert, [world.organization, limit])).rejects.toMatchObject(
      broken,
    );
    await expect(as('owner', insert, [world.organization, limit])).rejects.toMatchObject(broken);
    await expect(
      as('owner', 'update app_public.group_ai_budgets set spend_limit_micros = $1', [limit]),
    ).rejects.toMatchObject(broken);
  });

  test('no budget that moves to another group or says itself when it was made', async () => {
    for (const change of [
      'group_id = gen_random_uuid()',
      'created_at = now()',
      'updated_at = now()',
    ])
      await expect(
        as('owner', `update app_public.group_ai_budgets set ${change}`),
        change,
      ).rejects.toMatchObject({ code: '42501' });
  });
});

describe('set_feature', () => {
  const set = (person: Person | null, changes: string, name: string | null = 'ai_bridge') =>
    as(
      person,
      `select name, entitlement, enabled, created_at::text, updated_at::text
       from app_public.set_feature(name => $1${changes === '' ? '' : `, ${changes}`})`,
      [name],
    );

  test('a fresh database has ai_bridge on, and nothing else', async () => {
    const { rows } = await database.owner.query(
      'select name, entitlement, enabled from app_public.features',
    );
    expect(rows).toEqual([{ name: 'ai_bridge', entitlement: 'entitled', enabled: true }]);
  });

  test('sets one, the other or both, and leaves what is not named', async () => {
    const [before] = await set('owner', '');
    expect(before).toMatchObject({ entitlement: 'entitled', enabled: true });
    await sleep(2);
    const [after] = await set('owner', "entitlement => 'grace_period'");
    expect(after).toMatchObject({
      entitlement: 'grace_period',
      enabled: true,
      created_at: before?.created_at,
    });
    expect(after?.updated_at).not.toBe(before?.updated_at);
    expect(await set('owner', 'enabled => false')).toMatchObject([
      { entitlement: 'grace_period', enabled: false },
    ]);
    expect(await set('owner', "entitlement => 'entitled', enabled => true")).toMatchObject([
      { entitlement: 'entitled', enabled: true },
    ]);
  });

  test.each([
    ["entitlement => 'grace_period', enabled => true", true, true],
    ["entitlement => 'not_entitled', enabled => true", false, false],
    ["entitlement => 'entitled', enabled => false", false, false],
    ["entitlement => 'entitled', enabled => true", true, false],
  ])('after %s the gate sees on: %s, on borrowed time: %s', async (changes, isOn, inGrace) => {
    await set('owner', changes);
    const { rows } = await pool.query('select * from app_hidden.feature_states()');
    expect(rows).toEqual([{ name: 'ai_bridge', is_on: isOn, is_in_grace_period: inGrace }]);
  });

  test('tells every server as soon as it is committed', async () => {
    const listener = new Client({ connectionString: database.urls.authenticator });
    await listener.connect();
    const heard: string[] = [];
    listener.on('notification', (n) => heard.push(n.channel));
    await listener.query('listen bursar_features');
    await set('owner', 'enabled => true');
    await expect.poll(() => heard).toEqual(['bursar_features']);
    await listener.end();
  });

  test.each([
    ['ai_brigde', "There is no feature 'ai_brigde'."],
    [null, 'There is no feature null.'],
  ])('refuses the name %s', async (name, message) => {
    expect(await refusal(set('owner', 'enabled => false', name))).toMatchObject({
      code: 'BU404',
      message,
    });
  });

  test.each<Person | null>([
    'user_admin',
    'auditor',
    'ai_gateway',
    'organization_admin',
    'member',
    'stranger',
    null,
  ])('is refused to %s, for a feature that exists and for one that does not', async (person) => {
    for (const name of ['ai_bridge', 'ai_brigde'])
      await expect(set(person, 'enabled => false', name)).rejects.toMatchObject({ code: '42501' });
    const { rows } = await database.owner.query('select enabled from app_public.features');
    expect(rows).toEqual([{ enabled: true }]);
  });

  test('features come and go with migrations only', async () => {
    for (const sql of [
      "insert into app_public.features (name, entitlement, enabled) values ('x', 'entitled', true)",
      'delete from app_public.features',
      "update app_public.features set name = 'x'",
    ])
      await expect(as('owner', sql), sql).rejects.toMatchObject({ code: '42501' });
  });
});
