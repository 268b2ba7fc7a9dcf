import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { embeddedBinaries, reachableBinaries } from '../src/embedded/binaries.ts';
import { unprivilegedUser } from '../src/embedded/os-user.ts';
import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from '../src/embedded-postgres.ts';

const isRoot = process.geteuid?.() === 0;
const fast = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

let parent: string;
let dataFolder: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'bursar-embedded-'));
  // mkdtemp makes 0700, below which root's PostgreSQL lives elsewhere; one test is about that.
  chmodSync(parent, 0o755);
  dataFolder = join(parent, 'data');
});

const cleanUps: (() => unknown)[] = [];

/** A data folder after its first start, which takes a second of a core: for tests that are about later ones. */
let prepared: string;

beforeAll(async () => {
  prepared = mkdtempSync(join(tmpdir(), 'bursar-prepared-'));
  chmodSync(prepared, 0o755);
  await (
    await startEmbeddedPostgres({ dataFolder: join(prepared, 'data'), settings: fast })
  ).stop();
});
afterAll(() => rmSync(prepared, { recursive: true, force: true }));

/** Puts a copy of it where the next start looks, with its owners and modes. */
function afterAFirstStart(): void {
  const { status } = spawnSync('cp', ['-a', join(prepared, 'data'), dataFolder]);
  if (status !== 0) throw new Error('The prepared data folder could not be copied.');
}

afterEach(async () => {
  for (let cleanUp = cleanUps.pop(); cleanUp; cleanUp = cleanUps.pop()) await cleanUp();
  rmSync(parent, { recursive: true, force: true });
});

async function start(options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ dataFolder, settings: fast, ...options });
  cleanUps.push(() => postgres.stop());
  return postgres;
}

async function query(postgres: EmbeddedPostgres, sql: string): Promise<unknown> {
  const client = new pg.Client(postgres.superuserUrl('postgres'));
  await client.connect();
  try {
    const result = await client.query({ text: sql, rowMode: 'array' });
    return result.rows[0]?.[0];
  } finally {
    await client.end();
  }
}

const clusterFolder = () => join(realpathSync(join(dataFolder, 'postgres')), 'cluster');
const lockFile = () => join(clusterFolder(), 'postmaster.pid');
const postmasterPid = () => Number(readFileSync(lockFile(), 'utf8').split('\n')[0]);

/** Another Bursar process with PostgreSQL on the same data folder. */
async function startElsewhere(lastStatement = '') {
  const module = join(import.meta.dirname, '../src/embedded-postgres.ts');
  const script = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(module)});
    const postgres = await startEmbeddedPostgres(${JSON.stringify({ dataFolder, settings: fast })});
    process.once('SIGTERM', () => postgres.stop().then(() => process.exit()));
    ${lastStatement}
    console.log('started');`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const exited = once(child, 'exit');
  cleanUps.push(() => child.kill('SIGTERM') && exited);
  const output = createInterface({ input: child.stdout });
  await once(output, 'line');
  return { child, output, exited };
}

describe('embedded PostgreSQL', { timeout: 120_000 }, () => {
  it('keeps its data from the first start to the second', async () => {
    const first = await start();
    await query(first, 'create table kept as select 42 as answer');
    await first.stop();
    const second = await start();
    expect(await query(second, 'select answer from kept')).toBe(42);
    expect(await query(second, 'show server_version')).toMatch(/^18\./);
  });

  it('makes a UTF-8 cluster in the C locale, in UTC, for passwords over loopback only', async () => {
    afterAFirstStart();
    const postgres = await start();
    const settings = `concat_ws(' ', current_setting('server_encoding'), current_setting('lc_messages'),
      current_setting('TimeZone'), current_setting('listen_addresses'), current_setting('fsync'),
      '[' || current_setting('unix_socket_directories') || ']')`;
    expect(await query(postgres, `select ${settings}`)).toBe('UTF8 C UTC 127.0.0.1 off []');
    expect(await query(postgres, 'select datcollate from pg_database limit 1')).toBe('C');
    const url = new URL(postgres.superuserUrl('postgres'));
    url.password = 'wrong';
    const stranger = new pg.Client(url.href);
    await expect(stranger.connect()).rejects.toMatchObject({ code: '28P01' });
    expect(statSync(join(dataFolder, 'postgres', 'superuser-password')).mode & 0o777).toBe(0o600);
  });

  it('lets nobody change where it listens through settings', async () => {
    afterAFirstStart();
    const postgres = await start({ settings: { ...fast, listen_addresses: '*' } });
    expect(await query(postgres, 'show listen_addresses')).toBe('127.0.0.1');
  });

  it('writes the log to the data folder unless somebody takes the lines', async () => {
    afterAFirstStart();
    rmSync(join(dataFolder, 'postgres.log'));
    await (await start()).stop();
    const log = () => readFileSync(join(dataFolder, 'postgres.log'), 'utf8');
    await expect.poll(log).toContain('database system is shut down');
    const before = log();
    const lines: string[] = [];
    await (await start({ log: (line) => lines.push(line) })).stop();
    expect(lines.join('\n')).toContain('ready to accept connections');
    expect(log()).toBe(before);
  });

  it('says in plain words that another version made the folder', async () => {
    afterAFirstStart();
    writeFileSync(join(clusterFolder(), 'PG_VERSION'), '15\n');
    await expect(start()).rejects.toThrow(
      /PostgreSQL 15 made the data folder .*, and this is PostgreSQL 18.*move the folder away/,
    );
  });

  it('refuses a second start on a live folder, in this process and from another', async () => {
    afterAFirstStart();
    const postgres = await start();
    const refusal = `Another Bursar is already running on this data folder (process ${process.pid})`;
    await expect(start()).rejects.toThrow(refusal);
    expect(await query(postgres, 'select 1')).toBe(1);
    await postgres.stop();

    const { child } = await startElsewhere();
    await expect(start()).rejects.toThrow(`(process ${child.pid})`);
  });

  it('lets one of two simultaneous first starts win', async () => {
    const starts = await Promise.allSettled([start(), start()]);
    expect(starts.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected']);
    const lost = starts.find((one) => one.status === 'rejected');
    expect(String(lost?.reason)).toContain('Another Bursar is already running');
    expect(readdirSync(dataFolder).sort()).toEqual(['postgres', 'postgres.log']);
  });

  it('sweeps up after an interrupted first start', async () => {
    const ended = spawn('true');
    await once(ended, 'exit');
    mkdirSync(join(dataFolder, `unfinished-${ended.pid}-abc`, 'cluster'), { recursive: true });
    chmodSync(dataFolder, 0o755);
    await start();
    expect(readdirSync(dataFolder).filter((name) => name.startsWith('unfinished'))).toEqual([]);
  });

  it.each([
    ['a process that is gone', () => 2 ** 22 + 1],
    ['another program', () => process.pid],
    // The parent of PostgreSQL is exempt from its own check, so that this one shows ours.
    ['another program of the same OS user', () => strangerPid()],
  ])('starts although the lock file names %s', async (_, pid) => {
    afterAFirstStart();
    const first = await start();
    await query(first, 'create table kept as select 42 as answer');
    const lock = readFileSync(lockFile(), 'utf8');
    await first.stop();
    writeFileSync(lockFile(), lock.replace(/^\d+/, String(pid())));
    const second = await start();
    expect(await query(second, 'select answer from kept')).toBe(42);
  });

  function strangerPid(): number {
    const { uid, gid } = statSync(clusterFolder());
    const stranger = spawn('sleep', ['60'], { ...(isRoot ? { uid, gid } : {}), cwd: '/' });
    cleanUps.push(() => void stranger.kill());
    return stranger.pid ?? 0;
  }

  it('recovers after PostgreSQL was killed, and told of it', async () => {
    afterAFirstStart();
    const first = await start({ settings: { fsync: 'off' } });
    await query(first, 'create table kept as select 42 as answer');
    process.kill(postmasterPid(), 'SIGKILL');
    expect((await first.died).message).toMatch(/^PostgreSQL ended \(SIGKILL\)/);
    await first.stop();
    const second = await start();
    expect(await query(second, 'select answer from kept')).toBe(42);
  });

  it('takes over from a Bursar that was killed', async () => {
    afterAFirstStart();
    const { child, exited } = await startElsewhere();
    const orphan = postmasterPid();
    child.kill('SIGKILL');
    await exited;
    expect(process.kill(orphan, 0)).toBe(true);
    const postgres = await start();
    expect(await query(postgres, 'select 1')).toBe(1);
    expect(postmasterPid()).not.toBe(orphan);
  });

  it('ends with a Bursar that crashes', async () => {
    afterAFirstStart();
    const { exited } = await startElsewhere('setTimeout(() => process.exit(1), 100);');
    await exited;
    await expect.poll(() => existsSync(lockFile()), { timeout: 10_000 }).toBe(false);
  });

  it('outlives a Ctrl-C, so that the server can finish', async () => {
    afterAFirstStart();
    const handler = "process.on('SIGINT', () => console.log('asked to stop'));";
    const { child, output } = await startElsewhere(handler);
    // As a terminal does it: to the whole group.
    process.kill(-(child.pid ?? Number.NaN), 'SIGINT');
    await once(output, 'line');
    await sleep(500);
    expect(existsSync(lockFile())).toBe(true);
  });

  it('stops as often as it is told to, without calling that a death', async () => {
    afterAFirstStart();
    const postgres = await start();
    let died = false;
    void postgres.died.then(() => {
      died = true;
    });
    const idle = new pg.Client(postgres.superuserUrl('postgres'));
    idle.on('error', () => {});
    await idle.connect();
    await Promise.all([postgres.stop(), postgres.stop()]);
    await postgres.stop();
    expect(existsSync(lockFile())).toBe(false);
    expect(died).toBe(false);
  });

  it('explains a failed start with the last lines of the log', async () => {
    afterAFirstStart();
    await expect(start({ settings: { ...fast, shared_buffers: 'plenty' } })).rejects.toThrow(
      /PostgreSQL did not start \(exit code 1\):\n.*shared_buffers/s,
    );
  });

  it('says that the wanted port is taken', async () => {
    afterAFirstStart();
    const squatter = createServer().listen(0, '127.0.0.1');
    cleanUps.push(() => void squatter.close());
    await once(squatter, 'listening');
    const address = squatter.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    await expect(start({ port })).rejects.toThrow(`cannot listen on 127.0.0.1:${port}`);
  });

  describe.runIf(isRoot)('as root', () => {
    it('runs as an unprivileged user', async () => {
      afterAFirstStart();
      await start();
      expect(statSync(clusterFolder()).uid).not.toBe(0);
      expect(statSync(`/proc/${postmasterPid()}`).uid).toBe(statSync(clusterFolder()).uid);
    });

    it('keeps the database elsewhere when its user cannot enter the data folder', async () => {
      chmodSync(parent, 0o700);
      const first = await start();
      const elsewhere = dirname(clusterFolder());
      cleanUps.push(() => rmSync(elsewhere, { recursive: true, force: true }));
      expect(elsewhere).not.toContain(parent);
      expect(statSync(elsewhere)).toMatchObject({ uid: 0, mode: 0o40711 });
      await query(first, 'create table kept as select 42 as answer');
      await expect(start()).rejects.toThrow('Another Bursar is already running');
      await first.stop();
      const second = await start();
      expect(await query(second, 'select answer from kept')).toBe(42);
      await second.stop();
      rmSync(elsewhere, { recursive: true });
      await expect(start()).rejects.toThrow(/the database is gone from .*remove the link/);
    });

    it('copies the programs when its user cannot enter node_modules', () => {
      const installed = embeddedBinaries();
      const user = unprivilegedUser();
      expect(reachableBinaries(installed, user).folder).toMatch(/programs|node_modules/);

      const closed = { version: `test-${process.pid}`, folder: join(parent, 'native') };
      // What it takes to say a version; thousands of small files are of no use here.
      const filter = (path: string) =>
        !/(timezone|tsearch_data|extension|lib.postgresql)$/.test(path);
      cpSync(installed.folder, closed.folder, { recursive: true, verbatimSymlinks: true, filter });
      chmodSync(parent, 0o700);
      const copy = reachableBinaries(closed, user).folder;
      cleanUps.push(() => rmSync(copy, { recursive: true, force: true }));
      expect(copy).toContain(`programs-${closed.version}`);
      expect(lstatSync(join(copy, 'lib', 'libpq.so')).isSymbolicLink()).toBe(true);
      const postgres = join(copy, 'bin', 'postgres');
      const version = spawnSync(postgres, ['--version'], { ...user, cwd: '/', encoding: 'utf8' });
      expect(version.stdout).toContain('PostgreSQL) 18.');

      chmodSync(copy, 0o777);
      expect(() => reachableBinaries(closed, user)).toThrow(
        'must be a folder that belongs to root',
      );
    });

    it('says so when a folder with a database was closed afterwards', async () => {
      afterAFirstStart();
      chmodSync(parent, 0o700);
      await expect(start()).rejects.toThrow(/cannot enter .*o\+x/);
    });
  });
});
