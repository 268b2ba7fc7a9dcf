import type { Response } from 'express';
import type { Pool } from 'pg';
import { asUser } from '../database.ts';
import { CallerError, NOT_FOUND_TEXT } from '../errors.ts';
import { type FeatureState, graceWarning } from '../features.ts';
import { UUID } from '../identity.ts';

/** What every route works with. */
export type RouteContext = {
  readonly pool: Pool;
  readonly requireFeature: (feature: string) => Promise<FeatureState>;
};

const FEATURE = 'ai_bridge';

/** The group in the path: 400 when it is no UUID, 404 when it is absent or not the caller's to read. */
export async function readableGroup(
  { pool }: RouteContext,
  userId: string,
  group: string,
): Promise<string> {
  if (!UUID.test(group)) {
    throw new CallerError('VALIDATION_FAILED', `"${group}" is no UUID.`, { field: 'group' });
  }
  const found = await asUser(pool, userId, 'rest', (client) =>
    client.query('select from app_public.groups where id = $1', [group]),
  );
  if (found.rowCount === 0) throw new CallerError('NOT_FOUND', NOT_FOUND_TEXT);
  return group;
}

/** 403 when the feature is off; a warning when it runs on borrowed time. */
export async function passFeatureGate(context: RouteContext, response: Response): Promise<void> {
  const feature = await context.requireFeature(FEATURE);
  if (feature.isInGracePeriod) response.set('Warning', graceWarning([FEATURE]));
}

/** Runs the one statement of a route on behalf of its caller. Returns the column `body` of its row, if any. */
export async function bodyFrom(
  { pool }: RouteContext,
  userId: string,
  text: string,
  values: readonly (string | null)[],
): Promise<string | undefined> {
  const result = await asUser(pool, userId, 'rest', (client) =>
    client.query<{ body: string }>(text, [...values]),
  );
  return result.rows[0]?.body;
}

/** 405, with the methods that there are. */
export function wrongMethod(response: Response, methods: string): CallerError {
  response.set('Allow', methods);
  return new CallerError('VALIDATION_FAILED', `The methods here are ${methods}.`, { status: 405 });
}
