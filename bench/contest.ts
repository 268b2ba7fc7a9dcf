import type { Bench, Case } from './bench.ts';
import type { Contender } from './caller.ts';
import type { LoopOutcome } from './closed-loop.ts';
import { progress } from './progress.ts';
import type { Measurement } from './results.ts';
import { median, merged, percentile } from './statistics.ts';

export type Contest = {
  readonly measurements: readonly Measurement[];
  /** How many times as much the first does: the median over the rounds, whose two halves were close in time. */
  ratio(of: string, to: string): number;
};

/** Lets contenders take turns, in another order each round, so that a slow minute hits them all. */
export async function takeTurns<T>(
  contenders: readonly T[],
  rounds: number,
  turn: (contender: T, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const contender of order) await turn(contender, round);
  }
}

/** Measures the contenders of a case side by side under full load. */
export async function contest(
  bench: Bench,
  { name, contenders }: Pick<Case, 'name' | 'contenders'>,
  { connections = bench.settings.connections, unit = 'requests/s' } = {},
): Promise<Contest> {
  const outcomes = new Map<string, LoopOutcome[]>(contenders.map((c) => [c.name, []]));
  // All are up before the first begins.
  const urls = new Map(
    await Promise.all(contenders.map(async (one) => [one.name, await urlOf(bench, one)] as const)),
  );

  await takeTurns(contenders, bench.settings.rounds, async (contender, round) => {
    const { warmUpSeconds, seconds, poolSize, rounds } = bench.settings;
    const outcome = await (contender.http ? bench.load : bench.direct).run({
      caseName: name,
      contender: contender.name,
      url: urls.get(contender.name) ?? '',
      connections,
      poolSize,
      // Code is compiled in the first round.
      warmUpSeconds: round === 0 ? 2 * warmUpSeconds : warmUpSeconds,
      seconds,
    });
    outcomes.get(contender.name)?.push(outcome);
    const rate = Math.round(outcome.perSecond).toLocaleString('en');
    progress(`${name}, round ${round + 1} of ${rounds}: ${contender.name} ${rate} ${unit}`);
  });
  return contestOf(
    [...outcomes].map(([contender, rounds]) => measurementOf(contender, unit, rounds)),
  );
}

async function urlOf(bench: Bench, contender: Contender): Promise<string> {
  if (contender.server !== undefined) return (await bench.server(contender.server)).url;
  return (await bench.database('small')).authenticator;
}

function measurementOf(
  contender: string,
  unit: string,
  outcomes: readonly LoopOutcome[],
): Measurement {
  const rounds = outcomes.map(({ perSecond }) => perSecond);
  const all = merged(outcomes.map(({ milliseconds }) => milliseconds));
  return {
    contender,
    unit,
    rounds,
    value: median(rounds),
    p50: percentile(all, 50),
    p99: percentile(all, 99),
  };
}

export function contestOf(measurements: readonly Measurement[]): Contest {
  const roundsOf = (name: string) => {
    const found = measurements.find(({ contender }) => contender === name);
    if (found === undefined) throw new Error(`Nothing was measured of ${name}.`);
    return found.rounds;
  };
  return {
    measurements,
    ratio(of, to) {
      const others = roundsOf(to);
      return median(roundsOf(of).map((value, round) => value / (others[round] ?? Number.NaN)));
    },
  };
}
