import { spawnSync } from 'node:child_process';
import { cpus, platform, release, totalmem } from 'node:os';
import { withClient } from '../src/database.ts';
import { PROJECT_FOLDER } from '../src/folders.ts';
import { POSTGRES_SETTINGS } from './settings.ts';

/** Without it a number means little. */
export type Machine = {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly node: string;
  readonly postgres: string;
  readonly postgresSettings: Readonly<Record<string, string>>;
  readonly commit: string;
  readonly date: string;
};

export async function thisMachine(superuserUrl: string): Promise<Machine> {
  const { rows } = await withClient(superuserUrl, (client) =>
    client.query<{ version: string }>("select current_setting('server_version') as version"),
  );
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
    postgres: rows[0]?.version ?? 'unknown',
    postgresSettings: POSTGRES_SETTINGS,
    commit: git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+'),
    date: new Date().toISOString(),
  };
}

function git(...args: string[]): string {
  const run = spawnSync('git', args, { cwd: PROJECT_FOLDER, encoding: 'utf8' });
  return run.status === 0 ? run.stdout.trim() : 'unknown';
}
