import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { getIntrospectionQuery } from 'postgraphile/graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withClient } from '../../../src/database.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { type GraphQLAnswer, startTestServer, type TestServer } from '../../support/server.ts';
import { createWorld, type World } from '../../support/world.ts';

// Callers who try to use up what others need. Each is stopped with words, and the others are served meanwhile.

const EVENTS = 20_000;

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  await database.owner.query(
    `insert into app_public.ai_usage_events
       (organization_id, id, occurred_at, group_id, user_id, provider, model,
        input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
     select $1, gen_random_uuid(), now(), $2, $3, 'acme', 'one', 1, 1, 0, 0
     from generate_series(1, $4)`,
    [world.organization, world.group, world.people.member, EVENTS],
  );
  server = await startTestServer(database, {
    resultLimit: 1_048_576,
    httpLimits: { connections: 2_500, requestSeconds: 2 },
  });
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

const port = () => Number(new URL(server.url).port);

/** What somebody else waits for an ordinary answer, in milliseconds. */
async function ordinaryRequest(): Promise<number> {
  const began = performance.now();
  const answer = await server.request(
    world.people.member,
    `/api/v2/groups/${world.group}/ai/budget`,
  );
  expect(answer.status).toBe(200);
  await answer.text();
  return performance.now() - began;
}

/** The slowest of the ordinary answers while `work` runs. */
async function slowestMeanwhile(work: Promise<unknown>): Promise<number> {
  let running = true;
  void work
    .catch(() => {})
    .then(() => {
      running = false;
    });
  let slowest = 0;
  while (running) {
    slowest = Math.max(slowest, await ordinaryRequest());
    await sleep(20);
  }
  await work;
  return slowest;
}

async function connected(): Promise<Socket> {
  const socket = connect(port(), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

describe('slow callers', () => {
  const SLOW: Record<string, (token: string) => string> = {
    'headers that never end': () => 'POST /graphql HTTP/1.1\r\nHost: x\r\n',
    'a body of GraphQL that never ends': (token) =>
      `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n{`,
    'a body of REST that never ends': (token) =>
      `POST /api/v2/ai/usage HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 90000\r\n\r\n{`,
  };

  test.each(Object.entries(SLOW))('%s', async (what, begin) => {
    const token = (await server.tokenOf(world.people.owner)) ?? '';
    const slow = async () => {
      const socket = await connected();
      let said = '';
      socket.on('data', (chunk) => {
        said += chunk;
      });
      socket.write(begin(token));
      const dribble = setInterval(() => socket.write('x'), 100);
      await new Promise((resolve) => socket.once('close', resolve));
      clearInterval(dribble);
      return said;
    };
    const began = performance.now();
    const all = Promise.all(Array.from({ length: 200 }, slow));
    const slowest = await slowestMeanwhile(all);
    for (const said of await all) expect(said).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(slowest).toBeLessThan(3_000);
    figures.push(
      `200 callers at once sending ${what}: each ended with 408 after ${((performance.now() - began) / 1_000).toFixed(1)} s (limit 2 s); slowest ordinary answer meanwhile ${slowest.toFixed(0)} ms`,
    );
  });
});

test('callers who ask for much and read nothing', async () => {
  const body = JSON.stringify({ query: getIntrospectionQuery() });
  const request = `POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  const began = performance.now();
  const all = Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = await connected();
      socket.pause();
      // More than what the system keeps for them.
      socket.write(request.repeat(40));
      const closed = new Promise((resolve) => socket.once('close', resolve));
      // A socket that is not read learns of its end when it writes.
      const knock = setInterval(() => socket.write(' '), 500);
      await closed;
      clearInterval(knock);
    }),
  );
  const slowest = await slowestMeanwhile(all);
  const took = performance.now() - began;
  expect(took).toBeLessThan(30_000);
  figures.push(
    `20 callers who ask 40 times each for the whole schema and read nothing: cut off after ${(took / 1_000).toFixed(1)} s at most; slowest ordinary answer meanwhile ${slowest.toFixed(0)} ms`,
  );
});

test('two thousand connections that say nothing', async () => {
  const sockets = await Promise.all(Array.from({ length: 2_000 }, connected));
  const times = [];
  for (let n = 0; n < 20; n += 1) times.push(await ordinaryRequest());
  const slowest = Math.max(...times);
  expect(slowest).toBeLessThan(3_000);
  figures.push(
    `2,000 connections that say nothing: slowest of 20 ordinary answers ${slowest.toFixed(0)} ms`,
  );
  for (const socket of sockets) socket.destroy();
});

test('more connections than the server takes are told so, and it takes new ones when they go', async () => {
  const small = await startTestServer(database, {
    httpLimits: { connections: 50, requestSeconds: 30 },
  });
  const at = Number(new URL(small.url).port);
  const open = async () => {
    const socket = connect(at, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  const taken = await Promise.all(Array.from({ length: 50 }, open));
  const refused = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = await open();
      socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
      return text(socket);
    }),
  );
  for (const said of refused) {
    expect(said).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
    expect(said).toMatch(/\r\nRetry-After: 1\r\n/);
    expect(said).toMatch(/\{"message":"The server has as many connections/);
  }
  for (const socket of taken) socket.destroy();
  await sleep(100);
  expect((await fetch(`${small.url}/healthz`)).status).toBe(200);
  figures.push('20 connections over a limit of 50: each answered 503 with Retry-After at once');
  await small.stop();
});

function statementsUnderWay(): Promise<number | null> {
  return withClient(database.superuserUrl, async (client) => {
    const { rowCount } = await client.query(
      `select from pg_stat_activity
       where datname = current_database() and application_name = 'bursar' and state = 'active'
         and pid <> pg_backend_pid()`,
    );
    return rowCount;
  });
}

describe('answers that would be huge', () => {
  const all = (first: number) =>
    `{ aiUsageEvents(first: ${first}) { nodes { id model provider costMicros occurredAt inputTokens } } }`;

  const nodesOf = ({ data }: GraphQLAnswer) =>
    (data?.aiUsageEvents as { nodes: unknown[] } | undefined)?.nodes;

  test('are broken off with words, again and again, and cost no memory', async () => {
    await server.graphql(world.people.owner, all(100));
    const before = process.memoryUsage().rss;
    const slowest = await slowestMeanwhile(
      (async () => {
        for (let n = 0; n < 20; n += 1) {
          const { status, data, errors } = await server.graphql(
            world.people.owner,
            all(2_147_483_647),
          );
          expect(status).toBe(200);
          expect(data?.aiUsageEvents ?? null).toBeNull();
          expect(errors).toEqual([
            expect.objectContaining({
              message: 'This is more than is answered at once: ask for a page, with first.',
              extensions: { code: 'VALIDATION_FAILED', field: 'first' },
            }),
          ]);
        }
      })(),
    );
    const grown = Math.max(0, process.memoryUsage().rss - before) / 2 ** 20;
    expect(grown).toBeLessThan(200);
    expect(slowest).toBeLessThan(3_000);
    // The connections that were broken off are replaced, and none is left waiting in the database.
    expect(nodesOf(await server.graphql(world.people.owner, all(100)))).toHaveLength(100);
    await expect.poll(statementsUnderWay, { timeout: 5_000 }).toBe(0);
    figures.push(
      `20 requests for all of ${EVENTS} rows at once (limit 1 MB): each refused with words; memory grew by ${grown.toFixed(0)} MB, slowest ordinary answer meanwhile ${slowest.toFixed(0)} ms`,
    );
  });

  test('a page below the limit comes whole', async () => {
    expect(nodesOf(await server.graphql(world.people.owner, all(2_000)))).toHaveLength(2_000);
  });
});

describe('questions that would take long', () => {
  const deep = (levels: number) => {
    let filter: object = { name: { equalTo: 'x' } };
    for (let n = 0; n < levels; n += 1) filter = n % 2 ? { not: filter } : { and: [filter] };
    return filter;
  };
  const wide = (count: number) => ({
    or: Array.from({ length: count }, (_, n) => ({ name: { likeInsensitive: `%${n}%a%b%c%` } })),
  });
  const FILTER = 'query($f: GroupFilter) { groups(filter: $f) { totalCount } }';
  const QUESTIONS: Record<string, [string, object]> = {
    'a filter 100 deep': [FILTER, { f: deep(100) }],
    'a filter 2,000 deep': [FILTER, { f: deep(2_000) }],
    'a filter of 1,500 patterns': [FILTER, { f: wide(1_500) }],
    'a filter with a pattern of 90,000 characters': [
      FILTER,
      { f: { name: { likeInsensitive: '%_'.repeat(45_000) } } },
    ],
    'a list of 2,000 ids': [
      FILTER,
      {
        f: {
          id: {
            in: Array.from(
              { length: 2_000 },
              (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
            ),
          },
        },
      },
    ],
    'an order by 500 columns': [
      'query($o: [AiUsageEventOrderBy!]) { aiUsageEvents(orderBy: $o, first: 1) { nodes { id } } }',
      { o: Array.from({ length: 500 }, (_, n) => (n % 2 ? 'MODEL_ASC' : 'INPUT_TOKENS_DESC')) },
    ],
    'an offset of two billion': [
      '{ aiUsageEvents(first: 1, offset: 2000000000) { nodes { id } } }',
      {},
    ],
    '300 lists, each of a thousand rows': [
      `{ ${Array.from({ length: 300 }, (_, n) => `a${n}: aiUsageEvents(first: 1000, offset: ${n}) { nodes { id } }`).join(' ')} }`,
      {},
    ],
    '200 sums of the whole ledger': [
      `{ ${Array.from({ length: 200 }, (_, n) => `a${n}: aiUsageEvents(filter: { inputTokens: { greaterThan: "${n}" } }) { aggregates { sum { inputTokens } } }`).join(' ')} }`,
      {},
    ],
  };

  test.each(Object.entries(QUESTIONS))('%s', async (what, [query, variables]) => {
    const began = performance.now();
    const asked = server.graphql(world.people.owner, query, variables as Record<string, unknown>);
    const slowest = await slowestMeanwhile(asked);
    const { status, errors } = await asked;
    const took = performance.now() - began;
    expect([200, 400, 413]).toContain(status);
    for (const { extensions, message } of errors ?? []) {
      expect(['VALIDATION_FAILED', 'TIMEOUT']).toContain(extensions.code);
      expect(message).not.toMatch(/stack|select |relation/i);
    }
    expect(took).toBeLessThan(30_000);
    const became = errors === undefined ? 'answered' : `refused (${errors[0]?.extensions.code})`;
    figures.push(
      `${what}: ${became} after ${took.toFixed(0)} ms; slowest ordinary answer meanwhile ${slowest.toFixed(0)} ms`,
    );
    // Planning can't be stopped; on a machine with others at work it takes several times as long.
    expect(slowest).toBeLessThan(15_000);
  });
});

describe('bodies that are too large', () => {
  test.each([
    ['/graphql', 2_000_000],
    ['/graphql', 50_000_000],
    ['/api/v2/ai/spend/authorize', 2_000_000],
    ['/api/v2/ai/usage', 50_000_000],
  ])('%s of %i bytes is refused before it is read whole', async (path, size) => {
    const answer = await server
      .request(world.people.member, path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: `{"query": "${'x'.repeat(size)}"}`,
      })
      .catch((error: Error) => error);
    // Whoever still sends when the answer comes may see the connection end instead.
    if (answer instanceof Error) expect(answer.message).toBe('fetch failed');
    else expect(answer.status).toBe(413);
    await ordinaryRequest();
  });
});

test('a batch of operations is none', async () => {
  const answer = await server.request(world.people.owner, '/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(Array.from({ length: 1_000 }, () => ({ query: '{ __typename }' }))),
  });
  expect(answer.status).toBe(400);
  expect(await answer.text()).toContain('VALIDATION_FAILED');
});

test('the server’s role is limited in time by PostgreSQL too', async () => {
  const { rows } = await database.owner.query<{ setting: string }>(
    `select unnest(setconfig) as setting from pg_db_role_setting s
       join pg_roles r on r.oid = s.setrole join pg_database d on d.oid = s.setdatabase
     where r.rolname = 'bursar_authenticator' and d.datname = 'bursar_template'`,
  );
  expect(rows.map(({ setting }) => setting).sort()).toEqual([
    'idle_in_transaction_session_timeout=15s',
    'lock_timeout=5s',
    'statement_timeout=10s',
  ]);
});

const figures: string[] = [];
test('the figures', ({ task }) => {
  task.meta.figures = figures;
});
