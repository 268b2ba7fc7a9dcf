import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerConfiguration } from './configuration.ts';
import { explain } from './failures.ts';
import { freePort } from './free-port.ts';
import { logWarning } from './log.ts';
import type { RunningServer } from './serve.ts';
import { collectMetrics } from './worker-metrics.ts';

/** What a worker tells whoever started it, once: where it answers, or in plain words why it can't. */
type Report = { readonly url: string } | { readonly failure: string };

function isReport(message: unknown): message is Report {
  return (
    typeof message === 'object' && message !== null && ('url' in message || 'failure' in message)
  );
}

type Begun = { readonly url: string; readonly ended: Promise<string> };

/** How long a worker that ended is missed at first; twice as long each time, until one has proven itself. */
const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
const PROVEN_MS = 10_000;
const STARTED_WITHIN_MS = 60_000;
/** More than a worker takes by itself to finish what runs. */
const LAST_ORDERS_MS = 15_000;

/**
 * Several processes that answer at one port, with the server's connections divided among them. This process hands out
 * what comes in, and replaces a worker that ends.
 *
 * Resolves when all of them answer. When one can't, all are ended, and it fails with that one's words.
 */
export async function serveByWorkers(configuration: ServerConfiguration): Promise<RunningServer> {
  const { workers: count, poolSize } = configuration;
  const ready = new Set<Worker>();
  collectMetrics(ready);
  const running = new Map<Worker, Promise<string>>();
  const stopping = new AbortController();
  // Those that come later must find the port of the others.
  const port = configuration.port === 0 ? await freePort(configuration.host) : configuration.port;

  const begin = async (number: number): Promise<Begun> => {
    const worker = cluster.fork({
      PORT: port,
      WORKERS: 1,
      DATABASE_POOL_SIZE: shareOf(poolSize, count, number),
      BURSAR_WORKER: number,
    });
    const ended = new Promise<string>((resolve) => {
      worker.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
      // One that could not be started has no exit; of one that runs, its line to us is broken, and it ends by itself.
      worker.on('error', (error) => {
        if (worker.process.pid === undefined) resolve(error.message);
        else logWarning(`The line to worker ${number} is broken.`, error);
      });
    });
    running.set(worker, ended);
    void ended.then(() => {
      running.delete(worker);
      ready.delete(worker);
    });
    const tooLate = setTimeout(() => worker.process.kill('SIGKILL'), STARTED_WITHIN_MS);
    const report = await Promise.race([
      new Promise<Report>((resolve) => worker.on('message', (m) => isReport(m) && resolve(m))),
      ended.then((how): Report => ({ failure: `A worker ended as it started (${how}).` })),
    ]);
    clearTimeout(tooLate);
    if ('failure' in report) {
      worker.process.kill('SIGKILL');
      throw new Error(report.failure);
    }
    ready.add(worker);
    return { url: report.url, ended };
  };

  const keep = async (number: number, { ended }: Begun): Promise<void> => {
    let pause = SHORTEST_PAUSE_MS;
    let began = performance.now();
    for (let how = await ended; !stopping.signal.aborted; ) {
      if (performance.now() - began > PROVEN_MS) pause = SHORTEST_PAUSE_MS;
      logWarning(`Worker ${number} is gone (${how}); the next one starts in ${pause / 1000} s.`);
      await sleep(pause, undefined, stopping).catch(() => {});
      if (stopping.signal.aborted) return;
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
      began = performance.now();
      how = await begin(number).then(
        (worker) => worker.ended,
        (error: Error) => error.message,
      );
    }
  };

  const stop = async () => {
    stopping.abort();
    const ends = [...running.values()];
    for (const worker of running.keys()) worker.process.kill('SIGTERM');
    const late = setTimeout(
      () => {
        for (const worker of running.keys()) worker.process.kill('SIGKILL');
      },
      LAST_ORDERS_MS + configuration.drainSeconds * 1_000,
    );
    await Promise.all(ends);
    clearTimeout(late);
  };

  try {
    const workers = await Promise.all(Array.from({ length: count }, (_, n) => begin(n + 1)));
    workers.forEach((worker, n) => void keep(n + 1, worker));
    return { url: workers[0]?.url ?? '', stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What one of `count` gets of `whole`; the first ones get one more where it does not come out even. */
export function shareOf(whole: number, count: number, number: number): number {
  return Math.floor(whole / count) + (number <= whole % count ? 1 : 0);
}

/** Whether this process is one that `serveByWorkers` started. */
export const isWorker = cluster.isWorker;

/** Runs `work` as a worker; it says where it answers, and what fails goes to whoever started it, not to the terminal. */
export async function workFor(work: (answersAt: (url: string) => void) => Promise<void>) {
  const report = (what: Report) => process.send?.(what);
  try {
    await work((url) => report({ url }));
  } catch (error) {
    report({ failure: explain(error) });
    process.exitCode = 1;
  } finally {
    // Nothing else keeps it.
    cluster.worker?.disconnect();
  }
}
