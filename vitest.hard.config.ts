import { mergeConfig } from 'vitest/config';
import type { Reporter, TestModule } from 'vitest/node';
import ordinary from './vitest.config.ts';

declare module 'vitest' {
  interface TaskMeta {
    /** What a test counted, a line each, for docs/reliability.md. */
    figures?: string[];
  }
}

/** What was tried and what became of it, before the totals. */
const figures: Reporter = {
  onTestRunEnd(modules: readonly TestModule[]) {
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        for (const line of test.meta().figures ?? []) process.stdout.write(`figure: ${line}\n`);
      }
    }
  },
};

/** Attacks, fuzzing and faults: what takes minutes, or breaks a PostgreSQL of its own. */
const hard = mergeConfig(ordinary, {
  test: { testTimeout: 120_000, hookTimeout: 60_000 },
});
hard.test.include = ['test/hard/**/*.test.ts'];
hard.test.exclude = ['**/node_modules/**'];
hard.test.reporters = ['default', figures, ...hard.test.reporters.slice(1)];

export default hard;
