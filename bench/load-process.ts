import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { LoopOutcome } from './closed-loop.ts';
import type { Job, Outcome } from './job.ts';

/** Makes load from a process of its own, so that measuring takes no time of what is measured. */
export class LoadProcess {
  readonly #child: ChildProcess;

  constructor(program: 'load.ts' | 'baselines/direct.ts') {
    this.#child = fork(join(import.meta.dirname, program), { serialization: 'advanced' });
    const last = () => void this.#child.kill('SIGKILL');
    process.once('exit', last);
    this.#child.once('exit', () => process.off('exit', last));
  }

  run(job: Job): Promise<LoopOutcome> {
    return new Promise((resolve, reject) => {
      const name = `${job.caseName}, ${job.contender}`;
      const gone = (code: number | null) =>
        reject(new Error(`${name}: the process that makes load ended (exit code ${code}).`));
      this.#child.once('exit', gone);
      this.#child.once('message', (message) => {
        this.#child.off('exit', gone);
        const outcome = message as Outcome;
        if ('failure' in outcome) reject(new Error(`${name}: ${outcome.failure}`));
        else resolve(outcome);
      });
      this.#child.send(job);
    });
  }

  stop(): void {
    this.#child.disconnect();
  }
}

/** The other side: takes jobs one after the other, until the runner lets go. */
export function answerJobs(perform: (job: Job) => Promise<LoopOutcome>): void {
  process.on('message', async (job: Job) => {
    const outcome: Outcome = await perform(job).catch((error: Error) => ({
      failure: error.message,
    }));
    process.send?.(outcome);
  });
}
