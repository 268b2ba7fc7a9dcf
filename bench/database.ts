import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { withClient } from '../src/database.ts';
import type { DatabaseUrls } from '../src/database-urls.ts';
import { startEmbeddedPostgres } from '../src/embedded-postgres.ts';
import { migrate } from '../src/migrate.ts';
import { isBlank, readCurrent } from '../src/migrations/includes.ts';
import { projectAt } from '../src/migrations/project.ts';
import { runCurrent } from '../src/migrations/shadow.ts';
import type { DatabaseContent } from './data/databases.ts';
import { progress } from './progress.ts';
import { POSTGRES_SETTINGS } from './settings.ts';

export type BenchPostgres = {
  superuserUrl(database: string): string;
  /** The log's lines from now on, until the returned function is called. */
  listen(listener: (line: string) => void): () => void;
  /** A migrated database with this data: loaded now, or by an earlier run that kept it. */
  open(content: DatabaseContent): Promise<DatabaseUrls>;
  stop(): Promise<void>;
};

/** A PostgreSQL for this run alone, on the disk of the temporary folder, or of `keep` for the next run too. */
export async function startPostgres(keep: string | undefined): Promise<BenchPostgres> {
  const folder = keep ?? (await mkdtemp(join(tmpdir(), 'bursar-bench-')));
  // Under root PostgreSQL runs as another account, which must get to its files.
  if (keep === undefined) await chmod(folder, 0o711);
  const listeners = new Set<(line: string) => void>();
  const postgres = await startEmbeddedPostgres({
    dataFolder: folder,
    settings: { ...POSTGRES_SETTINGS },
    log: (line) => {
      for (const listener of listeners) listener(line);
    },
  });
  const host = `${postgres.host}:${postgres.port}`;
  const asSuperuser = <T>(database: string, work: (client: Client) => Promise<T>) =>
    withClient(postgres.superuserUrl(database), work);
  // One database after the other is made: they share roles. They are loaded at the same time.
  let made: Promise<unknown> = Promise.resolve();

  return {
    superuserUrl: postgres.superuserUrl,
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async open({ name, stamp, base, load }) {
      const urls = {
        owner: `postgres://bursar_owner:owner@${host}/${name}`,
        authenticator: `postgres://bursar_authenticator:authenticator@${host}/${name}`,
      };
      const isLoaded = made.then(async () => {
        const found = await asSuperuser('postgres', (client) =>
          prepare(client, name, stamp, base?.name),
        );
        await migrate(urls, () => {});
        await applyWhatIsBeingWritten(urls.owner);
        return found;
      });
      made = isLoaded.catch(() => {});
      if (await isLoaded) return urls;
      progress(`loading the database ${name}`);
      await withClient(urls.owner, (client) => load(client));
      await asSuperuser('postgres', async (client) => {
        await client.query('checkpoint');
        await client.query(
          `comment on database ${client.escapeIdentifier(name)} is ${client.escapeLiteral(stamp)}`,
        );
      });
      return urls;
    },
    async stop() {
      await postgres.stop();
      if (keep === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Whether the database has this data already; otherwise an empty one, or a copy of `base`, is there afterwards. */
async function prepare(
  client: Client,
  name: string,
  stamp: string,
  base = 'template1',
): Promise<boolean> {
  const owner = await client.query("select from pg_roles where rolname = 'bursar_owner'");
  if (owner.rowCount === 0) {
    await client.query("create role bursar_owner login createrole createdb password 'owner'");
  }
  const { rows } = await client.query<{ stamp: string | null }>(
    `select shobj_description(oid, 'pg_database') as stamp from pg_database where datname = $1`,
    [name],
  );
  if (rows[0]?.stamp === stamp) return true;
  const database = client.escapeIdentifier(name);
  // What an interrupted run left, or other data.
  await client.query(`drop database if exists ${database} with (force)`);
  await client.query(
    `create database ${database} template ${client.escapeIdentifier(base)} strategy file_copy owner bursar_owner`,
  );
  return false;
}

/** What is not yet committed is measured too. */
async function applyWhatIsBeingWritten(owner: string): Promise<void> {
  const project = projectAt();
  const current = await readCurrent(project);
  if (!isBlank(current)) await runCurrent(owner, project, current);
}
