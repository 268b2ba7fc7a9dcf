import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// What pages of others can make a browser do with Bursar: nothing, unless they were named.

const OURS = 'https://console.example.com';
const THEIRS = 'https://evil.example';

let database: TestDatabase;
let world: World;
let closed: TestServer;
let opened: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  closed = await startTestServer(database);
  opened = await startTestServer(database, { corsOrigins: [OURS] });
});

afterAll(async () => {
  await closed?.stop();
  await opened?.stop();
  await database?.drop();
});

const budget = () => `/api/v2/groups/${world.group}/ai/budget`;
const PATHS = { REST: budget, GraphQL: () => '/graphql', metrics: () => '/metrics' };

const preflight = (server: TestServer, path: string, origin: string) =>
  server.request(null, path, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'authorization,content-type',
    },
  });

const allowed = (response: Response) =>
  [...response.headers.keys()].filter((name) => name.startsWith('access-control-'));

describe('other origins', () => {
  test.each(Object.entries(PATHS))('may not call %s where none is named', async (_name, path) => {
    for (const origin of [OURS, THEIRS, 'null']) {
      expect(allowed(await preflight(closed, path(), origin))).toEqual([]);
      const answer = await closed.request(world.people.member, path(), { headers: { origin } });
      expect(allowed(answer)).toEqual([]);
    }
  });

  test.each(['REST', 'GraphQL'] as const)('that are named may call %s', async (door) => {
    const asked = await preflight(opened, PATHS[door](), OURS);
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-origin')).toBe(OURS);
    expect(asked.headers.get('access-control-allow-headers')).toMatch(/Authorization/);
    expect(asked.headers.get('vary')).toMatch(/Origin/);
    // There is no cookie that a browser would send along.
    expect(asked.headers.has('access-control-allow-credentials')).toBe(false);
    const answer = await opened.request(world.people.member, budget(), {
      headers: { origin: OURS },
    });
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, OURS]);
  });

  test('that are not named may not, nor those that look alike', async () => {
    for (const origin of [
      THEIRS,
      'null',
      `${OURS}.evil.example`,
      `${OURS}:8443`,
      'http://console.example.com',
      'https://CONSOLE.example.com.',
    ]) {
      for (const path of [budget(), '/graphql']) {
        const asked = await preflight(opened, path, origin);
        expect(asked.headers.get('access-control-allow-origin')).not.toBe(origin);
        expect(asked.headers.get('access-control-allow-origin')).not.toBe('*');
      }
    }
    expect(allowed(await preflight(opened, '/metrics', OURS))).toEqual([]);
  });
});

describe('a form or an image of another page', () => {
  // What a browser sends without asking first.
  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'runs no operation as %s',
    async (type) => {
      const query = `mutation { deleteGroupAiBudget(input: { groupId: "${world.group}" }) { clientMutationId } }`;
      const answer = await closed.request(world.people.owner, '/graphql', {
        method: 'POST',
        headers: { 'content-type': type, origin: THEIRS },
        body: JSON.stringify({ query }),
      });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      const { rowCount } = await database.owner.query(
        'select from app_public.group_ai_budgets where group_id = $1',
        [world.group],
      );
      expect(rowCount).toBe(1);
    },
  );

  test('runs nothing by GET', async () => {
    const answer = await closed.request(world.people.owner, '/graphql?query={__typename}');
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
  });
});

test('answers carry headers that keep a browser from doing anything with them', async () => {
  for (const path of [budget(), '/graphql', '/healthz', '/nothing', '/']) {
    const { headers } = await closed.request(world.people.member, path);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'SAMEORIGIN',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(headers.has('x-powered-by')).toBe(false);
    expect(headers.has('set-cookie')).toBe(false);
  }
});

test('there is no GraphiQL unless it was asked for', async () => {
  for (const path of ['/', '/graphql', '/ruru-static/ruru.js']) {
    const answer = await closed.request(null, path, { headers: { accept: 'text/html' } });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(await answer.text()).not.toMatch(/<html|<script/i);
  }
});
