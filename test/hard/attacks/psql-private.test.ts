import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLair, expectNoSecret, INTRUDERS, type Lair } from '../../support/intruders.ts';

// What is private, called and read by name; names of the attacker's own in front of Bursar's; and who a session says
// to be.

let lair: Lair;

beforeAll(async () => {
  lair = await createLair();
});
afterAll(async () => {
  await lair?.leave();
});

async function namesFrom(sql: string): Promise<string[]> {
  const { rows } = await lair.database.owner.query<{ name: string }>(sql);
  expect(rows.length).toBeGreaterThan(0);
  return rows.map(({ name }) => name);
}

test('no table of app_private is read or written by anybody', async ({ task }) => {
  const tables = await namesFrom(
    `select oid::regclass::text as name from pg_class
     where relnamespace = 'app_private'::regnamespace and relkind in ('r', 'p', 'v', 'm')`,
  );
  let tried = 0;
  for (const table of tables) {
    for (const who of INTRUDERS) {
      for (const statement of [
        `select from ${table}`,
        `insert into ${table} default values`,
        `delete from ${table}`,
        `copy ${table} to stdout`,
        `begin; lock table ${table} in access share mode`,
        `truncate ${table}`,
      ]) {
        const answer = await lair.attack(who, statement);
        expect(answer.code, `${statement} as ${who}`).toBe('42501');
        tried += 1;
      }
    }
  }
  task.meta.figures = [
    `${tried} attempts at the ${tables.length} tables of app_private, by ${INTRUDERS.length} kinds of session: all refused (42501)`,
  ];
});

test('each function of Bursar that is not granted is refused by name, and the others tell nothing of others', async ({
  task,
}) => {
  // A null that is no constant: PostgreSQL answers null for a strict function of a constant one without asking for a right.
  const { rows } = await lair.database.owner.query<{
    name: string;
    call: string;
    users: boolean;
    servers: boolean;
  }>(
    `select p.oid::regprocedure::text as name,
       has_function_privilege('bursar_user', p.oid, 'execute') and n.nspname <> 'app_private' as users,
       has_function_privilege('bursar_authenticator', p.oid, 'execute') as servers,
       format('select %I.%I(%s)', n.nspname, proname, (
         select string_agg(
           case when provariadic <> 0 and place = pronargs then 'variadic ' else '' end || format('(select null::%s)', t::regtype),
           ', ' order by place)
         from unnest(proargtypes::oid[]) with ordinality as a (t, place))) as call
     from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('app_public', 'app_hidden', 'app_private') and p.prokind = 'f'`,
  );
  expect(rows.length).toBeGreaterThan(80);
  let refused = 0;
  let answered = 0;
  for (const { name, call, users, servers } of rows) {
    for (const who of INTRUDERS) {
      const answer = await lair.attack(who, ['begin', call]);
      expectNoSecret(lair, answer, call, `${name} as ${who}`);
      if (who === 'server' ? servers : users) {
        answered += 1;
        // Bursar's own refusals, or PostgreSQL's of a table beneath; never a mistake within the function
        expect(answer.code, `${name} as ${who}: ${answer.text}`).toMatch(
          /^(ok|BU\d+|42501|22\w{3})$/,
        );
      } else {
        refused += 1;
        expect(answer.code, `${name} as ${who}: ${answer.text}`).toBe('42501');
      }
    }
  }
  task.meta.figures = [
    `${refused + answered} calls of Bursar's ${rows.length} functions with null arguments, by ${INTRUDERS.length} kinds of session: ${refused} without a grant, all refused (42501); ${answered} with one, none with a value of others`,
  ];
});

/** What somebody sees, in one text. */
const SIGHT = `select app_hidden.current_user_id() as me, app_hidden.is_site_owner() as owner,
  app_hidden.manages_every_organization() as manages,
  (select pg_catalog.array_agg(id order by id) from app_public.groups) as groups,
  (select pg_catalog.count(*) from app_public.users) as people`;

const SHADOWS: Readonly<Record<string, (owner: string) => readonly string[]>> = {
  'temporary tables': (owner) => [
    `create temp table users as select '${owner}'::uuid as id, session_user::name as pg_role`,
    'create temp table authenticators as select session_user::name as role_name',
    `create temp table user_site_roles as select '${owner}'::uuid as user_id, 'owner'::text as role`,
    'set search_path = pg_temp, app_public, app_hidden, app_private, pg_catalog',
  ],
  functions: (owner) => [
    `create function pg_temp.current_setting(text, boolean) returns text language sql return '${owner}'`,
    `create function pg_temp.current_user_id() returns uuid language sql return '${owner}'::uuid`,
    'create function pg_temp.has_site_role(variadic text[]) returns boolean language sql return true',
    'create function pg_temp.array_agg(uuid) returns uuid language sql return $1',
    'set search_path = pg_temp, app_hidden, pg_catalog',
  ],
  operators: () => [
    'create function pg_temp.yes(uuid, uuid) returns boolean language sql return true',
    'create function pg_temp.yes(name, name) returns boolean language sql return true',
    'create operator pg_temp.= (leftarg = uuid, rightarg = uuid, function = pg_temp.yes)',
    'create operator pg_temp.= (leftarg = name, rightarg = name, function = pg_temp.yes)',
    'set search_path = pg_temp, pg_catalog',
  ],
  'types and domains': () => [
    'create domain pg_temp.uuid as text',
    "create type pg_temp.site_role as enum ('owner')",
    'set search_path = pg_temp, app_public, pg_catalog',
  ],
  views: (owner) => [
    `create temp view users as select '${owner}'::uuid as id, session_user::name as pg_role`,
    `create temp view groups as select * from app_public.groups`,
    'set search_path = pg_temp, app_public',
  ],
};

/** Who somebody says to be. The server's login may say so: that is what it is for. */
const PRETENCES: Readonly<Record<string, (owner: string) => readonly string[]>> = {
  'bursar.user_id': (owner) => [`set bursar.user_id = '${owner}'`],
  'bursar.user_id as the role of all': (owner) => [
    'set role bursar_user',
    `select set_config('bursar.user_id', '${owner}', false)`,
  ],
  'bursar.door and its like': () => ["set bursar.door = 'server'", "set bursar.role = 'owner'"],
  'role none, after another': () => ['set role bursar_user', 'set role none'],
  'reset all and discard all': () => ['reset all', 'reset session authorization', 'discard all'],
  'session authorization to itself': () => ['set session authorization default'],
  'a prepared statement that was planned as another': (owner) => [
    'set plan_cache_mode = force_generic_plan',
    'set role bursar_user',
    `set bursar.user_id = '${owner}'`,
    'prepare seen as select count(*) from app_public.groups',
    'execute seen',
    'reset role',
  ],
  'a setting within a function': (owner) => [
    `create function pg_temp.sight() returns bigint language plpgsql as $$ begin
       perform set_config('bursar.user_id', '${owner}', false);
       return (select count(*) from app_public.groups);
     end $$`,
    'select pg_temp.sight()',
  ],
};

describe('a session sees what it saw before, and no more, after', () => {
  test.each([
    ...Object.entries(SHADOWS).map(
      ([name, shadow]) => [`${name} of its own in front`, shadow, true] as const,
    ),
    ...Object.entries(PRETENCES).map(([name, pretence]) => [name, pretence, false] as const),
  ])('%s', async (_name, attack, forServers) => {
    for (const who of INTRUDERS) {
      if (who.startsWith('server') && (!forServers || who === 'server')) continue;
      const before = await lair.attack(who, SIGHT);
      const attempt = attack(lair.world.people.owner);
      const after = await lair.attack(who, [...attempt, SIGHT]);
      expect(before.code).toBe('ok');
      expect(after.code, `${who}: ${after.text}`).toBe('ok');
      expect(after.rows, who).toEqual(before.rows);
      expectNoSecret(lair, after, attempt, who);
    }
  });
});

describe("the server's login carries nothing from one identity to the next", () => {
  const become = (id: string) => `set bursar.user_id = '${id}'`;

  test('in a statement that it prepared as another', async () => {
    const { stranger, member } = lair.world.people;
    const answer = await lair.attack('server as nobody', [
      become(stranger),
      'prepare seen as select id from app_public.groups',
      'execute seen',
      become(member),
      'execute seen',
    ]);
    const ofMember = await lair.attack('server as member', 'select id from app_public.groups');
    expect(answer.rows).toEqual(ofMember.rows);
    expect(answer.rows.length).toBeGreaterThan(0);
    expectNoSecret(lair, answer, '', 'a prepared statement');
  });
});

test('nobody ends, reads or cancels the session of somebody else', async () => {
  const [pid] = await namesFrom('select pg_backend_pid()::text as name');
  for (const who of INTRUDERS) {
    for (const call of ['pg_cancel_backend', 'pg_terminate_backend']) {
      const answer = await lair.attack(who, `select ${call}(${pid})`);
      expect(answer.code, `${call} as ${who}`).toBe('42501');
    }
    const { rows } = await lair.attack(
      who,
      `select query from pg_stat_activity where pid = ${pid} and query <> '<insufficient privilege>'`,
    );
    expect(rows, who).toEqual([]);
  }
});
