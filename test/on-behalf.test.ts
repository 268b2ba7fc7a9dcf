import { Client, Pool, type PoolClient } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createPgService } from '../plugins/pg-adaptor.ts';
import { createPool } from '../src/database.ts';
import { IntroducedQuery } from '../src/introduced-query.ts';
import { ask, Caller, inTransactionOf, requireKnown, settingsOf } from '../src/on-behalf.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { createWorld, type World } from './support/world.ts';

// One connection, so that each request finds what the one before has left.

let database: TestDatabase;
let world: World;
/** The server's login, on a connection of its own: it may end what runs under the same name. */
let other: Client;
let pool: Pool;
/** Does not prepare statements, as behind a pooler that can't. */
let unprepared: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  pool = createPool(database.urls.authenticator, 1, Number.POSITIVE_INFINITY, () => {});
  unprepared = new Pool({ connectionString: database.urls.authenticator, max: 1 });
  unprepared.on('error', () => {});
  other = new Client({ connectionString: database.urls.authenticator });
  await other.connect();
  // What a caller may write, and when it is found wrong: at once, or at the commit.
  await database.owner.query(`
    create table app_public.notes (
      body text not null constraint body_is_no_lie check (body <> 'lie'),
      twin text constraint twin_is_unique unique deferrable initially deferred
    );
    grant select, insert on app_public.notes to bursar_user;
    create function app_private.slow_commit() returns trigger language plpgsql as $$
      begin perform pg_sleep(0.2); return null; end $$;
    create constraint trigger slow_commit after insert on app_public.notes deferrable initially deferred
      for each row when (new.body = 'slow') execute function app_private.slow_commit();`);
});

afterAll(async () => {
  await pool?.end();
  await unprepared?.end();
  await other?.end();
  await database?.drop();
});

beforeEach(async () => {
  await database.owner.query('delete from app_public.notes');
});

const owner = () => new Caller(world.people.owner, 'rest');
const STRANGER = '00000000-0000-4000-8000-000000000000';

const notes = async () =>
  (await database.owner.query('select body from app_public.notes order by body')).rows.map(
    (row) => row.body,
  );

const write = (body: string, twin: string | null = null) => ({
  text: 'insert into app_public.notes (body, twin) values ($1, $2) returning body',
  values: [body, twin],
});

/** As the next request finds the connection: it speaks for nobody, is in no transaction, and works. */
async function expectUntouched(of: Pool = pool): Promise<void> {
  const { rows } = await of.query(
    `select current_user::text as role, coalesce(current_setting('bursar.user_id', true), '') as speaks_for,
       coalesce(current_setting('bursar.door', true), '') as door`,
  );
  expect(rows).toEqual([{ role: 'bursar_authenticator', speaks_for: '', door: '' }]);
  const { rows: speaker } = await ask(of, owner(), {
    text: 'select app_hidden.current_user_id() as id',
  });
  expect(speaker).toEqual([{ id: world.people.owner }]);
}

async function pidOf(of: Pool): Promise<number> {
  return (await of.query('select pg_backend_pid() as pid')).rows[0].pid;
}

describe.each([
  ['prepared', () => pool],
  ['not prepared', () => unprepared],
])('one statement, %s', (_how, poolOf) => {
  test('runs on behalf of its caller, with the limits of a request', async () => {
    const names = Object.keys(settingsOf(owner()));
    const { rows } = await ask(poolOf(), owner(), {
      text: 'select name, current_setting(name) as value from unnest($1::text[]) as name',
      values: [names],
    });
    expect(Object.fromEntries(rows.map(({ name, value }) => [name, value]))).toEqual(
      settingsOf(owner()),
    );
    await expectUntouched(poolOf());
  });

  test('answers rows as objects or as arrays, and says how many there were', async () => {
    const text = "select 1 as a, 'x' as b union all select 2, null order by 1";
    expect(await ask(poolOf(), owner(), { text })).toMatchObject({
      rows: [
        { a: 1, b: 'x' },
        { a: 2, b: null },
      ],
      rowCount: 2,
    });
    expect((await ask(poolOf(), owner(), { text, rowMode: 'array' })).rows).toEqual([
      [1, 'x'],
      [2, null],
    ]);
    expect(await ask(poolOf(), owner(), { text: 'select where false' })).toMatchObject({
      rows: [],
      rowCount: 0,
    });
  });

  test('has written when it returns', async () => {
    const { rows } = await ask(poolOf(), owner(), write('kept'));
    expect(rows).toEqual([{ body: 'kept' }]);
    expect(await notes()).toEqual(['kept']);
  });

  test('returns after the commit, not before it', async () => {
    const began = performance.now();
    await ask(poolOf(), owner(), write('slow'));
    expect(performance.now() - began).toBeGreaterThan(190);
    expect(await notes()).toEqual(['slow']);
  });

  test.each([
    ['a user that does not exist', () => new Caller(STRANGER, 'rest'), write('x'), 'BU401'],
    ['a door that there is not', () => new Caller('no uuid', 'rest'), write('x'), '22P02'],
    ['text that is no SQL', owner, { text: 'insert oops' }, '42601'],
    [
      'a table that is out of reach',
      owner,
      { text: 'select from app_private.authenticators' },
      '42501',
    ],
    ['a value of another type', owner, write(undefined as unknown as string), '23502'],
    ['a rule that is broken', owner, write('lie'), '23514'],
    [
      'a failure after it wrote',
      owner,
      {
        text: `with w as (insert into app_public.notes (body) values ('x') returning 1) select 1 / (count(*) - 1) from w`,
      },
      '22012',
    ],
    ['nothing at all', owner, { text: '' }, undefined],
  ])(
    '%s: nothing is written, and nothing is left behind',
    async (_what, caller, statement, code) => {
      const asked = ask(poolOf(), caller(), statement);
      if (code === undefined) await asked;
      else await expect(asked).rejects.toMatchObject({ code });
      expect(await notes()).toEqual([]);
      await expectUntouched(poolOf());
    },
  );

  test('that fails at the commit has failed', async () => {
    await ask(poolOf(), owner(), write('one', 'twin'));
    await expect(ask(poolOf(), owner(), write('two', 'twin'))).rejects.toMatchObject({
      code: '23505',
    });
    expect(await notes()).toEqual(['one']);
    await expectUntouched(poolOf());
  });

  test.each([
    ['is cancelled', 'pg_cancel_backend', '57014', true],
    ['loses its backend', 'pg_terminate_backend', '57P01', false],
  ])('that %s has failed, and the next one is served', async (_what, end, code, isKept) => {
    const pid = await pidOf(poolOf());
    const asked = expect(
      ask(poolOf(), owner(), {
        text: "with w as (insert into app_public.notes (body) values ('x') returning 1) select pg_sleep(20) from w",
      }),
    ).rejects.toMatchObject({ code });
    await vi.waitUntil(
      async () =>
        (
          await other.query(
            "select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'",
            [pid],
          )
        ).rowCount === 1,
      { interval: 5, timeout: 5_000 },
    );
    await other.query(`select ${end}($1)`, [pid]);
    await asked;
    expect(await notes()).toEqual([]);
    await expectUntouched(poolOf());
    expect((await pidOf(poolOf())) === pid).toBe(isKept);
  });
});

describe('a connection that breaks', () => {
  const cut = (client: PoolClient) => client.connection.stream.destroy();

  test.each([
    [
      'while it waits in the pool',
      async () => {
        const client = await pool.connect();
        client.release();
        cut(client);
      },
    ],
    [
      'as it is handed out',
      async () => {
        pool.once('acquire', cut);
      },
    ],
    [
      'when the question has been sent',
      async () => {
        pool.once('acquire', (client) => setImmediate(() => cut(client)));
      },
    ],
  ])('%s: who asked is told or served, and the next one is served', async (_when, breakIt) => {
    await expectUntouched();
    await breakIt();
    await ask(pool, owner(), { text: 'select pg_sleep(0.05)' }).catch((error) =>
      expect(error).toBeInstanceOf(Error),
    );
    await expectUntouched();
  });
});

describe('a database that does not answer in time', () => {
  const slow = { text: 'select pg_sleep(1)' };

  test.each([
    ['one statement', (of: Pool) => ask(of, owner(), slow)],
    [
      'a transaction',
      (of: Pool) => inTransactionOf(of, owner(), (transaction) => transaction.query(slow)),
    ],
  ])('fails %s, and its connection is not used again', async (_what, work) => {
    const impatient = new Pool({
      connectionString: database.urls.authenticator,
      max: 1,
      query_timeout: 150,
    });
    impatient.on('error', () => {});
    const pid = await pidOf(impatient);
    await expect(work(impatient)).rejects.toThrow('timeout');
    expect(await pidOf(impatient)).not.toBe(pid);
    await impatient.end();
  });
});

describe('the statement timeout', () => {
  test('that the introduction sets holds for the query in the same write', async () => {
    const client = new Client({ connectionString: database.urls.authenticator });
    await client.connect();
    const failure = await new Promise((resolve) => {
      const query = new IntroducedQuery(
        [{ text: "select set_config('statement_timeout', '50ms', true)" }],
        { text: 'select pg_sleep(20)' },
      );
      query.callback = resolve;
      client.query(query);
    });
    expect(failure).toMatchObject({ code: '57014' });
    await client.end();
  });
});

describe('prepared statements', () => {
  const prepared = async () =>
    (await pool.query("select count(*)::int as n from pg_prepared_statements where name like 's%'"))
      .rows[0].n;

  test('are kept for the texts used last, and no more than that', async () => {
    for (let n = 0; n < 130; n += 1) {
      await ask(pool, owner(), { text: `select ${n} as n` });
      // Used all the time, it is never the oldest.
      await ask(pool, owner(), { text: 'select 1 as often' });
    }
    expect(await prepared()).toBe(100);
    const { rows } = await pool.query(
      "select count(*)::int as n from pg_prepared_statements where statement = 'select 1 as often'",
    );
    expect(rows).toEqual([{ n: 1 }]);
  });

  test('are prepared again when a migration changed what they return; where they are gone, so is the connection', async () => {
    const all = { text: 'select * from app_public.notes' };
    await ask(pool, owner(), write('kept'));
    expect((await ask(pool, owner(), all)).rows).toEqual([{ body: 'kept', twin: null }]);
    await database.owner.query('alter table app_public.notes add column more int');
    expect((await ask(pool, owner(), all)).rows).toEqual([
      { body: 'kept', twin: null, more: null },
    ]);
    await pool.query('deallocate all');
    const pid = await pidOf(pool);
    await expect(ask(pool, owner(), all)).rejects.toMatchObject({ code: '26000' });
    await expectUntouched();
    expect(await pidOf(pool)).not.toBe(pid);
  });
});

describe('a transaction of several statements', () => {
  test('is one: its caller speaks in each, and all of it is written at the end', async () => {
    const caller = owner();
    await inTransactionOf(pool, caller, async (transaction) => {
      await transaction.query(write('one'));
      expect(await notes()).toEqual([]);
      const { rows } = await transaction.query({
        text: "select app_hidden.current_user_id() as id, current_setting('bursar.door') as door",
      });
      expect(rows).toEqual([{ id: world.people.owner, door: 'rest' }]);
      await transaction.query(write('two'));
    });
    expect(await notes()).toEqual(['one', 'two']);
    expect(caller.isKnown).toBe(true);
    await expectUntouched();
  });

  test('that asks nothing begins nothing', async () => {
    expect(await inTransactionOf(pool, owner(), async () => 'done')).toBe('done');
    await expectUntouched();
  });

  test.each([
    ['the first statement', async () => [{ text: 'select 1 / 0' }]],
    ['a later one', async () => [write('x'), { text: 'select 1 / 0' }]],
    ['the commit', async () => [write('a', 'twin'), write('b', 'twin')]],
  ])('fails as a whole with %s', async (_what, statements) => {
    const failing = inTransactionOf(pool, owner(), async (transaction) => {
      for (const statement of await statements()) await transaction.query(statement);
    });
    await expect(failing).rejects.toMatchObject({ code: /22012|23505/ });
    expect(await notes()).toEqual([]);
    await expectUntouched();
  });

  test('fails for a user that does not exist before it writes', async () => {
    const failing = inTransactionOf(pool, new Caller(STRANGER, 'rest'), (transaction) =>
      transaction.query(write('x')),
    );
    await expect(failing).rejects.toMatchObject({ code: 'BU401' });
    expect(await notes()).toEqual([]);
    await expectUntouched();
  });

  test('does not pass for written when a failure in it was overlooked', async () => {
    const failing = inTransactionOf(pool, owner(), async (transaction) => {
      await transaction.query(write('x'));
      await transaction.query({ text: 'select 1 / 0' }).catch(() => {});
    });
    await expect(failing).rejects.toThrow('The transaction had failed, and was undone.');
    expect(await notes()).toEqual([]);
    await expectUntouched();
  });

  test('whose connection breaks in the middle has failed, and the connection is not used again', async () => {
    const pid = await pidOf(pool);
    pool.once('acquire', (client) => setTimeout(() => client.connection.stream.destroy(), 30));
    const failing = inTransactionOf(pool, owner(), async (transaction) => {
      await transaction.query(write('x'));
      await transaction.query({ text: 'select pg_sleep(20)' });
    });
    await expect(failing).rejects.toThrow();
    expect(await notes()).toEqual([]);
    expect(await pidOf(pool)).not.toBe(pid);
    await expectUntouched();
  });

  test('undoes to a savepoint what failed after it, and nothing else', async () => {
    await inTransactionOf(pool, owner(), async (transaction) => {
      await transaction.query(write('before'));
      const failing = transaction.savepoint(async (inner) => {
        await inner.query(write('undone'));
        await inner.savepoint((innermost) => innermost.query(write('undone too')));
        await inner.query({ text: 'select 1 / 0' });
      });
      await expect(failing).rejects.toMatchObject({ code: '22012' });
      await transaction.savepoint((inner) => inner.query(write('kept')));
      // Two at once come after each other: the failure of one takes nothing of the other along.
      const together = await Promise.allSettled([
        transaction.savepoint(async (inner) => {
          await inner.query(write('undone'));
          await inner.query({ text: 'select 1 / 0' });
        }),
        transaction.savepoint((inner) => inner.query(write('kept too'))),
      ]);
      expect(together.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    });
    expect(await notes()).toEqual(['before', 'kept', 'kept too']);
  });
});

describe('the adaptor of PostGraphile', () => {
  const withPgClient = async () => {
    const service = createPgService(pool);
    return service.adaptor.createWithPgClient(service.adaptorSettings as never);
  };

  test('runs statements, transactions and savepoints on behalf of the caller', async () => {
    const within = await withPgClient();
    await within(owner() as never, async (client) => {
      const { rows } = await client.query({
        text: 'select app_hidden.current_user_id() as id',
        arrayMode: true,
      });
      expect(rows).toEqual([[world.people.owner]]);
      await client.withTransaction(async (transaction) => {
        await transaction.query(write('one'));
        await transaction
          .withTransaction(async (inner) => {
            await inner.query(write('undone'));
            throw new Error('no');
          })
          .catch(() => {});
      });
    });
    expect(await notes()).toEqual(['one']);
    await expectUntouched();
  });

  test('speaks for the server, which may read nothing, without a caller, and for nobody else', async () => {
    const within = await withPgClient();
    const ask = (settings: unknown, text: string) =>
      within(settings as never, (client) => client.query({ text }));
    expect((await ask(null, 'select 1 as one')).rows).toEqual([{ one: 1 }]);
    await expect(ask(null, 'select from app_public.groups')).rejects.toMatchObject({
      code: '42501',
    });
    await expect(
      ask({ role: 'bursar_user', 'bursar.user_id': world.people.owner }, 'select 1'),
    ).rejects.toThrow('on behalf of a Caller');
  });
});

test('the database is asked once whether it knows a caller, and never about nobody', async () => {
  const stranger = new Caller(STRANGER, 'rest');
  await expect(requireKnown(pool, stranger)).rejects.toMatchObject({ code: 'BU401' });
  expect(stranger.isKnown).toBe(false);
  const known = owner();
  await requireKnown(pool, known);
  expect(known.isKnown).toBe(true);
  const asked: unknown[] = [];
  pool.on('acquire', (client) => asked.push(client));
  await requireKnown(pool, known);
  await requireKnown(pool, new Caller(null, 'rest'));
  expect(asked).toEqual([]);
  pool.removeAllListeners('acquire');
});
