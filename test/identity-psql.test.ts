import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asSuperuser, createTestDatabase, type TestDatabase } from './support/database.ts';
import { createWorld, type World } from './support/world.ts';

// In psql, who somebody is comes from the login role alone.

let database: TestDatabase;
let world: World;
let databaseName: string;
const open: Client[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  databaseName = new URL(database.urls.owner).pathname.slice(1);
});

afterAll(async () => {
  for (const client of open) await client.end();
  await database?.drop();
});

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString });
  await client.connect();
  open.push(client);
  return client;
}

const loginOf = async (userId: string | null) => connect(await database.createLogin(userId));
const server = () => connect(database.urls.authenticator);

async function groupsSeenBy(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>('select id from app_public.groups');
  return rows.map((row) => row.id).sort();
}

async function userOf(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ id: string | null }>(
    'select app_hidden.current_user_id() as id',
  );
  return rows[0]?.id ?? null;
}

const REFUSED = { code: '42501' };

describe('a login role of a person', () => {
  /** The member's, new for each test: what a session sets stays with it. */
  const member = () => loginOf(world.people.member);
  const membersGroups = () => [world.group, world.organization].sort();

  test('sees what the person may see', async () => {
    const session = await member();
    expect(await userOf(session)).toBe(world.people.member);
    expect(await groupsSeenBy(session)).toEqual(membersGroups());
  });

  const PRETENCES: Record<string, (owner: string) => string> = {
    set: (owner) => `set bursar.user_id = '${owner}'`,
    'set local': (owner) => `begin; set local bursar.user_id = '${owner}'`,
    set_config: (owner) => `select set_config('bursar.user_id', '${owner}', false)`,
    'set_config in a transaction': (owner) =>
      `begin; select set_config('bursar.user_id', '${owner}', true)`,
    'set, as bursar_user': (owner) => `set role bursar_user; set bursar.user_id = '${owner}'`,
    'set, with the settings of others': (owner) =>
      `set bursar.user_id = '${owner}'; set "jwt.claims.sub" = '${owner}';
       set "request.jwt.claim.sub" = '${owner}'; set bursar.role = 'owner'`,
    'set to no UUID': () => "set bursar.user_id = 'garbage'",
    'set to nothing': () => "set bursar.user_id = ''",
    'tables and functions of its own with the same names': (owner) => `
      create temp table authenticators as select session_user::name as role_name;
      create temp table users as select '${owner}'::uuid as id, session_user::name as pg_role;
      create temp table user_site_roles as select '${owner}'::uuid as user_id, 'owner'::text as role;
      create function pg_temp.current_setting(text, boolean) returns text language sql
        as $$ select '${owner}' $$;
      set search_path = pg_temp, app_public, pg_catalog;
      set bursar.user_id = '${owner}'`,
  };
  test.each(Object.entries(PRETENCES))('is nobody else by %s', async (_name, pretence) => {
    const session = await member();
    await session.query(pretence(world.people.owner));
    expect(await userOf(session)).toBe(world.people.member);
    expect(await groupsSeenBy(session)).toEqual(membersGroups());
    const upsert = 'select app_public.upsert_group_ai_budget($1, 1)';
    await expect(session.query(upsert, [world.group])).rejects.toMatchObject({ code: 'BU404' });
  });

  test.each([
    'set role bursar_authenticator',
    'set role bursar_owner',
    'set session authorization bursar_authenticator',
    'set session authorization bursar_owner',
    'grant bursar_authenticator to session_user',
    'alter role bursar_user bypassrls',
    'set session_replication_role = replica',
    'select * from app_private.authenticators',
    'insert into app_private.authenticators (role_name) values (session_user)',
    'select app_private.register_authenticator(session_user)',
    'alter table app_public.groups disable row level security',
    'alter table app_public.groups owner to session_user',
    'drop policy group_is_deleted_by_whoever_manages_the_organization on app_public.groups',
    'create policy everything on app_public.groups using (true)',
    'create function app_hidden.is_site_owner(x int) returns boolean language sql return true',
    'create table app_public.mine ()',
    'truncate app_public.groups cascade',
    'update app_public.users set pg_role = session_user',
    'create trigger t before update on app_public.groups for each row execute function suppress_redundant_updates_trigger()',
  ])('may not %s', async (text) => {
    const session = await member();
    await expect(session.query(text)).rejects.toMatchObject(REFUSED);
    expect(await userOf(session)).toBe(world.people.member);
  });

  test('sees errors, not empty answers, where row-level security is asked to step aside', async () => {
    const session = await member();
    await session.query('set row_security = off');
    await expect(groupsSeenBy(session)).rejects.toMatchObject(REFUSED);
  });

  test('reaches no function of app_private', async () => {
    const session = await member();
    const { rows } = await database.owner.query<{ call: string }>(
      `select format('select app_private.%I(%s)', proname,
         (select string_agg('null', ', ') from generate_series(1, pronargs))) as call
       from pg_proc where pronamespace = 'app_private'::regnamespace`,
    );
    expect(rows.length).toBeGreaterThan(0);
    for (const { call } of rows) await expect(session.query(call)).rejects.toMatchObject(REFUSED);
  });
});

describe('a login role without a user', () => {
  test('sees nothing, whatever it sets', async () => {
    const session = await loginOf(null);
    for (const pretence of ['select', `set bursar.user_id = '${world.people.owner}'`]) {
      await session.query(pretence);
      expect(await userOf(session)).toBeNull();
      for (const table of await tablesOf('app_public')) {
        const { rowCount } = await session.query(`select from ${table}`);
        expect(rowCount, table).toBe(0);
      }
    }
  });
});

async function tablesOf(...schemas: string[]): Promise<string[]> {
  const { rows } = await database.owner.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c
     where c.relnamespace = any ($1::regnamespace[]) and c.relkind in ('r', 'p', 'v', 'm')`,
    [schemas],
  );
  expect(rows.length).toBeGreaterThan(0);
  return rows.map((row) => row.name);
}

describe("the server's login role", () => {
  test('reads no table and changes none before it becomes bursar_user', async () => {
    const session = await server();
    for (const speaksFor of ['select', `set bursar.user_id = '${world.people.owner}'`]) {
      await session.query(speaksFor);
      for (const table of await tablesOf('app_public', 'app_private')) {
        for (const text of [`select from ${table}`, `delete from ${table}`]) {
          await expect(session.query(text), text).rejects.toMatchObject(REFUSED);
        }
      }
    }
  });

  test('may execute five functions of its own, and no other', async () => {
    const { rows } = await database.owner.query<{ name: string }>(
      `select p.oid::regprocedure::text as name from pg_proc p
       where p.pronamespace::regnamespace::text like 'app\\_%'
         and has_function_privilege('bursar_authenticator', p.oid, 'execute')
       order by 1`,
    );
    expect(rows.map((row) => row.name)).toEqual([
      'app_hidden.feature_states()',
      'app_hidden.newest_migration()',
      'app_hidden.require_user(uuid)',
      'app_hidden.spend_gauges()',
      'app_hidden.user_exists(uuid)',
    ]);
  });

  test('speaks for whom it says, within the transaction', async () => {
    const session = await server();
    await session.query('begin; set local role bursar_user');
    await session.query(`set local bursar.user_id = '${world.people.member}'`);
    expect(await userOf(session)).toBe(world.people.member);
    await session.query('commit');
    await expect(groupsSeenBy(session)).rejects.toMatchObject(REFUSED);
    await session.query('set role bursar_user');
    expect(await userOf(session)).toBeNull();
    expect(await groupsSeenBy(session)).toEqual([]);
  });

  test('speaks for nobody when it names nobody that there is', async () => {
    const session = await server();
    await session.query('set role bursar_user');
    for (const name of ['', '00000000-0000-4000-8000-000000000000']) {
      await session.query("select set_config('bursar.user_id', $1, false)", [name]);
      expect(await userOf(session)).toBeNull();
      expect(await groupsSeenBy(session)).toEqual([]);
    }
    await session.query("set bursar.user_id = 'garbage'");
    await expect(groupsSeenBy(session)).rejects.toMatchObject({ code: '22P02' });
  });

  test('owns nothing in any database, and inherits nothing', async () => {
    const { rows } = await asSuperuser(databaseName, (client) =>
      client.query(
        `select rolinherit, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
           (select count(*)::int from pg_shdepend d
            where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o') as owned,
           (select array_agg(m.roleid::regrole::text) from pg_auth_members m where m.member = r.oid) as groups
         from pg_roles r where rolname = 'bursar_authenticator'`,
      ),
    );
    expect(rows).toEqual([
      {
        rolinherit: false,
        rolsuper: false,
        rolbypassrls: false,
        rolcreaterole: false,
        rolcreatedb: false,
        rolreplication: false,
        owned: 0,
        groups: ['bursar_user'],
      },
    ]);
  });
});

test('no role of Bursar is a superuser, bypasses row-level security, or may become one that does', async () => {
  const { rows } = await asSuperuser(databaseName, (client) =>
    client.query<{ name: string; powers: boolean }>(
      `select r.rolname as name,
         bool_or(p.rolsuper or p.rolbypassrls or p.rolreplication or p.rolname like 'pg\\_%') as powers
       from pg_roles r join pg_roles p on pg_has_role(r.oid, p.oid, 'member')
       where r.rolname in ('bursar_authenticator', 'bursar_owner', 'bursar_user')
         and p.rolname <> 'pg_database_owner'
       group by 1 order by 1`,
    ),
  );
  expect(rows).toEqual([
    { name: 'bursar_authenticator', powers: false },
    { name: 'bursar_owner', powers: false },
    { name: 'bursar_user', powers: false },
  ]);
});
