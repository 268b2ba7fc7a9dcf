import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createPool } from '../src/database.ts';
import { ask, Caller, settingsOf } from '../src/on-behalf.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { gateOf, OFF, ON, setAiBridge } from './support/features.ts';
import { logOf } from './support/log.ts';
import { type PgBouncer, pgBouncerIsHere, startPgBouncer } from './support/pgbouncer.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// A pooler by transaction before PostgreSQL, with two connections for all that servers have open: nearly each
// transaction runs on a connection that somebody else has just used.

const CONNECTIONS = 2;

let database: TestDatabase;
let world: World;
let bouncer: PgBouncer;
/** Is told of PgBouncer alone. */
let server: TestServer;
/** Listens for changes at PostgreSQL itself. */
let listening: TestServer;
let startUp: { level: string; message?: string }[];

beforeAll(async () => {
  if (!pgBouncerIsHere) return;
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  bouncer = await startPgBouncer(database.urls.authenticator, CONNECTIONS);
  const { result, log } = await logOf(() =>
    startTestServer(database, { authDatabaseUrl: bouncer.url, listenDatabaseUrl: bouncer.url }),
  );
  server = result;
  startUp = log as typeof startUp;
  listening = await startTestServer(database, { authDatabaseUrl: bouncer.url });
});

afterAll(async () => {
  await server?.stop();
  await listening?.stop();
  await bouncer?.stop();
  await database?.drop();
});

describe.skipIf(!pgBouncerIsHere)('behind PgBouncer', () => {
  const WHO = ['member', 'owner', 'foreigner', 'nobody'] as const;
  type Who = (typeof WHO)[number];

  const idOf = (who: Who) =>
    ({
      member: world.people.member,
      owner: world.people.owner,
      foreigner: world.foreigner,
      nobody: null,
    })[who];

  const budgetPath = () => `/api/v2/groups/${world.group}/ai/budget`;

  /** What somebody sees by each door: the groups by GraphQL, and the status of a budget by REST. */
  async function seenBy(who: Who) {
    const id = idOf(who);
    const { data } = await server.graphql(id, '{ groups(orderBy: ID_ASC) { nodes { id } } }');
    return { groups: data, rest: (await server.request(id, budgetPath())).status };
  }

  test('everybody sees what is theirs, 150 requests at once', async () => {
    const alone = new Map<Who, unknown>();
    for (const who of WHO) alone.set(who, await seenBy(who));
    expect(new Set([...alone.values()].map((seen) => JSON.stringify(seen))).size).toBe(4);
    await Promise.all(
      Array.from({ length: 75 }, async (_, n) => {
        const who = WHO[n % WHO.length] ?? 'nobody';
        expect(await seenBy(who)).toEqual(alone.get(who));
      }),
    );
  });

  test('a user that does not exist is nobody’s, also between others', async () => {
    const stranger = '00000000-0000-4000-8000-000000000000';
    const statuses = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const id = n % 2 === 0 ? stranger : world.people.member;
        return (await server.request(id, budgetPath())).status;
      }),
    );
    expect(statuses).toEqual(statuses.map((_, n) => (n % 2 === 0 ? 401 : 200)));
  });

  test('nothing stays behind on the connections of PostgreSQL', async () => {
    await Promise.all(Array.from({ length: 20 }, () => seenBy('owner')));
    await expectRefused();
    const clients = await Promise.all(
      Array.from({ length: CONNECTIONS }, async () => {
        const client = new Client({ connectionString: bouncer.url });
        await client.connect();
        await client.query('begin');
        return client;
      }),
    );
    const own = new Client({ connectionString: database.urls.authenticator });
    await own.connect();
    const state = async (client: Client) => {
      const { rows } = await client.query(
        `select current_user::text as role, coalesce(current_setting('bursar.user_id', true), '') as speaks_for,
           coalesce(current_setting('bursar.door', true), '') as door,
           current_setting('statement_timeout') as patience, current_setting('lock_timeout') as lock_patience,
           current_setting('jit') as jit, (select count(*)::int from pg_prepared_statements) as prepared`,
      );
      return rows[0];
    };
    const untouched = await state(own);
    expect(untouched).toMatchObject({ role: 'bursar_authenticator', speaks_for: '', prepared: 0 });
    const pids = new Set<number>();
    for (const client of clients) {
      expect(await state(client)).toEqual(untouched);
      pids.add((await client.query('select pg_backend_pid() as pid')).rows[0].pid);
      await client.end();
    }
    await own.end();
    // They were all that there are.
    expect(pids.size).toBe(CONNECTIONS);
  });

  /** A request that fails in the middle of its transaction. */
  async function expectRefused() {
    const init = { method: 'PUT', body: '{"spend_limit_micros": 1}' };
    expect((await server.request(world.people.member, budgetPath(), init)).status).toBe(404);
  }

  test('a request keeps to the limits of requests', async () => {
    const pool = createPool(bouncer.url, 1, Number.POSITIVE_INFINITY, () => {});
    const caller = new Caller(world.people.member, 'rest');
    const { rows } = await ask(pool, caller, {
      text: 'select name, current_setting(name) as value from unnest($1::text[]) as name',
      values: [Object.keys(settingsOf(caller))],
    });
    expect(Object.fromEntries(rows.map(({ name, value }) => [name, value]))).toEqual(
      settingsOf(caller),
    );
    await pool.end();
  });

  test('writes by each door, and each answer is of what was written', async () => {
    const upsert = (micros: number) =>
      server.graphql(
        world.people.owner,
        `mutation { upsertGroupAiBudget(input: { groupId: "${world.group}", spendLimitMicros: "${micros}" }) {
           groupAiBudget { spendLimitMicros group { id } } } }`,
      );
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => upsert(1_000 + n)));
    expect(answers.map(({ data }) => data)).toEqual(
      answers.map((_, n) => ({
        upsertGroupAiBudget: {
          groupAiBudget: { spendLimitMicros: `${1_000 + n}`, group: { id: world.group } },
        },
      })),
    );
    const put = { method: 'PUT', body: '{"spend_limit_micros": 500000000}' };
    expect((await server.request(world.people.owner, budgetPath(), put)).status).toBe(200);
  });

  const expectFlips = async (of: TestServer) => {
    for (const [state, is] of [
      [OFF, 'off'],
      [ON, 'on'],
    ] as const) {
      await setAiBridge(database, state);
      await vi.waitFor(async () => expect(await gateOf(of, world.people.owner)).toBe(is), {
        timeout: 10_000,
        interval: 5,
      });
    }
  };

  test('flips of features hold at once, though nobody hears of them; the log says what helps', async () => {
    expect(startUp).toEqual([
      expect.objectContaining({
        level: 'warn',
        message: expect.stringContaining('LISTEN_DATABASE_URL'),
      }),
    ]);
    await expectFlips(server);
  });

  test('a server that listens at PostgreSQL itself hears of flips', async () => {
    const { rows } = await database.owner.query(
      `select count(*)::int as listeners from pg_stat_activity
       where datname = current_database() and application_name = 'bursar features'`,
    );
    expect(rows).toEqual([{ listeners: 1 }]);
    await expectFlips(listening);
  });

  test('a restart of PgBouncer is over with the next request', async () => {
    const seen = await seenBy('member');
    const { log } = await logOf(async () => {
      await bouncer.restart();
      // As many as there were connections in the pool, each of them broken.
      expect(await Promise.all(Array.from({ length: 10 }, () => seenBy('member')))).toEqual(
        Array.from({ length: 10 }, () => seen),
      );
    });
    expect(log).not.toContainEqual(expect.objectContaining({ level: 'error' }));
  });
});
