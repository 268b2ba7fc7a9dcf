import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { logOf } from './support/log.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// What a collector of OpenTelemetry gets.

type Attribute = { key: string; value: { stringValue?: string; intValue?: number } };
type Span = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes: Attribute[];
  status: { code?: number };
};
type Export = {
  resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: Span[] }[] }[];
};

const SERVER = 2;
const CLIENT = 3;
const ERROR = 2;

let database: TestDatabase;
let world: World;
let collector: Server;
const exports: Export[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  collector = createServer(async (request, response) => {
    exports.push(JSON.parse(await text(request)) as Export);
    response.setHeader('content-type', 'application/json').end('{}');
  });
  await once(collector.listen(0, '127.0.0.1'), 'listening');
});

afterAll(async () => {
  collector?.close();
  await database?.drop();
});

/** The spans of what `work` asked of a server of its own. */
async function spansOf(work: (server: TestServer) => Promise<void>): Promise<Span[]> {
  const { port } = collector.address() as AddressInfo;
  const server = await startTestServer(database, { traces: `http://127.0.0.1:${port}/v1/traces` });
  exports.length = 0;
  await work(server);
  // It sends what it has when it stops.
  await server.stop();
  return exports.flatMap(({ resourceSpans }) =>
    resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
  );
}

const attribute = ({ attributes }: Span, key: string) => {
  const value = attributes.find((one) => one.key === key)?.value;
  return value?.stringValue ?? value?.intValue;
};

test('each request is a span within the caller’s trace, and each statement one within it', async () => {
  const traceId = `${'a'.repeat(31)}1`;
  const parent = `${'b'.repeat(15)}1`;
  const marker = 'MARKER-of-a-caller';
  const spans = await spansOf(async (server) => {
    const { member, owner } = world.people;
    await server.request(member, `/api/v2/groups/${world.group}/ai/budget`, {
      headers: { traceparent: `00-${traceId}-${parent}-01`, 'x-request-id': 'mine' },
    });
    await server.graphql(
      owner,
      'query Named($m: String) { groups(filter: { name: { equalTo: $m } }) { nodes { id } } }',
      { m: marker },
    );
    await server.graphql(
      owner,
      'mutation Renamed($i: UpdateGroupInput!) { updateGroup(input: $i) { group { name } } }',
      { i: { id: world.group, patch: { name: marker } } },
    );
  });
  const requests = spans.filter(({ kind }) => kind === SERVER);
  expect(requests.map(({ name }) => name)).toEqual([
    'GET /api/v2/groups/:group/ai/budget',
    'graphql Named',
    'graphql Renamed',
  ]);
  const [rest] = requests as [Span];
  expect(rest).toMatchObject({ traceId, parentSpanId: parent });
  expect(attribute(rest, 'http.response.status_code')).toBe(200);
  expect(attribute(rest, 'bursar.request_id')).toBe('mine');
  for (const request of requests) {
    const statements = spans.filter(({ parentSpanId }) => parentSpanId === request.spanId);
    expect(statements.length).toBeGreaterThan(0);
    for (const statement of statements) {
      expect(statement).toMatchObject({ kind: CLIENT, traceId: request.traceId });
      expect(attribute(statement, 'db.system.name')).toBe('postgresql');
      expect(attribute(statement, 'db.query.text')).toMatch(/select|update/i);
    }
  }
  // Values, tokens and ids of people stay here.
  expect(JSON.stringify(exports)).not.toContain(marker);
  expect(JSON.stringify(exports)).not.toMatch(/Bearer|eyJ/);
  expect(JSON.stringify(exports)).not.toContain(world.people.member);
});

test('a request and a statement that fail say so', async () => {
  const spans = await spansOf(async (server) => {
    await server.request(world.people.owner, `/api/v2/groups/${world.group}/ai/budget`, {
      method: 'PUT',
      body: '{"spend_limit_micros": 2000000000000000}',
    });
  });
  const failed = spans.filter(({ kind, status }) => kind === CLIENT && status.code === ERROR);
  expect(failed.map((span) => attribute(span, 'db.response.status_code'))).toEqual(['BU400']);
  const [request] = spans.filter(({ kind }) => kind === SERVER) as [Span];
  expect(attribute(request, 'bursar.outcome')).toBe('validation_failed');
  // It was the caller's, not ours.
  expect(request.status.code).not.toBe(ERROR);
});

test('the service has a name', () => {
  const names = exports.flatMap(({ resourceSpans }) =>
    resourceSpans.map(
      ({ resource }) =>
        resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue,
    ),
  );
  expect(new Set(names)).toEqual(new Set(['bursar']));
});

test('a collector that is away harms nobody', async () => {
  const server = await startTestServer(database, { traces: 'http://127.0.0.1:9/v1/traces' });
  const { result, log } = await logOf(async () => {
    const answer = await server.graphql(world.people.member, '{ groups { totalCount } }');
    const began = performance.now();
    await server.stop();
    expect(performance.now() - began).toBeLessThan(5_000);
    return answer.status;
  });
  expect(result).toBe(200);
  expect(log.filter(({ level }) => level === 'error')).toEqual([]);
});
