import cluster from 'node:cluster';
import { AggregatorRegistry, type Registry } from 'prom-client';

/** Whichever worker is asked for the metrics asks for those of all, which only the process that started them can add up. */
type Question = { readonly metricsWanted: number };
type Answer = Question & { readonly text: string | undefined };

function isQuestion(message: unknown): message is Question {
  return typeof message === 'object' && message !== null && 'metricsWanted' in message;
}

/** Answers workers that ask. Called once, by the process that starts them. */
export function addUpMetrics(): void {
  const all = new AggregatorRegistry();
  cluster.on('message', async (worker, message: unknown) => {
    if (!isQuestion(message)) return;
    const text = await all.clusterMetrics().catch(() => undefined);
    if (worker.isConnected()) worker.send({ ...message, text } satisfies Answer);
  });
}

/** How to get the metrics of all servers at this port: of `registry`, or of it and the other workers. */
export function metricsOfAll(registry: Registry): () => Promise<string> {
  if (!cluster.isWorker) return () => registry.metrics();
  AggregatorRegistry.setRegistries([registry]);
  new AggregatorRegistry();
  const waiting = new Map<number, (text: string | undefined) => void>();
  let asked = 0;
  process.on('message', (message: unknown) => {
    if (!isQuestion(message)) return;
    const { metricsWanted, text } = message as Answer;
    waiting.get(metricsWanted)?.(text);
    waiting.delete(metricsWanted);
  });
  return async () => {
    asked += 1;
    const text = await new Promise<string | undefined>((resolve) => {
      waiting.set(asked, resolve);
      process.send?.({ metricsWanted: asked } satisfies Question);
    });
    if (text === undefined) throw new Error('A worker did not tell its metrics in time.');
    return text;
  };
}
