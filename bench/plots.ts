import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT_FOLDER } from '../src/folders.ts';
import { barChart } from './bar-chart.ts';
import { betweenMarkers } from './page.ts';
import { asMarkdown } from './report.ts';
import type { Results } from './results.ts';

/** `npm run bench:plots`: writes plots and the tables of docs/performance.md from one JSON, so that they agree. */

const FOLDER = join(PROJECT_FOLDER, 'docs/performance');
const PAGE = join(PROJECT_FOLDER, 'docs/performance.md');
const KEPT = join(FOLDER, 'results.json');

const { positionals } = parseArgs({ allowPositionals: true });
const results = JSON.parse(await readFile(positionals[0] ?? KEPT, 'utf8')) as Results;
await mkdir(FOLDER, { recursive: true });
await writeFile(KEPT, `${JSON.stringify(results, null, 2)}\n`);

const plots: string[] = [];
for (const one of results.cases.filter(({ measurements }) => measurements.length > 0)) {
  await writeFile(join(FOLDER, `${one.name}.svg`), barChart(one));
  plots.push(`![${one.title}](performance/${one.name}.svg)`);
}
const page = await readFile(PAGE, 'utf8');
await writeFile(
  PAGE,
  betweenMarkers(page, [asMarkdown(results), '### Plots', ...plots].join('\n\n')),
);
process.stdout.write(`Wrote docs/performance.md and ${plots.length} plots.\n`);
