import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { unprivilegedUser } from '../../src/embedded/os-user.ts';
import { freePort } from '../../src/free-port.ts';

// Debian keeps it where only root looks.
const PATH = `${process.env.PATH}:/usr/sbin`;

/** For `describe.skipIf(!pgBouncerIsHere)`. Where it is required, its tests run without it too, and fail. */
export const pgBouncerIsHere =
  process.env.CI === 'true' ||
  process.env.BURSAR_NEEDS_PGBOUNCER === '1' ||
  spawnSync('pgbouncer', ['--version'], { env: { PATH } }).status === 0;

export type PgBouncer = {
  /** The same login and database as the URL that it was started for, by way of PgBouncer. */
  readonly url: string;
  /** Ends it with all its connections, and starts it again at the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

/** PgBouncer by transaction, with `connections` of PostgreSQL for however many clients. */
export async function startPgBouncer(target: string, connections: number): Promise<PgBouncer> {
  const to = new URL(target);
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'bursar-pgbouncer-'));
  const file = (name: string) => join(folder, name);
  await writeFile(file('users'), `"${to.username}" "${to.password}"\n`);
  await writeFile(
    file('ini'),
    `[databases]
* = host=${to.hostname} port=${to.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${file('users')}
pool_mode = transaction
default_pool_size = ${connections}
max_client_conn = 200
`,
  );
  // Like PostgreSQL, it refuses to run as root.
  const user = process.geteuid?.() === 0 ? unprivilegedUser() : undefined;
  if (user !== undefined) {
    await chmod(folder, 0o711);
    for (const name of ['users', 'ini']) await chown(file(name), user.uid, user.gid);
  }
  const url = new URL(target);
  url.host = `127.0.0.1:${port}`;

  let child: ChildProcess;
  const begin = async () => {
    child = spawn('pgbouncer', ['--quiet', file('ini')], { ...user, env: { PATH }, cwd: '/' });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    child.on('error', (error) => {
      said += error.message;
    });
    for (let attempt = 0; !(await answers(url.href)); attempt += 1) {
      if (attempt === 200 || child.exitCode !== null || child.pid === undefined) {
        throw new Error(`PgBouncer (Debian: pgbouncer) does not answer: ${said}`);
      }
      await sleep(25);
    }
  };
  const end = async () => {
    if (child.exitCode !== null) return;
    // At once, whoever is connected.
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  await begin();
  return {
    url: url.href,
    async restart() {
      await end();
      await begin();
    },
    async stop() {
      await end();
      await rm(folder, { recursive: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select');
    await client.end();
    return true;
  } catch {
    return false;
  }
}
