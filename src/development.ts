import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { withClient } from './database.ts';
import type { DatabaseUrls } from './database-urls.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';
import { PROJECT_FOLDER } from './folders.ts';

/** What `npm start` keeps between runs: a database server of its own, and the secrets that go with it. */
const DATA_FOLDER = process.env.BURSAR_DATA_FOLDER ?? join(PROJECT_FOLDER, '.bursar');

const OWNER = 'bursar_owner';
const AUTHENTICATOR = 'bursar_authenticator';
const DATABASE = 'bursar';

type Secrets = { ownerPassword: string; authenticatorPassword: string; jwtSecret: string };

export type DevelopmentDatabase = {
  readonly urls: DatabaseUrls;
  readonly jwtSecret: string;
  /** Settles only when the database ends by itself; absent when another process runs it. */
  readonly died: Promise<Error> | undefined;
  stop(): Promise<void>;
};

/** Starts the embedded PostgreSQL with an empty database, or with what earlier runs left. */
export async function startDevelopmentDatabase(): Promise<DevelopmentDatabase> {
  const postgres = await startEmbeddedPostgres({ dataFolder: DATA_FOLDER });
  try {
    const secrets = await readSecrets();
    await createOwnerAndDatabase(postgres, secrets);
    const urls = urlsOf(postgres, secrets);
    await writeFile(runningFile(), JSON.stringify(urls), { mode: 0o600 });
    return {
      urls,
      jwtSecret: secrets.jwtSecret,
      died: postgres.died,
      async stop() {
        await rm(runningFile(), { force: true });
        await postgres.stop();
      },
    };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** The embedded database for one command: the one that `npm start` runs in another window, or its own. */
export async function openDevelopmentDatabase(): Promise<DevelopmentDatabase> {
  const urls = await urlsOfRunning();
  if (urls === undefined) return startDevelopmentDatabase();
  const { jwtSecret } = await readSecrets();
  return { urls, jwtSecret, died: undefined, stop: async () => {} };
}

function runningFile(): string {
  return join(DATA_FOLDER, 'running.json');
}

async function urlsOfRunning(): Promise<DatabaseUrls | undefined> {
  try {
    const urls = JSON.parse(await readFile(runningFile(), 'utf8')) as DatabaseUrls;
    const client = new Client({ connectionString: urls.owner, connectionTimeoutMillis: 2_000 });
    await client.connect();
    await client.end();
    return urls;
  } catch {
    return undefined;
  }
}

async function readSecrets(): Promise<Secrets> {
  const file = join(DATA_FOLDER, 'secrets.json');
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Secrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const secret = () => randomBytes(36).toString('base64url');
  const secrets = { ownerPassword: secret(), authenticatorPassword: secret(), jwtSecret: secret() };
  await writeFile(file, JSON.stringify(secrets), { mode: 0o600 });
  return secrets;
}

function urlsOf(postgres: EmbeddedPostgres, secrets: Secrets): DatabaseUrls {
  const at = `${postgres.host}:${postgres.port}/${DATABASE}`;
  return {
    owner: `postgres://${OWNER}:${secrets.ownerPassword}@${at}`,
    authenticator: `postgres://${AUTHENTICATOR}:${secrets.authenticatorPassword}@${at}`,
  };
}

/** The owner is no superuser, as it would not be in production: what works here works there. */
async function createOwnerAndDatabase(postgres: EmbeddedPostgres, secrets: Secrets): Promise<void> {
  await withClient(postgres.superuserUrl('postgres'), async (client) => {
    const owner = await client.query('select from pg_roles where rolname = $1', [OWNER]);
    if (owner.rowCount === 0) {
      await client.query(
        `create role ${OWNER} login createrole createdb password '${secrets.ownerPassword}'`,
      );
    }
    const database = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (database.rowCount === 0) await client.query(`create database ${DATABASE} owner ${OWNER}`);
  });
}
