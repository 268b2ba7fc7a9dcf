import cluster, { type Worker } from 'node:cluster';
import type { MetricObject, Registry } from 'prom-client';

/** A worker that is asked for the metrics asks for those of all: only the process that started them knows the others. */
type Question = { readonly metricsWanted: number };
type Answer = Question & { readonly text: string };
/** And that process asks each of them for its own. */
type Part = { readonly metricsOfWorker: number; readonly metrics: MetricObject[] };
type PartWanted = { readonly tellMetrics: number };

const has = <Key extends string>(message: unknown, key: Key): message is Record<Key, number> =>
  typeof message === 'object' && message !== null && key in message;

/** Whoever is busy for longer is left out this time. */
const TOLD_WITHIN_MS = 1_000;

/**
 * Answers workers that ask, from now on. Called once, by the process that starts them.
 *
 * @param ready The workers that answer requests.
 */
export function collectMetrics(ready: ReadonlySet<Worker>): void {
  const waiting = new Map<number, (metrics: MetricObject[]) => void>();
  let asked = 0;
  const partOf = (worker: Worker) => {
    const number = ++asked;
    return new Promise<MetricObject[]>((resolve) => {
      const tooLate = setTimeout(resolve, TOLD_WITHIN_MS, []);
      waiting.set(number, (metrics) => {
        clearTimeout(tooLate);
        resolve(metrics);
      });
      worker.send({ tellMetrics: number } satisfies PartWanted);
    }).finally(() => waiting.delete(number));
  };
  cluster.on('message', async (worker, message: unknown) => {
    if (has(message, 'metricsOfWorker')) {
      waiting.get(message.metricsOfWorker)?.((message as Part).metrics);
    }
    if (!has(message, 'metricsWanted')) return;
    const parts = await Promise.all([...ready].filter((one) => one.isConnected()).map(partOf));
    const { AggregatorRegistry } = await import('prom-client');
    const text = await AggregatorRegistry.aggregate(parts).metrics();
    if (worker.isConnected()) worker.send({ ...message, text } satisfies Answer);
  });
}

/** How to get the metrics of all servers at this port: of `registry`, or of it and the other workers'. */
export function metricsOfAll(registry: Registry): () => Promise<string> {
  if (!cluster.isWorker) return () => registry.metrics();
  // So that the counters of one that is replaced begin anew alone.
  registry.setDefaultLabels({ worker: process.env.BURSAR_WORKER ?? '' });
  const waiting = new Map<number, (text: string) => void>();
  let asked = 0;
  process.on('message', async (message: unknown) => {
    if (has(message, 'tellMetrics')) {
      const metrics = (await registry.getMetricsAsJSON()) as MetricObject[];
      process.send?.({ metricsOfWorker: message.tellMetrics, metrics } satisfies Part);
    }
    if (!has(message, 'metricsWanted')) return;
    waiting.get(message.metricsWanted)?.((message as Answer).text);
    waiting.delete(message.metricsWanted);
  });
  return () =>
    new Promise((resolve) => {
      asked += 1;
      waiting.set(asked, resolve);
      process.send?.({ metricsWanted: asked } satisfies Question);
    });
}
