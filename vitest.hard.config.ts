import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mergeConfig } from 'vitest/config';
import type { Reporter, TestModule, Vitest } from 'vitest/node';
import ordinary from './vitest.config.ts';

declare module 'vitest' {
  interface TaskMeta {
    /** What a test counted, a line each, for docs/reliability.md. */
    figures?: string[];
  }
}

const PAGE = join(import.meta.dirname, 'docs/reliability.md');
const TITLES = { attacks: 'Attacks', fuzz: 'Fuzzed input', faults: 'Faults under load' };

/** Prints what was tried and what became of it, before the totals; with `-u` it writes that into the page too. */
class Figures implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const byFolder: Record<string, string[]> = {};
    for (const module of [...modules].sort((a, b) => a.moduleId.localeCompare(b.moduleId))) {
      const folder = /test\/hard\/(\w+)\//.exec(module.moduleId)?.[1] ?? '';
      for (const test of module.children.allTests()) {
        for (const line of test.meta().figures ?? []) {
          process.stdout.write(`figure: ${line}\n`);
          byFolder[folder] = [...(byFolder[folder] ?? []), line];
        }
      }
    }
    if (this.#vitest?.config.snapshotOptions.updateSnapshot === 'all') writePage(byFolder);
  }
}

/** Folders of which nothing ran keep what stands there. */
function writePage(byFolder: Record<string, string[]>): void {
  let page = readFileSync(PAGE, 'utf8');
  for (const [folder, title] of Object.entries(TITLES)) {
    const lines = byFolder[folder];
    if (lines === undefined) continue;
    const section = `### ${title}\n\n${lines.map((line) => `- ${line}`).join('\n')}\n\n`;
    const old = new RegExp(`### ${title}\n\n(?:- .*\n)*\n`);
    page = old.test(page)
      ? page.replace(old, () => section)
      : page.replace('<!-- end of figures -->', () => `${section}<!-- end of figures -->`);
  }
  writeFileSync(PAGE, page);
}

/** Attacks, fuzzing and faults: what takes minutes, or breaks a PostgreSQL of its own. */
const hard = mergeConfig(ordinary, {
  test: { testTimeout: 120_000, hookTimeout: 60_000 },
});
hard.test.include = ['test/hard/**/*.test.ts'];
hard.test.exclude = ['**/node_modules/**'];
hard.test.reporters = ['default', new Figures(), ...hard.test.reporters.slice(1)];

export default hard;
