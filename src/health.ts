import { createHash, timingSafeEqual } from 'node:crypto';
import { type RequestHandler, Router } from 'express';
import type { Client, Pool } from 'pg';
import type { MetricsAccess } from './configuration.ts';

/** Why requests are better sent elsewhere, if they are. */
export type Readiness = () => Promise<string | undefined>;

/**
 * For whoever watches over the process, without a token: `/healthz` says that it answers, `/readyz` that it is of use:
 * that the database answers, has the migrations of this code, and that nobody has told the server to stop.
 */
export function healthRoutes(readiness: Readiness): Router {
  const ready: RequestHandler = async (_request, response) => {
    const problem = await readiness();
    if (problem === undefined) response.type('text').send('ready\n');
    else response.status(503).type('text').send(`${problem}\n`);
  };
  return Router()
    .get('/healthz', (_request, response) => void response.type('text').send('ok\n'))
    .get('/readyz', ready);
}

const OLD = 'The database is older than this server: run bursar migrate.';
const READ_ONLY = 'The database is a standby: it takes no writes.';
const AWAY = 'The database does not answer.';

/** @param needed The newest migration that came with this code; a database may have newer ones. */
export function readinessOf(pool: Pool, needed: string): Readiness {
  return async () => {
    try {
      const { newest, isStandby } = await stateOf(pool);
      if (newest < needed) return OLD;
      return isStandby ? READ_ONLY : undefined;
    } catch {
      return AWAY;
    }
  };
}

/** Whether a database lacks a migration, such as 000006; one that is newer does not. */
export async function isOlder(database: Pool | Client, migration: string): Promise<boolean> {
  return (await stateOf(database)).newest < migration;
}

const UNDEFINED_FUNCTION = '42883';
const UNDEFINED_SCHEMA = '3F000';

type DatabaseState = {
  /** The newest migration; nothing where there is none. */
  readonly newest: string;
  readonly isStandby: boolean;
};

async function stateOf(database: Pool | Client): Promise<DatabaseState> {
  try {
    const { rows } = await database.query<{ newest: string | null; is_standby: boolean }>(
      'select app_hidden.newest_migration() as newest, pg_is_in_recovery() as is_standby',
    );
    return { newest: rows[0]?.newest ?? '', isStandby: rows[0]?.is_standby === true };
  } catch (error) {
    const { code } = error as { code?: string };
    // So old, or migrated back so far, that it can't even say.
    if (code === UNDEFINED_FUNCTION || code === UNDEFINED_SCHEMA) {
      return { newest: '', isStandby: false };
    }
    throw error;
  }
}

/** `/metrics` for Prometheus, for those who have the token. */
export function metricsRoute(
  access: MetricsAccess,
  metrics: (() => Promise<string>) | undefined,
): Router {
  return Router().get('/metrics', async (request, response) => {
    if (access === 'nobody' || metrics === undefined) {
      response.status(403).type('text').send('Metrics are shown where METRICS_TOKEN is set.\n');
      return;
    }
    if (access !== 'everybody' && !isToken(request.headers.authorization, access.token)) {
      response.status(401).set('WWW-Authenticate', 'Bearer');
      response.type('text').send('Send the token for metrics: "Authorization: Bearer TOKEN".\n');
      return;
    }
    response.type('text/plain; version=0.0.4; charset=utf-8').send(await metrics());
  });
}

/** Takes as long for every token that is wrong. */
function isToken(header: string | undefined, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(header ?? ''), digest(`Bearer ${token}`));
}
