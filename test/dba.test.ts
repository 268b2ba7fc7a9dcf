import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { check } from '../src/check.ts';
import { withClient } from '../src/database.ts';
import { addDba, listDbas, psqlCommand, removeDba } from '../src/dba.ts';
import { endAllCommands, expectPlainWords, run } from './support/command-line.ts';
import { asSuperuser, createTestDatabase, type TestDatabase } from './support/database.ts';
import { createWorld, type World } from './support/world.ts';

// Login roles of people: made, listed and taken away by the owner of the database, who is no superuser.

let database: TestDatabase;
let world: World;
let environment: Record<string, string>;
const roles: string[] = [];
const open: Client[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  environment = {
    DATABASE_URL: database.urls.owner,
    AUTH_DATABASE_URL: database.urls.authenticator,
  };
});

afterEach(async () => {
  endAllCommands();
  for (const client of open.splice(0)) await client.end();
  await database.owner.query(
    'update app_public.users set pg_role = null where pg_role is not null',
  );
  await inDatabase(async (client) => {
    for (const role of roles.splice(0)) {
      const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role]);
      const name = client.escapeIdentifier(role);
      if (rowCount) await client.query(`drop owned by ${name}; drop role ${name}`);
    }
  });
});

afterAll(() => database?.drop());

const inDatabase = <T>(work: (client: Client) => Promise<T>) =>
  asSuperuser(new URL(database.urls.owner).pathname.slice(1), work);

/** A name for a login role that is dropped after the test. */
function newName(prefix = 'dba'): string {
  const name = `${prefix}_${randomBytes(5).toString('hex')}`;
  roles.push(name);
  return name;
}

const add = (name: string, user: string, password = 'a password for tests') =>
  withClient(database.urls.owner, (client) => addDba(client, name, user, async () => password));
const remove = (name: string) =>
  withClient(database.urls.owner, (client) => removeDba(client, name));

async function logIn(name: string, password = 'a password for tests'): Promise<Client> {
  const url = new URL(
    (await withClient(database.urls.owner, (client) => psqlCommand(client, name))).slice(
      'psql '.length,
    ),
  );
  url.password = encodeURIComponent(password);
  const client = new Client({ connectionString: url.href });
  await client.connect();
  open.push(client);
  return client;
}

const one = async (client: Client, sql: string) => (await client.query(sql)).rows[0];
const exists = async (name: string) =>
  (await database.owner.query('select from pg_roles where rolname = $1', [name])).rowCount === 1;

describe('bursar dba add', () => {
  test('makes a login role that speaks for a user, with a password of its own making', async () => {
    const name = newName(`it's "mine"`);
    const ended = await run(['dba', 'add', name, '--user', 'organization_admin'], environment);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain(`The login role ${name} speaks for organization_admin.`);
    const password = /^Password: (\S{32}) /m.exec(ended.stdout)?.[1];

    const session = await logIn(name, password);
    expect(await one(session, 'select app_hidden.current_user_id() as id')).toEqual({
      id: world.people.organization_admin,
    });
    expect(
      await one(
        session,
        `select spend_limit_micros from upsert_group_ai_budget('${world.group}', 123)`,
      ),
    ).toEqual({ spend_limit_micros: '123' });
    await expect(
      session.query(`select upsert_group_ai_budget('${world.foreignGroup}', 123)`),
    ).rejects.toMatchObject({ code: 'BU404' });
  });

  test('takes a password from standard input, and shows none', async () => {
    const name = newName();
    const ended = await run(
      ['dba', 'add', name, '--user', world.people.member.toUpperCase(), '--ask-password'],
      environment,
      { input: 'chosen with care\n' },
    );
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).not.toContain('assword');
    await logIn(name, 'chosen with care');
  });

  test.each([
    ['too short\n'.slice(3), 'A password has 8 characters or more, not 6.'],
    ['pässwörter\n', 'A password has printable ASCII characters only'],
  ])('refuses the password %j, and makes nothing', async (input, words) => {
    const name = newName();
    const command = ['dba', 'add', name, '--user', 'member', '--ask-password'];
    expectPlainWords(await run(command, environment, { input }), new RegExp(words));
    expect(await exists(name)).toBe(false);
  });

  test('has no way to give a password on the command line', async () => {
    const command = ['dba', 'add', newName(), '--user', 'member', '--password', 'secret-word'];
    expect(await run(command, environment)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('unknown option'),
    });
  });

  test('makes a role without powers, and a session that ends what is forgotten', async () => {
    const name = newName();
    expect(await add(name, 'member')).toEqual({ username: 'member', made: true });
    expect(
      await inDatabase((client) =>
        one(
          client,
          `select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolpassword like 'SCRAM-SHA-256$4096:%' as hashed
           from pg_authid where rolname = '${name}'`,
        ),
      ),
    ).toEqual({
      rolsuper: false,
      rolbypassrls: false,
      rolcreaterole: false,
      rolcreatedb: false,
      rolreplication: false,
      hashed: true,
    });
    const session = await logIn(name);
    for (const [setting, value] of [
      ['search_path', 'app_public, pg_temp'],
      ['statement_timeout', '1min'],
      ['lock_timeout', '5s'],
      ['idle_in_transaction_session_timeout', '1min'],
    ]) {
      expect(await one(session, `show ${setting}`)).toEqual({ [`${setting}`]: value });
    }
    // Without a schema in front, as one writes in psql.
    expect(await one(session, 'select count(*) from groups')).toEqual({ count: '2' });
  });

  test('sends the server what a password is checked against, and never the password', async () => {
    const name = newName();
    const password = 'never on the wire';
    const sent = await withClient(database.urls.owner, async (client) => {
      const texts: string[] = [];
      const query = client.query.bind(client) as (...args: unknown[]) => unknown;
      client.query = ((...args: unknown[]) => {
        texts.push(JSON.stringify(args));
        return query(...args);
      }) as typeof client.query;
      await addDba(client, name, 'member', async () => password);
      return texts.join('\n');
    });
    expect(sent).toContain('SCRAM-SHA-256$4096:');
    expect(sent).not.toContain(password);
    await logIn(name, password);
  });

  test('takes over a role that exists and has no powers, with the password that it has', async () => {
    const name = newName('ldap');
    await inDatabase((client) =>
      client.query(`create role ${name} login password 'known elsewhere'`),
    );
    if (await needsAdminOption()) {
      expectPlainWords(
        await run(['dba', 'add', name, '--user', 'member'], environment),
        /Permission denied to alter role.*ADMIN option on role/,
      );
      await inDatabase((client) =>
        client.query(`grant ${name} to bursar_owner with admin true, inherit false, set false`),
      );
    }
    expect(await add(name, 'member', 'not asked for')).toEqual({ username: 'member', made: false });
    const session = await logIn(name, 'known elsewhere');
    expect(await one(session, 'select app_hidden.current_user_id() as id')).toEqual({
      id: world.people.member,
    });
  });

  /** From PostgreSQL 16 on a role's settings are changed by who made it, and by whom they let do so. */
  async function needsAdminOption(): Promise<boolean> {
    const { rows } = await database.owner.query<{ major: number }>(
      "select current_setting('server_version_num')::int / 10000 as major",
    );
    return (rows[0]?.major ?? 0) >= 16;
  }

  test.each<[is: string, options: string, words: RegExp]>([
    ['superuser', 'superuser login', /is a superuser/],
    ['bypasses', 'bypassrls login', /bypasses row security/],
    ['creates roles', 'createrole login', /may create roles/],
    ['replicates', 'replication login', /may replicate/],
    [
      'may become a superuser',
      'login in role postgres',
      /may become postgres, which bypasses row security/,
    ],
    [
      'writes all data',
      'login in role pg_write_all_data',
      /may become pg_write_all_data, which reaches data past the policies/,
    ],
    ['has no login', 'nologin', /can't log in/],
    [
      'may become the owner',
      'login in role bursar_owner',
      /may become bursar_owner, which may create roles/,
    ],
    [
      'does not inherit',
      'login noinherit',
      /does not inherit what it is granted: (alter role "\w+" inherit|grant bursar_user to "\w+" with inherit true)/,
    ],
  ])('refuses an existing role that is not harmless: %s', async (_is, options, words) => {
    const name = newName();
    await inDatabase((client) => client.query(`create role ${name} ${options}`));
    await expect(add(name, 'member')).rejects.toThrow(words);
    await expectNothing(name);
  });

  async function expectNothing(name: string): Promise<void> {
    const { rows } = await database.owner.query(
      `select u.username from app_public.users u where u.pg_role = $1
       union all
       select 'granted' from pg_auth_members
       where roleid = 'bursar_user'::regrole and member::regrole::text = quote_ident($1)`,
      [name],
    );
    expect(rows).toEqual([]);
  }

  test.each<[name: string, user: string, words: RegExp]>([
    [
      'bursar_authenticator',
      'member',
      /bursar_authenticator is a server's, which speaks for every/,
    ],
    ['bursar_owner', 'member', /bursar_owner may create roles|owns the database/],
    ['bursar_user', 'member', /bursar_user can't log in/],
    ['pg_monitor', 'member', /begin with pg_/],
    ['', 'member', /1 to 63 bytes, not 0/],
    ['ü'.repeat(32), 'member', /1 to 63 bytes, not 64/],
    ['two\nlines', 'member', /no control characters/],
    ['free_name', 'nobody of that name', /There is no user "nobody of that name"/],
  ])('refuses %j for %j', async (name, user, words) => {
    await expect(add(name, user)).rejects.toThrow(words);
    expect(await withClient(database.urls.owner, listDbas)).toEqual([]);
  });

  test('a user has one login role, and a role speaks for one user', async () => {
    const [first, second] = [newName(), newName()];
    await add(first, 'member');
    await expect(add(second, 'member')).rejects.toThrow(
      `The login role ${first} speaks for member already: remove it first (bursar dba remove ${first}).`,
    );
    await expect(add(first, 'auditor')).rejects.toThrow(`speaks for member already`);
    // Somebody was quicker, while a password was typed.
    const slow = newName();
    await expect(
      withClient(database.urls.owner, (client) =>
        addDba(client, slow, 'auditor', async () => {
          await add(second, 'auditor');
          return 'typed slowly';
        }),
      ),
    ).rejects.toThrow(`The login role ${second} speaks for auditor already`);
    expect(await exists(slow)).toBe(false);
    await remove(second);
    expect(await exists(second)).toBe(false);
  });
});

describe('bursar dba list', () => {
  test('says for whom each speaks, and what those may do', async () => {
    const [one, two, three] = [newName('dba_1'), newName('dba_2'), newName('dba_3')];
    await add(one, 'auditor');
    await add(two, 'organization_admin');
    await add(three, 'stranger');
    await inDatabase((client) => client.query(`alter role ${three} nologin`));
    expect(await withClient(database.urls.owner, listDbas)).toEqual([
      { name: one, username: 'auditor', rights: ['auditor'], canLogIn: true },
      {
        name: two,
        username: 'organization_admin',
        rights: ['organization_admin of Home'],
        canLogIn: true,
      },
      { name: three, username: 'stranger', rights: [], canLogIn: false },
    ]);
    const ended = await run(['dba', 'list'], environment);
    expect(ended.stdout).toContain(`${two}  organization_admin: organization_admin of Home\n`);
    expect(ended.stdout).toContain(`${three}  stranger: no roles (can’t log in)\n`);
  });
});

describe('bursar dba remove', () => {
  test('leaves an open session with nobody, from its next statement on, and drops the role', async () => {
    const name = newName();
    await add(name, 'owner');
    const session = await logIn(name);
    expect(await one(session, 'select count(*) > 0 as some from groups')).toEqual({ some: true });
    const ended = await run(['dba', 'remove', name], environment);
    expect(ended).toMatchObject({
      code: 0,
      stdout: `The login role ${name} no longer speaks for owner.\n`,
    });
    await expect(session.query('select from app_public.groups')).rejects.toMatchObject({
      code: '42501',
    });
    expect(await exists(name)).toBe(false);
    await expect(logIn(name)).rejects.toThrow();
    expectPlainWords(await run(['dba', 'remove', name], environment), /speaks for no user/);
  });

  test('keeps a role that owns something, without its login and its rights', async () => {
    const name = newName();
    await add(name, 'owner');
    await inDatabase((client) =>
      client.query(`create schema hobby_${name} authorization ${client.escapeIdentifier(name)}`),
    );
    expect(await remove(name)).toEqual({ username: 'owner', left: 'role without login' });
    expect(
      await one(
        database.owner as unknown as Client,
        `select rolcanlogin, pg_has_role(oid, 'bursar_user', 'member') as granted from pg_roles where rolname = '${name}'`,
      ),
    ).toEqual({ rolcanlogin: false, granted: false });
  });

  test('a role that was kept without its login gets one again', async () => {
    const name = newName();
    await add(name, 'owner');
    await inDatabase((client) =>
      client.query(`create schema kept_${name} authorization ${client.escapeIdentifier(name)}`),
    );
    await remove(name);
    expect(await add(name, 'member', 'another password')).toEqual({
      username: 'member',
      made: true,
    });
    const session = await logIn(name, 'another password');
    expect(await one(session, 'select app_hidden.current_user_id() as id')).toEqual({
      id: world.people.member,
    });
  });

  test('leaves a role alone that speaks for somebody in another database too', async () => {
    const name = newName();
    await add(name, 'member');
    const elsewhere = await createTestDatabase();
    const world2 = await createWorld(elsewhere.owner);
    const there = <T>(work: (client: Client) => Promise<T>) =>
      withClient(elsewhere.urls.owner, work);
    try {
      expect(
        await there((client) => addDba(client, name, world2.people.auditor, async () => '')),
      ).toEqual({ username: 'auditor', made: false });
      expect(await remove(name)).toEqual({ username: 'member', left: 'role' });
      expect(await there(listDbas)).toMatchObject([{ name, username: 'auditor', canLogIn: true }]);
      expect(await there((client) => removeDba(client, name))).toEqual({
        username: 'auditor',
        left: 'nothing',
      });
    } finally {
      await elsewhere.drop();
    }
  });

  test('forgets a role that somebody dropped', async () => {
    const name = newName();
    await add(name, 'member');
    await inDatabase((client) => client.query(`drop owned by ${name}; drop role ${name}`));
    expect(await remove(name)).toEqual({ username: 'member', left: 'nothing' });
    expect(await withClient(database.urls.owner, listDbas)).toEqual([]);
  });
});

describe('bursar check', () => {
  const missing = async () =>
    (await check(database.urls)).flatMap((finding) => finding.missing).join('\n');

  test('names logins that are gone, and those that no policy binds', async () => {
    const [gone, mighty] = [newName('gone'), newName('mighty')];
    await add(gone, 'member');
    await add(mighty, 'auditor');
    expect(await missing()).toBe('');
    await inDatabase((client) =>
      client.query(`drop owned by ${gone}; drop role ${gone}; alter role ${mighty} bypassrls`),
    );
    expect(await missing()).toBe(
      `${gone}, which speaks for member, does not exist: bursar dba remove ${gone}\n` +
        `${mighty}, which speaks for auditor, bypasses row security: no policy binds it`,
    );
  });

  test('names logins that may become more than they are, or can’t log in', async () => {
    const [mighty, locked] = [newName('mighty'), newName('locked')];
    await add(mighty, 'auditor');
    await add(locked, 'member');
    await inDatabase((client) =>
      client.query(`grant postgres to ${mighty}; alter role ${locked} nologin`),
    );
    expect(await missing()).toBe(
      `${mighty}, which speaks for auditor, may become postgres, which bypasses row security: no policy binds it\n` +
        `${locked}, which speaks for member, can't log in: bursar dba remove ${locked}`,
    );
  });

  test('names a table that leaves no trail any more', async () => {
    const trigger = 'trigger write_audit_trail_of_updates';
    await database.owner.query(`alter table app_public.group_ai_budgets disable ${trigger}`);
    expect(await missing()).toContain(
      "app_public.group_ai_budgets has no enabled trigger for update: select app_private.keep_audit_trail('app_public.group_ai_budgets')",
    );
    await database.owner.query(`alter table app_public.group_ai_budgets enable ${trigger}`);
    await database.owner.query(
      `create or replace ${trigger} after update on app_public.group_ai_budgets
         for each statement when (false) execute function app_private.audit('group_id')`,
    );
    expect(await missing()).toContain('app_public.group_ai_budgets has no enabled trigger for upd');
    await database.owner.query(
      `select app_private.keep_audit_trail('app_public.group_ai_budgets')`,
    );
    await database.owner.query(
      'alter table app_public.audit_events disable trigger audit_events_stay',
    );
    expect(await missing()).toContain('app_public.audit_events has no enabled trigger for delete');
    await database.owner.query(
      'alter table app_public.audit_events enable always trigger audit_events_stay',
    );
    expect(await missing()).toBe('');
  });
});
