import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt, jwtVerify } from 'jose';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { priceListOfPackage } from '../src/price-list.ts';
import {
  createEmptyDatabase,
  type EmptyDatabase,
  endAllCommands,
  expectNoStackTrace,
  expectPlainWords,
  run,
} from './support/command-line.ts';
import { asSuperuser, createTestDatabase, type TestDatabase } from './support/database.ts';
import { SECRET } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// The commands that do their work and end. `serve` is in command-line-serve.test.ts, `start` in
// command-line-start.test.ts.

const dropped: EmptyDatabase[] = [];

async function emptyDatabase(login = {}): Promise<EmptyDatabase> {
  const database = await createEmptyDatabase(login);
  dropped.push(database);
  return database;
}

afterEach(async () => {
  endAllCommands();
  for (const database of dropped.splice(0)) await database.drop();
});

describe('migrate', () => {
  /** What a second run could have changed. */
  const traces = `
    select r.rolname, r.rolcanlogin, r.rolinherit, r.rolsuper, r.rolcreaterole, r.rolbypassrls, r.rolpassword,
      (select array_agg(m.roleid::regrole::text) from pg_auth_members m where m.member = r.oid) as roles,
      (select datacl::text from pg_database where datname = current_database()) as grants,
      (select json_agg(m order by m.filename) from graphile_migrate.migrations m) as migrations,
      (select json_agg(a) from app_private.authenticators a) as authenticators,
      (select md5(string_agg(concat(oid, relname, relacl), ',' order by oid)) from pg_class) as relations,
      (select md5(string_agg(concat(oid, prosrc, proacl), ',' order by oid)) from pg_proc) as functions
    from pg_authid r where r.rolname = $1`;

  test('makes the server’s role with the name and password of AUTH_DATABASE_URL, and nothing twice', async () => {
    const database = await emptyDatabase({
      name: `it's "ours" ${randomUUID().slice(0, 8)}`,
      password: `p'a"s\\s@w:o/r#d %41 ☂`,
    });
    expect(await run(['migrate'], database.environment)).toMatchObject({ code: 0, stderr: '' });
    const [after] = await database.query(traces, [database.authenticator]);
    expect(after).toMatchObject({
      rolcanlogin: true,
      rolinherit: false,
      rolsuper: false,
      rolcreaterole: false,
      rolbypassrls: false,
      roles: ['bursar_user'],
      authenticators: [{ role_name: database.authenticator }],
    });

    const server = new Client({ connectionString: database.environment.AUTH_DATABASE_URL });
    await server.connect();
    await expect(
      server.query('select app_hidden.require_user(gen_random_uuid())'),
    ).rejects.toMatchObject({ code: 'BU401' });
    await server.end();

    expect(await run(['migrate'], database.environment)).toMatchObject({ code: 0 });
    expect(await database.query(traces, [database.authenticator])).toEqual([after]);

    const check = await run(['check'], database.environment);
    expect(check).toMatchObject({ code: 0, stderr: '' });
    expect(check.stdout).toContain('ok');
    expect(check.stdout).not.toContain('MISSING');
  });

  test('is done by an owner who is no superuser', async () => {
    const rows = await asSuperuser(
      'postgres',
      async (client) =>
        (
          await client.query(
            `select rolsuper, rolbypassrls from pg_roles where rolname = 'bursar_owner'`,
          )
        ).rows,
    );
    expect(rows).toEqual([{ rolsuper: false, rolbypassrls: false }]);
  });

  test('succeeds when two do it at once', async () => {
    const database = await emptyDatabase();
    const both = await Promise.all([1, 2].map(() => run(['migrate'], database.environment)));
    for (const one of both) expect(one).toMatchObject({ code: 0, stderr: '' });
    expect(await run(['check'], database.environment)).toMatchObject({ code: 0 });
  });

  test('touches nothing where app_public belongs to something else', async () => {
    const database = await emptyDatabase();
    await asSuperuser(database.name, (client) =>
      client.query(`create schema app_public authorization bursar_owner;
        create table app_public.users (id int primary key, mine text);
        insert into app_public.users values (1, 'mine')`),
    );
    const state = `select
      (select array_agg(nspname::text order by 1) from pg_namespace where nspname !~ '^pg_') as schemas,
      (select nspacl::text from pg_namespace where nspname = 'app_public') as grants,
      (select md5(string_agg(oid::text || xmin::text, ',' order by oid)) from pg_class
        where relnamespace = 'app_public'::regnamespace) as tables,
      (select json_agg(u) from app_public.users u) as rows`;
    const before = await database.query(state);
    expectPlainWords(await run(['migrate'], database.environment), /app_public/);
    expect(await database.query(state)).toEqual(before);
  });

  test.each([
    ['superuser', /is a superuser/],
    ['bypassrls', /bypasses row security/],
    ['createrole', /may create roles/],
  ])('trusts no server’s role that has %s, and gives it nothing', async (power, words) => {
    const database = await emptyDatabase();
    const { authenticator } = database;
    await asSuperuser('postgres', (client) =>
      client.query(`create role ${authenticator} login noinherit ${power} password 'server'`),
    );
    expectPlainWords(await run(['migrate'], database.environment), words);
    expect(
      await database.query(
        `select (select count(*) from pg_auth_members m where m.member = r.oid) as memberships,
           to_regnamespace('app_public') as schema,
           (select datacl::text from pg_database where datname = current_database()) as grants
         from pg_roles r where rolname = $1`,
        [authenticator],
      ),
    ).toEqual([{ memberships: '0', schema: null, grants: null }]);
  });

  test('says what is wrong with the environment, all of it at once', async () => {
    expectPlainWords(
      await run(['migrate'], { DATABASE_URL: 'localhost:5432/bursar' }),
      /DATABASE_URL must look like postgres:.*AUTH_DATABASE_URL is missing/s,
    );
    expectPlainWords(
      await run(['migrate'], {
        DATABASE_URL: '',
        AUTH_DATABASE_URL: 'postgres://a:b@127.0.0.1:1/c',
      }),
      /DATABASE_URL is missing/,
    );
  });

  test('says that the database does not exist, or does not answer', async () => {
    const { DATABASE_URL, AUTH_DATABASE_URL } = (await emptyDatabase()).environment;
    expectPlainWords(
      await run(['migrate'], { DATABASE_URL: `${DATABASE_URL}_gone`, AUTH_DATABASE_URL }),
      /Database "cli_.*_gone" does not exist\. Create it first/,
    );
    expectPlainWords(
      await run(['migrate'], { DATABASE_URL: 'postgres://a:b@127.0.0.1:1/c', AUTH_DATABASE_URL }),
      /The database at 127\.0\.0\.1:1 does not answer/,
    );
  });
});

describe('with a migrated database', () => {
  let database: TestDatabase;
  let world: World;
  let environment: Record<string, string>;
  let folder: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    world = await createWorld(database.owner);
    folder = await mkdtemp(join(tmpdir(), 'bursar-command-'));
    environment = {
      DATABASE_URL: database.urls.owner,
      AUTH_DATABASE_URL: database.urls.authenticator,
      JWT_SECRET: SECRET,
    };
  });

  afterAll(async () => {
    await database?.drop();
    await rm(folder, { recursive: true, force: true });
  });

  describe('token', () => {
    const key = new TextEncoder().encode(SECRET);

    test('names the user, by name or by id, for an hour or as long as is said', async () => {
      for (const [args, seconds] of [
        [['--user', 'member'], 3600],
        [['--user', world.people.member.toUpperCase(), '--ttl', '90s'], 90],
        [['--user', 'member', '--ttl', '7d'], 7 * 24 * 3600],
      ] as const) {
        const ended = await run(['token', ...args], environment);
        expect(ended).toMatchObject({ code: 0, stderr: '' });
        const { payload, protectedHeader } = await jwtVerify(ended.stdout.trim(), key);
        expect(protectedHeader.alg).toBe('HS256');
        expect(payload.sub).toBe(world.people.member);
        expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(seconds);
      }
    });

    test('carries JWT_ISSUER and JWT_AUDIENCE', async () => {
      const { stdout } = await run(['token', '--user', 'owner'], {
        ...environment,
        JWT_ISSUER: 'us',
        JWT_AUDIENCE: 'bursar',
      });
      expect(decodeJwt(stdout.trim())).toMatchObject({ iss: 'us', aud: 'bursar' });
    });

    test('an id is an id, also where somebody has it for a name', async () => {
      const id = randomUUID();
      await database.owner.query('insert into app_public.users (username) values ($1)', [id]);
      await database.owner.query('insert into app_public.users (id, username) values ($1, $2)', [
        id,
        `the real ${id}`,
      ]);
      const { stdout } = await run(['token', '--user', id], environment);
      expect(decodeJwt(stdout.trim()).sub).toBe(id);
    });

    test('is not given for whoever is not there', async () => {
      for (const user of ['nobody', randomUUID(), ''])
        expectPlainWords(
          await run(['token', '--user', user], environment),
          new RegExp(`There is no user "${user}"`),
        );
    });

    test('is not given for a --ttl that is no time', async () => {
      const ttls = ['0h', '1', '-1h', '1.5h'];
      const all = await Promise.all(
        ttls.map((ttl) => run(['token', '--user', 'member', `--ttl=${ttl}`], environment)),
      );
      for (const [i, ended] of all.entries())
        expectPlainWords(
          ended,
          new RegExp(`--ttl must be a number with s, m, h or d, such as 1h, not "${ttls[i]}"`),
        );
    });

    test('is not given without a secret, or with a short one', async () => {
      const { JWT_SECRET, ...rest } = environment;
      expectPlainWords(await run(['token', '--user', 'member'], rest), /Set JWT_SECRET/);
      expectPlainWords(
        await run(['token', '--user', 'member'], { ...rest, JWT_SECRET: 'short' }),
        /JWT_SECRET has 5 bytes/,
      );
    });
  });

  describe('prices sync', () => {
    const count = async () => {
      const { rows } = await database.owner.query(
        'select count(*)::int as n from app_public.ai_model_prices',
      );
      return rows[0]?.n as number;
    };
    const fileWith = async (text: string) => {
      const path = join(folder, 'prices.json');
      await writeFile(path, text);
      return path;
    };

    test('says what it would do, does it, and has nothing to do the next time', async () => {
      const listed = priceListOfPackage(new Date()).seed.length;
      const before = await count();
      const foreseen = await run(['prices', 'sync', '--dry-run'], environment);
      expect(foreseen).toMatchObject({ code: 0, stderr: '' });
      expect(foreseen.stdout).toContain(`${listed} added, 0 changed, 0 left alone, ${before} that`);
      expect(foreseen.stdout).toContain('nothing was written');
      expect(await count()).toBe(before);

      const done = await run(['prices', 'sync'], environment);
      expect(done.stdout).toContain(`${listed} added, 0 changed`);
      expect(done.stdout).toContain('+ anthropic claude-sonnet-4-5');
      expect(await count()).toBe(before + listed);

      const again = await run(['prices', 'sync'], environment);
      expect(again.stdout).toContain(`0 added, 0 changed, ${listed} left alone`);
    });

    test('--from a file', async () => {
      const file = await fileWith('[{"provider": "acme", "model": "filed", "input_price": 5}]');
      const first = await run(['prices', 'sync', '--from', file], environment);
      expect(first).toMatchObject({ code: 0, stderr: '' });
      expect(first.stdout).toContain('+ acme filed');
      await fileWith('[{"provider": "acme", "model": "filed"}]');
      const second = await run(['prices', 'sync', '--from', file], environment);
      expect(second.stdout).toContain('~ acme filed');
    });

    test.each([
      [
        '[{"provider": "acme", "model": "bad", "input_price": -5}]',
        /seed\[0\]\.input_price \(acme bad\)/,
      ],
      ['{"provider": "acme"}', /must be an array of prices/],
      ['[{"provider": ', /json/i],
    ])('--from a file with %s says what is wrong, and writes nothing', async (text, words) => {
      const before = await count();
      expectPlainWords(
        await run(['prices', 'sync', '--from', await fileWith(text)], environment),
        words,
      );
      expect(await count()).toBe(before);
    });

    test('--from a file that is not there', async () => {
      const file = join(folder, 'gone.json');
      expectPlainWords(await run(['prices', 'sync', '--from', file], environment), /gone\.json/);
    });
  });

  test.each([['nonsense'], ['token'], ['serve', '--port', '1']])(
    'explains itself after "%s"',
    async (...args) => {
      const ended = await run(args, environment);
      expect(ended.code).toBe(1);
      expect(ended.stderr).toMatch(/error: .*\n.*Usage: bursar/s);
      expectNoStackTrace(ended);
    },
  );
});
