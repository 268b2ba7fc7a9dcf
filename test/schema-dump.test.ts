import { randomBytes } from 'node:crypto';
import { type Client, Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { withClient } from '../src/database.ts';
import { withoutPrefixes } from '../src/schema-dump/older-views.ts';
import { dumpSchema } from '../src/schema-dump.ts';
import { asUser } from './support/as-user.ts';
import { asSuperuser, createTestDatabase, type TestDatabase } from './support/database.ts';
import { wantedVersion } from './support/postgres-version.ts';
import { CHANGES, CHANGES_OF_SUPERUSER, type Change, UNWRITTEN } from './support/schema-changes.ts';
import { NEWEST_STEPS, STEPS } from './support/schema-of-everything.ts';
import { expectRoundTrip } from './support/schema-round-trip.ts';
import { createWorld } from './support/world.ts';

const SETTINGS = [
  'search_path to app_public, app_hidden, public',
  'quote_all_identifiers to on',
  'standard_conforming_strings to off',
  'bytea_output to escape',
  'datestyle to german',
  'intervalstyle to iso_8601',
  "timezone to 'Asia/Tokyo'",
  'extra_float_digits to -5',
  "default_transaction_isolation to 'serializable'",
];

let database: TestDatabase;
const made: string[] = [];

/** @returns The URL of its owner. */
async function createEmptyDatabase(owner = 'bursar_owner'): Promise<string> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await asSuperuser('postgres', (client) =>
    client.query(`create database ${name} owner ${owner} strategy file_copy`),
  );
  made.push(name);
  return `postgres://${owner}:owner@${inject('host')}/${name}`;
}

const nameOf = (url: string) => new URL(url).pathname.slice(1);
const dumpOf = (url: string) => withClient(url, dumpSchema);

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database?.drop();
  await asSuperuser('postgres', async (client) => {
    for (const name of made) await client.query(`drop database ${name} with (force)`);
  });
});

describe('the schema', () => {
  test('is the one in schema.sql: when a change is meant, `npm run db:dump` writes it again', async () => {
    await expect(await dumpOf(database.urls.owner)).toMatchFileSnapshot('../schema.sql');
  });

  test('comes back from its dump, and works', async () => {
    const copy = await createEmptyDatabase();
    await expectRoundTrip(database.urls.owner, copy, 'bursar_authenticator');
    await withClient(copy, (owner) =>
      owner.query(`select app_private.register_authenticator('bursar_authenticator')`),
    );
    const owner = new Pool({ connectionString: copy, max: 1 });
    const server = new Pool({
      connectionString: `postgres://bursar_authenticator:authenticator@${inject('host')}/${nameOf(copy)}`,
      max: 1,
    });
    try {
      const { group, people } = await createWorld(owner);
      const limits = (user: string) =>
        asUser(server, user, 'rest', async (client) => {
          const { rows } = await client.query(
            'select spend_limit_micros::int as micros from app_public.group_ai_budget($1)',
            [group],
          );
          return rows;
        });
      const set = (user: string) =>
        asUser(server, user, 'rest', (client) =>
          client.query('select app_public.upsert_group_ai_budget($1, 42)', [group]),
        );
      expect(await limits(people.member)).toEqual([{ micros: 500_000_000 }]);
      expect(await limits(people.stranger)).toEqual([]);
      await expect(set(people.member)).rejects.toMatchObject({ code: 'BU404' });
      await set(people.organization_admin);
      expect(await limits(people.member)).toEqual([{ micros: 42 }]);
    } finally {
      await server.end();
      await owner.end();
    }
  });

  test('has the same dump in every deployment', async () => {
    const before = await dumpOf(database.urls.owner);
    const server = `server_${randomBytes(4).toString('hex')}`;
    await asSuperuser(nameOf(database.urls.owner), async (client) => {
      await client.query(`create role ${server}`);
      try {
        await client.query('select app_private.register_authenticator($1)', [server]);
        await client.query(`select app_private.make_usage_month('2031-05-01')`);
        await client.query(
          `create table app_private.ai_usage_events_2019_12 (like app_public.ai_usage_events)`,
        );
        expect(await dumpSchema(client)).toBe(before);
        await client.query('create table app_private.ai_usage_events_other ()');
        expect(await dumpSchema(client)).not.toBe(before);
      } finally {
        await client.query(`drop owned by ${server}; drop role ${server}`);
      }
    });
  });
});

// Some of everything is there from 18 on.
describe.runIf(wantedVersion() === '18')('a schema with one of everything', () => {
  let everything: string;

  const make = (url: string, steps: readonly (readonly string[])[]) =>
    withClient(url, async (client) => {
      for (const statement of steps.flat()) await client.query(statement);
    });

  beforeAll(async () => {
    everything = await createEmptyDatabase();
    await make(everything, [...STEPS, ...NEWEST_STEPS]);
  });

  test('comes back from its dump', async () => {
    await expectRoundTrip(everything, await createEmptyDatabase());
  });

  test('has the same dump in whatever order and by whomever it was made', async () => {
    const owner = `owner_${randomBytes(4).toString('hex')}`;
    await asSuperuser('postgres', (c) => c.query(`create role ${owner} login password 'owner'`));
    try {
      const other = await createEmptyDatabase(owner);
      await make(
        other,
        [...STEPS, ...NEWEST_STEPS].map((step) => step.toReversed()),
      );
      expect(await dumpOf(other)).toBe(await dumpOf(everything));
    } finally {
      await asSuperuser('postgres', async (client) => {
        const name = made.pop();
        await client.query(`drop database ${name} with (force)`);
        await client.query(`drop role ${owner}`);
      });
    }
  });

  test('has the same dump in every session, which it leaves as it was', async () => {
    await withClient(everything, async (client) => {
      const before = await dumpSchema(client);
      for (const setting of SETTINGS) {
        await client.query(`set ${setting}`);
        expect(await dumpSchema(client), setting).toBe(before);
      }
      const { rows } = await client.query('show search_path');
      expect(rows).toEqual([{ search_path: 'app_public, app_hidden, public' }]);
    });
  });

  test('has a dump that no sort of change escapes', async () => {
    const kinds = Object.values(CHANGES);
    const rounds = Array.from({ length: Math.max(...kinds.map((k) => k.length)) }, (_, round) =>
      kinds.flatMap((changes) => changes.slice(round, round + 1)),
    );
    await withClient(everything, async (client) => {
      expect(await escaping(client, rounds)).toEqual([]);
    });
    await expectRoundTrip(everything, await createEmptyDatabase());
  });

  test('has a dump that shows what a superuser changes, and refuses what it cannot write', async () => {
    await asSuperuser(nameOf(everything), async (client) => {
      expect(await escaping(client, [CHANGES_OF_SUPERUSER])).toEqual([]);
      for (const [, sql] of UNWRITTEN) await client.query(sql);
      const refusal = await dumpSchema(client).catch((error: Error) => error.message);
      for (const [what] of UNWRITTEN) expect(refusal).toContain(what);
    });
  });

  test('that needs itself in a circle is refused', async () => {
    const circle = await createEmptyDatabase();
    await make(circle, [
      [
        'create schema app_public',
        'create function app_public.one() returns integer language sql return 1',
        'create function app_public.two() returns integer language sql return app_public.one()',
        'create or replace function app_public.one() returns integer language sql return app_public.two()',
      ],
    ]);
    await expect(dumpOf(circle)).rejects.toThrow(
      "The dump can't put these in an order, since each needs the other: app_public.one(), app_public.two(). Break the circle.",
    );
  });
});

test.each([
  [
    ' select t.id,\n    lower(t.name) as name\n   from app_public.things t\n  where t.id > 1',
    ' select id,\n    lower(name) as name\n   from app_public.things t\n  where id > 1',
  ],
  [
    ' select f.a,\n    (select count(*) from x where x.a = f.a) as n\n   from app_public.f(1) f(a, n)\n  group by f.a\n  order by f.n, f.a',
    ' select a,\n    (select count(*) from x where x.a = f.a) as n\n   from app_public.f(1) f(a, n)\n  group by a\n  order by f.n, a',
  ],
  ...[
    ' select t.id\n   from app_public.things t\n     join app_public.parts p on p.id = t.id',
    ' select t.id\n   from app_public.things t,\n    app_public.parts p',
    ' select t.id\n   from app_public.things t\nunion all\n select p.id\n   from app_public.parts p',
    ' with t as (\n         select 1 as id\n        )\n select t.id\n   from t',
  ].map((query) => [query, query]),
])('a view of PostgreSQL 15 reads as one of PostgreSQL 18', (older, newer) => {
  expect(withoutPrefixes(older)).toBe(newer);
});

/** Makes one round of changes after another, and returns those that the dump does not show. */
async function escaping(client: Client, rounds: readonly (readonly Change[])[]): Promise<string[]> {
  const linesOf = async () =>
    new Set((await dumpSchema(client)).split('\n').map((line) => line.trim()));
  const unseen: string[] = [];
  let before = await linesOf();
  for (const changes of rounds) {
    for (const [what, sql] of changes) {
      await client.query(sql).catch((error: Error) => {
        throw new Error(`${what}: ${error.message}`);
      });
    }
    const after = await linesOf();
    for (const [what, , shows] of changes) {
      const line = shows.slice(2);
      const [here, there] = shows.startsWith('+') ? [after, before] : [before, after];
      if (!here.has(line) || there.has(line)) unseen.push(what);
    }
    before = after;
  }
  return unseen;
}
