import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { identifiedRequests, sendLines } from '../../support/identified-requests.ts';
import { logOf } from '../../support/log.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createWorld, type World } from '../../support/world.ts';

// There are no subscriptions, and so no websockets: a second way in that nobody looks after.

let database: TestDatabase;
let world: World;
/** One with GraphiQL, which has more paths. */
let servers: TestServer[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  servers = [await startTestServer(database), await startTestServer(database, { graphiql: true })];
});

afterAll(async () => {
  for (const server of servers) await server.stop();
  await database?.drop();
});

const WEBSOCKET = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';

const UPGRADES: Record<string, readonly string[]> = {
  'a websocket': [...WEBSOCKET, KEY],
  'a websocket that speaks GraphQL': [
    ...[...WEBSOCKET, KEY],
    'Sec-WebSocket-Protocol: graphql-transport-ws',
  ],
  'a websocket that speaks GraphQL as it was': [
    ...[...WEBSOCKET, KEY],
    'Sec-WebSocket-Protocol: graphql-ws',
  ],
  'a websocket without a key': WEBSOCKET,
  'HTTP/2': ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'],
  TLS: ['Connection: Upgrade', 'Upgrade: TLS/1.3'],
  'what nobody knows': ['Connection: upgrade', 'Upgrade: x'],
};

test('the schema has no subscriptions', async () => {
  for (const server of servers) {
    const answer = await server.graphql(
      world.people.owner,
      '{ __schema { subscriptionType { name } } }',
    );
    expect(answer.data).toEqual({ __schema: { subscriptionType: null } });
    for (const userId of [null, world.people.owner]) {
      const { result, log } = await logOf(() =>
        server.graphql(userId, 'query Q { __typename } subscription S { groups { id } }'),
      );
      expect(result).toMatchObject({
        status: 400,
        errors: [{ message: 'There are no subscriptions.' }],
      });
      // It is the caller's fault: nothing for operators to read.
      expect(log).toEqual([]);
    }
  }
});

test('an upgrade is answered in plain HTTP on every path, whoever asks', async ({ task }) => {
  const paths = [
    ...Object.values(identifiedRequests(world)).map(({ path }) => path),
    ...['/', '/graphql/stream', '/graphql/ws', '/subscriptions', '/healthz', '/readyz', '/x', '*'],
  ];
  let refused = 0;
  for (const server of servers) {
    const token = await server.tokenOf(world.people.owner);
    for (const path of new Set(paths)) {
      for (const [name, lines] of Object.entries(UPGRADES)) {
        for (const identity of [[], [`Authorization: Bearer ${token}`], ['Authorization: no']]) {
          const answer = await sendLines(server.url, { method: 'GET', path }, [
            ...lines,
            ...identity,
          ]);
          expect(answer.status, `${name} at ${path}`).toBeGreaterThanOrEqual(200);
          expect(answer.headers.get('upgrade'), `${name} at ${path}`).toBeNull();
          refused += 1;
        }
      }
    }
  }
  task.meta.figures = [
    `${Object.keys(UPGRADES).length} kinds of upgrade (websockets, HTTP/2, TLS) on ${new Set(paths).size} paths: ` +
      `${refused} of ${refused} answered in plain HTTP, none switched`,
  ];
});

test('a method that would make a tunnel of the connection is closed', async () => {
  for (const server of servers) {
    const answer = await sendLines(server.url, { method: 'CONNECT', path: '127.0.0.1:5432' }, []);
    expect([0, 400, 404, 405]).toContain(answer.status);
  }
});
