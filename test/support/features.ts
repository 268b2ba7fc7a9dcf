import { expect, vi } from 'vitest';
import type { TestDatabase } from './database.ts';
import type { TestServer } from './server.ts';

export type FeatureChange = {
  entitlement?: 'entitled' | 'grace_period' | 'not_entitled';
  enabled?: boolean;
};

export const ON: FeatureChange = { entitlement: 'entitled', enabled: true };
export const OFF: FeatureChange = { entitlement: 'entitled', enabled: false };

/** Sets ai_bridge behind the API's back, as another server or a DBA would. */
export async function setAiBridge(database: TestDatabase, change: FeatureChange): Promise<void> {
  await database.owner.query(
    `update app_public.features
     set entitlement = coalesce($1, entitlement), enabled = coalesce($2, enabled)
     where name = 'ai_bridge'`,
    [change.entitlement ?? null, change.enabled ?? null],
  );
}

/** What a server's gate thinks of ai_bridge at this moment. */
export async function gateOf(
  server: TestServer,
  userId: string,
): Promise<'on' | 'grace_period' | 'off'> {
  const answer = await server.graphql(userId, '{ aiModelPrices { totalCount } }');
  if (answer.errors !== undefined) return 'off';
  return answer.headers.has('warning') ? 'grace_period' : 'on';
}

/** Sets ai_bridge and waits until the server has heard of it. */
export async function switchAiBridge(
  database: TestDatabase,
  server: TestServer,
  userId: string,
  change: FeatureChange,
): Promise<void> {
  await setAiBridge(database, change);
  const { entitlement = 'entitled', enabled = true } = change;
  const wanted = { entitled: 'on', grace_period: 'grace_period', not_entitled: 'off' } as const;
  const expected = enabled ? wanted[entitlement] : 'off';
  await vi.waitFor(async () => expect(await gateOf(server, userId)).toBe(expected), {
    interval: 5,
    timeout: 10_000,
  });
}
