import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { OTHER_VERSIONS, SUPPORTED } from '../support/postgres-version.ts';
import { filesForEachVersion } from './files.ts';
import { type Outcome, outcomeOf, totals } from './outcome.ts';

// npm run test:versions [-- 15 16 …]: the listed tests on each PostgreSQL but the one of `npm test`.

const PROJECT = join(import.meta.dirname, '../..');
const VITEST = join(PROJECT, 'node_modules/vitest/vitest.mjs');

/** Once, and again when the lock file changes. */
function install(): void {
  const changed = (file: string) =>
    statSync(join(OTHER_VERSIONS, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (changed('node_modules/.package-lock.json') >= changed('package-lock.json')) return;
  // npm says where it is to the scripts that it runs.
  const npm = process.env.npm_execpath;
  const [command, before] = npm ? [process.execPath, [npm]] : ['npm', []];
  const { status, error } = spawnSync(command, [...before, 'ci', '--no-audit', '--no-fund'], {
    cwd: OTHER_VERSIONS,
    stdio: 'inherit',
  });
  if (status !== 0)
    throw new Error(
      `npm could not install the other versions of PostgreSQL (${error?.message ?? `exit code ${status}`}): mend what it says above, and run this again.`,
    );
}

async function runOn(version: string, files: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [VITEST, 'run', ...files], {
    cwd: PROJECT,
    env: { ...process.env, BURSAR_TEST_POSTGRES: version },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    process.stdout.write(text);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return outcomeOf(version, output, code);
}

async function main(asked: readonly string[]): Promise<void> {
  const versions = asked.length > 0 ? asked : SUPPORTED.slice(0, -1);
  const files = filesForEachVersion();
  install();
  const lines: string[] = [];
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const version of versions) {
    const outcome = await runOn(version, files);
    for (const key of ['passed', 'failed', 'skipped'] as const) sum[key] += outcome[key];
    const complaint = outcome.complaint === undefined ? '' : `. ${outcome.complaint}`;
    lines.push(`PostgreSQL ${version}: ${totals(outcome)}${complaint}`);
  }
  process.exitCode = sum.failed === 0 ? 0 : 1;
  console.log(['', ...lines, totals(sum)].join('\n'));
}

await main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  console.log('0 passed, 1 failed');
  process.exitCode = 1;
});
