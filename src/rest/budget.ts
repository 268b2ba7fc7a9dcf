import express, { type Request, type Response, Router } from 'express';
import type { Pool } from 'pg';
import { asUser } from '../database.ts';
import { CallerError, NOT_FOUND_TEXT } from '../errors.ts';
import { parseObject, wholeNumber } from '../exact-json.ts';
import { type FeatureState, graceWarning } from '../features.ts';
import { signedIn, UUID } from '../identity.ts';
import { sendJson } from './answers.ts';

const FEATURE = 'ai_bridge';
const METHODS = 'GET, HEAD, PUT, DELETE';

/** PostgreSQL writes the body, so that no number passes through a double. */
const bodyOf = (budget: string) => `
  select to_json(b)::text as body
  from (select group_id, spend_limit_micros, created_at, updated_at from ${budget}) as b`;

/**
 * The budget of a group: `/groups/{group}/ai/budget`. Who may do what is decided by row-level security and
 * the functions that are called; what stands here is the order in which callers learn of it.
 */
export function budgetRoutes(
  pool: Pool,
  requireFeature: (feature: string) => Promise<FeatureState>,
): Router {
  const readBody = promisedMiddleware(express.raw({ type: () => true, limit: '16kb' }));

  return Router().all('/groups/:group/ai/budget', async (request, response) => {
    const userId = signedIn(request);
    const group = request.params.group;
    if (!UUID.test(group)) {
      throw new CallerError('VALIDATION_FAILED', `"${group}" is no UUID.`, { field: 'group' });
    }
    await mustReadGroup(userId, group);
    const feature = await requireFeature(FEATURE);
    if (feature.isInGracePeriod) response.set('Warning', graceWarning([FEATURE]));

    switch (request.method) {
      case 'GET':
      case 'HEAD': {
        const body = await one(userId, bodyOf('app_public.group_ai_budget($1)'), [group]);
        if (body === undefined) throw new CallerError('NOT_FOUND', 'This group has no budget.');
        return sendJson(response, 200, body);
      }
      case 'PUT': {
        await readBody(request, response);
        const limit = wholeNumber(parseObject(textOf(request.body)), 'spend_limit_micros');
        const body = await one(userId, bodyOf('app_public.upsert_group_ai_budget($1, $2)'), [
          group,
          limit,
        ]);
        return sendJson(response, 200, body ?? '');
      }
      case 'DELETE':
        await one(userId, 'select from app_public.delete_group_ai_budget($1)', [group]);
        response.status(204).end();
        return;
      default:
        response.set('Allow', METHODS);
        throw new CallerError('VALIDATION_FAILED', `The methods here are ${METHODS}.`, {
          status: 405,
        });
    }
  });

  async function mustReadGroup(userId: string, group: string): Promise<void> {
    const found = await asUser(pool, userId, (client) =>
      client.query('select from app_public.groups where id = $1', [group]),
    );
    if (found.rowCount === 0) throw new CallerError('NOT_FOUND', NOT_FOUND_TEXT);
  }

  async function one(userId: string, text: string, values: (string | null)[]) {
    const result = await asUser(pool, userId, (client) =>
      client.query<{ body: string }>(text, values),
    );
    return result.rows[0]?.body;
  }
}

function textOf(body: unknown): string {
  if (!Buffer.isBuffer(body)) return '';
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new CallerError('VALIDATION_FAILED', 'The body is no UTF-8.');
  }
}

/** The body is read only when its turn has come, so the reader runs within the route. */
function promisedMiddleware(middleware: express.RequestHandler) {
  return (request: Request, response: Response) =>
    new Promise<void>((resolve, reject) => {
      middleware(request, response, (error?: unknown) => (error ? reject(error) : resolve()));
    });
}
