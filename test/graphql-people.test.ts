import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { postGraphQL } from './support/graphql-answer.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

/** What an operation of the site's owner, which must not fail, gives. */
async function data(query: string, variables: object = {}): Promise<Record<string, unknown>> {
  const answer = await postGraphQL(server, world.people.owner, { query, variables });
  expect(answer.errors).toEqual([]);
  return answer.data ?? {};
}

describe('people, organizations and groups', () => {
  test('are made, changed and deleted from one end to the other', async () => {
    const made = (await data(`mutation {
      createOrganization(input: { organization: { name: "New" } }) { organization { id name } }
      createUser(input: { user: { username: "newcomer", email: "new@example.com" } }) { user { id } }
    }`)) as {
      createOrganization: { organization: { id: string } };
      createUser: { user: { id: string } };
    };
    const organization = made.createOrganization.organization.id;
    const user = made.createUser.user.id;

    const { createGroup } = (await data(
      `mutation ($organization: UUID!) {
        createGroup(input: { group: { organizationId: $organization, name: "First" } }) {
          group { id name organization { name } }
        }
      }`,
      { organization },
    )) as { createGroup: { group: { id: string } } };
    expect(createGroup.group).toMatchObject({ name: 'First', organization: { name: 'New' } });
    const group = createGroup.group.id;

    await data(
      `mutation ($organization: UUID!, $user: UUID!, $group: UUID!) {
        createOrganizationMember(input: { organizationMember: { organizationId: $organization, userId: $user } }) {
          clientMutationId
        }
        createOrganizationMemberRole(input: {
          organizationMemberRole: { organizationId: $organization, userId: $user, role: organization_admin }
        }) { clientMutationId }
        createGroupMember(input: { groupMember: { groupId: $group, userId: $user } }) { clientMutationId }
        createUserSiteRole(input: { userSiteRole: { userId: $user, role: auditor } }) { clientMutationId }
        updateGroup(input: { id: $group, patch: { name: "Renamed" } }) { group { name } }
      }`,
      { organization, user, group },
    );
    expect(
      await data(
        `query ($group: UUID!) {
          group(id: $group) { name members { nodes { userId organizationId } } }
        }`,
        { group },
      ),
    ).toEqual({
      group: {
        name: 'Renamed',
        members: { nodes: [{ userId: user, organizationId: organization }] },
      },
    });

    await data(
      `mutation ($organization: UUID!, $user: UUID!, $group: UUID!) {
        deleteUserSiteRole(input: { userId: $user, role: auditor }) { clientMutationId }
        deleteGroupMember(input: { groupId: $group, userId: $user }) { clientMutationId }
        deleteOrganizationMemberRole(input: {
          organizationId: $organization, userId: $user, role: organization_admin
        }) { clientMutationId }
        deleteOrganizationMember(input: { organizationId: $organization, userId: $user }) { clientMutationId }
        deleteGroup(input: { id: $group }) { clientMutationId }
        deleteUser(input: { id: $user }) { clientMutationId }
        deleteOrganization(input: { id: $organization }) { clientMutationId }
      }`,
      { organization, user, group },
    );
    expect(
      await data(
        `query ($organization: UUID!, $user: UUID!, $group: UUID!) {
          organization(id: $organization) { id } user(id: $user) { id } group(id: $group) { id }
        }`,
        { organization, user, group },
      ),
    ).toEqual({ organization: null, user: null, group: null });
  });

  test('that are absent or of others are NOT_FOUND to change', async () => {
    for (const id of ['00000000-0000-4000-8000-000000000000', world.foreignGroup]) {
      for (const mutation of [
        'deleteGroup(input: { id: $id })',
        'updateGroup(input: { id: $id, patch: { name: "X" } })',
      ]) {
        const query = `mutation ($id: UUID!) { ${mutation} { clientMutationId } }`;
        const answer = await postGraphQL(server, world.people.organization_admin, {
          query,
          variables: { id },
        });
        expect(answer.errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
      }
    }
  });
});
