import { Router } from 'express';
import { CallerError } from '../errors.ts';
import { parseObject, wholeNumber } from '../exact-json.ts';
import { signedIn } from '../identity.ts';
import { sendJson } from './answers.ts';
import { bodyReader } from './body.ts';
import {
  aboutGroup,
  addRoute,
  bodyFrom,
  groupOf,
  passFeatureGate,
  type RouteContext,
  wrongMethod,
} from './route.ts';

const METHODS = 'GET, HEAD, PUT, DELETE';

/** PostgreSQL writes the body, so that no number passes through a double. */
const bodyOf = (budget: string) => `
  select to_json(b)::text as body
  from (select group_id, spend_limit_micros, created_at, updated_at from ${budget}) as b`;

/**
 * The budget of a group: `/groups/{group}/ai/budget`. Who may do what is decided by row-level security and
 * the functions that are called; what stands here is the order in which callers learn of it.
 */
export function budgetRoutes(context: RouteContext): Router {
  const readBody = bodyReader('16kb');

  const router = Router();
  addRoute(router, '/groups/:group/ai/budget', async (request, response) => {
    const caller = signedIn(request);
    const group = groupOf(request);
    const one = (text: string, values: (string | null)[]) =>
      bodyFrom(context, caller, text, values);

    await aboutGroup(context, caller, group, response, async () => {
      await passFeatureGate(context, response);
      switch (request.method) {
        case 'GET':
        case 'HEAD': {
          const body = await one(bodyOf('app_public.group_ai_budget($1)'), [group]);
          if (body === undefined) throw new CallerError('NOT_FOUND', 'This group has no budget.');
          return sendJson(response, 200, body);
        }
        case 'PUT': {
          const limit = wholeNumber(
            parseObject(await readBody(request, response)),
            'spend_limit_micros',
          );
          const put = bodyOf('app_public.upsert_group_ai_budget($1, $2)');
          return sendJson(response, 200, (await one(put, [group, limit])) ?? '');
        }
        case 'DELETE':
          await one('select from app_public.delete_group_ai_budget($1)', [group]);
          response.status(204).end();
          return;
        default:
          throw wrongMethod(response, METHODS);
      }
    });
  });
  return router;
}
