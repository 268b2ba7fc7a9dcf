import { execFile, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withClient } from '../src/database.ts';
import { addDba } from '../src/dba.ts';
import { makeDemo } from '../src/demo.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/embedded-postgres.ts';
import { freePort } from '../src/free-port.ts';
import { signToken } from '../src/identity.ts';
import { migrate } from '../src/migrate.ts';
import { dumpSchema } from '../src/schema-dump.ts';
import { catalogueFacts } from './support/catalogue-facts.ts';
import { authorize, callOf, discrepancies, record, settle } from './support/ledger.ts';
import { binariesOf, wantedVersion } from './support/postgres-version.ts';

// docs/backup.md: its commands, run as they stand, on PostgreSQL clusters of their own.

const ROOT = join(import.meta.dirname, '..');
const COMMAND = join(ROOT, 'src/bursar.ts');
const page = await readFile(join(ROOT, 'docs/backup.md'), 'utf8');
const BLOCKS = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language, text = '']) => ({
  language,
  text,
}));

/** The one command block of the page with these words. */
function blockWith(words: string): string {
  const found = BLOCKS.filter(({ language, text }) => language === 'sh' && text.includes(words));
  expect(found, words).toHaveLength(1);
  return found[0]?.text ?? '';
}

const STEPS = {
  dump: 'bursar.dump"\npg_dumpall',
  restore: 'pg_restore',
  passwords: 'alter role',
  deploy: 'bursar migrate',
  compare: 'contents()',
  serve: 'bursar serve',
  base: 'pg_basebackup',
  recover: 'recovery.signal',
  return: 'again() {',
};

test('each command of the page is one that is run below', () => {
  const run = new Set(Object.values(STEPS).map(blockWith));
  expect(run.size).toBe(BLOCKS.filter(({ language }) => language === 'sh').length);
});

/** Dumps made by another version than the server's would show what neither promises. */
const wanted = wantedVersion();
const version = /\d+/.exec(spawnSync('pg_dump', ['--version'], { encoding: 'utf8' }).stdout ?? '');
const fits = version?.[0] === wanted;
const why = fits
  ? ''
  : ` (skipped: it takes the pg_dump of PostgreSQL ${wanted}, and here is ${version === null ? 'none' : `that of ${version[0]}`})`;

const PASSWORDS = { owner: 'owner', server: 'server', copyOwner: `o'c`, copyServer: `s"c\\` };
const SECRET = 'the secret of the original, of 32 bytes and more';
const COPY_SECRET = 'the secret of the copy, which is another one';

describe.skipIf(!fits)(`on PostgreSQL ${wanted}${why}`, { timeout: 120_000 }, () => {
  let folder: string;
  let environment: Record<string, string>;
  let original: EmbeddedPostgres;
  let copy: EmbeddedPostgres;
  const clusters: EmbeddedPostgres[] = [];
  const call = { before: randomUUID(), after: randomUUID(), settled: randomUUID() };
  const people: Record<string, string> = {};

  const urlOf = (postgres: EmbeddedPostgres, name: string, password: string) => {
    const url = new URL(postgres.superuserUrl('bursar'));
    url.username = name;
    url.password = encodeURIComponent(password);
    return url.href;
  };
  const ownerOf = (postgres: EmbeddedPostgres) =>
    urlOf(postgres, 'bursar_owner', postgres === copy ? PASSWORDS.copyOwner : PASSWORDS.owner);

  const startCluster = async (dataFolder: string, settings: Record<string, string> = {}) => {
    const cluster = await startEmbeddedPostgres({
      dataFolder,
      binaries: binariesOf(wanted),
      settings: { fsync: 'off', ...settings },
    });
    clusters.push(cluster);
    return cluster;
  };
  /** Folders of a cluster belong to its account, which is another one than root's. */
  const ofPostgres = (path: string) => {
    const { uid, gid } = statSync(realpathSync(join(folder, 'original/postgres/cluster')));
    const { status } = spawnSync('chown', ['-R', `${uid}:${gid}`, path]);
    expect(status).toBe(0);
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bursar-backup-'));
    chmodSync(folder, 0o711);
    const backups = join(folder, 'backups');
    mkdirSync(join(backups, 'wal'), { recursive: true });
    const archive = /archive_command = '(.*)'/.exec(page)?.[1] ?? '';
    original = await startCluster(join(folder, 'original'), {
      archive_mode: 'on',
      archive_command: archive.replaceAll('/backups', backups),
    });
    ofPostgres(join(backups, 'wal'));
    copy = await startCluster(join(folder, 'copy'));
    environment = {
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      LC_ALL: 'C.UTF-8',
      TMPDIR: folder,
      HOME: folder,
      BACKUPS: backups,
      SUPERUSER_URL: original.superuserUrl('postgres'),
      DATABASE_URL: ownerOf(original),
      COPY_SUPERUSER_URL: copy.superuserUrl('postgres'),
      COPY_DATABASE_URL: ownerOf(copy),
      COPY_AUTH_DATABASE_URL: urlOf(copy, 'bursar_authenticator', PASSWORDS.copyServer),
      COPY_OWNER_PASSWORD: PASSWORDS.copyOwner,
      COPY_SERVER_PASSWORD: PASSWORDS.copyServer,
      COPY_JWT_SECRET: COPY_SECRET,
    };
    await fill();
  });

  afterAll(async () => {
    for (const cluster of clusters) await cluster.stop();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  /** The demo with prices, usage, a person's login, and a call that is under way. */
  async function fill(): Promise<void> {
    await withClient(original.superuserUrl('postgres'), async (superuser) => {
      await superuser.query(`create role bursar_owner login createrole password 'owner'`);
      await superuser.query('create database bursar owner bursar_owner');
    });
    const urls = {
      owner: ownerOf(original),
      authenticator: urlOf(original, 'bursar_authenticator', PASSWORDS.server),
    };
    await migrate(urls, () => {});
    await withClient(urls.owner, async (client) => {
      await makeDemo(client);
      const { rows } = await client.query('select username, id from app_public.users');
      for (const { username, id } of rows) people[username] = id;
      await addDba(client, 'mia', 'mia', async () => 'mia');
      await client.query('select app_public.upsert_ai_model_prices($1)', [
        JSON.stringify([{ provider: 'acme', model: 'one', input_price: 3e6, output_price: 15e6 }]),
      ]);
      const mia = people.mia ?? '';
      const usage = { user_id: mia, provider: 'acme', model: 'one', output_tokens: 7 };
      await record(
        client,
        Array.from({ length: 400 }, (_, i) => ({
          ...usage,
          ...{ id: randomUUID(), input_tokens: i },
          occurred_at: new Date(Date.now() - i * 86_400_000).toISOString(),
        })),
      );
      const ask = { provider: 'acme', model: 'one', input_tokens: 1000, max_output_tokens: 1000 };
      for (const request_id of [call.settled, call.before])
        expect(await authorize(client, callOf(mia, { ...ask, request_id }))).toMatchObject({
          allowed: true,
        });
      await settle(client, { request_id: call.settled, input_tokens: 5, output_tokens: 5 });
    });
  }

  /** As it stands on the page, in a shell that stops at the first failure. */
  async function run(step: keyof typeof STEPS, more: Record<string, string> = {}) {
    const text = blockWith(STEPS[step]).replaceAll('npx bursar', `node ${COMMAND}`);
    return promisify(execFile)('bash', ['--norc', '-euo', 'pipefail', '-c', text], {
      cwd: ROOT,
      env: { ...environment, ...more },
    });
  }

  test('a dump is made by the owner, and none by a login that row security binds', async () => {
    await run('dump');
    const refused = spawnSync('pg_dump', [urlOf(original, 'mia', 'mia')], {
      env: environment,
      encoding: 'utf8',
    });
    expect(refused.status).toBe(1);
    expect(refused.stdout).not.toContain('Engineering');
    expect(refused.stderr).toMatch(/^pg_dump: error: .*permission denied for /);

    const mia = new Client({ connectionString: urlOf(original, 'mia', 'mia') });
    await mia.connect();
    await mia.query('set row_security = off');
    await expect(mia.query('select from app_public.groups')).rejects.toMatchObject({
      code: '42501',
      message: expect.stringContaining('would be affected by row-level security'),
    });
    await mia.end();

    const roles = await readFile(join(environment.BACKUPS ?? '', 'roles.sql'), 'utf8');
    expect(roles).toMatch(/CREATE ROLE mia;/);
    expect(roles).not.toMatch(/SCRAM|PASSWORD '/);
    expect(statSync(join(environment.BACKUPS ?? '', 'bursar.dump')).mode & 0o077).toBe(0);
  });

  test('it restores into an empty PostgreSQL, where nothing is missing', async () => {
    const restored = await run('restore');
    expect(
      restored.stderr.match(/.*ERROR.*/g)?.map((line) => line.replace(/.*ERROR: */, '')),
    ).toEqual(['role "postgres" already exists']);
    await run('passwords');
    const { stdout } = await run('deploy');
    expect(stdout.match(/^ok /gm)).toHaveLength(10);
    expect(stdout).not.toContain('MISSING');
    expect(stdout).toContain('(0 rows)');
  });

  test('the copy is the same: schema, catalogue, each row, and what a login may see', async () => {
    await run('compare');
    const [is, was] = await Promise.all(
      [copy, original].map((postgres) =>
        withClient(ownerOf(postgres), async (client) => ({
          dump: await dumpSchema(client),
          facts: await catalogueFacts(client, 'bursar_authenticator'),
          settings: (
            await client.query(
              `select setrole::regrole::text, setconfig from pg_db_role_setting order by 1`,
            )
          ).rows,
          discrepancies: await discrepancies(client),
        })),
      ),
    );
    expect(is?.dump).toBe(was?.dump);
    expect(is).toEqual(was);
    expect(is?.settings).toContainEqual(expect.objectContaining({ setrole: 'mia' }));
    expect(is?.discrepancies).toEqual([]);

    const seen = async (postgres: EmbeddedPostgres) => {
      const mia = new Client({ connectionString: urlOf(postgres, 'mia', 'mia') });
      await mia.connect();
      try {
        return (await mia.query('select name from groups order by name')).rows;
      } finally {
        await mia.end();
      }
    };
    // No password came along.
    await expect(seen(copy)).rejects.toMatchObject({ code: '28P01' });
    await withClient(copy.superuserUrl('postgres'), (c) =>
      c.query(`alter role mia password 'mia'`),
    );
    expect(await seen(copy)).toEqual(await seen(original));
    expect(await seen(copy)).toEqual([{ name: 'Engineering' }, { name: 'Everyone' }]);
  });

  test('rows alone are refused, since nobody writes the audit trail by hand', () => {
    const args = ['--data-only', '--table=audit_events', '--dbname', ownerOf(copy)];
    const { status, stderr } = spawnSync(
      'pg_restore',
      [...args, join(environment.BACKUPS ?? '', 'bursar.dump')],
      { env: environment, encoding: 'utf8' },
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/audit/);
  });

  test('a difference of one row shows', async () => {
    const change = (by: number) =>
      withClient(ownerOf(copy), (client) =>
        client.query('update app_private.ai_spend_counters set spent_micros = spent_micros + $1', [
          by,
        ]),
      );
    await change(1);
    await expect(run('compare')).rejects.toMatchObject({ code: 1 });
    await change(-1);
  });

  test('its server answers, to tokens of its own alone; calls under way go on, once', async () => {
    const port = await freePort();
    const text = blockWith(STEPS.serve)
      .replace('npx bursar', `exec node ${COMMAND}`)
      .replace('PORT=5679', `PORT=${port}`);
    const server = spawn('bash', ['--norc', '-euc', text], {
      cwd: ROOT,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(server, 'close');
    try {
      let said = '';
      await new Promise<void>((resolve, reject) => {
        server.stdout.on('data', (data) => {
          said += data;
          if (/Bursar answers/.test(said)) resolve();
        });
        server.stderr.on('data', (data) => reject(new Error(String(data))));
        void ended.then(() => reject(new Error(said)));
      });
      const gateway = people.gateway ?? '';
      const token = await signToken(gateway, 600, { secret: COPY_SECRET, audience: 'bursar-copy' });
      const post = async (path: string, body: object, bearer = token) => {
        const answer = await fetch(`http://127.0.0.1:${port}/api/v2/ai/${path}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        return { status: answer.status, body: await answer.json() };
      };
      const used = (request_id: string) => ({ request_id, input_tokens: 5, output_tokens: 5 });

      for (const wrong of [
        await signToken(gateway, 600, { secret: SECRET, audience: undefined }),
        await signToken(gateway, 600, { secret: COPY_SECRET, audience: 'bursar' }),
      ])
        expect((await post('spend/settle', used(call.before), wrong)).status).toBe(401);

      const first = await post('spend/settle', used(call.before));
      expect(first).toMatchObject({ status: 200, body: { cost_micros: 90, overage_micros: 0 } });
      expect(await post('spend/settle', used(call.before))).toEqual(first);
      expect((await post('spend/settle', used(call.settled))).status).toBe(200);
      expect((await post('spend/settle', used(call.after))).status).toBe(404);
      const batch = [call.before, call.settled, call.after].map((id) => ({
        ...{ id, user_id: people.mia, provider: 'acme', model: 'one' },
        ...{ input_tokens: 5, output_tokens: 5 },
      }));
      expect(await post('usage', { events: batch })).toEqual({
        status: 200,
        body: { recorded: 1, duplicates: 2 },
      });
    } finally {
      server.kill('SIGTERM');
      await ended;
    }
    // The server's login of the original is none of the copy's.
    const stale = new Client({
      connectionString: urlOf(copy, 'bursar_authenticator', PASSWORDS.server),
    });
    await expect(stale.connect()).rejects.toMatchObject({ code: '28P01' });
    await withClient(ownerOf(copy), async (client) => {
      expect(await discrepancies(client)).toEqual([]);
      const { rows } = await client.query(
        'select sum(held_micros)::int as held from app_private.ai_spend_accounts',
      );
      expect(rows).toEqual([{ held: 0 }]);
    });
  });

  test('base backup and log bring back the moment before a mistake', async () => {
    await run('base');
    const RESTORED = join(folder, 'restored/postgres/cluster');
    const WHEN = await withClient(ownerOf(original), async (client) => {
      await settle(client, { request_id: call.before, input_tokens: 7, output_tokens: 7 });
      await client.query(`update app_public.group_ai_budgets set spend_limit_micros = 123
        where group_id = (select id from app_public.groups where name = 'Engineering')`);
      await client.query(
        'begin; delete from app_public.group_members; delete from app_public.group_ai_budgets; commit',
      );
      // The moment of the mistake, as the trail has it.
      const { rows } = await client.query(
        `select max(changed_at)::text as at from app_public.audit_events`,
      );
      return String(rows[0].at);
    });
    // In earnest archive_timeout does this, or the next 16 MB.
    await withClient(original.superuserUrl('postgres'), async (client) => {
      const { rows } = await client.query('select pg_walfile_name(pg_switch_wal()) as file');
      await expect
        .poll(
          async () =>
            (await client.query('select last_archived_wal as file from pg_stat_archiver')).rows[0]
              .file >= rows[0].file,
          { timeout: 20_000 },
        )
        .toBe(true);
    });
    mkdirSync(dirname(RESTORED), { recursive: true });
    for (const path of [join(folder, 'restored'), dirname(RESTORED)]) chmodSync(path, 0o711);
    await run('recover', { WHEN, RESTORED });
    const password = join(dirname(RESTORED), 'superuser-password');
    copyFileSync(join(folder, 'original/postgres/superuser-password'), password);
    ofPostgres(RESTORED);
    ofPostgres(environment.BACKUPS ?? '');
    const restored = await startCluster(join(folder, 'restored'));

    await withClient(ownerOf(restored), async (client) => {
      const { rows } = await client.query(
        `select b.spend_limit_micros from app_public.group_ai_budgets b
           join app_public.groups g on g.id = b.group_id where g.name = 'Engineering'`,
      );
      expect(rows).toEqual([{ spend_limit_micros: '123' }]);
      expect(await discrepancies(client)).toEqual([]);
      const events = 'select count(*)::int as events from app_public.ai_usage_events';
      expect((await client.query(events)).rows).toEqual([{ events: 402 }]);
      const server = await client.query('show archive_mode');
      expect(server.rows).toEqual([{ archive_mode: 'off' }]);
    });
    // What was lost is written into the original again, and the ledger knows it.
    await run('return', { COPY_DATABASE_URL: ownerOf(restored) });
    const state = (postgres: EmbeddedPostgres) =>
      withClient(ownerOf(postgres), async (client) => ({
        groups: (
          await client.query(
            `select g.id, g.name, s.*, array(
               select m.user_id from app_public.group_members m where m.group_id = g.id order by 1
             ) as members
             from app_public.groups g, app_public.ai_budget_status(g.id) s order by g.name`,
          )
        ).rows,
        discrepancies: await discrepancies(client),
      }));
    expect(await state(original)).toEqual(await state(restored));
  });
});
