import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { Sessions } from './support/doors.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, PEOPLE, type Person, type World } from './support/world.ts';

// Who changed what, when, through which door: written by the database, whoever makes the change.

type Event = {
  actor_id: string | null;
  actor_name: string | null;
  login_role: string;
  door: string;
  action: string;
  subject: string;
  organization_id: string | null;
  group_id: string | null;
  user_id: string | null;
  old_row: Record<string, unknown> | null;
  new_row: Record<string, unknown> | null;
  what: string | null;
  change: string | null;
};

let database: TestDatabase;
let world: World;
let server: TestServer;
let sessions: Sessions;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
  sessions = new Sessions(database);
  // Now, since a login role leaves a trail too.
  for (const id of [...Object.values(world.people), null]) await sessions.of(id);
});

afterAll(async () => {
  await server?.stop();
  await sessions?.close();
  await database?.drop();
});

/** The events that `work` writes, as they were written. */
async function eventsOf(work: () => Promise<unknown>): Promise<Event[]> {
  const { rows: before } = await database.owner.query<{ ids: string[] }>(
    'select coalesce(array_agg(id), array[]::uuid[]) as ids from app_public.audit_events',
  );
  await work();
  const { rows } = await database.owner.query<Event>(
    `select e.*, app_public.audit_events_what(e) as what, app_public.audit_events_change(e) as change
     from app_public.audit_events e where e.id <> all ($1) order by e.changed_at`,
    [before[0]?.ids],
  );
  return rows;
}

const inPsql = (person: Person, sql: string, values: unknown[] = []) =>
  sessions.of(world.people[person]).then((session) => session.query(sql, values));
const asOwner = (sql: string, values: unknown[] = []) => database.owner.query(sql, values);
const setBudget = 'select * from app_public.upsert_group_ai_budget($1, $2)';

async function newGroup(name: string = randomUUID()): Promise<string> {
  const { rows } = await asOwner(
    'insert into app_public.groups (organization_id, name) values ($1, $2) returning id',
    [world.organization, name],
  );
  return rows[0].id;
}

describe('each door leaves the same trail', () => {
  const DOORS: Record<string, (group: string, micros: number) => Promise<unknown>> = {
    graphql: (group, micros) =>
      server.graphql(
        world.people.organization_admin,
        `mutation ($group: UUID!, $limit: BigInt!) {
          upsertGroupAiBudget(input: { groupId: $group, spendLimitMicros: $limit }) { clientMutationId }
        }`,
        { group, limit: String(micros) },
      ),
    rest: (group, micros) =>
      server.request(world.people.organization_admin, `/api/v2/groups/${group}/ai/budget`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ spend_limit_micros: micros }),
      }),
    sql: (group, micros) => inPsql('organization_admin', setBudget, [group, micros]),
    'sql, without a function': (group, micros) =>
      inPsql(
        'organization_admin',
        `insert into app_public.group_ai_budgets (group_id, spend_limit_micros) values ($1, $2)
         on conflict (group_id) do update set spend_limit_micros = excluded.spend_limit_micros`,
        [group, micros],
      ),
  };
  test.each(Object.keys(DOORS))('a budget by %s', async (door) => {
    const group = await newGroup(`Budget by ${door}`);
    const change = (micros: number) => () => DOORS[door]?.(group, micros) ?? expect.fail();
    const session = await sessions.of(world.people.organization_admin);
    const who = {
      actor_id: world.people.organization_admin,
      actor_name: 'organization_admin',
      login_role: door.startsWith('sql') ? session.user : 'bursar_authenticator',
      door: door.slice(0, door.startsWith('sql') ? 3 : undefined),
      subject: 'group_ai_budgets',
      organization_id: world.organization,
      group_id: group,
      user_id: null,
      what: `budget of group Budget by ${door}`,
    };
    expect(await eventsOf(change(0))).toMatchObject([
      { ...who, action: 'insert', old_row: null, change: 'limit none → $0.00' },
    ]);
    expect(await eventsOf(change(500_000_000))).toMatchObject([
      {
        ...who,
        action: 'update',
        old_row: { group_id: group, spend_limit_micros: '0' },
        new_row: { group_id: group, spend_limit_micros: '500000000' },
        change: 'limit $0.00 → $500.00',
      },
    ]);
    // The same again changes nothing but the time.
    expect(await eventsOf(change(500_000_000))).toEqual([]);
  });

  test('the owner of the database is no user, and leaves the name of their login', async () => {
    const group = await newGroup();
    expect(await eventsOf(() => asOwner(setBudget, [group, 1]))).toMatchObject([
      { actor_id: null, actor_name: null, login_role: 'bursar_owner', door: 'sql' },
    ]);
  });

  test('people read it as a sentence, in SQL and in GraphQL', async () => {
    const group = await newGroup('Sentences');
    await inPsql('organization_admin', setBudget, [group, 0]);
    await inPsql('organization_admin', setBudget, [group, 500_000_000]);
    const { rows } = await inPsql(
      'organization_auditor',
      'select who, door, organization, what, change from app_public.audit_trail where group_id = $1 order by changed_at desc limit 1',
      [group],
    );
    expect(rows).toEqual([
      {
        who: 'organization_admin',
        door: 'sql',
        organization: 'Home',
        what: 'budget of group Sentences',
        change: 'limit $0.00 → $500.00',
      },
    ]);
    expect(
      await server.graphql(
        world.people.organization_auditor,
        `query ($group: UUID!) {
          auditEvents(condition: { groupId: $group }, orderBy: CHANGED_AT_DESC, first: 1) {
            nodes { actorName door what change oldRow newRow }
          }
        }`,
        { group },
      ),
    ).toMatchObject({
      data: {
        auditEvents: {
          nodes: [
            {
              actorName: 'organization_admin',
              door: 'sql',
              what: 'budget of group Sentences',
              change: 'limit $0.00 → $500.00',
              oldRow: { spend_limit_micros: '0' },
              newRow: { spend_limit_micros: '500000000' },
            },
          ],
        },
      },
    });
  });
});

describe('whatever decides about money and rights', () => {
  /** What the site's owner does in psql, one after another, and what the trail says of it. */
  const CHANGES: [sql: string, what: string, change: string][] = [
    [
      `insert into users (id, username, email) values ('00000000-0000-4000-8000-00000000000a', 'nina', 'nina@acme.test')`,
      'user nina',
      'added',
    ],
    [
      `update users set username = 'Nina' where username = 'nina'`,
      'user Nina',
      'username nina → Nina',
    ],
    [
      `insert into user_site_roles (user_id, role) values ('00000000-0000-4000-8000-00000000000a', 'auditor')`,
      'site role auditor of Nina',
      'added',
    ],
    [
      `delete from user_site_roles where user_id = '00000000-0000-4000-8000-00000000000a'`,
      'site role auditor of Nina',
      'removed',
    ],
    [
      `insert into organization_members (organization_id, user_id) values ('ORG', '00000000-0000-4000-8000-00000000000a')`,
      'member Nina',
      'added',
    ],
    [
      `insert into organization_member_roles (organization_id, user_id, role)
       values ('ORG', '00000000-0000-4000-8000-00000000000a', 'organization_auditor')`,
      'role organization_auditor of Nina',
      'added',
    ],
    [
      `delete from organization_member_roles where user_id = '00000000-0000-4000-8000-00000000000a'`,
      'role organization_auditor of Nina',
      'removed',
    ],
    [
      `insert into groups (id, organization_id, name) values ('00000000-0000-4000-8000-00000000000b', 'ORG', 'Design')`,
      'group Design',
      'added',
    ],
    [
      `insert into group_members (group_id, user_id)
       values ('00000000-0000-4000-8000-00000000000b', '00000000-0000-4000-8000-00000000000a')`,
      'member Nina of group Design',
      'added',
    ],
    [
      `delete from group_members where user_id = '00000000-0000-4000-8000-00000000000a'`,
      'member Nina of group Design',
      'removed',
    ],
    [`update groups set name = 'Art' where name = 'Design'`, 'group Art', 'name Design → Art'],
    [
      `select upsert_group_ai_budget('00000000-0000-4000-8000-00000000000b', 1500001)`,
      'budget of group Art',
      'limit none → $1.500001',
    ],
    [
      `select set_group_ai_budget_terms('00000000-0000-4000-8000-00000000000b', 'member', 'day')`,
      'budget of group Art',
      'applies to group → member, period month → day',
    ],
    [
      `select upsert_group_ai_budget('00000000-0000-4000-8000-00000000000b', 1000000000000000)`,
      'budget of group Art',
      'limit $1.500001 → $1,000,000,000.00',
    ],
    [
      `select delete_group_ai_budget('00000000-0000-4000-8000-00000000000b')`,
      'budget of group Art',
      'limit $1,000,000,000.00 → none',
    ],
    [
      `delete from groups where id = '00000000-0000-4000-8000-00000000000b'`,
      'group Art',
      'removed',
    ],
    [
      `delete from organization_members where user_id = '00000000-0000-4000-8000-00000000000a'`,
      'member Nina',
      'removed',
    ],
    [`delete from users where id = '00000000-0000-4000-8000-00000000000a'`, 'user Nina', 'removed'],
    [
      `select upsert_ai_model_prices('[{"provider": "acme", "model": "new", "input_price": 3000000, "cache_read_price": 0}]')`,
      'price of acme new',
      'added, input unknown → $3.00, cache read unknown → $0.00',
    ],
    [
      `select upsert_ai_model_prices('[{"provider": "acme", "model": "new", "output_price": 9223372036854775807, "cache_read_price": 0}]')`,
      'price of acme new',
      'input $3.00 → unknown, output unknown → $9,223,372,036,854.775807',
    ],
    [
      `delete from ai_model_prices where model = 'new'`,
      'price of acme new',
      'removed, output $9,223,372,036,854.775807 → unknown, cache read $0.00 → unknown',
    ],
    [`select set_feature('ai_bridge', null, false)`, 'feature ai_bridge', 'enabled true → false'],
    [
      `select set_feature('ai_bridge', 'grace_period', true)`,
      'feature ai_bridge',
      'enabled false → true, entitlement entitled → grace_period',
    ],
    [
      `update organizations set time_zone = 'Europe/Berlin', unpriced_usage = 'allow', hold_seconds = 60 where id = 'ORG'`,
      'organization Home',
      'time zone UTC → Europe/Berlin, unpriced usage refuse → allow, hold seconds 600 → 60',
    ],
  ];
  test('leaves a trail that says what it was and what it became', async () => {
    const session = await sessions.of(world.people.owner);
    await session.query('set search_path to app_public');
    const said: string[] = [];
    for (const [sql] of CHANGES) {
      const events = await eventsOf(() => session.query(sql.replaceAll('ORG', world.organization)));
      for (const event of events) {
        expect(event, sql).toMatchObject({
          actor_name: 'owner',
          login_role: session.user,
          door: 'sql',
        });
        expect(JSON.stringify(event), 'an email address').not.toContain('@');
      }
      said.push(...events.map((event) => `${event.what}: ${event.change}`));
    }
    await session.query(`update features set entitlement = 'entitled'`);
    expect(said).toEqual(CHANGES.map(([, what, change]) => `${what}: ${change}`));
  });

  test('as many rows as a statement has: a price list, a deletion of many, a COPY', async () => {
    const models = Array.from({ length: 20 }, (_, i) => ({
      provider: 'many',
      model: `${i}`,
      input_price: i,
    }));
    const load = (list: object[]) => () =>
      inPsql('owner', 'select app_public.upsert_ai_model_prices($1)', [JSON.stringify(list)]);
    expect(await eventsOf(load(models))).toHaveLength(20);
    // Only what differs is a change; half of the list is the same as before.
    const half = models.map((m, i) => ({ ...m, input_price: i % 2 ? i : i + 1 }));
    const changed = await eventsOf(load(half));
    expect(changed).toHaveLength(10);
    for (const { old_row, new_row } of changed) {
      expect([old_row?.model, Number(old_row?.input_price) + 1]).toEqual([
        new_row?.model,
        Number(new_row?.input_price),
      ]);
    }
    const emptied = await eventsOf(() =>
      inPsql('owner', `delete from app_public.ai_model_prices where provider = 'many'`),
    );
    expect(emptied).toHaveLength(20);
  });

  test('a primary key that the owner of the database changes: a row ends, another begins', async () => {
    const group = await newGroup('Moved');
    const id = randomUUID();
    const events = await eventsOf(() =>
      asOwner('update app_public.groups set id = $2 where id = $1', [group, id]),
    );
    expect(events.map((e) => [e.action, e.group_id, e.old_row?.id, e.new_row?.id]).sort()).toEqual([
      ['delete', group, group, undefined],
      ['insert', id, undefined, id],
    ]);
  });

  test('a table that the owner of the database empties', async () => {
    const client = new Client({ connectionString: database.urls.owner });
    await client.connect();
    await client.query('begin');
    await client.query('truncate app_public.features');
    const { rows } = await client.query(
      `select action, subject, login_role, what, change from app_public.audit_trail order by changed_at desc limit 1`,
    );
    await client.query('rollback');
    await client.end();
    expect(rows).toEqual([
      {
        action: 'truncate',
        subject: 'features',
        login_role: 'bursar_owner',
        what: 'all of features',
        change: 'all rows removed',
      },
    ]);
  });
});

describe('what goes along', () => {
  test('a group that is deleted: its budget and members are known to be of the organization', async () => {
    const group = await newGroup('Short-lived');
    await asOwner(setBudget, [group, 5]);
    await asOwner('insert into app_public.group_members (group_id, user_id) values ($1, $2)', [
      group,
      world.people.member,
    ]);
    const events = await eventsOf(() =>
      inPsql('organization_admin', 'delete from app_public.groups where id = $1', [group]),
    );
    expect(events.map((event) => event.what).sort()).toEqual([
      'budget of group Short-lived',
      'group Short-lived',
      'member member of group Short-lived',
    ]);
    for (const event of events) {
      expect(event).toMatchObject({
        action: 'delete',
        actor_name: 'organization_admin',
        organization_id: world.organization,
        group_id: group,
      });
    }
  });

  test('an organization that is closed: everything in it, by the one who closed it', async () => {
    const { rows } = await asOwner(
      `insert into app_public.organizations (name) values ('Closing') returning id`,
    );
    const organization = rows[0].id;
    await asOwner(
      'insert into app_public.organization_members (organization_id, user_id) values ($1, $2)',
      [organization, world.people.member],
    );
    await asOwner(setBudget, [organization, 5]);
    const events = await eventsOf(() =>
      server.graphql(
        world.people.owner,
        'mutation ($id: UUID!) { deleteOrganization(input: { id: $id }) { clientMutationId } }',
        { id: organization },
      ),
    );
    expect(events.map((event) => event.what).sort()).toEqual([
      'budget of group Everyone',
      'group Everyone',
      'member member',
      'organization Closing',
    ]);
    for (const event of events) {
      expect(event).toMatchObject({
        actor_name: 'owner',
        door: 'graphql',
        organization_id: organization,
      });
    }
    const { rows: named } = await asOwner(
      'select distinct organization from app_public.audit_trail where organization_id = $1',
      [organization],
    );
    expect(named).toEqual([{ organization: 'Closing' }]);
  });

  test('an owner who deletes themselves: the trail still knows who did it', async () => {
    const id = randomUUID();
    await asOwner(`insert into app_public.users (id, username) values ($1, 'last act')`, [id]);
    await asOwner(`insert into app_public.user_site_roles (user_id, role) values ($1, 'owner')`, [
      id,
    ]);
    const events = await eventsOf(() =>
      server.graphql(
        id,
        'mutation ($id: UUID!) { deleteUser(input: { id: $id }) { clientMutationId } }',
        { id },
      ),
    );
    expect(events).toHaveLength(2);
    for (const event of events)
      expect(event).toMatchObject({ actor_id: id, actor_name: 'last act' });
  });
});

describe('what was written stays what it was', () => {
  const wordsOf = async (group: string) =>
    (
      await inPsql(
        'organization_auditor',
        'select organization, what from app_public.audit_trail where group_id = $1 order by changed_at',
        [group],
      )
    ).rows;

  test('names are those of the moment: a new name, or a new owner of an id, changes no history', async () => {
    const group = await newGroup('Secret project');
    await asOwner(setBudget, [group, 1]);
    await asOwner(`update app_public.groups set name = 'Innocent' where id = $1`, [group]);
    await asOwner('delete from app_public.groups where id = $1', [group]);
    await asOwner(
      `insert into app_public.groups (id, organization_id, name) values ($1, $2, 'Somebody else''s')`,
      [group, world.foreignOrganization],
    );
    expect(await wordsOf(group)).toEqual([
      { organization: 'Home', what: 'group Secret project' },
      { organization: 'Home', what: 'budget of group Secret project' },
      { organization: 'Home', what: 'group Innocent' },
      { organization: 'Home', what: 'group Innocent' },
      { organization: 'Home', what: 'budget of group Innocent' },
    ]);
  });

  test('who has left is named, to readers who can no longer see them', async () => {
    const id = randomUUID();
    await asOwner(`insert into app_public.users (id, username) values ($1, 'leaver')`, [id]);
    await asOwner(
      'insert into app_public.organization_members (organization_id, user_id) values ($1, $2)',
      [world.organization, id],
    );
    await asOwner('delete from app_public.organization_members where user_id = $1', [id]);
    const { rows } = await inPsql(
      'organization_auditor',
      'select what, change from app_public.audit_trail where user_id = $1 order by changed_at',
      [id],
    );
    expect(rows).toEqual([
      { what: 'member leaver', change: 'added' },
      { what: 'member leaver', change: 'removed' },
    ]);
  });

  test('a change of an email address is known, and the address is not', async () => {
    const [event] = await eventsOf(() =>
      inPsql('owner', `update app_public.users set email = 'new@home.test' where id = $1`, [
        world.people.member,
      ]),
    );
    expect(event).toMatchObject({
      what: 'user member',
      change: 'email changed',
      new_row: { email: 'changed' },
    });
    expect(JSON.stringify(event)).not.toContain('home.test');
  });

  test('times in it are those of UTC, wherever the session is', async () => {
    const session = await sessions.of(world.people.organization_admin);
    await session.query(`set timezone to 'Asia/Kolkata'`);
    const [event] = await eventsOf(() =>
      session.query('insert into app_public.groups (organization_id, name) values ($1, $2)', [
        world.organization,
        'Made in India',
      ]),
    );
    await session.query('reset timezone');
    expect(event?.new_row?.created_at).toMatch(/\+00:00$/);
  });

  test('a name has no room for what would make the trail unreadable', async () => {
    const padded = `'Acme' || repeat(' ', 1000)`;
    for (const sql of [
      `update app_public.organizations set name = ${padded}`,
      `update app_public.groups set name = ${padded} where id <> organization_id`,
      `update app_public.users set username = ${padded} where id = app_hidden.current_user_id()`,
    ]) {
      await expect(inPsql('owner', sql), sql).rejects.toMatchObject({
        code: '23514',
        constraint: expect.stringContaining('_has_200_characters_at_most'),
      });
    }
  });

  test('who is no user can’t be mistaken for one who is named like a login', async () => {
    const id = randomUUID();
    await asOwner(`insert into app_public.users (id, username) values ($1, 'bursar_owner')`, [id]);
    await newGroup('Whose?');
    const { rows } = await asOwner(
      `select who from app_public.audit_trail where what = 'group Whose?'`,
    );
    expect(rows).toEqual([{ who: 'bursar_owner (no user)' }]);
  });

  test('which logins may speak for everybody is written down too', async () => {
    const events = await eventsOf(async () => {
      await asOwner(`insert into app_private.authenticators (role_name) values ('another_server')`);
      await asOwner(`delete from app_private.authenticators where role_name = 'another_server'`);
    });
    expect(events.map((event) => `${event.what} ${event.change}`)).toEqual([
      'server login another_server added',
      'server login another_server removed',
    ]);
  });
});

describe('the trail and the change are one', () => {
  test('what is rolled back or refused leaves none', async () => {
    const group = await newGroup();
    const session = await sessions.of(world.people.organization_admin);
    expect(
      await eventsOf(async () => {
        await session.query('begin');
        await session.query(setBudget, [group, 1]);
        await session.query('rollback');
        await expect(session.query(setBudget, [group, -1])).rejects.toThrow('between 0');
        await expect(inPsql('member', setBudget, [group, 1])).rejects.toThrow('Not found');
        await inPsql('member', 'update app_public.groups set name = name');
      }),
    ).toEqual([]);
  });

  test('many at once: each change begins where the one before ended', async () => {
    const group = await newGroup();
    await asOwner(setBudget, [group, 0]);
    const events = await eventsOf(() =>
      Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          server.request(world.people.organization_admin, `/api/v2/groups/${group}/ai/budget`, {
            method: 'PUT',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ spend_limit_micros: i + 1 }),
          }),
        ),
      ),
    );
    expect(events).toHaveLength(20);
    let limit: unknown = '0';
    for (const { old_row, new_row } of events) {
      expect(old_row?.spend_limit_micros).toBe(limit);
      limit = new_row?.spend_limit_micros;
    }
  });

  test('what was done in one transaction is known to belong together', async () => {
    const group = await newGroup();
    const session = await sessions.of(world.people.organization_admin);
    const events = (await eventsOf(async () => {
      await session.query('begin');
      await session.query(setBudget, [group, 1]);
      await session.query('update app_public.groups set name = $2 where id = $1', [
        group,
        randomUUID(),
      ]);
      await session.query('commit');
      await session.query(setBudget, [group, 2]);
    })) as (Event & { transaction_id: string })[];
    const [first, second, third] = events.map((event) => event.transaction_id);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });
});

describe('nobody bends it', () => {
  test('a session in psql chooses neither who it is nor through which door it came', async () => {
    const group = await newGroup();
    const session = await sessions.of(world.people.organization_admin);
    const events = await eventsOf(async () => {
      await session.query(`set bursar.door = 'graphql'`);
      await session.query(`set bursar.user_id = '${world.people.owner}'`);
      await session.query(`set role bursar_user`);
      await session.query(setBudget, [group, 1]);
      await session.query('reset all');
      await session.query('reset role');
    });
    expect(events).toMatchObject([
      { actor_name: 'organization_admin', login_role: session.user, door: 'sql' },
    ]);
  });

  test.each(PEOPLE)('%s can’t write, change, remove or switch it off', async (person) => {
    const session = await sessions.of(world.people[person]);
    for (const sql of [
      `insert into app_public.audit_events (changed_at, transaction_id, login_role, door, action, subject)
       values (now(), 1, 'x', 'sql', 'insert', 'features')`,
      `update app_public.audit_events set actor_name = 'somebody else'`,
      'delete from app_public.audit_events',
      'truncate app_public.audit_events',
      'alter table app_public.group_ai_budgets disable trigger all',
      'drop trigger write_audit_trail_of_updates on app_public.group_ai_budgets',
      'set session_replication_role = replica',
      `select app_private.write_audit_events('features', 'insert', '{}', '{}')`,
      'do $$ begin lock table app_public.audit_events in access exclusive mode; end $$',
    ]) {
      await expect(session.query(sql), sql).rejects.toMatchObject({ code: '42501' });
    }
  });

  test('nor does the owner of the database, in whatever way they write', async () => {
    const before = await asOwner('select count(*) from app_public.audit_events');
    for (const sql of [
      `insert into app_public.audit_events (changed_at, transaction_id, login_role, door, action, subject)
       values (now(), 1, 'x', 'sql', 'insert', 'features')`,
      `update app_public.audit_events set actor_name = 'somebody else'`,
      'delete from app_public.audit_events where false',
      'truncate app_public.audit_events',
      `select app_private.write_audit_events('features', 'insert', array[null::jsonb], array['{}'::jsonb])`,
    ]) {
      await expect(asOwner(sql), sql).rejects.toMatchObject({
        code: '42501',
        message: expect.stringContaining("can't be written by hand"),
        hint: 'It is written by what happens, and stays.',
      });
    }
    expect((await asOwner('select count(*) from app_public.audit_events')).rows).toEqual(
      before.rows,
    );
  });

  test('a superuser who switches ordinary triggers off can’t rewrite it either', async () => {
    const client = new Client({ connectionString: database.superuserUrl });
    await client.connect();
    await client.query('set session_replication_role = replica');
    await expect(client.query('delete from app_public.audit_events')).rejects.toMatchObject({
      code: '42501',
    });
    await client.end();
  });

  test('every table that the API may write is audited', async () => {
    const { rows } = await asOwner(
      `select c.relname from pg_class c
       where c.relnamespace = 'app_public'::regnamespace
         and has_any_column_privilege('bursar_user', c.oid, 'insert, update')
         and 4 <> (
           select count(*) from pg_trigger t
           where t.tgrelid = c.oid and t.tgname like 'write\\_audit\\_trail\\_of\\_%' and t.tgenabled = 'O'
         )`,
    );
    expect(rows).toEqual([]);
  });
});

describe('who reads it', () => {
  const EVENTS = ['its budget', 'abroad', 'a price', 'a feature', 'a site role', 'a user'] as const;
  type Kind = (typeof EVENTS)[number];
  const everything: readonly Kind[] = EVENTS;
  const organization: readonly Kind[] = ['its budget', 'a price', 'a feature'];
  const READERS: Record<Person, readonly Kind[]> = {
    owner: everything,
    user_admin: everything,
    auditor: everything,
    ai_gateway: [],
    organization_admin: organization,
    organization_user_admin: organization,
    organization_auditor: organization,
    member: [],
    stranger: [],
  };
  const ids = new Map<Kind, string>();

  beforeAll(async () => {
    const WORK: Record<Kind, [string, unknown[]]> = {
      'its budget': [setBudget, [world.group, 77]],
      abroad: [setBudget, [world.foreignGroup, 77]],
      'a price': [
        `select app_public.upsert_ai_model_prices('[{"provider": "read", "model": "me", "input_price": 1}]')`,
        [],
      ],
      'a feature': [`select app_public.set_feature('ai_bridge', 'grace_period')`, []],
      'a site role': [
        `insert into app_public.user_site_roles (user_id, role) values ($1, 'auditor')`,
        [world.colleague],
      ],
      'a user': [
        `update app_public.users set username = 'colleague!' where id = $1`,
        [world.colleague],
      ],
    };
    for (const kind of EVENTS) {
      const [event] = (await eventsOf(() => asOwner(...WORK[kind]))) as (Event & { id: string })[];
      ids.set(kind, event?.id ?? expect.fail(kind));
    }
  });

  test.each(PEOPLE)('%s, in SQL and GraphQL', async (person) => {
    const list = [...ids.values()];
    const seen = (found: string[]) => EVENTS.filter((kind) => found.includes(ids.get(kind) ?? ''));
    for (const relation of ['audit_events', 'audit_trail']) {
      const { rows } = await inPsql(
        person,
        `select id from app_public.${relation} where id = any ($1)`,
        [list],
      );
      expect(seen(rows.map((row) => row.id)), relation).toEqual(READERS[person]);
    }
    const { data } = await server.graphql(
      world.people[person],
      'query ($ids: [UUID!]) { auditEvents(filter: { id: { in: $ids } }) { nodes { id what change } } }',
      { ids: list },
    );
    const found = data?.auditEvents as { nodes: { id: string }[] } | undefined;
    expect(seen(found?.nodes.map((node) => node.id) ?? [])).toEqual(READERS[person]);
  });

  test('nobody, who is not signed in, reads nothing of it', async () => {
    expect(await server.graphql(null, '{ auditEvents { totalCount } }')).toMatchObject({
      data: { auditEvents: { totalCount: 0 } },
    });
    const nobody = await sessions.of(null);
    expect((await nobody.query('select from app_public.audit_trail')).rowCount).toBe(0);
  });

  test('a right that is taken away is gone at the next statement', async () => {
    const count = async () =>
      (await inPsql('organization_auditor', 'select from app_public.audit_events')).rowCount;
    expect(await count()).toBeGreaterThan(0);
    await asOwner('delete from app_public.organization_member_roles where user_id = $1', [
      world.people.organization_auditor,
    ]);
    expect(await count()).toBe(0);
  });
});
