import { type RequestHandler, Router } from 'express';
import type { Pool } from 'pg';

/**
 * For whoever watches over the process, without a token: `/healthz` says that it answers, `/readyz` that the database
 * does too, so that requests are better sent elsewhere while it says 503.
 */
export function healthRoutes(pool: Pool): Router {
  const ready: RequestHandler = async (_request, response) => {
    try {
      // As every request begins; a database that was migrated back has no such function.
      await pool.query('select app_hidden.require_user(null)');
      response.type('text').send('ready\n');
    } catch {
      response.status(503).type('text').send('The database does not answer.\n');
    }
  };
  return Router()
    .get('/healthz', (_request, response) => void response.type('text').send('ok\n'))
    .get('/readyz', ready);
}
