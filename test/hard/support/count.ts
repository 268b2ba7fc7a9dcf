import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { withClient } from '../../../src/database.ts';
import { discrepancies, type Row } from '../../support/ledger.ts';
import type { Call, Load, Refusal } from './load.ts';
import { POOL_SIZE } from './server-process.ts';
import type { Shop } from './shop.ts';

/**
 * Counts in the database, once the load has stopped: what was acknowledged is there, once and as it was said, and
 * nothing contradicts anything.
 */
export async function expectNothingLost(load: Load, { owner, company, sent }: Shop): Promise<void> {
  expect(load.contradictions).toEqual([]);
  expect(await discrepancies(owner)).toEqual([]);
  const rows = async (sql: string) => (await owner.query<Row>(sql, [company.id])).rows;
  const events = await rows(
    `select id, cost_micros::float8 as cost from app_public.ai_usage_events where organization_id = $1`,
  );
  const requests = await rows(
    `select request_id, decision ->> 'hold_id' as hold, state::text
     from app_private.ai_spend_requests where organization_id = $1`,
  );
  const groups = await rows(`select name, id from app_public.groups where organization_id = $1`);
  const limits = await rows(
    `select group_id, spend_limit_micros::float8 as "limit" from app_public.group_ai_budgets
     join app_public.groups g on g.id = group_id where g.organization_id = $1`,
  );

  const costOf = new Map(events.map(({ id, cost }) => [id, cost]));
  expect(costOf.size, 'events that are there twice').toBe(events.length);
  expect(events.filter(({ id }) => !sent.has(String(id)))).toEqual([]);
  const requestOf = new Map(requests.map((request) => [request.request_id, request]));
  const names = new Set(groups.map(({ name }) => name));
  const lastLimit = new Map<string, number | undefined>();
  const lost: string[] = [];
  const isThere = ({ kind, id, amount }: Call, answer: string): boolean => {
    switch (kind) {
      case 'authorize': {
        const hold = /"hold_?id":(?:"([^"]+)"|null)/i.exec(answer)?.[1] ?? null;
        return requestOf.get(id)?.hold === hold;
      }
      case 'settle':
        return costOf.get(id) === amount && requestOf.get(id)?.state === 'settled';
      case 'usage':
        return costOf.get(id) === amount;
      case 'group':
        return names.has(id);
      case 'budget':
        lastLimit.set(id, amount);
        return true;
      case 'read':
        return true;
    }
  };
  for (const [call, answer] of load.acknowledged) {
    if (!isThere(call, answer)) lost.push(`${call.kind} ${call.id}: ${answer}`);
  }
  expect(lost).toEqual([]);
  const limitOf = new Map(limits.map(({ group_id: group, limit }) => [group, limit]));
  for (const [group, limit] of lastLimit) expect(limitOf.get(group)).toBe(limit);
}

/**
 * 503 with Retry-After is the one thing that callers may hear of a database that is away; TIMEOUT, of a lock that did
 * not come in time or a statement that took too long.
 */
export function expectOnlyUnavailable(load: Load, { orTimeout = false } = {}): void {
  const others = load.refusals.filter(
    ({ status, retryAfter, code, body }) =>
      (status !== 503 || retryAfter === undefined) &&
      !(orTimeout && (code === 'TIMEOUT' || (status === 503 && /nothing was written/.test(body)))),
  );
  expect(others).toEqual([]);
}

/** Nothing is left of the fault: as many connections as there are to be, none of them in the middle of something. */
export async function expectCalm(superuserUrl: string, servers = 1): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    let connections: Row[] = [];
    for (let attempt = 0; attempt < 100; attempt += 1) {
      ({ rows: connections } = await client.query<Row>(
        `select state, query from pg_stat_activity
         where datname = current_database() and application_name = 'bursar'
           and pid <> pg_backend_pid()`,
      ));
      const busy = connections.filter(({ state }) => state !== 'idle');
      if (busy.length === 0 && connections.length <= servers * POOL_SIZE) return;
      await sleep(50);
    }
    expect.fail(`${connections.length} connections: ${JSON.stringify(connections)}`);
  });
}

/** Beside what a process takes anyway once it has been busy. */
const GROWTH_MB = 150;

export function expectNoGrowth(before: number, after: number): string {
  expect(after - before).toBeLessThan(GROWTH_MB);
  return `the server took ${before.toFixed(0)} MB before and ${after.toFixed(0)} MB after`;
}

/** How long after `moment` the first call was answered that was asked after it, and the last one was refused, in seconds. */
export function recoveryAfter(moment: number, load: Load): { first: number; last: number } {
  const ends = load.answers.filter(({ began }) => began >= moment).map((a) => a.began + a.ms);
  const failures = [...load.refusals, ...load.broken.map(({ began }) => ({ began, ms: 0 }))];
  const last = Math.max(moment, ...failures.map(({ began, ms }) => began + ms));
  return { first: (Math.min(...ends) - moment) / 1000, last: (last - moment) / 1000 };
}

/** For an operator: what was asked, what became of it. */
export function summaryOf(what: string, load: Load): string {
  const written = load.acknowledged.size;
  const parts = [
    `${count(written)} writes acknowledged, none lost and none booked twice (${count(load.repeated())} sent again on purpose had the same answer), no discrepancy in the ledger`,
    refused(load.refusals),
  ];
  if (load.broken.length > 0) parts.push(`${count(load.broken.length)} broken connections`);
  return `${what}: ${parts.join('; ')}`;
}

function refused(refusals: readonly Refusal[]): string {
  if (refusals.length === 0) return 'no request refused';
  const times = refusals.map(({ ms }) => ms).sort((a, b) => a - b);
  const p99 = times[Math.floor(times.length * 0.99)] ?? 0;
  return `${count(times.length)} requests got 503, 99 % of them within ${duration(p99)}, the slowest after ${duration(times.at(-1) ?? 0)}`;
}

const count = (n: number) => n.toLocaleString('en');
export const duration = (ms: number) =>
  ms < 1000 ? `${Math.ceil(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
