import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isGone, isThere, type Statement, type Write } from './support/actions.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { type Door, graphqlDoor, Sessions, sqlDoor } from './support/doors.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createStateKeeper, type State, type StateKeeper } from './support/state.ts';
import { createWorld, PEOPLE, type Person, type World } from './support/world.ts';

let database: TestDatabase;
let server: TestServer;
let sessions: Sessions;
let keeper: StateKeeper;
let world: World;
let initial: State;
let doors: Readonly<Record<DoorName, Door>>;

const DOORS = ['SQL', 'GraphQL'] as const;
type DoorName = (typeof DOORS)[number];

const EVERYBODY = [...PEOPLE, 'nobody'] as const;
type Anybody = Person | 'nobody';

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  sessions = new Sessions(database);
  for (const person of PEOPLE) await sessions.of(world.people[person]);
  server = await startTestServer(database);
  doors = { SQL: sqlDoor(sessions), GraphQL: graphqlDoor(server) };
  keeper = await createStateKeeper(database);
  initial = await keeper.take();
});

afterAll(async () => {
  await server?.stop();
  await sessions?.close();
  await keeper?.stop();
  await database?.drop();
});

const idOf = (person: Anybody) => (person === 'nobody' ? null : world.people[person]);

async function isDone([text, ...values]: Statement): Promise<boolean> {
  return (await database.owner.query(text, values)).rowCount === 1;
}

/** Tries it, looks past row-level security whether it has happened, and puts everything back. */
async function expectOf(door: DoorName, person: Anybody, write: Write, may: boolean) {
  expect(await isDone(write.done), 'done before it was tried').toBe(false);

  const wentThrough = await doors[door].write(idOf(person), write);

  const after = await keeper.take();
  try {
    expect(wentThrough).toBe(may);
    expect(await isDone(write.done)).toBe(may);
    if (!may) expect(after).toEqual(initial);
  } finally {
    await keeper.restore(initial, after);
  }
}

function giveSiteRole(role: string, userId: string): Write {
  return {
    name: `give ${role}`,
    sql: [
      'insert into app_public.user_site_roles (user_id, role) values ($1, $2::app_public.site_role)',
      userId,
      role,
    ],
    graphql: `mutation { createUserSiteRole(input: { userSiteRole: {
      userId: "${userId}", role: ${role} } }) { userSiteRole { role } } }`,
    done: isThere('user_site_roles', 'role', role, userId),
  };
}

function takeSiteRole(role: string, userId: string): Write {
  return {
    name: `take ${role}`,
    sql: [
      'delete from app_public.user_site_roles where user_id = $1 and role::text = $2',
      userId,
      role,
    ],
    graphql: `mutation { deleteUserSiteRole(input: { userId: "${userId}", role: ${role} }) {
      userSiteRole { role } } }`,
    done: isGone('user_site_roles', 'role', role, userId),
  };
}

function giveOrganizationRole(role: string, organization: string, userId: string): Write {
  return {
    name: `give ${role}`,
    sql: [
      `insert into app_public.organization_member_roles (organization_id, user_id, role)
       values ($1, $2, $3::app_public.organization_role)`,
      organization,
      userId,
      role,
    ],
    graphql: `mutation { createOrganizationMemberRole(input: { organizationMemberRole: {
      organizationId: "${organization}", userId: "${userId}", role: ${role} } }) {
      organizationMemberRole { role } } }`,
    done: isThere('organization_member_roles', 'role', role, userId),
  };
}

function takeOrganizationRole(role: string, organization: string, userId: string): Write {
  return {
    name: `take ${role}`,
    sql: [
      `delete from app_public.organization_member_roles
       where organization_id = $1 and user_id = $2 and role::text = $3`,
      organization,
      userId,
      role,
    ],
    graphql: `mutation { deleteOrganizationMemberRole(input: {
      organizationId: "${organization}", userId: "${userId}", role: ${role} }) {
      organizationMemberRole { role } } }`,
    done: isGone('organization_member_roles', 'role', role, userId),
  };
}

const GIVES_SITE_ROLES: readonly Anybody[] = ['owner'];
const GIVES_ROLES_AT_HOME: readonly Anybody[] = ['owner', 'user_admin', 'organization_admin'];
const GIVES_ROLES_ABROAD: readonly Anybody[] = ['owner', 'user_admin'];

const may = (can: boolean) => (can ? 'may' : 'may not');

describe.each(DOORS)('%s', (door) => {
  describe.each(EVERYBODY)('%s', (person) => {
    const site = GIVES_SITE_ROLES.includes(person);
    const home = GIVES_ROLES_AT_HOME.includes(person);
    const abroad = GIVES_ROLES_ABROAD.includes(person);

    test(`${may(site)} give a site role`, async () => {
      await expectOf(door, person, giveSiteRole('auditor', world.colleague), site);
    });

    test(`${may(site)} take a site role`, async () => {
      await expectOf(door, person, takeSiteRole('ai_gateway', world.people.ai_gateway), site);
    });

    test(`${may(home)} give a role in the organization`, async () => {
      const give = giveOrganizationRole(
        'organization_auditor',
        world.organization,
        world.colleague,
      );
      await expectOf(door, person, give, home);
    });

    test(`${may(home)} take a role in the organization`, async () => {
      const { people, organization } = world;
      const take = takeOrganizationRole(
        'organization_auditor',
        organization,
        people.organization_auditor,
      );
      await expectOf(door, person, take, home);
    });

    test(`${may(abroad)} give a role in another organization`, async () => {
      const { foreignOrganization, foreigner } = world;
      const give = giveOrganizationRole('organization_auditor', foreignOrganization, foreigner);
      await expectOf(door, person, give, abroad);
    });

    if (!site && person !== 'nobody') {
      test('may not make an owner of themselves', async () => {
        await expectOf(door, person, giveSiteRole('owner', world.people[person]), false);
      });
    }

    if (!home && person !== 'nobody') {
      test('may not make an admin of the organization of themselves', async () => {
        const { organization, people } = world;
        const give = giveOrganizationRole('organization_admin', organization, people[person]);
        await expectOf(door, person, give, false);
      });
    }
  });

  test.each(['owner', 'auditor', 'ai_gateway'] as const)(
    'user_admin may not change or delete a user who holds the site role %s',
    async (role) => {
      const id = world.people[role];
      await expectOf(door, 'user_admin', renameUser(id), false);
      await expectOf(door, 'user_admin', deleteUser(id), false);
    },
  );

  test('user_admin may change and delete a user without a site role', async () => {
    await expectOf(door, 'user_admin', renameUser(world.colleague), true);
    await expectOf(door, 'user_admin', deleteUser(world.colleague), true);
  });

  test.each(EVERYBODY.filter((p) => p !== 'owner' && p !== 'user_admin'))(
    '%s may change or delete no user',
    async (person) => {
      await expectOf(door, person, renameUser(world.colleague), false);
      await expectOf(door, person, deleteUser(world.colleague), false);
    },
  );
});

function renameUser(id: string): Write {
  return {
    name: 'rename a user',
    sql: ["update app_public.users set username = 'renamed' where id = $1", id],
    graphql: `mutation { updateUser(input: { id: "${id}", patch: { username: "renamed" } }) {
      user { id } } }`,
    done: ["select from app_public.users where id = $1 and username = 'renamed'", id],
  };
}

function deleteUser(id: string): Write {
  return {
    name: 'delete a user',
    sql: ['delete from app_public.users where id = $1', id],
    graphql: `mutation { deleteUser(input: { id: "${id}" }) { user { id } } }`,
    done: ['select where not exists (select from app_public.users where id = $1)', id],
  };
}

// Whoever could write pg_role could speak as anybody with a login role of their own.

test.each(EVERYBODY)('%s may not say which login role speaks for whom', async (person) => {
  const session = await sessions.of(idOf(person));
  for (const text of [
    'update app_public.users set pg_role = session_user',
    "insert into app_public.users (username, pg_role) values ('me too', 'somebody')",
  ]) {
    await expect(session.query(text)).rejects.toMatchObject({ code: '42501' });
  }
  expect(await keeper.take()).toEqual(initial);
});

test('GraphQL has no word for pg_role in what it takes', async () => {
  const { data } = await server.graphql(
    world.people.owner,
    `{ patch: __type(name: "UserPatch") { inputFields { name } }
       input: __type(name: "UserInput") { inputFields { name } } }`,
  );
  expect(JSON.stringify(data)).toContain('username');
  expect(JSON.stringify(data)).not.toMatch(/pg_?role/i);
});
