import { execFileSync } from 'node:child_process';
import { chownSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { withClient } from '../../../src/database.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../src/embedded-postgres.ts';
import { makeDataFolder, type OwnPostgres } from './own-postgres.ts';

export type Standby = {
  readonly postgres: EmbeddedPostgres;
  /** From now on it is the primary. Resolves when it takes writes. */
  promote(): Promise<void>;
  stop(): Promise<void>;
};

const NAME = 'standby';

/** A copy that follows a PostgreSQL, which from then on acknowledges nothing that the copy has not written too. */
export async function startStandby(primary: OwnPostgres): Promise<Standby> {
  const dataFolder = await makeDataFolder();
  const home = join(dataFolder, 'postgres');
  const cluster = join(home, 'cluster');
  const original = join(realpathSync(join(primary.dataFolder, 'postgres')), 'cluster');
  const { uid, gid } = statSync(original);
  const write = (name: string, content: string) => {
    writeFileSync(join(cluster, name), content, { mode: 0o600 });
    chownSync(join(cluster, name), uid, gid);
  };

  await withClient(primary.superuserUrl, async (client) => {
    await client.query("select pg_backup_start('standby', fast => true)");
    // Nobody writes meanwhile, so that no file goes away as it is copied.
    execFileSync('cp', ['-a', join(original, '..'), home]);
    const { rows } = await client.query<{ labelfile: string }>(
      'select labelfile from pg_backup_stop(wait_for_archive => false)',
    );
    write('backup_label', rows[0]?.labelfile ?? '');
  });
  rmSync(join(cluster, 'postmaster.pid'));
  write('standby.signal', '');
  const { username, password } = new URL(primary.superuserUrl);
  const postgres = await startEmbeddedPostgres({
    dataFolder,
    settings: {
      fsync: 'off',
      max_connections: '50',
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=${username} password=${password} application_name=${NAME}`,
    },
  });
  const superuserUrl = postgres.superuserUrl('bursar');

  await withClient(primary.superuserUrl, async (client) => {
    await client.query(`alter system set synchronous_standby_names = '${NAME}'`);
    await client.query('select pg_reload_conf()');
    await until(client, "select from pg_stat_replication where sync_state = 'sync'");
  });
  return {
    postgres,
    promote: () =>
      withClient(superuserUrl, async (client) => {
        await client.query('select pg_promote()');
        await until(client, 'select where not pg_is_in_recovery()');
      }),
    async stop() {
      await postgres.stop();
      await rm(dataFolder, { recursive: true, force: true });
    },
  };
}

async function until(client: Client, query: string): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    if ((await client.query(query)).rowCount === 1) return;
    await sleep(20);
  }
  throw new Error(`This did not come true: ${query}`);
}
