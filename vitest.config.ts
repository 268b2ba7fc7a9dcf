import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { defineConfig } from 'vitest/config';
import type { Reporter, TestModule } from 'vitest/node';
import { memoryFolder } from './test/support/memory-folder.ts';

/** The last lines of a run, for whoever reads only those: which tests failed and why, and how many. */
const totals: Reporter = {
  onTestRunEnd(modules: readonly TestModule[]) {
    const count = { passed: 0, failed: 0, skipped: 0 };
    const notes: string[] = [];
    for (const module of modules) {
      const file = module.relativeModuleId;
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result();
        if (state !== 'pending') count[state] += 1;
        const name = `${file} > ${test.fullName}`;
        if (state === 'failed') notes.push(noteOf('failed', name, errors));
        else if (test.diagnostic()?.flaky) notes.push(noteOf('failed at first', name, errors));
      }
      // A file that can't be loaded has no tests to fail.
      if (module.state() === 'failed' && module.errors().length > 0) {
        count.failed += 1;
        notes.push(noteOf('failed', file, module.errors()));
      }
    }
    // After the summary of the default reporter.
    process.once('exit', (code) => {
      // What breaks outside of the tests, such as a PostgreSQL that does not start, is no test's failure.
      if (code !== 0 && count.failed === 0) count.failed = 1;
      for (const note of notes) process.stdout.write(`${note}\n`);
      const skipped = count.skipped === 0 ? '' : `, ${count.skipped} skipped`;
      process.stdout.write(`${count.passed} passed, ${count.failed} failed${skipped}\n`);
    });
  },
};

/** In one line. */
function noteOf(
  outcome: 'failed' | 'failed at first',
  what: string,
  errors: readonly { message?: string }[] | undefined,
): string {
  const why = errors?.map(({ message = '' }) => stripVTControlCharacters(message)).join('; ') ?? '';
  return `${outcome}: ${what}: ${why.replace(/\s+/g, ' ').slice(0, 300)}`;
}

// Vitest's own processes, and the many of ours that tests start, find their code compiled.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules/.cache/bursar-tests');

// Whoever names a folder for temporary files gets it.
const folder = process.env.TMPDIR === undefined ? memoryFolder() : undefined;
if (folder !== undefined) process.env.TMPDIR = folder;

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Has a configuration of its own.
    exclude: ['**/node_modules/**', 'test/hard/**'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', totals],
    // Most files wait for processes of theirs; by default two cores would run one file at a time.
    maxWorkers: 3,
    // A process loads PostGraphile once, not for each file: that is a third of the processors' time. So a
    // file must leave nothing behind that another could meet: stubs, timers, listeners of the process.
    isolate: false,
    unstubEnvs: true,
    unstubGlobals: true,
    // Elsewhere machines pause at times. What passes at the second attempt is named at the end of the run. Tests that
    // make up other cases each time are not tried again.
    retry: process.env.CI === 'true' ? 1 : 0,
    // So long that no machine is too slow for them; what must be fast says so itself.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    env: {
      GRAPHILE_ENV: 'production',
    },
  },
});
