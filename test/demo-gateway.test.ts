import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDemo } from '../src/demo.ts';
import { packagePrices, syncPrices } from '../src/prices.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { startTestServer, type TestServer } from './support/server.ts';

let database: TestDatabase;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  const client = await database.owner.connect();
  await syncPrices(client, packagePrices(new Date()));
  await makeDemo(client);
  client.release();
  server = await startTestServer(database);
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

const run = promisify(execFile);
const SCRIPT = join(import.meta.dirname, '../src/demo-gateway.ts');

async function play(environment: Record<string, string>): Promise<string> {
  const { PATH = '', TMPDIR = '/tmp', HOME = '/tmp', NODE_COMPILE_CACHE = '' } = process.env;
  const { stdout } = await run(process.execPath, [SCRIPT], {
    env: { PATH, TMPDIR, HOME, NODE_COMPILE_CACHE, ...environment },
    timeout: 90_000,
    killSignal: 'SIGKILL',
  });
  return stdout;
}

async function gatewayEnvironment(): Promise<Record<string, string>> {
  const { rows } = await database.owner.query<{ id: string }>(
    `select id from app_public.users where username = 'gateway'`,
  );
  const token = await server.tokenOf(rows[0]?.id ?? null);
  return { BURSAR_URL: server.url, BURSAR_TOKEN: token ?? '' };
}

test('plays a day until Marketing hits its limit, and no further', async () => {
  const output = await play(await gatewayEnvironment());
  expect(output).toMatch(/^08:\d\d {2}\[[#.]{30}\] +\d+ of 480 calls$/m);
  expect(output).toMatch(/^\d\d:\d\d {2}Marketing hit its limit: GROUP_BUDGET_EXCEEDED$/m);
  const row = (name: string) =>
    /\s+(\d+)\s+(\d+)\s+(\d+)\s+\$(\S+)\s+(none|\$\S+)\s*(.*)$/m.exec(
      output.split('\n').find((line) => line.startsWith(`${name} `)) ?? '',
    ) ?? [];

  const [, calls, allowed, refused, spent, limit] = row('Marketing');
  expect(Number(calls)).toBeGreaterThan(40);
  expect(Number(allowed) + Number(refused)).toBe(Number(calls));
  expect(limit).toBe('$8.0000');
  expect(Number(spent)).toBeGreaterThan(7);
  expect(Number(spent)).toBeLessThanOrEqual(8);
  expect(row('Research').slice(2, 5)).toEqual(['0', row('Research')[1], '0.0000']);
  expect(row('Everyone')[5]).toBe('none');
  expect(Number(row('Engineering')[4])).toBeGreaterThan(1);

  const { rows } = await database.owner.query(
    `select (select count(*)::int from app_public.ai_usage_events) as events,
       (select count(*)::int from app_private.ai_spend_requests where state = 'held') as held,
       (select count(*)::int from app_public.ai_ledger_discrepancies) as discrepancies`,
  );
  const total = ['Marketing', 'Research', 'Everyone', 'Engineering'].reduce(
    (sum, name) => sum + Number(row(name)[2]),
    0,
  );
  expect(rows).toEqual([{ events: total, held: 0, discrepancies: 0 }]);
}, 40_000);

test('without a server says what to do', async () => {
  await expect(play({ BURSAR_URL: 'http://127.0.0.1:9', BURSAR_TOKEN: 'x' })).rejects.toMatchObject(
    {
      code: 1,
      stderr: 'Nothing answers at http://127.0.0.1:9: run npm start in another terminal.\n',
    },
  );
});
