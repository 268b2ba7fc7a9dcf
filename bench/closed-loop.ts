/** One thing that is asked for and answered. Throws when the answer is wrong. */
export type Call = () => Promise<void>;

export type LoopOutcome = {
  readonly perSecond: number;
  readonly milliseconds: Float64Array;
};

/**
 * Each call is made again as soon as it is answered. What is answered between the end of the warm-up and the end counts,
 * also when it began before: leaving it out would count slow contenders for less than they do. The first wrong
 * answer ends it all.
 */
export async function closedLoop(
  calls: readonly Call[],
  warmUpSeconds: number,
  seconds: number,
): Promise<LoopOutcome> {
  const milliseconds: number[] = [];
  const from = performance.now() + warmUpSeconds * 1000;
  const until = from + seconds * 1000;
  let failed = false;

  const again = async (call: Call) => {
    try {
      while (!failed) {
        const began = performance.now();
        if (began >= until) return;
        await call();
        const ended = performance.now();
        if (ended >= from && ended <= until) milliseconds.push(ended - began);
      }
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  const all = await Promise.allSettled(calls.map(again));
  for (const one of all) if (one.status === 'rejected') throw one.reason;
  // A call that is slower than the whole round would have counted as none.
  if (milliseconds.length === 0) throw new Error(`Nothing was answered within ${seconds} s.`);
  return {
    perSecond: milliseconds.length / seconds,
    milliseconds: Float64Array.from(milliseconds),
  };
}

/** Makes each call once for every number below `times`, spread over the callers. Returns what they returned. */
export async function each<T>(
  calls: readonly (() => Promise<T>)[],
  times: number,
): Promise<readonly T[]> {
  let left = times;
  const answers: T[] = [];
  const work = async (call: () => Promise<T>) => {
    while (left > 0) {
      left -= 1;
      answers.push(await call());
    }
  };
  await Promise.all(calls.map(work));
  return answers;
}
