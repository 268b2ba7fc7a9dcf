import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withClient } from '../src/database.ts';
import type { WorkflowUrls } from '../src/database-urls.ts';
import { readHistory } from '../src/history.ts';
import { apiChanges } from '../src/migrations/api-changes.ts';
import { findBase } from '../src/migrations/base.ts';
import { checkProject } from '../src/migrations/check-project.ts';
import { commitCurrent, uncommitLast } from '../src/migrations/commit.ts';
import { writeDumps } from '../src/migrations/dumps.ts';
import { report } from '../src/migrations/finding.ts';
import { readCurrent } from '../src/migrations/includes.ts';
import { watchCurrent } from '../src/migrations/watch.ts';
import { createProject, createWorkflowDatabases, type TestProject } from './support/project.ts';

// A day with a migration, from an edited current.sql to what the main branch takes, and what is refused on the way.
// The commands themselves, with the embedded database, are in migration-commands.test.ts.

let project: TestProject;
let urls: WorkflowUrls;
let drop: () => Promise<void>;
/** How many migrations there were before. */
let released: number;
const said: string[] = [];
const say = (line: string) => said.push(line);

beforeAll(async () => {
  project = await createProject();
  released = (await readHistory(project.migrations)).length;
  ({ urls, drop } = await createWorkflowDatabases(`workflow_${process.pid}`));
});

afterAll(async () => {
  await drop?.();
  await project?.remove();
});

/** What db:check says, as it says it. */
async function checked(branch: string): Promise<string> {
  const lines: string[] = [];
  report(await checkProject(project, urls, { branch, base: 'main' }), (line) => lines.push(line));
  return lines.join('\n');
}

const FIXTURE = 'migrations/fixtures/identity.sql';
const CURRENT = 'migrations/current.sql';
const WRITTEN = `alter table app_public.groups add column if not exists motto text;
comment on column app_public.groups.motto is 'What its members live by.';
grant select (motto) on app_public.groups to bursar_user;

--! include identity.sql
`;

describe('on a branch', { timeout: 120_000 }, () => {
  test('a migration that runs once only is refused, with advice', async () => {
    project.git('switch', '--quiet', '--create', 'feature');
    await project.write(CURRENT, 'alter table app_public.groups add column motto text;\n');
    await expect(commitCurrent(project, urls, 'mottos', say)).rejects.toThrow(
      'Nothing was committed.',
    );
    expect(said.join('\n')).toMatch(
      /^FAILED {2}current\.sql runs, and running it again changes nothing\n {8}- the second time: current\.sql: column "motto".*already exists\n.*why: .*\n.*mend: .*add column if not exists/,
    );
  });

  test('so is one that changes something each time', async () => {
    const text = 'alter table app_public.groups add check (name is not null) not valid;\n';
    await project.write(CURRENT, text);
    said.length = 0;
    await expect(commitCurrent(project, urls, 'checks', say)).rejects.toThrow(
      'Nothing was committed.',
    );
    expect(await project.read(CURRENT)).toBe(text);
    expect(said.join('\n')).toMatch(
      /the second run changed the schema:\n +\+ .*groups_name_check1/,
    );
  });

  test('a fixture that no migration includes is refused', async () => {
    await project.write(FIXTURE, `${await project.read(FIXTURE)}\n-- Changed.\n`);
    said.length = 0;
    await project.write(CURRENT, 'select 1;\n');
    await expect(commitCurrent(project, urls, 'x', say)).rejects.toThrow();
    expect(said.join('\n')).toMatch(
      /identity\.sql was edited, and no migration brings the change\.\n.*\n.*mend: Add the line "--! include identity\.sql" to current\.sql/,
    );
  });

  test('what is fit passes while it is written, once the dumps say what it makes', async () => {
    await project.write(CURRENT, WRITTEN);
    await watchCurrent(project, urls, { once: true }, say);
    await writeDumps(project, urls, say);
    expect(await project.read('schema.graphql')).toMatch(/What its members live by/);
    expect(await checked('feature')).not.toContain('FAILED');
  });

  test('what does not run on the database at hand is not committed, and stands as it was', async () => {
    const atHand = (sql: string) => withClient(urls.owner, (client) => client.query(sql));
    await atHand('alter table app_public.groups rename to elsewhere');
    try {
      await expect(commitCurrent(project, urls, 'mottos', say)).rejects.toThrow(
        /^It runs on the shadow, and not on the database at hand: .*Nothing was committed\.$/,
      );
    } finally {
      await atHand('alter table app_public.elsewhere rename to groups');
    }
    // With its includes, which the runner had written out.
    expect(await project.read(CURRENT)).toBe(WRITTEN);
    expect(await readHistory(project.migrations)).toHaveLength(released);
  });

  test('db:uncommit takes back what nobody else has run', async () => {
    const written = (await readCurrent(project)).text.trim();
    // Two at once: one of them wins, and the other takes nothing away from it.
    const both = await Promise.allSettled(
      ['mottos', 'mottos too'].map((message) => commitCurrent(project, urls, message, say)),
    );
    const lost = both.filter((outcome) => outcome.status === 'rejected');
    expect(lost.map(({ reason }) => reason.message)).toEqual([
      'Another npm run db:commit has just changed the migrations. Nothing was committed.',
    ]);
    expect(await readHistory(project.migrations)).toHaveLength(released + 1);
    expect(await project.read(CURRENT)).toBe('-- Write the next migration here.\n');
    await uncommitLast(project, urls, say);
    expect(await readHistory(project.migrations)).toHaveLength(released);
    expect((await readCurrent(project)).text.trim()).toBe(written);
  });

  test('db:commit makes it history, and the dumps stay as they were', async () => {
    said.length = 0;
    for (const message of [undefined, ' ', 'two\nlines'])
      await expect(commitCurrent(project, urls, message, say)).rejects.toThrow(
        /^Say in one line .* npm run db:commit -- -m/,
      );
    await commitCurrent(project, urls, 'mottos of groups', say);
    expect(said.join('\n')).toMatch(
      /^\d{6}-mottos-of-groups\.sql is committed\. Next: test\/upgrades\/\d{6}\.sql, npm run db:/,
    );
    expect(await project.read(CURRENT)).toBe('-- Write the next migration here.\n');
    project.save();
    project.git('switch', '--quiet', 'main');
    project.git('merge', '--quiet', 'feature');
    const text = await checked('main');
    expect(text).not.toMatch(/FAILED|skipped/);
    expect(text).toContain('ok      current.sql is empty on the main branch');
    await expect(commitCurrent(project, urls, 'again', say)).rejects.toThrow(/is empty/);
  });

  test('what the main branch has is not taken back', async () => {
    await expect(uncommitLast(project, urls, say)).rejects.toThrow(/is on main already/);
  });
});

describe('on the way to main', { timeout: 120_000 }, () => {
  test('everything that is wrong is named at once, with what mends it', async () => {
    project.git('switch', '--quiet', '--create', 'careless');
    const file = await project.addMigration(
      `create index group_mottos on app_public.groups (motto);
       -- squawk-ignore ban-drop-column
       alter table app_public.groups drop column motto;
       do $$ begin alter table app_public.users alter column username type varchar(500); end $$;`,
    );
    await project.write(
      CURRENT,
      'alter table app_public.groups add column if not exists x text;\n',
    );
    const text = await checked('main');
    const failed = [...text.matchAll(/^FAILED {2}(.*)$/gm)].map(([, asks]) => asks);
    expect(failed).toEqual([
      'current.sql is empty on the main branch',
      'what is not on the base yet holds no traffic up (squawk)',
      'what is not on the base yet writes no table anew',
      'schema.sql is up to date',
      'schema.graphql is up to date',
      'changes of the GraphQL API that break clients are announced',
    ]);
    for (const words of [
      /mend: npm run db:commit -- -m/,
      new RegExp(`${file}, line 4: During normal index creation, .*\n.*require-concurrent-index-c`),
      new RegExp(`${file}, line 5: a waiver without a reason`),
      /- app_public\.users is written anew as a whole\./,
      /mend: npm run db:dump, and commit what it writes/,
      /- breaking: Field 'motto' was removed from object type 'Group'/,
      /mend: Keep what clients use .* add a line to docs\/breaking-changes\.md: - `Group\.motto`: why/,
      /safe: /,
    ])
      expect(text).toMatch(words);
  });

  test('a break that is announced passes, and no other with it', async () => {
    const base = findBase(project.folder, 'main');
    const without = (schema: string, field: string) =>
      schema.replaceAll(new RegExp(`\\n {2}(?:"""[^"]*"""\\n {2})?${field}: \\S+\\n`, 'g'), '\n');
    const now = without(without(base?.read('schema.graphql') ?? '', 'motto'), 'hasNextPage');
    const before = await apiChanges(project, base, now);
    expect(before.problems).toHaveLength(2);
    const announcements = await project.read('docs/breaking-changes.md');
    await project.write(
      'docs/breaking-changes.md',
      `${announcements}\n- \`Group.motto\`: nobody lived by it.\n`,
    );
    const after = await apiChanges(project, base, now);
    expect(after.problems).toHaveLength(1);
    expect(after.notes).toContain(
      "breaking, announced: Field 'motto' was removed from object type 'Group'",
    );
    // Announced to whoever reads the base, once: it allows nothing later.
    project.save();
    project.git('branch', '--force', 'main');
    const later = await apiChanges(project, findBase(project.folder, 'careless'), now);
    expect(later.problems.map(({ what }) => what)).toContain(before.problems[0]?.what);
  });

  test('a history that does not run from nothing is refused', async () => {
    const file = await project.addMigration(
      'select 1;\ninsert into app_public.of_my_laptop values (1);',
    );
    const text = await checked('careless');
    expect(text).toContain(
      `FAILED  history replays from nothing\n        - ${file}, line 5: relation "app_public.of_my_laptop" does not exist.`,
    );
    expect(text).toMatch(/mend: Migrations build on those before them alone/);
  });
});
