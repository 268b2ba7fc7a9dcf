/** The middle one; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)];
  if (upper === undefined) throw new Error('There is no median of nothing.');
  return Number.isInteger(middle) ? (upper + (sorted[middle - 1] ?? upper)) / 2 : upper;
}

/** The smallest value that at least `percent` of all do not exceed. */
export function percentile(sorted: Float64Array, percent: number): number {
  const place = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  const value = sorted[place - 1];
  if (value === undefined) throw new Error('There is no percentile of nothing.');
  return value;
}

/** The percentiles of several rounds come from all their values: those of the rounds can't be averaged. */
export function merged(rounds: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(rounds.reduce((sum, round) => sum + round.length, 0));
  let at = 0;
  for (const round of rounds) {
    all.set(round, at);
    at += round.length;
  }
  return all.sort();
}
