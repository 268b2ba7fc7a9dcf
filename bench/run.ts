#!/usr/bin/env node
import { writeFile } from 'node:fs/promises';
import { readCommandLine } from './command-line.ts';
import { SPREAD } from './data/ledger.ts';
import { explain } from './explain.ts';
import { thisMachine } from './machine.ts';
import { openBench } from './open-bench.ts';
import { progress } from './progress.ts';
import { asText } from './report.ts';
import { type CaseResult, missedBy, type Results } from './results.ts';
import { settingsOf } from './settings.ts';
import { soak } from './soak.ts';

/** `npm run bench`: one case after the other, then what came of them. */

// Whoever is told to end takes PostgreSQL and the servers along: each of them is ended by `exit`.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const given = readCommandLine(process.argv.slice(2));
const settings = settingsOf(given);
const bench = await openBench(settings, given.keep);
let failed = false;
try {
  if (given.explain !== undefined) await explain(bench, given.explain);
  if (given.soak !== undefined) failed = !(await soak(bench, given.soak));
  if (given.explain === undefined && given.soak === undefined) await measure();
} finally {
  await bench.close();
}
process.exitCode = failed ? 1 : 0;

async function measure(): Promise<void> {
  const cases: CaseResult[] = [];
  const databases = new Set(given.cases.flatMap((one) => one.databases));
  // All are loaded before the first round, so that nothing is still being written to the disk.
  await Promise.all([...databases].map(bench.database));
  for (const one of given.cases) {
    try {
      cases.push(await one.run(bench));
    } catch (error) {
      failed = true;
      progress(`${one.name} FAILED: ${(error as Error).message}`);
      cases.push({
        name: one.name,
        title: one.title,
        measurements: [],
        comparisons: [],
        checks: [{ what: 'the case can be measured', is: (error as Error).message, met: false }],
        notes: [],
      });
    }
  }
  const results: Results = {
    machine: await thisMachine(bench.postgres.superuserUrl('postgres')),
    settings,
    data: [
      `Data: 100 organizations of 100 people, ten of them with 100 groups and the others with 10, a budget for each, the price list that is shipped, and a ledger of ${settings.smallLedger.toLocaleString('en')} rows, against ${settings.largeLedger.toLocaleString('en')} where two lengths are compared. ${SPREAD}`,
    ],
    cases,
  };
  process.stdout.write(`${asText(results)}\n`);
  const missed = missedBy(results);
  if (missed.length > 0) process.stdout.write(`\nMissed: ${missed.join('; ')}\n`);
  if (given.json !== undefined) {
    await writeFile(given.json, `${JSON.stringify(results, null, 2)}\n`);
  }
}
