import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asUser } from './support/as-user.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { createWorld, type Person, type World } from './support/world.ts';

// The group Everyone, and how members, groups and organizations hang together.

let database: TestDatabase;
let pool: Pool;
let world: World;
/** An organization for one test, with a group, a member in it, and nobody else. */
let club: { id: string; group: string; member: string };

type Row = Record<string, unknown>;

async function as(person: Person | string | null, sql: string, values: unknown[] = []) {
  const id = person === null ? null : (world.people[person as Person] ?? person);
  return asUser(pool, id, 'rest', (client) => client.query<Row>(sql, values));
}

const rowsOf = async (sql: string, values: unknown[] = []): Promise<Row[]> =>
  (await database.owner.query<Row>(sql, values)).rows;

const join = (person: Person | string, group: string, user: string) =>
  as(person, 'insert into app_public.group_members (group_id, user_id) values ($1, $2)', [
    group,
    user,
  ]);

async function newUser(): Promise<string> {
  const id = randomUUID();
  await as('owner', 'insert into app_public.users (id, username) values ($1, $2)', [id, id]);
  return id;
}

async function newOrganization(): Promise<string> {
  const id = randomUUID();
  await as('owner', 'insert into app_public.organizations (id, name) values ($1, $2)', [
    id,
    'Club',
  ]);
  return id;
}

const enter = (organization: string, user: string) =>
  as(
    'owner',
    'insert into app_public.organization_members (organization_id, user_id) values ($1, $2)',
    [organization, user],
  );

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  pool = new Pool({ connectionString: database.urls.authenticator, max: 4 });
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

beforeEach(async () => {
  club = { id: await newOrganization(), group: randomUUID(), member: await newUser() };
  await enter(club.id, club.member);
  await as(
    'owner',
    `insert into app_public.groups (id, organization_id, name) values ($1, $2, 'Chess')`,
    [club.group, club.id],
  );
  await join('owner', club.group, club.member);
});

describe('Everyone', () => {
  test('is made with the organization, with its id', async () => {
    expect(
      await rowsOf(
        'select id, name from app_public.groups where organization_id = $1 and id = $1',
        [club.id],
      ),
    ).toEqual([{ id: club.id, name: 'Everyone' }]);
  });

  test('is read by every member, without a row, and by nobody outside', async () => {
    const read = async (person: Person | string | null, group: string) =>
      (await as(person, 'select from app_public.groups where id = $1', [group])).rowCount;
    expect(await read('member', world.organization)).toBe(1);
    expect(await read(world.colleague, world.organization)).toBe(1);
    expect(await read('organization_auditor', world.organization)).toBe(1);
    expect(await read(world.foreigner, world.organization)).toBe(0);
    expect(await read('stranger', world.organization)).toBe(0);
    expect(await read(null, world.organization)).toBe(0);
    // Its budget is there for the same people.
    await as('owner', 'select app_public.upsert_group_ai_budget($1, 5)', [world.organization]);
    const budget = 'select from app_public.group_ai_budget($1)';
    expect((await as(world.colleague, budget, [world.organization])).rowCount).toBe(1);
    expect((await as('stranger', budget, [world.organization])).rowCount).toBe(0);
  });

  test.each(['site owner', 'owner of the database'])('is not deleted by the %s', async (who) => {
    const sql = 'delete from app_public.groups where id = $1';
    const attempt =
      who === 'site owner' ? as('owner', sql, [club.id]) : database.owner.query(sql, [club.id]);
    await expect(attempt).rejects.toMatchObject({
      code: 'BU400',
      message: "The group Everyone can't be deleted.",
      column: 'id',
    });
  });

  test.each(['site owner', 'owner of the database'])('is not renamed by the %s', async (who) => {
    const sql = `update app_public.groups set name = 'Nobody' where id = $1`;
    const attempt =
      who === 'site owner' ? as('owner', sql, [club.id]) : database.owner.query(sql, [club.id]);
    await expect(attempt).rejects.toMatchObject({
      code: 'BU400',
      message: "The group Everyone can't be renamed.",
      column: 'name',
    });
  });

  test.each([
    ['id = gen_random_uuid()', 'BU400'],
    // Every organization has an Everyone already.
    ['organization_id = $2', '23505'],
    ['organization_id = $2, name = id::text', 'BU400'],
  ])('stays where it is, also for the owner of the database: %s', async (change, code) => {
    await expect(
      database.owner.query(
        `update app_public.groups set ${change} where id = $1 and $2::uuid is not null`,
        [await newOrganization(), world.organization],
      ),
    ).rejects.toMatchObject({ code });
  });

  test('takes no member rows, for each member belongs to it', async () => {
    await expect(join('owner', club.id, club.member)).rejects.toMatchObject({
      code: 'BU400',
      column: 'group_id',
    });
    await expect(
      database.owner.query(
        'insert into app_public.group_members (organization_id, group_id, user_id) values ($1, $1, $2)',
        [club.id, club.member],
      ),
    ).rejects.toMatchObject({ code: 'BU400' });
  });

  test('goes with its organization, as do all groups, members, roles and budgets', async () => {
    await as('owner', 'select app_public.upsert_group_ai_budget($1, 5)', [club.id]);
    await as('owner', 'select app_public.upsert_group_ai_budget($1, 5)', [club.group]);
    await as(
      'owner',
      `insert into app_public.organization_member_roles (organization_id, user_id, role)
       values ($1, $2, 'organization_admin')`,
      [club.id, club.member],
    );
    await as('owner', 'delete from app_public.organizations where id = $1', [club.id]);
    expect(
      await rowsOf(
        `select
           (select count(*)::int from app_public.groups where organization_id = $1) as groups,
           (select count(*)::int from app_public.group_members where organization_id = $1) as members,
           (select count(*)::int from app_public.organization_members where organization_id = $1) as people,
           (select count(*)::int from app_public.organization_member_roles where organization_id = $1) as roles,
           (select count(*)::int from app_public.group_ai_budgets where group_id in ($1, $2)) as budgets,
           (select count(*)::int from app_public.users where id = $3) as users`,
        [club.id, club.group, club.member],
      ),
    ).toEqual([{ groups: 0, members: 0, people: 0, roles: 0, budgets: 0, users: 1 }]);
  });
});

describe('members of a group', () => {
  test('their organization is filled in', async () => {
    const user = await newUser();
    await enter(club.id, user);
    await join('owner', club.group, user);
    expect(
      await rowsOf('select organization_id from app_public.group_members where user_id = $1', [
        user,
      ]),
    ).toEqual([{ organization_id: club.id }]);
  });

  test('nobody says their organization for themselves', async () => {
    await expect(
      as(
        'owner',
        'insert into app_public.group_members (organization_id, group_id, user_id) values ($1, $2, $3)',
        [club.id, club.group, club.member],
      ),
    ).rejects.toMatchObject({ code: '42501' });
    // And what the owner of the database says is put right.
    const user = await newUser();
    await enter(club.id, user);
    await database.owner.query(
      'insert into app_public.group_members (organization_id, group_id, user_id) values ($1, $2, $3)',
      [world.organization, club.group, user],
    );
    expect(
      await rowsOf('select organization_id from app_public.group_members where user_id = $1', [
        user,
      ]),
    ).toEqual([{ organization_id: club.id }]);
  });

  test('are members of the organization first', async () => {
    const user = await newUser();
    await enter(world.organization, user);
    const refused = {
      code: 'BU400',
      message: `The user ${user} is not a member of the group's organization.`,
      column: 'user_id',
    };
    await expect(join('owner', club.group, user)).rejects.toMatchObject(refused);
    await expect(join('owner', club.group, randomUUID())).rejects.toMatchObject({ code: 'BU400' });
  });

  test('the foreign key says so too, where no trigger speaks', async () => {
    const client = await database.owner.connect();
    try {
      await client.query('begin');
      await client.query('alter table app_public.group_members disable trigger place_group_member');
      await expect(
        client.query(
          'insert into app_public.group_members (organization_id, group_id, user_id) values ($1, $2, $3)',
          [club.id, club.group, world.foreigner],
        ),
      ).rejects.toMatchObject({
        code: '23503',
        constraint: 'group_member_is_a_member_of_the_organization',
      });
    } finally {
      await client.query('rollback');
      client.release();
    }
  });

  test('an absent group and one of another organization are the same to an admin', async () => {
    const refusal = (group: string) =>
      join('organization_admin', group, world.colleague).then(
        () => expect.fail('this should have been refused'),
        ({ code, message, detail, hint, column }) => ({ code, message, detail, hint, column }),
      );
    const absent = await refusal(randomUUID());
    expect(absent.code).toBe('BU404');
    expect(await refusal(world.foreignGroup)).toEqual(absent);
  });

  test('leaving the organization leaves its groups and roles, and no others', async () => {
    await enter(world.organization, club.member);
    await join('owner', world.group, club.member);
    for (const organization of [club.id, world.organization])
      await as(
        'owner',
        `insert into app_public.organization_member_roles (organization_id, user_id, role)
         values ($1, $2, 'organization_auditor')`,
        [organization, club.member],
      );
    await as(
      'owner',
      'delete from app_public.organization_members where organization_id = $1 and user_id = $2',
      [club.id, club.member],
    );
    const left = (table: string) =>
      rowsOf(`select organization_id from app_public.${table} where user_id = $1`, [club.member]);
    expect(await left('group_members')).toEqual([{ organization_id: world.organization }]);
    expect(await left('organization_member_roles')).toEqual([
      { organization_id: world.organization },
    ]);
  });

  test('a user who is deleted is gone from everywhere', async () => {
    await as('owner', 'delete from app_public.users where id = $1', [club.member]);
    expect(
      await rowsOf('select from app_public.organization_members where organization_id = $1', [
        club.id,
      ]),
    ).toEqual([]);
    expect(
      await rowsOf('select from app_public.group_members where group_id = $1', [club.group]),
    ).toEqual([]);
  });
});

describe('groups', () => {
  test('do not move to another organization', async () => {
    await expect(
      as('owner', 'update app_public.groups set organization_id = $1 where id = $2', [
        world.organization,
        club.group,
      ]),
    ).rejects.toMatchObject({ code: '42501' });
    await expect(
      as('owner', 'update app_public.groups set id = gen_random_uuid() where id = $1', [
        club.group,
      ]),
    ).rejects.toMatchObject({ code: '42501' });
    // With a member in it the foreign keys hold it for the owner of the database too.
    await expect(
      database.owner.query('update app_public.groups set organization_id = $1 where id = $2', [
        world.organization,
        club.group,
      ]),
    ).rejects.toMatchObject({ code: '23503' });
  });

  test('are renamed and deleted, unlike Everyone', async () => {
    await as('owner', `update app_public.groups set name = 'Go' where id = $1`, [club.group]);
    expect(await rowsOf('select name from app_public.groups where id = $1', [club.group])).toEqual([
      { name: 'Go' },
    ]);
    await as('owner', 'delete from app_public.groups where id = $1', [club.group]);
    expect(await rowsOf('select from app_public.groups where id = $1', [club.group])).toEqual([]);
  });

  test('a name is taken once in an organization, and free in the next', async () => {
    const add = (organization: string, name: string) =>
      as('owner', 'insert into app_public.groups (organization_id, name) values ($1, $2)', [
        organization,
        name,
      ]);
    for (const name of ['Chess', 'Everyone'])
      await expect(add(club.id, name)).rejects.toMatchObject({
        code: '23505',
        constraint: 'group_name_is_taken_once_in_its_organization',
      });
    await add(world.organization, 'Chess');
  });
});
