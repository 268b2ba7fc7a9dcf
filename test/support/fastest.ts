/**
 * How long some work takes, in ms, when nothing else gets in its way: the shortest of several times. What a test says
 * of it should be a ratio to other work of the same machine, or leave room for one that is half as fast.
 */
export async function fastest(times: number, work: () => Promise<unknown>): Promise<number> {
  let shortest = Number.POSITIVE_INFINITY;
  for (let time = 0; time < times; time += 1) {
    const began = performance.now();
    await work();
    shortest = Math.min(shortest, performance.now() - began);
  }
  return shortest;
}
