import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { type LogEntry, logOf } from './support/log.ts';
import { INSIDE, whileRaising } from './support/raising.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// What an answer and the log have in common.

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database, { logLevel: 'info' });
});

afterAll(async () => {
  await logOf(async () => {
    await server?.stop();
  });
  await database?.drop();
});

const budget = () => `/api/v2/groups/${world.group}/ai/budget`;
const QUERY = 'query Budget($id: UUID!) { groupAiBudget(groupId: $id) { spendLimitMicros } }';

function byGraphql(headers: Record<string, string> = {}) {
  return server.request(world.people.member, '/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query: QUERY, variables: { id: world.group } }),
  });
}

const DOORS: Record<string, (headers?: Record<string, string>) => Promise<Response>> = {
  REST: (headers = {}) => server.request(world.people.member, budget(), { headers }),
  GraphQL: byGraphql,
  nowhere: (headers = {}) => server.request(null, '/nothing', { headers }),
};

/** The lines for requests, which come after the answers have left. */
async function requestLines(work: () => Promise<void>): Promise<LogEntry[]> {
  const { log } = await logOf(async () => {
    await work();
    await new Promise((resolve) => setTimeout(resolve, 50));
  });
  return log.filter(({ message }) => message === 'request');
}

describe.each(Object.keys(DOORS))('an answer of %s', (door) => {
  const ask = (headers?: Record<string, string>) => DOORS[door]?.(headers) as Promise<Response>;

  test('carries an id of its own, which the log has too', async () => {
    let id = '';
    const lines = await requestLines(async () => {
      id = (await ask()).headers.get('x-request-id') ?? '';
    });
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(lines).toEqual([expect.objectContaining({ level: 'info', id })]);
  });

  test('carries the caller’s id where that is one', async () => {
    await logOf(async () => {
      const given = await ask({ 'x-request-id': 'gateway-7:1.2_x' });
      expect(given.headers.get('x-request-id')).toBe('gateway-7:1.2_x');
      for (const odd of ['two words', 'x'.repeat(129), '"quoted"', 'ümlaut', '{"level":"error"}']) {
        const answer = await ask({ 'x-request-id': odd });
        expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
      }
    });
  });
});

test('an error of the inside has the id of its request, in the answer and in the log', async () => {
  const id = 'asked-by-me';
  await whileRaising(database.owner, 'app_hidden.require_user(uuid)', 'XX000', async () => {
    const { result, log } = await logOf(async () => {
      const rest = await server.request(world.people.member, budget(), {
        headers: { 'x-request-id': id },
      });
      const graphql = await byGraphql({ 'x-request-id': id });
      return [rest.status, await rest.text(), await graphql.text()] as const;
    });
    const [status, rest, graphql] = result;
    expect(status).toBe(500);
    for (const body of [rest, graphql]) {
      expect(body).toContain(id);
      expect(body).not.toContain(INSIDE);
    }
    const errors = log.filter(({ level }) => level === 'error');
    expect(errors.length).toBeGreaterThanOrEqual(2);
    for (const error of errors) expect(error).toMatchObject({ id, message: INSIDE });
  });
});

test('a request’s line says what was asked and what became of it', async () => {
  const lines = await requestLines(async () => {
    await (await byGraphql()).text();
    await (await server.request(world.people.stranger, budget())).text();
    await (await server.request(null, '/graphql', { method: 'POST', body: '{' })).text();
  });
  expect(lines).toEqual([
    expect.objectContaining({ door: 'graphql', operation: 'Budget', outcome: 'ok', status: 200 }),
    expect.objectContaining({
      door: 'rest',
      operation: 'GET /api/v2/groups/:group/ai/budget',
      outcome: 'not_found',
      status: 404,
    }),
    expect.objectContaining({ door: 'graphql', operation: 'none', outcome: 'validation_failed' }),
  ]);
  for (const { milliseconds } of lines) expect(milliseconds).toBeGreaterThan(0);
});
