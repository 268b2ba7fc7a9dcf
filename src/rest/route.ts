import type { Request, Response, Router } from 'express';
import type { Pool } from 'pg';
import { CallerError, NOT_FOUND_TEXT } from '../errors.ts';
import { type FeatureState, graceWarning } from '../features.ts';
import { UUID } from '../identity.ts';
import type { OnDecision } from '../metrics.ts';
import { ask, type Caller } from '../on-behalf.ts';
import { noteOperation, OTHER_OPERATION } from '../request.ts';
import { refusalOf } from './answers.ts';

/** What every route works with. */
export type RouteContext = {
  readonly pool: Pool;
  readonly requireFeature: (feature: string) => Promise<FeatureState>;
  readonly onDecision: OnDecision | undefined;
};

/** That are told apart; Node reads some thirty more. */
const METHODS = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE']);

/** Answers every method of a path, so that the order in which callers learn of things is the route's to say. */
export function addRoute(
  router: Router,
  path: string,
  answer: (request: Request, response: Response) => Promise<void>,
): void {
  router.all(path, (request, response) => {
    const method = METHODS.has(request.method) ? request.method : OTHER_OPERATION;
    noteOperation(`${method} /api/v2${path}`);
    return answer(request, response);
  });
}

const FEATURE = 'ai_bridge';

/** The group in the path is a UUID. */
export function groupOf(request: Request): string {
  const { group } = request.params;
  if (typeof group === 'string' && UUID.test(group)) return group;
  throw new CallerError('VALIDATION_FAILED', `"${group}" is no UUID.`, { field: 'group' });
}

/**
 * Runs `work` for a group of which callers may learn only when they can read it. Whatever `work` finds wrong, first
 * comes that the group is absent or not theirs: the database is asked for that only then.
 */
export async function aboutGroup<T>(
  { pool }: RouteContext,
  caller: Caller,
  group: string,
  response: Response,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (refusalOf(error) !== undefined) {
      const { rowCount } = await ask(pool, caller, {
        text: 'select from app_public.groups where id = $1',
        values: [group],
      });
      if (rowCount === 0) {
        for (const header of ['Allow', 'Warning']) response.removeHeader(header);
        throw new CallerError('NOT_FOUND', NOT_FOUND_TEXT);
      }
    }
    throw error;
  }
}

/** 403 when the feature is off; a warning when it runs on borrowed time. */
export async function passFeatureGate(context: RouteContext, response: Response): Promise<void> {
  const feature = await context.requireFeature(FEATURE);
  if (feature.isInGracePeriod) response.set('Warning', graceWarning([FEATURE]));
}

/** Runs the one statement of a route on behalf of its caller. Returns the column `body` of its row, if any. */
export async function bodyFrom(
  { pool }: RouteContext,
  caller: Caller,
  text: string,
  values: readonly (string | null)[],
): Promise<string | undefined> {
  const { rows } = await ask<{ body: string }>(pool, caller, { text, values });
  return rows[0]?.body;
}

/** 405, with the methods that there are. */
export function wrongMethod(response: Response, methods: string): CallerError {
  response.set('Allow', methods);
  return new CallerError('VALIDATION_FAILED', `The methods here are ${methods}.`, { status: 405 });
}
