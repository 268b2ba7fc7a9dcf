import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { commit, Logger, uncommit } from 'graphile-migrate';
import type { WorkflowUrls } from '../database-urls.ts';
import { readHistory } from '../history.ts';
import { migrate } from '../migrate.ts';
import { PATIENCE, runnerSettings } from '../run-migrations.ts';
import { findBase } from './base.ts';
import { fixtures, numbering, untouched } from './committed-files.ts';
import { report } from './finding.ts';
import { isBlank, readCurrent } from './includes.ts';
import { lint } from './lint.ts';
import { type Project, readIfThere } from './project.ts';
import { replay } from './replay.ts';
import { BLANK, explained, withoutShadow } from './shadow.ts';

const LONGEST_MESSAGE = 200;

/** Makes current.sql the next committed migration, when it is fit to be one. */
export async function commitCurrent(
  project: Project,
  urls: WorkflowUrls,
  message: string | undefined,
  say: (line: string) => void,
): Promise<void> {
  const original = (await readIfThere(project.current)) ?? '';
  const current = await readCurrent(project);
  if (isBlank(current)) throw new Error('current.sql is empty: there is nothing to commit.');
  const text = message?.trim() ?? '';
  if (text === '' || text.length > LONGEST_MESSAGE || /\p{Cc}/u.test(text)) {
    throw new Error(
      `Say in one line of at most ${LONGEST_MESSAGE} characters what the migration is about: npm run db:commit -- -m "what it is about"`,
    );
  }
  const history = await readHistory(project.migrations);
  const base = findBase(project.folder, undefined);
  const files = [numbering(history), untouched(history, base), await fixtures(project, history)];
  if (!report(failed(files), say)) throw new Error(REFUSED);
  const found = [
    await lint(project, [], current),
    ...(await replay(project, urls, history, history.length, current, async () => [])),
  ];
  if (!report(failed(found), say)) throw new Error(REFUSED);

  await migrate(urls, () => {}, { folder: project.migrations });
  await withoutShadow(urls, async () => {
    // What was looked at must be what is committed: another one may have waited for the same shadow.
    const now = await readHistory(project.migrations);
    if (now.length !== history.length || (await readIfThere(project.current)) !== original) {
      throw new Error(`Another npm run db:commit has just changed the migrations. ${REFUSED}`);
    }
    try {
      await commit(settingsOf(project, urls), text);
    } catch (error) {
      // The runner puts the migration back with its includes written out, which it would not take again.
      await writeFile(project.current, original);
      for (const { file } of await readHistory(project.migrations)) {
        if (history.every((one) => one.file !== file)) {
          await rm(join(project.migrations, 'committed', file));
        }
      }
      throw new Error(
        `It runs on the shadow, and not on the database at hand: ${explained(error, current).message}. ${REFUSED}`,
      );
    }
  });
  const committed = (await readHistory(project.migrations)).at(-1)?.file ?? '';
  // The runner makes it unreadable for everybody else, such as the user in a container.
  await chmod(join(project.migrations, 'committed', committed), 0o644);
  say(
    `${committed} is committed. Next: test/upgrades/${committed.slice(0, 6)}.sql, npm run db:dump, npm run db:check, and git add what they wrote.`,
  );
}

const REFUSED = 'Nothing was committed.';

/** Takes the last migration back into current.sql: for one that nobody else has run. */
export async function uncommitLast(
  project: Project,
  urls: WorkflowUrls,
  say: (line: string) => void,
): Promise<void> {
  const last = (await readHistory(project.migrations)).at(-1);
  if (last === undefined) throw new Error('There is no committed migration.');
  if (!isBlank(await readCurrent(project))) {
    throw new Error('current.sql is not empty, and would be lost: put it aside first.');
  }
  const base = findBase(project.folder, undefined);
  if (base?.list('migrations/committed').includes(last.file)) {
    throw new Error(
      `${last.file} is on ${base.name} already: databases have run it. Write a new migration that changes what it did.`,
    );
  }
  await migrate(urls, () => {}, { folder: project.migrations });
  await withoutShadow(urls, async () => {
    if ((await readHistory(project.migrations)).at(-1)?.file !== last.file) {
      throw new Error(
        'Another command has just changed the migrations: look at them, and try again.',
      );
    }
    await uncommit(settingsOf(project, urls));
  });
  // The message is given anew, and "no-transaction" must stand in the first line.
  const text = (await readIfThere(project.current)) ?? '';
  await writeFile(project.current, text.replace(/^--! Message:.*\n\s*/, ''));
  say(`${last.file} is in current.sql again.`);
}

const failed = (findings: Parameters<typeof report>[0]) =>
  findings.filter(({ problems }) => problems.length > 0);

function settingsOf(project: Project, urls: WorkflowUrls) {
  return {
    connectionString: urls.owner,
    shadowConnectionString: urls.shadow,
    rootConnectionString: urls.root,
    migrationsFolder: project.migrations,
    blankMigrationContent: BLANK,
    pgSettings: runnerSettings(PATIENCE.lockTimeoutMs),
    logger: new Logger(() => () => {}),
  };
}
