import { check } from '../check.ts';
import { withClient } from '../database.ts';
import { namesDatabase, readDatabaseUrl } from '../database-urls.ts';
import { fails, LEVELS, lint, type Report } from '../lint.ts';
import { say } from '../standard-output.ts';
import { readWaivers } from '../waivers.ts';
import { withDatabase } from './database.ts';

/** @returns Whether everything is there. */
export async function checkCommand(): Promise<boolean> {
  let complete = true;
  await withDatabase(async (urls) => {
    for (const finding of await check(urls)) {
      say(`${finding.missing.length === 0 ? 'ok     ' : 'MISSING'} ${finding.what}`);
      for (const missing of finding.missing) say(`          ${missing}`);
      complete &&= finding.missing.length === 0;
    }
  });
  return complete;
}

/** @returns Whether there is nothing to mend. Any login of the database will do. */
export async function lintCommand(options: {
  schema?: string[];
  waivers?: string;
  json?: boolean;
}): Promise<boolean> {
  const waivers = options.waivers === undefined ? [] : await readWaivers(options.waivers);
  let clean = true;
  const look = async (url: string) => {
    const report = await withClient(url, (client) =>
      lint(client, { waivers, ...(options.schema && { schemas: options.schema }) }),
    );
    if (options.json) say(JSON.stringify(report, null, 2));
    else sayReport(report);
    clean = !fails(report);
  };
  if (namesDatabase(process.env)) await look(readDatabaseUrl(process.env));
  else await withDatabase((urls) => look(urls.owner));
  return clean;
}

function sayReport({ schemas, lints, findings, waived }: Report): void {
  let lint: string | undefined;
  for (const finding of findings) {
    if (finding.lint !== lint)
      say(`${finding.level} ${finding.lint}: ${finding.title} (${finding.page})\n`);
    lint = finding.lint;
    say(`  ${finding.object}`);
    say(`    ${finding.detail}`);
    say(`    Remedy: ${finding.remedy}`);
    say(`    Key: ${finding.key}\n`);
  }
  const counts = LEVELS.map((level) => {
    const count = findings.filter((finding) => finding.level === level).length;
    return `${count} ${level}${count === 1 ? '' : 's'}`;
  });
  say(`${lints} lints on ${schemas.join(', ')}: ${counts.join(', ')}; ${waived.length} waived.`);
}
