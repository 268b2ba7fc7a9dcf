import { readServerConfiguration } from '../configuration.ts';
import type { RunningServer } from '../serve.ts';
import type { Environment } from '../settings.ts';
import { say } from '../standard-output.ts';
import { isWorker, serveByWorkers, workFor } from '../workers.ts';

export async function serveCommand({ workers }: { workers?: string } = {}): Promise<void> {
  if (isWorker) return workFor((answersAt) => serveUntilStopped(process.env, answersAt));
  const environment = workers === undefined ? process.env : { ...process.env, WORKERS: workers };
  await serveUntilStopped(environment, (url) => say(`Bursar answers at ${url}`));
}

async function serveUntilStopped(
  environment: Environment,
  answersAt: (url: string) => void,
): Promise<void> {
  const configuration = readServerConfiguration(environment, { isEmbedded: false });
  const server: RunningServer =
    // Who lets workers serve needs none of the server's libraries.
    configuration.workers > 1
      ? await serveByWorkers(configuration)
      : await (await import('../serve.ts')).serve(configuration);
  answersAt(server.url);
  await stopSignal();
  await server.stop();
}

/** The first ctrl-C or kill; a second ctrl-C ends the process at once. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      process.once('SIGINT', () => process.exit(130));
      resolve();
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
    // A worker is told to stop by whoever stops its process group, and by the process that started it.
    process.on('SIGTERM', () => {});
  });
}
