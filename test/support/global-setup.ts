import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../src/embedded-postgres.ts';
import { migrate } from '../../src/migrate.ts';
import { isBlank, readCurrent } from '../../src/migrations/includes.ts';
import { projectAt } from '../../src/migrations/project.ts';
import { runCurrent } from '../../src/migrations/shadow.ts';
import { RUNNER_KEEPS_POOL_MS } from '../../src/run-migrations.ts';
import { binariesOf, wantedVersion } from './postgres-version.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `postgres://…` without a database, of the superuser. */
    superuser: string;
    host: string;
  }
}

/** One PostgreSQL for the whole run, with a migrated database from which each test file gets a copy. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const binaries = binariesOf(wantedVersion());
  const folder = await mkdtemp(join(tmpdir(), 'bursar-test-'));
  // Under root PostgreSQL runs as another account, which must get to its files.
  await chmod(folder, 0o711);
  const postgres = await startEmbeddedPostgres({
    dataFolder: folder,
    binaries,
    settings: {
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      max_connections: '500',
    },
  });
  const client = new Client({ connectionString: postgres.superuserUrl('postgres') });
  await client.connect();
  const { rows } = await client.query<{ version: string }>(
    "select current_setting('server_version') as version",
  );
  // As the server says it: test/postgres-versions reads this line.
  console.log(`Testing on PostgreSQL ${rows[0]?.version}`);
  await client.query("create role bursar_owner login createrole createdb password 'owner'");
  await client.query('create database bursar_template owner bursar_owner');
  await client.end();
  const host = `${postgres.host}:${postgres.port}`;
  await migrate(
    {
      owner: `postgres://bursar_owner:owner@${host}/bursar_template`,
      authenticator: `postgres://bursar_authenticator:authenticator@${host}/bursar_template`,
    },
    () => {},
  );
  // What is being written is tested too, before it is committed.
  const written = projectAt();
  const current = await readCurrent(written);
  if (!isBlank(current)) {
    await runCurrent(`postgres://bursar_owner:owner@${host}/bursar_template`, written, current);
    await sleep(RUNNER_KEEPS_POOL_MS);
  }
  project.provide('superuser', postgres.superuserUrl(''));
  project.provide('host', host);
  return async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
}
