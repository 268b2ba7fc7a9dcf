import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { forgedTokens } from '../../support/forged-tokens.ts';
import {
  expectNothingExecuted,
  expectUnauthenticated,
  type IdentifiedRequest,
  identifiedRequests,
  lastStatements,
  send,
} from '../../support/identified-requests.ts';
import { SECRET, startTestServer, type TestServer } from '../../support/server.ts';
import { now, token } from '../../support/tokens.ts';
import { createWorld, type World } from '../../support/world.ts';

// Tokens that are wrong, each at every route: nobody gets in, and the database hears nothing of it.

const ISSUER = 'https://login.example';
const AUDIENCE = 'bursar';

let database: TestDatabase;
let world: World;
let requests: [name: string, request: IdentifiedRequest][];
let server: TestServer;
let strictServer: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  requests = Object.entries(identifiedRequests(world));
  server = await startTestServer(database);
  strictServer = await startTestServer(database, {
    tokens: { keys: { kind: 'secret', secret: SECRET }, issuer: ISSUER, audience: AUDIENCE },
  });
});

afterAll(async () => {
  await server?.stop();
  await strictServer?.stop();
  await database?.drop();
});

/** @returns How many requests were refused, which is each of them. */
async function refusedEverywhere(to: TestServer, jwt: string): Promise<number> {
  const before = await lastStatements(database);
  for (const [, request] of requests) {
    expectUnauthenticated(request, await send(to.url, request, { authorization: `Bearer ${jwt}` }));
  }
  expectNothingExecuted(before, await lastStatements(database));
  return requests.length;
}

test('a right token gets in at each of these routes, so that a refusal means something', async () => {
  const jwt = await token({ sub: world.people.owner, exp: now() + 60 });
  for (const [name, request] of requests) {
    const before = await lastStatements(database);
    const answer = await send(server.url, request, { authorization: `Bearer ${jwt}` });
    expect(answer.status, name).not.toBe(401);
    expect(answer.text, name).not.toContain('UNAUTHENTICATED');
    expect(await lastStatements(database), name).not.toEqual(before);
  }
});

test('every token that is wrong is refused at every route', async ({ task }) => {
  const forged = Object.entries(forgedTokens(world.people.owner));
  let refused = 0;
  for (const [name, jwt] of forged) {
    refused += await refusedEverywhere(server, await jwt).catch((error: Error) => {
      throw new Error(`A token ${name}: ${error.message}`, { cause: error });
    });
  }
  expect(refused).toBe(forged.length * requests.length);
  task.meta.figures = [
    `${forged.length} kinds of wrong token at ${requests.length} requests of REST and GraphQL: ` +
      `${refused} of ${refused} answered 401, and no statement reached the database`,
  ];
});

test('a token of another issuer or audience is refused at every route', async ({ task }) => {
  const right = { sub: world.people.owner, exp: now() + 60, iss: ISSUER, aud: AUDIENCE };
  const wrong: object[] = [
    ...['', 'https://login.example/', 'HTTPS://LOGIN.EXAMPLE', `${ISSUER}.evil.example`].map(
      (iss) => ({ iss }),
    ),
    ...[undefined, null, 0, true, [ISSUER], { iss: ISSUER }].map((iss) => ({ iss })),
    ...['', 'Bursar', 'bursar ', 'bursar,other', `${AUDIENCE}\0`].map((aud) => ({ aud })),
    ...[undefined, null, 0, true, [], [[AUDIENCE]], { 0: AUDIENCE }].map((aud) => ({ aud })),
  ];
  let refused = 0;
  for (const claims of wrong) {
    refused += await refusedEverywhere(strictServer, await token({ ...right, ...claims }));
  }
  const jwt = await token(right);
  for (const [name, request] of requests) {
    const answer = await send(strictServer.url, request, { authorization: `Bearer ${jwt}` });
    expect(answer.status, name).not.toBe(401);
  }
  task.meta.figures = [
    `${wrong.length} wrong issuers and audiences at ${requests.length} requests: ${refused} of ${refused} answered 401`,
  ];
});

describe('what a valid token says of rights counts for nothing', () => {
  const CLAIMS: Record<string, (owner: string) => object> = {
    'a role': () => ({ role: 'owner', roles: ['owner'], site_role: 'owner' }),
    'a role of PostgreSQL': () => ({ role: 'bursar_owner', 'bursar.role': 'postgres' }),
    'scopes and groups': () => ({
      scope: 'admin *',
      scp: ['admin'],
      groups: ['owner'],
      admin: true,
    }),
    'another user beside the subject': (owner) => ({
      ...{ user_id: owner, uid: owner, 'bursar.user_id': owner, act: { sub: owner } },
      pgSettings: { 'bursar.user_id': owner },
    }),
    'a subject within': (owner) => ({ claims: { sub: owner }, constructor: { sub: owner } }),
  };
  test.each(Object.entries(CLAIMS))('%s', async (_name, claims) => {
    const { member, owner } = world.people;
    const jwt = await token({ ...claims(owner), sub: member, exp: now() + 60 });
    const authorization = `Bearer ${jwt}`;
    const mine = await send(server.url, requests[0]?.[1] as IdentifiedRequest, { authorization });
    expect(mine.status).not.toBe(401);
    const writes = requests.filter(([, { method }]) => method !== 'GET');
    for (const [name, request] of writes.filter(([, { path }]) => path.startsWith('/api'))) {
      expect((await send(server.url, request, { authorization })).status, name).toBe(404);
    }
    const users = await send(
      server.url,
      {
        method: 'POST',
        path: '/graphql',
        type: 'application/json',
        body: '{"query": "{ users { nodes { username } } }"}',
      },
      { authorization },
    );
    // Themselves and the four others of their organization, of eleven people.
    expect(JSON.parse(users.text).data.users.nodes).toHaveLength(5);
  });
});
