import { readLockTimeout } from '../database-urls.ts';
import { migrate } from '../migrate.ts';
import { PATIENCE } from '../run-migrations.ts';
import { say } from '../standard-output.ts';
import { withDatabase } from './database.ts';

export async function migrateCommand(): Promise<void> {
  const lockTimeoutMs = readLockTimeout(process.env, PATIENCE.lockTimeoutMs);
  await withDatabase((urls) => migrate(urls, say, { patience: { ...PATIENCE, lockTimeoutMs } }));
}
