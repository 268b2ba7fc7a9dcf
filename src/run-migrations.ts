import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger, migrate } from 'graphile-migrate';
import type { Client } from 'pg';

/** How long a migration waits for the locks that it needs. */
export type Patience = {
  /** For each lock, and 0 for ever. */
  readonly lockTimeoutMs: number;
  readonly attempts: number;
  /** Between the first two attempts; each pause is twice as long as the one before. */
  readonly pauseMs: number;
};

/**
 * Whoever comes after a migration that waits for a table waits behind it. Requests give up after 5 seconds
 * (settingsOf in database.ts): the migration gives up sooner, lets them pass, and tries again.
 */
export const PATIENCE: Patience = { lockTimeoutMs: 3_000, attempts: 5, pauseMs: 1_000 };

/** graphile-migrate ends the whole process when its idle connections break before it has let go of them. */
export const RUNNER_KEEPS_POOL_MS = 250;

const RUNNER = 'bursar migrate';
const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK = '40P01';

/** What the runner's sessions are set to. A limit of the role or the database for requests is not for migrations. */
export function runnerSettings(lockTimeoutMs: number): Record<string, string> {
  return {
    application_name: RUNNER,
    lock_timeout: `${lockTimeoutMs}ms`,
    statement_timeout: '0',
    idle_in_transaction_session_timeout: '0',
  };
}

/** A migration that could not run, in plain words. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

/**
 * Runs the committed migrations of a folder that have not run yet, each in a transaction of its own.
 *
 * @param observer Another connection to the same database, for finding out who is in the way.
 */
export async function runMigrations(
  connectionString: string,
  migrationsFolder: string,
  observer: Client,
  patience: Patience,
  say: (line: string) => void,
): Promise<void> {
  try {
    for (let attempt = 1; ; attempt += 1) {
      const busy = await attemptToRun(connectionString, migrationsFolder, observer, patience, say);
      if (busy === undefined) return;
      if (attempt === patience.attempts) {
        throw new MigrationError(
          `${busy}: gave up after ${attempt} attempts of ${patience.lockTimeoutMs} ms, so that requests don't queue behind it. ${UNDONE} Run it again when the other session has ended.`,
        );
      }
      const pause = patience.pauseMs * 2 ** (attempt - 1);
      say(`${busy}: lets others pass, and tries again in ${pause} ms.`);
      await sleep(pause);
    }
  } finally {
    await sleep(RUNNER_KEEPS_POOL_MS);
  }
}

/** Nothing when all of them have run, or else which one waits for a lock, and for whom. */
async function attemptToRun(
  connectionString: string,
  migrationsFolder: string,
  observer: Client,
  { lockTimeoutMs }: Patience,
  say: (line: string) => void,
): Promise<string | undefined> {
  let running: string | undefined;
  const watch = watchBlockers(observer, lockTimeoutMs);
  try {
    await migrate({
      connectionString,
      migrationsFolder,
      pgSettings: runnerSettings(lockTimeoutMs),
      logger: new Logger(() => (_level, message) => {
        running = /Running migration '([^']+)'/.exec(message)?.[1] ?? running;
        say(message);
      }),
    });
    return undefined;
  } catch (error) {
    if (running === undefined) throw error;
    const { code, message } = error as Error & { code?: string };
    const text = await readFile(join(migrationsFolder, 'committed', running), 'utf8');
    const undone = !isNoTransaction(text);
    if (code !== LOCK_NOT_AVAILABLE && code !== DEADLOCK) {
      throw new MigrationError(
        `${running}${lineOf(error, text)} ${message}. ${undone ? UNDONE : 'It is no transaction: look at what it left.'}`,
      );
    }
    const blockers = await watch.stop();
    const busy = `${running} waits for a lock${blockers.length === 0 ? '' : ` that is held by ${blockers.join(', ')}`}`;
    // What is not undone must not be repeated unseen: an interrupted index would pass for a finished one.
    if (!undone) {
      throw new MigrationError(
        `${busy}, and it is no transaction. Undo what it left (bursar check names an index that is half made), then run again without the limit: MIGRATION_LOCK_TIMEOUT_MS=0`,
      );
    }
    return busy;
  } finally {
    await watch.stop();
  }
}

const UNDONE = 'Nothing of this migration was changed.';

/** What the runner looks at and sends: what stands below the header. */
function bodyAt(text: string): number {
  return /^(?:--! [A-Z][^\n]*\n)*\s*/.exec(text)?.[0].length ?? 0;
}

export function isNoTransaction(text: string): boolean {
  return /^--!\s*no-transaction\b/.test(text.slice(bodyAt(text)));
}

function lineOf(error: unknown, text: string): string {
  const { position } = error as { position?: string };
  if (position === undefined) return ':';
  const before = text.slice(0, bodyAt(text) + Number(position) - 1);
  return `, line ${before.split('\n').length}:`;
}

/** Looks while a migration waits: afterwards nobody blocks it any more. */
function watchBlockers(observer: Client, lockTimeoutMs: number) {
  const done = new AbortController();
  const seen = new Set<string>();
  const watching = (async () => {
    while (lockTimeoutMs > 0 && !done.signal.aborted) {
      await sleep(lockTimeoutMs / 3, undefined, { signal: done.signal }).catch(() => {});
      if (done.signal.aborted) return;
      const { rows } = await observer.query<{ blocker: string }>(
        `select distinct format('process %s (%s%s)', b.pid, b.usename, nullif(', ' || b.application_name, ', ')) as blocker
         from pg_stat_activity w
           cross join unnest(pg_blocking_pids(w.pid)) as blocking (pid)
           join pg_stat_activity b on b.pid = blocking.pid
         where w.application_name = $1 and w.datname = current_database()
           and b.pid <> w.pid`,
        [RUNNER],
      );
      for (const { blocker } of rows) seen.add(blocker);
    }
  })().catch(() => {});
  return {
    async stop(): Promise<string[]> {
      done.abort();
      await watching;
      return [...seen];
    },
  };
}
