import type { Client } from 'pg';
import { takeTurns } from './contest.ts';
import { progress } from './progress.ts';
import type { Measurement } from './results.ts';
import { median, merged, percentile } from './statistics.ts';

/** Work that is timed as a whole, one at a time. What it returns is called afterwards, and takes no time of it. */
export type Work = { readonly name: string; run(): Promise<void | (() => Promise<void>)> };

/** Milliseconds of each contender: `times` a round, in turn. The first of each does not count. */
export async function timings(
  caseName: string,
  works: readonly Work[],
  { rounds, times }: { rounds: number; times: number },
): Promise<readonly Measurement[]> {
  const took = new Map<string, Float64Array[]>(works.map(({ name }) => [name, []]));
  for (const { run } of works) await (await run())?.();
  await takeTurns(works, rounds, async ({ name, run }, round) => {
    const all: number[] = [];
    for (let n = 0; n < times; n += 1) {
      const began = performance.now();
      const after = await run();
      all.push(performance.now() - began);
      await after?.();
    }
    took.get(name)?.push(Float64Array.from(all));
    progress(`${caseName}, round ${round + 1} of ${rounds}: ${name} ${median(all).toFixed(1)} ms`);
  });
  return [...took].map(([contender, outcomes]) => {
    const rounds = outcomes.map((one) => median([...one]));
    const all = merged(outcomes);
    return {
      contender,
      unit: 'ms',
      rounds,
      value: median(rounds),
      p50: percentile(all, 50),
      p99: percentile(all, 99),
    };
  });
}

/** The session speaks for a user from now on. */
export async function speakFor(client: Client, userId: string): Promise<void> {
  await client.query(
    `select set_config('role', 'bursar_user', false), set_config('bursar.user_id', $1, false)`,
    [userId],
  );
}
