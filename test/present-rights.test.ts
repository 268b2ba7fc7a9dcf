import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { Sessions } from './support/doors.ts';
import { createWorld, type World } from './support/world.ts';

// A right that was taken away is gone, also for whoever began before it was taken.

let database: TestDatabase;
let world: World;
let sessions: Sessions;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  sessions = new Sessions(database);
});

afterAll(async () => {
  await sessions?.close();
  await database?.drop();
});

const rolesOf = async (user: string) =>
  (
    await database.owner.query<{ role: string }>(
      `select role::text from app_public.user_site_roles where user_id = $1
       union all
       select role::text from app_public.organization_member_roles where user_id = $1 order by role`,
      [user],
    )
  ).rows.map(({ role }) => role);

const give = (user: string, role: string) =>
  database.owner.query('insert into app_public.user_site_roles (user_id, role) values ($1, $2)', [
    user,
    role,
  ]);
const takeAll = (user: string) =>
  database.owner.query('delete from app_public.user_site_roles where user_id = $1', [user]);

describe('whoever keeps an old picture of rights', () => {
  test.each(['repeatable read', 'serializable'])('at %s writes nothing', async (level) => {
    const admin = await sessions.of(world.people.owner);
    for (const sql of [
      `insert into app_public.organization_member_roles (organization_id, user_id, role)
       values ('${world.organization}', '${world.people.member}', 'organization_admin')`,
      `insert into app_public.user_site_roles (user_id, role) values ('${world.people.member}', 'owner')`,
      `select app_public.upsert_group_ai_budget('${world.group}', 1)`,
      `select app_public.upsert_ai_model_prices('[{"provider": "a", "model": "b"}]')`,
      `select app_public.set_feature('ai_bridge', enabled => false)`,
      'delete from app_public.organizations',
      'delete from app_public.organization_members',
      'delete from app_public.group_members',
      'delete from app_public.users',
      `insert into app_public.groups (organization_id, name) values ('${world.organization}', 'x')`,
    ]) {
      await admin.query(`begin isolation level ${level}`);
      await expect(admin.query(sql), sql).rejects.toMatchObject({
        code: 'BU400',
        message: expect.stringContaining(`read committed, not ${level}`),
      });
      await admin.query('rollback');
    }
  });

  test('the owner of the database may, at any level', async () => {
    await database.owner.query(
      `begin isolation level repeatable read;
       update app_public.features set enabled = enabled; rollback`,
    );
  });
});

describe('whoever is slower than those who take the right away', () => {
  test('can’t give it back to themselves in a statement that was under way', async () => {
    const person = world.people.stranger;
    await give(person, 'owner');
    const session = await sessions.of(person);
    const slow = session.query(
      `insert into app_public.user_site_roles (user_id, role)
       select $1, 'user_admin' from (select pg_sleep(0.5) offset 0) s`,
      [person],
    );
    slow.catch(() => {});
    await sleep(150);
    await takeAll(person);
    await expect(slow).rejects.toMatchObject({
      code: '42501',
      message: 'This row is not yours to add to user_site_roles.',
    });
    expect(await rolesOf(person)).toEqual([]);
  });

  test('keeps those who take it waiting, who then see what was given', async () => {
    const person = world.people.stranger;
    await give(person, 'owner');
    const session = await sessions.of(person);
    await session.query('begin');
    await session.query(
      `insert into app_public.user_site_roles (user_id, role) values ($1, 'user_admin')`,
      [person],
    );
    const taking = takeAll(person);
    await sleep(100);
    await session.query('commit');
    await taking;
    // The statement began before: what came with the commit is seen by the next.
    expect(await rolesOf(person)).toEqual(['user_admin']);
    await takeAll(person);
    expect(await rolesOf(person)).toEqual([]);
  });

  test('an admin of an organization keeps them waiting too', async () => {
    const admin = world.people.organization_admin;
    const session = await sessions.of(world.people.organization_admin);
    await session.query('begin');
    await session.query(
      `insert into app_public.organization_member_roles (organization_id, user_id, role)
       values ($1, $2, 'organization_auditor')`,
      [world.organization, world.colleague],
    );
    let taken = false;
    const taking = database.owner
      .query(
        `delete from app_public.organization_member_roles where user_id = $1 and role = 'organization_admin'`,
        [admin],
      )
      .then(() => {
        taken = true;
      });
    await sleep(150);
    expect(taken).toBe(false);
    await session.query('rollback');
    await taking;
    await database.owner.query(
      `insert into app_public.organization_member_roles (organization_id, user_id, role)
       values ($1, $2, 'organization_admin')`,
      [world.organization, admin],
    );
  });

  test('the same for roles of an organization', async () => {
    const admin = await sessions.of(world.people.organization_admin);
    const slow = admin.query(
      `insert into app_public.organization_member_roles (organization_id, user_id, role)
       select $1, $2, 'organization_auditor' from (select pg_sleep(0.5) offset 0) s`,
      [world.organization, world.people.organization_admin],
    );
    slow.catch(() => {});
    await sleep(150);
    await database.owner.query(
      'delete from app_public.organization_member_roles where user_id = $1',
      [world.people.organization_admin],
    );
    await expect(slow).rejects.toMatchObject({ code: '42501' });
    expect(await rolesOf(world.people.organization_admin)).toEqual([]);
  });
});
