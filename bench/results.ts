import type { Machine } from './machine.ts';
import type { Settings } from './settings.ts';

/** What a run finds out, as it stands in the JSON. */

export type Measurement = {
  readonly contender: string;
  readonly unit: string;
  /** Of each round. */
  readonly rounds: readonly number[];
  /** The median of the rounds. */
  readonly value: number;
  /** Milliseconds, over all rounds. */
  readonly p50?: number;
  readonly p99?: number;
};

export type Comparison = {
  readonly what: string;
  readonly against: string;
  readonly ratio: number;
  /** Absent where the ratio is for information. */
  readonly target?: Target;
  readonly met?: boolean;
};

export type Target = { readonly atLeast: number } | { readonly atMost: number };

/** Something that must be so, whatever the speed. */
export type Check = { readonly what: string; readonly is: string; readonly met: boolean };

export type CaseResult = {
  readonly name: string;
  readonly title: string;
  readonly measurements: readonly Measurement[];
  readonly comparisons: readonly Comparison[];
  readonly checks: readonly Check[];
  readonly notes: readonly string[];
};

export type Results = {
  readonly machine: Machine;
  readonly settings: Settings;
  readonly data: readonly string[];
  readonly cases: readonly CaseResult[];
};

export function meets(value: number, target: Target): boolean {
  return 'atLeast' in target ? value >= target.atLeast : value <= target.atMost;
}

export function compared(
  what: string,
  against: string,
  ratio: number,
  target?: Target,
): Comparison {
  if (target === undefined) return { what, against, ratio };
  return { what, against, ratio, target, met: meets(ratio, target) };
}

export function missedBy({ cases }: Results): readonly string[] {
  return cases.flatMap(({ name, comparisons, checks }) => [
    ...comparisons.filter(({ met }) => met === false).map(({ what }) => `${name}: ${what}`),
    ...checks.filter(({ met }) => !met).map(({ what }) => `${name}: ${what}`),
  ]);
}
