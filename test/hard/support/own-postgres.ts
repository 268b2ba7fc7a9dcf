import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Pool } from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../src/embedded-postgres.ts';
import { freePort } from '../../../src/free-port.ts';
import { migrate } from '../../../src/migrate.ts';

/** A PostgreSQL with a migrated database that a test may break: nobody else uses it. */
export type OwnPostgres = {
  readonly dataFolder: string;
  readonly port: number;
  readonly authenticator: string;
  /** The database's owner, also after it was started again. */
  readonly owner: Pool;
  readonly superuserUrl: string;
  /** What runs now. */
  running(): EmbeddedPostgres;
  /** Starts it again at the same port, where it has ended. */
  start(): Promise<void>;
  stop(): Promise<void>;
};

export type OwnPostgresOptions = {
  /** An empty folder that belongs to the test. */
  dataFolder?: string;
  settings?: Record<string, string>;
};

/** What is killed is processes, not the machine: what was written stays with the system. */
const SETTINGS = { fsync: 'off', synchronous_commit: 'on', max_connections: '50' };

export async function startOwnPostgres(options: OwnPostgresOptions = {}): Promise<OwnPostgres> {
  const dataFolder = options.dataFolder ?? (await makeDataFolder());
  const port = await freePort();
  const begin = () =>
    startEmbeddedPostgres({ dataFolder, port, settings: { ...SETTINGS, ...options.settings } });
  let postgres = await begin();
  const client = new Client({ connectionString: postgres.superuserUrl('postgres') });
  await client.connect();
  await client.query("create role bursar_owner login createrole createdb password 'owner'");
  await client.query('create database bursar owner bursar_owner');
  await client.end();
  const urlOf = (login: string) => `postgres://${login}@127.0.0.1:${port}/bursar`;
  const urls = {
    owner: urlOf('bursar_owner:owner'),
    authenticator: urlOf('bursar_authenticator:authenticator'),
  };
  await migrate(urls, () => {});
  const owner = new Pool({ connectionString: urls.owner, max: 3 });
  owner.on('error', () => {});
  // Without a listener of its own, a connection that breaks while it is used would end Node.
  owner.on('connect', (connection) => connection.on('error', () => {}));
  return {
    dataFolder,
    port,
    authenticator: urls.authenticator,
    owner,
    superuserUrl: postgres.superuserUrl('bursar'),
    running: () => postgres,
    async start() {
      postgres = await begin();
    },
    async stop() {
      await owner.end();
      await postgres.stop();
      await rm(dataFolder, { recursive: true, force: true });
    },
  };
}

export async function makeDataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bursar-faults-'));
  // Under root PostgreSQL runs as another account, which must get to its files.
  await chmod(folder, 0o711);
  return folder;
}
