import { withClient } from '../database.ts';
import type { WorkflowUrls } from '../database-urls.ts';
import { appliedOf, type Migration, readHistory } from '../history.ts';
import { apiChanges } from './api-changes.ts';
import { type Base, findBase, findBranch, isMain } from './base.ts';
import { fixtures, fresh, nothingUnderway, numbering, untouched } from './committed-files.ts';
import type { Finding, Problem } from './finding.ts';
import { dumpApi } from './graphql-schema.ts';
import { readCurrent } from './includes.ts';
import { lint } from './lint.ts';
import { type Project, SCHEMA_GRAPHQL, SCHEMA_SQL } from './project.ts';
import { replay } from './replay.ts';

export type CheckOptions = {
  /** The branch that the change is for. */
  readonly branch?: string;
  /** What the change is compared with. */
  readonly base?: string;
};

/** Everything that a change of the schema must pass. */
export async function checkProject(
  project: Project,
  urls: WorkflowUrls,
  options: CheckOptions,
): Promise<Finding[]> {
  const base = findBase(project.folder, options.base);
  const history = await readHistory(project.migrations);
  const current = await readCurrent(project);
  const onBase = new Set(base?.list('migrations/committed'));
  const unreleased = base === undefined ? [] : history.filter(({ file }) => !onBase.has(file));
  const files = await checkFiles(project, history, base, options.branch);
  const isWhole = files.every(({ about, finding }) => !about || finding.problems.length === 0);
  return [
    ...files.map(({ finding }) => finding),
    await sameAsApplied(urls.owner, history),
    withoutBase(base, await lint(project, unreleased, current)),
    ...(isWhole
      ? await replay(
          project,
          urls,
          history,
          history.length - unreleased.length,
          current,
          async (shadow, sql) => [
            await fresh(project.schemaSql, SCHEMA_SQL, sql),
            ...(await checkApi(project, base, shadow.authenticator)),
          ],
        )
      : [
          {
            asks: 'history replays from nothing, and the rest that a database shows',
            problems: [],
            skipped: 'the runner refuses a history that is not whole',
          },
        ]),
  ];
}

/** Without a base nobody knows what is new: of what was committed, nothing was looked at. */
function withoutBase(base: Base | undefined, finding: Finding): Finding {
  if (base !== undefined || finding.problems.length > 0) return finding;
  return { ...finding, skipped: 'for committed migrations: nothing to compare with (--base REF)' };
}

/** What the files show without a database; `about` says whether it is about the history itself. */
export async function checkFiles(
  project: Project,
  history: readonly Migration[],
  base: Base | undefined,
  branch: string | undefined,
): Promise<{ about: boolean; finding: Finding }[]> {
  const main = isMain(findBranch(project.folder, branch));
  return [
    { about: true, finding: numbering(history) },
    { about: true, finding: untouched(history, base) },
    { about: false, finding: await fixtures(project, history) },
    ...(main ? [{ about: false, finding: await nothingUnderway(project) }] : []),
  ];
}

async function checkApi(
  project: Project,
  base: Base | undefined,
  authenticator: string,
): Promise<Finding[]> {
  let graphql: string;
  try {
    graphql = await dumpApi(authenticator);
  } catch (error) {
    const problem = {
      what: `The GraphQL API can't be made: ${(error as Error).message}`,
      why: 'The server would not start.',
      mend: 'Two things in app_public want one name, most often: see plugins/names.ts, or @name in a comment.',
    };
    return [{ asks: 'the GraphQL API can be made', problems: [problem] }];
  }
  return [
    await fresh(project.schemaGraphql, SCHEMA_GRAPHQL, graphql),
    await apiChanges(project, base, graphql),
  ];
}

/** A database that ran a migration in another form has another schema than everybody else. */
async function sameAsApplied(url: string, history: readonly Migration[]): Promise<Finding> {
  const { unknown, differing } = await withClient(url, (client) => appliedOf(client, history));
  const mend =
    'Back to what it ran (git checkout), or, when this database holds nothing of worth, drop it and run npm run db:migrate (the embedded one: stop npm start, remove .bursar, and start again)';
  const problems: Problem[] = [
    ...differing.map((file) => ({
      what: `${file} ran in another form in this database than its file has.`,
      why: 'Its schema differs from that of every other database, and nobody knows in what.',
      mend,
    })),
    ...unknown.map((file) => ({
      what: `${file} has run in this database, and is not among the files.`,
      why: 'It came from another branch or a newer version.',
      mend,
    })),
  ];
  return { asks: 'the database at hand ran the migrations as the files have them', problems };
}
