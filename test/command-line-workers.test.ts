import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, fetch as fetchBy } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { signToken } from '../src/identity.ts';
import { shareOf } from '../src/workers.ts';
import {
  type Command,
  endAllCommands,
  expectPlainWords,
  run,
  start,
} from './support/command-line.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { OFF, ON, setAiBridge } from './support/features.ts';
import { SECRET } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// `bursar serve --workers 2`: one server of several processes.

const POOL = 4;

let database: TestDatabase;
let world: World;
let environment: Record<string, string>;
let server: Command;
let url: string;
let authorization: string;
/** A new connection for each request, so that the next may go to another worker. */
const noKeepAlive = new Agent({ keepAliveTimeout: 1, keepAliveMaxTimeout: 1, pipelining: 0 });

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  authorization = `Bearer ${await signToken(world.people.owner, 3600, { secret: SECRET })}`;
  environment = {
    AUTH_DATABASE_URL: database.urls.authenticator,
    JWT_SECRET: SECRET,
    PORT: '0',
    DATABASE_POOL_SIZE: String(POOL),
    METRICS_TOKEN: 'a-token-for-the-scraper',
  };
  server = start(['serve', '--workers', '2'], environment);
  url = await server.says(/Bursar answers at (http:\S+)\n/);
});

afterAll(async () => {
  endAllCommands();
  await noKeepAlive.close();
  await database?.drop();
});

const workers = () =>
  readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8')
    .split(' ')
    .filter(Boolean)
    .map(Number);

const budgetOf = async (init: { method?: string; body?: string } = {}) => {
  const answer = await fetchBy(`${url}/api/v2/groups/${world.group}/ai/budget`, {
    ...init,
    headers: { authorization },
    dispatcher: noKeepAlive,
  });
  return answer.status;
};

const metrics = async () => {
  const answer = await fetchBy(`${url}/metrics`, {
    headers: { authorization: 'Bearer a-token-for-the-scraper' },
    dispatcher: noKeepAlive,
  });
  expect(answer.status).toBe(200);
  return answer.text();
};

const budgetsAtOnce = (count: number) =>
  Promise.all(Array.from({ length: count }, () => budgetOf()));

const all = (count: number, status: number) => Array.from({ length: count }, () => status);

async function connectionsOf(application: string): Promise<number> {
  const { rows } = await database.owner.query(
    `select count(*)::int as count from pg_stat_activity
     where datname = current_database() and application_name = $1`,
    [application],
  );
  return rows[0].count;
}

test('whichever is asked tells the metrics of all', async () => {
  await budgetsAtOnce(40);
  const counts = [];
  for (let n = 0; n < 4; n += 1) {
    const text = await metrics();
    const byWorker = (pattern: RegExp) =>
      [...text.matchAll(pattern)].map(({ groups }) => [groups?.worker, Number(groups?.value)]);
    const requests = byWorker(
      /^bursar_requests_total\{.*outcome="ok".*worker="(?<worker>\d)".*\} (?<value>\d+)$/gm,
    );
    counts.push(requests.reduce((sum, [, value]) => sum + Number(value), 0));
    expect(requests.map(([worker]) => worker).sort()).toEqual(['1', '2']);
    expect(
      byWorker(/^bursar_pool_connections_max\{worker="(?<worker>\d)"\} (?<value>\d+)$/gm).sort(),
    ).toEqual([
      ['1', POOL / 2],
      ['2', POOL / 2],
    ]);
    // Both say the same of the database.
    expect(byWorker(/^bursar_budgets\{worker="(?<worker>\d)"\} (?<value>\d+)$/gm).sort()).toEqual([
      ['1', 3],
      ['2', 3],
    ]);
  }
  expect(counts).toEqual([40, 40, 40, 40]);
});

test('they share the connections of one server, and each hears of changes', async () => {
  expect(workers()).toHaveLength(2);
  expect(await budgetsAtOnce(60)).toEqual(all(60, 200));
  expect(await connectionsOf('bursar')).toBe(POOL);
  expect(await connectionsOf('bursar features')).toBe(2);
  for (const [state, status] of [
    [OFF, 403],
    [ON, 200],
  ] as const) {
    await setAiBridge(database, state);
    await expect.poll(() => budgetsAtOnce(10), { timeout: 45_000 }).toEqual(all(10, status));
  }
});

test('one that is killed is replaced, and the others answer meanwhile', async () => {
  const [first = 0, second = 0] = workers();
  process.kill(first, 'SIGKILL');
  await expect.poll(workers, { interval: 5 }).not.toContain(first);
  expect(await budgetsAtOnce(20)).toEqual(all(20, 200));
  // PostgreSQL may still count the connection of the one that is gone.
  await expect.poll(workers, { timeout: 45_000 }).toHaveLength(2);
  await expect.poll(() => connectionsOf('bursar features'), { timeout: 45_000 }).toBe(2);
  const now = workers();
  expect(now).toContain(second);
  expect(now).not.toContain(first);
  expect(await budgetsAtOnce(20)).toEqual(all(20, 200));
});

test('all finish what runs when SIGTERM comes, and no process stays', async () => {
  const pids = workers();
  const holder = await database.owner.connect();
  await holder.query('begin; lock table app_public.group_ai_budgets in access exclusive mode');
  // One after the other, so that they go to both.
  const waiting: Promise<number>[] = [];
  try {
    for (const count of [1, 2]) {
      waiting.push(budgetOf());
      await expect
        .poll(async () => {
          const { rowCount } = await holder.query(
            `select from pg_locks where relation = 'app_public.group_ai_budgets'::regclass and not granted`,
          );
          return rowCount;
        })
        .toBe(count);
    }
    // As it comes to a process group: each worker is told twice.
    for (const pid of pids) process.kill(pid, 'SIGTERM');
    await sleep(100);
    server.kill('SIGTERM');
    // Who comes as the door closes is told so only when everybody has left.
    const knock = () =>
      fetchBy(url, { dispatcher: noKeepAlive, signal: AbortSignal.timeout(250) }).then(
        () => 'let in',
        () => 'left outside',
      );
    await expect.poll(knock, { timeout: 45_000 }).toBe('left outside');
  } finally {
    await holder.query('rollback');
    holder.release();
  }
  expect(await Promise.all(waiting)).toEqual(all(2, 200));
  const ended = await server.ended;
  expect(ended).toMatchObject({ code: 0, signal: null });
  // The one that was killed, and nothing else.
  expect(ended.stderr.trim().split('\n')).toEqual([
    expect.stringMatching(/"warn".*Worker \d is gone \(SIGKILL\)/),
  ]);
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

test('says once in plain words why they can’t, and ends them all', async () => {
  const squatter = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => squatter.once('listening', resolve));
  const { port } = squatter.address() as AddressInfo;
  for (const [changes, words] of [
    [{ PORT: String(port) }, new RegExp(`^Port ${port} is taken by another program.*\n$`)],
    [
      { AUTH_DATABASE_URL: 'postgres://bursar:x@127.0.0.1:1/bursar' },
      /^The database at 127\.0\.0\.1:1 does not answer.*\n$/,
    ],
  ] as const) {
    expectPlainWords(await run(['serve'], { ...environment, WORKERS: '2', ...changes }), words);
  }
  await new Promise((resolve) => squatter.close(resolve));
});

test.each([
  [3, 2, [2, 1]],
  [10, 4, [3, 3, 2, 2]],
  [4, 4, [1, 1, 1, 1]],
])('%i connections among %i', (whole, count, shares) => {
  expect(shares.map((_, n) => shareOf(whole, count, n + 1))).toEqual(shares);
});
