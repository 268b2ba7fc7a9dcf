import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createEmptyDatabase,
  endAllCommands,
  expectNoStackTrace,
  expectPlainWords,
  run,
  start,
} from './support/command-line.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { SECRET } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// `bursar serve`: the server in a process of its own, as in production.

let database: TestDatabase;
let world: World;
let environment: Record<string, string>;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  environment = {
    DATABASE_URL: database.urls.owner,
    AUTH_DATABASE_URL: database.urls.authenticator,
    JWT_SECRET: SECRET,
    PORT: '0',
  };
});

afterAll(async () => {
  endAllCommands();
  await database?.drop();
});

async function serve(changes: Record<string, string> = {}) {
  const command = start(['serve'], { ...environment, ...changes });
  const url = await command.says(/Bursar answers at (http:\S+)\n/);
  return { ...command, url };
}

/** So far, by Linux, which counts hundredths. */
function processorSecondsOf(pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ').slice(13, 15);
  return (Number(user) + Number(system)) / 100;
}

/** What a server can't do without, in a process of its own like the server's. */
function processorSecondsOfLoadingPostGraphile(): number {
  const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env;
  const load = `import 'postgraphile';
    import 'postgraphile/presets/amber';
    import 'postgraphile/grafserv/express/v4';
    const { user, system } = process.cpuUsage();
    console.log((user + system) / 1e6);`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', load], {
    cwd: import.meta.dirname,
    env: { PATH, NODE_COMPILE_CACHE, GRAPHILE_ENV: 'production' },
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return Number(stdout);
}

/** Of a processor, since a clock says little where others work too; and by ratio, for one that is slow. */
function expectQuickStart(seconds: number): void {
  const ratio = seconds / processorSecondsOfLoadingPostGraphile();
  process.stdout.write(
    `bursar serve was ready after ${seconds.toFixed(2)} s of a processor, ${ratio.toFixed(1)} times that of loading PostGraphile\n`,
  );
  // 4 to 7 is usual.
  expect(ratio).toBeLessThan(10);
}

async function tokenOf(user: string): Promise<string> {
  const { stdout } = await run(['token', '--user', user], environment);
  return stdout.trim();
}

describe('bursar serve', () => {
  test('answers whoever `bursar token` names, and ends at SIGTERM', async () => {
    const server = await serve();
    expectQuickStart(processorSecondsOf(server.pid));
    const budget = `${server.url}/api/v2/groups/${world.group}/ai/budget`;
    const authorization = `Bearer ${await tokenOf('member')}`;
    const answer = await fetch(budget, { headers: { authorization } });
    expect(await answer.json()).toMatchObject({ spend_limit_micros: 500_000_000 });
    expect((await fetch(budget)).status).toBe(401);

    const graphql = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({
        query: `{ groupAiBudget(groupId: "${world.group}") { spendLimitMicros } }`,
      }),
    });
    expect(await graphql.json()).toEqual({
      data: { groupAiBudget: { spendLimitMicros: '500000000' } },
    });

    // No GraphiQL where nobody asked for it.
    for (const path of ['/', '/graphiql', '/ruru-static/ruru.js']) {
      const page = await fetch(`${server.url}${path}`, { headers: { accept: 'text/html' } });
      expect(page.status, path).toBe(404);
      expect(await page.text()).not.toMatch(/graphiql|ruru/i);
    }

    // The connections that fetch keeps open must not hold the process.
    const began = performance.now();
    server.kill('SIGTERM');
    const ended = await server.ended;
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(performance.now() - began).toBeLessThan(3000);
  });

  // Started once for both: a server takes two seconds of a processor to start.
  test('shows GraphiQL when told to; finishes the request that runs when SIGTERM comes, and takes no other', async () => {
    const server = await serve({ GRAPHIQL: 'true' });
    const page = await fetch(`${server.url}/`, { headers: { accept: 'text/html' } });
    expect(page.status).toBe(200);
    expect(await page.text()).toMatch(/ruru|graphiql/i);

    const authorization = `Bearer ${await tokenOf('organization_admin')}`;
    const holder = new Client({ connectionString: database.urls.owner });
    await holder.connect();
    await holder.query('begin');
    await holder.query('lock table app_public.group_ai_budgets in access exclusive mode');

    const put = fetch(`${server.url}/api/v2/groups/${world.group}/ai/budget`, {
      method: 'PUT',
      headers: { authorization },
      body: '{"spend_limit_micros": 77}',
    });
    const waiting = `select from pg_locks
      where relation = 'app_public.group_ai_budgets'::regclass and not granted`;
    await expect
      .poll(async () => (await holder.query(waiting)).rowCount, { timeout: 5000 })
      .toBe(1);

    server.kill('SIGTERM');
    await expect
      .poll(
        () =>
          fetch(server.url).then(
            () => 'answered',
            () => 'refused',
          ),
        { timeout: 5000 },
      )
      .toBe('refused');
    await holder.query('commit');
    await holder.end();

    const began = performance.now();
    const answer = await put;
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ spend_limit_micros: 77 });
    expect(await server.ended).toMatchObject({ code: 0, signal: null });
    // The connection on which that answer came is kept alive by fetch; it must not hold the process for long.
    expect(performance.now() - began).toBeLessThan(8000);
  });

  test('says in plain words why it can’t', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => squatter.once('listening', resolve));
    const { port } = squatter.address() as AddressInfo;
    const { JWT_SECRET, AUTH_DATABASE_URL = '', ...rest } = environment;
    const url = (change: (url: URL) => void) => {
      const changed = new URL(AUTH_DATABASE_URL);
      change(changed);
      return changed.href;
    };
    const cases: [changes: Record<string, string>, words: RegExp][] = [
      [{ PORT: String(port) }, new RegExp(`Port ${port} is taken by another program`)],
      [
        { AUTH_DATABASE_URL: url((u) => Object.assign(u, { port: '1' })) },
        /The database at 127\.0\.0\.1:1 does not answer/,
      ],
      [
        { AUTH_DATABASE_URL: url((u) => Object.assign(u, { hostname: 'db.invalid' })) },
        /db\.invalid is not known here/,
      ],
      [
        { AUTH_DATABASE_URL: url((u) => Object.assign(u, { password: 'wrong' })) },
        /The database refused the login: password authentication failed.*name and password/,
      ],
      [
        { AUTH_DATABASE_URL: url((u) => Object.assign(u, { pathname: '/gone' })) },
        /Database "gone" does not exist\. Create it first/,
      ],
      [{ JWT_SECRET: 'x'.repeat(31) }, /JWT_SECRET has 31 bytes; HS256 wants 32 or more/],
      [{ JWT_SECRET: '', JWKS_URL: '/gone/keys.json' }, /\/gone\/keys\.json/],
      [{ AUTH_DATABASE_URL: '' }, /AUTH_DATABASE_URL is missing/],
    ];
    try {
      // Two at a time, for there may be no more processors than that.
      for (let i = 0; i < cases.length; i += 2)
        await Promise.all(
          cases.slice(i, i + 2).map(async ([changes, words]) => {
            const ended = await run(['serve'], {
              ...rest,
              AUTH_DATABASE_URL,
              JWT_SECRET: SECRET,
              ...changes,
            });
            const text = `${ended.stdout}${ended.stderr}`;
            expect.soft(ended.code, JSON.stringify(changes)).toBe(1);
            expect.soft(text, JSON.stringify(changes)).toMatch(words);
            expect.soft(text).not.toContain('wrong@');
            expectNoStackTrace(ended);
          }),
        );
    } finally {
      squatter.close();
    }
  });

  test('says so when nobody has migrated the database', async () => {
    const empty = await createEmptyDatabase();
    await empty.query(`grant connect on database ${empty.name} to bursar_authenticator`);
    const server = start(['serve'], {
      ...environment,
      AUTH_DATABASE_URL: new URL(`/${empty.name}`, environment.AUTH_DATABASE_URL).href,
    });
    // A server that starts all the same must not be waited for.
    server.says(/Bursar answers/).then(
      () => server.kill('SIGTERM'),
      () => {},
    );
    const ended = await server.ended;
    await empty.drop();
    expectPlainWords(ended, /bursar migrate/);
  });

  test('says everything that is missing at once', async () => {
    expectPlainWords(
      await run(['serve'], { PORT: '70000' }),
      /AUTH_DATABASE_URL is missing.*PORT must be a whole number from 0 to 65535, not "70000".*Set JWT_SECRET/s,
    );
    expectPlainWords(
      await run(['serve'], {
        AUTH_DATABASE_URL: 'bursar',
        JWT_SECRET: SECRET,
        JWKS_URL: 'keys.json',
      }),
      /AUTH_DATABASE_URL must look like postgres:.*JWT_SECRET and JWKS_URL are both set/s,
    );
    // `start` serves what is named, and makes no database of its own beside it.
    expectPlainWords(
      await run(['start'], { DATABASE_URL: database.urls.owner, JWT_SECRET: SECRET }),
      /AUTH_DATABASE_URL is missing/,
    );
  });
});
