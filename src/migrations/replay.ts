import { check } from '../check.ts';
import { withClient } from '../database.ts';
import type { DatabaseUrls, WorkflowUrls } from '../database-urls.ts';
import { explain } from '../failures.ts';
import type { Migration } from '../history.ts';
import { migrate } from '../migrate.ts';
import { dumpDatabase } from './dumps.ts';
import type { Finding, Problem } from './finding.ts';
import { isBlank, type Source } from './includes.ts';
import type { Project } from './project.ts';
import { placesOfTables, runCurrent, withHistoryUpTo, withShadow } from './shadow.ts';

const quiet = () => {};

const REPLAYS = 'history replays from nothing';
const REPEATS = 'current.sql runs, and running it again changes nothing';
const REWRITES = 'what is not on the base yet writes no table anew';
const COMPLETE = 'what comes out has what this code needs (bursar check)';

/**
 * Makes a database out of the committed migrations and current.sql, and says what that showed.
 *
 * @param released How many of the committed migrations the base has.
 * @param look Looks at the database when it came about.
 */
export function replay(
  project: Project,
  urls: WorkflowUrls,
  history: readonly Migration[],
  released: number,
  current: Source,
  look: (shadow: DatabaseUrls, sql: string) => Promise<Finding[]>,
): Promise<Finding[]> {
  return withShadow(urls, async (shadow) => {
    const findings: Finding[] = [];
    let before = new Map<string, string>() as ReadonlyMap<string, string>;
    const tables = () => withClient(shadow.owner, placesOfTables);
    try {
      if (released > 0 && released < history.length) {
        await withHistoryUpTo(project.migrations, history.slice(0, released), (folder) =>
          migrate(shadow, quiet, { folder }),
        );
        before = await tables();
      }
      await migrate(shadow, quiet, { folder: project.migrations });
      if (released === history.length) before = await tables();
    } catch (error) {
      const problem = {
        what: explain(error),
        why: 'A new database, a test or a disaster recovery begins with nothing, and would stop there.',
        mend: 'Migrations build on those before them alone. Is it yours, and new? npm run db:uncommit, mend current.sql, npm run db:commit -- -m "…"',
      };
      return [{ asks: REPLAYS, problems: [problem] }];
    }
    findings.push({ asks: REPLAYS, problems: [] });

    let sql: string;
    const repeats: Problem[] = [];
    if (isBlank(current)) {
      sql = await dumpDatabase(shadow);
    } else {
      try {
        await runCurrent(shadow.owner, project, current);
      } catch (error) {
        const problem = {
          what: explain(error),
          why: 'It does not run on a database that has the committed migrations and nothing else.',
          mend: 'Mend current.sql; npm run db:watch runs it as you write.',
        };
        return [...findings, { asks: REPEATS, problems: [problem] }];
      }
      sql = await dumpDatabase(shadow);
      repeats.push(...(await runAgain(shadow, project, current, sql)));
    }
    findings.push({ asks: REPEATS, problems: repeats });
    const texts = [...history.slice(released).map(({ text }) => text), current.text].join('\n');
    findings.push({ asks: REWRITES, problems: rewrites(before, await tables(), texts) });
    findings.push({ asks: COMPLETE, problems: await incomplete(shadow, project) });
    return [...findings, ...(await look(shadow, sql))];
  });
}

const AGAIN_WHY =
  'It runs again each time that somebody saves it, and once more, as a committed migration, where it has run while it was written.';
const AGAIN_MEND =
  'Write so that it may have run: create or replace; drop … if exists before create; add column if not exists; drop constraint if exists before add.';

async function runAgain(
  shadow: DatabaseUrls,
  project: Project,
  current: Source,
  before: string,
): Promise<Problem[]> {
  try {
    await runCurrent(shadow.owner, project, current);
  } catch (error) {
    return [{ what: `the second time: ${explain(error)}`, why: AGAIN_WHY, mend: AGAIN_MEND }];
  }
  const after = new Set((await dumpDatabase(shadow)).split('\n'));
  const was = before.split('\n');
  const changed = [
    ...was.filter((line) => !after.has(line)).map((line) => `- ${line}`),
    ...[...after].filter((line) => !was.includes(line)).map((line) => `+ ${line}`),
  ];
  if (changed.length === 0) return [];
  const what = `the second run changed the schema:\n${changed.slice(0, 6).join('\n')}`;
  return [{ what, why: AGAIN_WHY, mend: AGAIN_MEND }];
}

function rewrites(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  texts: string,
): Problem[] {
  return [...before].flatMap(([table, place]) => {
    const now = after.get(table);
    if (now === undefined || now === place) return [];
    const waiver = `-- rewrites ${table}: `;
    if (texts.split('\n').some((line) => line.trim().startsWith(waiver))) return [];
    return [
      {
        what: `${table} is written anew as a whole.`,
        why: 'Nobody can read or write the table until every row has been copied.',
        mend: `Add a column, fill it in steps and switch over (docs/migrations.md). Or is it small? Say so where it happens: -- rewrites ${table}: REASON`,
      },
    ];
  });
}

async function incomplete(shadow: DatabaseUrls, project: Project): Promise<Problem[]> {
  const findings = await check(shadow, project.migrations);
  return findings.flatMap(({ what, missing }) =>
    missing.map((line) => ({
      what: line,
      why: `Needed: ${what}.`,
      mend: 'Put it into current.sql or the fixture that it belongs to.',
    })),
  );
}
