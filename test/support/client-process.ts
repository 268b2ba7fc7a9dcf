import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ClientAnswer, ClientJob } from './ledger-client.ts';

export type RunningClient = {
  readonly child: ChildProcess;
  /** What it said so far. */
  readonly answers: ClientAnswer[];
  begin(): void;
  /** The exit code, or null when it was killed; everything that it said has been read then. */
  readonly ended: Promise<number | null>;
};

/** Starts ledger-client.ts in a process of its own and waits until it is connected. */
export async function startClient(
  job: ClientJob,
  path: string,
  hear: (answer: ClientAnswer) => void = () => {},
): Promise<RunningClient> {
  await writeFile(path, JSON.stringify(job));
  const child = spawn(process.execPath, [join(import.meta.dirname, 'ledger-client.ts'), path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  // It may be killed while it is being told to begin.
  child.stdin.on('error', () => {});
  const answers: ClientAnswer[] = [];
  const output = createInterface({ input: child.stdout });
  const closed = once(output, 'close');
  const exited = once(child, 'exit');
  const ended = Promise.all([exited, closed]).then(([[code]]) => code as number | null);
  await new Promise<void>((resolve, reject) => {
    output.on('line', (line) => {
      if (line === 'ready') return resolve();
      // What a kill cut off in the middle was never said.
      if (!line.endsWith('}')) return;
      const answer = JSON.parse(line) as ClientAnswer;
      answers.push(answer);
      hear(answer);
    });
    void ended.then(() => reject(new Error('the client ended before it was ready')));
  });
  return { child, answers, ended, begin: () => void child.stdin.write('go\n') };
}
