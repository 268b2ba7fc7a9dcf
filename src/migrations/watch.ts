import { setTimeout as sleep } from 'node:timers/promises';
import { Logger, watch } from 'graphile-migrate';
import type { DatabaseUrls } from '../database-urls.ts';
import { migrate } from '../migrate.ts';
import { PATIENCE, RUNNER_KEEPS_POOL_MS, runnerSettings } from '../run-migrations.ts';
import { readCurrent } from './includes.ts';
import type { Project } from './project.ts';
import { BLANK, explained } from './shadow.ts';

const CONNECTION_BROKE = 'The connection to the database broke. Is it running? Then watch again.';

/** Runs the migrations, then current.sql each time that it or a fixture changes. */
export async function watchCurrent(
  project: Project,
  urls: DatabaseUrls,
  { once }: { once: boolean },
  say: (line: string) => void,
): Promise<void> {
  await migrate(urls, () => {}, { folder: project.migrations });
  const logger = new Logger(() => (level, message, meta) => {
    const { error } = (meta ?? {}) as { error?: unknown };
    if (level !== 'error') say(message.replace(/^\[[^\]]*\]: /, ''));
    // After this one the runner ends the process.
    else if (message.startsWith('An error occurred in the PgPool')) say(CONNECTION_BROKE);
    else if (error !== undefined && !once) void explainAloud(error);
  });
  const explainAloud = async (error: unknown) => {
    try {
      say(explained(error, await readCurrent(project)).message);
    } catch (unreadable) {
      say((unreadable as Error).message);
    }
  };
  try {
    await watch(
      {
        connectionString: urls.owner,
        migrationsFolder: project.migrations,
        blankMigrationContent: BLANK,
        pgSettings: runnerSettings(PATIENCE.lockTimeoutMs),
        logger,
      },
      once,
    );
  } catch (error) {
    throw explained(error, await readCurrent(project));
  } finally {
    if (once) await sleep(RUNNER_KEEPS_POOL_MS);
  }
}
