import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WorkflowUrls } from '../src/database-urls.ts';
import { readHistory } from '../src/history.ts';
import {
  type Command,
  DB_COMMAND,
  type Ended,
  endAllCommands,
  expectNoStackTrace,
  expectPlainWords,
  start,
} from './support/command-line.ts';
import { asSuperuser } from './support/database.ts';
import { createProject, createWorkflowDatabases, type TestProject } from './support/project.ts';

// The npm scripts db:*, as processes of their own. What they find is in migration-workflow.test.ts.

let project: TestProject;
let dataFolder: string;
let urls: WorkflowUrls;
let drop: () => Promise<void>;

beforeAll(async () => {
  project = await createProject();
  dataFolder = await mkdtemp(join(tmpdir(), 'bursar-commands-'));
  ({ urls, drop } = await createWorkflowDatabases(`commands_${process.pid}`));
});

afterAll(async () => {
  endAllCommands();
  await drop?.();
  await asSuperuser('postgres', (c) =>
    c.query('drop database if exists bursar_shadow with (force)'),
  );
  await project?.remove();
  if (dataFolder !== undefined) await rm(dataFolder, { recursive: true, force: true });
});

const db = (args: string[], environment: Record<string, string>): Command =>
  start(['--project', project.folder, ...args], environment, { command: DB_COMMAND });

const named = () => ({ DATABASE_URL: urls.owner, AUTH_DATABASE_URL: urls.authenticator });

describe('with nothing but the project', () => {
  test('db:check passes what the main branch has, on the embedded PostgreSQL', async () => {
    // As `npm start` leaves it, which runs in another window: that of the tests.
    const { owner, authenticator } = urls;
    await writeFile(join(dataFolder, 'running.json'), JSON.stringify({ owner, authenticator }));
    const environment = { BURSAR_DATA_FOLDER: dataFolder };
    const { code, stdout, stderr } = await db(['check'], environment).ended;
    expect(stderr).toBe('');
    expect(stdout).toContain('ok      history replays from nothing');
    expect(stdout).toContain('ok      current.sql is empty on the main branch');
    expect(stdout).not.toMatch(/FAILED|skipped/);
    expect(code).toBe(0);
  });
});

describe('with databases that are named', () => {
  test('the shadow must be named as well, and be one that may be dropped', async () => {
    const wrong: [string[], Record<string, string>, RegExp][] = [
      [['check'], named(), /SHADOW_DATABASE_URL is missing: the URL of a database that is dropped/],
      [
        ['commit', '-m', 'x'],
        { DATABASE_URL: urls.owner },
        /AUTH_.* is missing.*SHADOW_.* is missing/s,
      ],
      [
        ['dump'],
        { ...named(), SHADOW_DATABASE_URL: urls.owner },
        /which would be dropped: use one/,
      ],
    ];
    const ended = await Promise.all(
      wrong.map(([args, environment]) => db(args, environment).ended),
    );
    for (const [i, one] of ended.entries()) expectPlainWords(one, wrong[i]?.[2] ?? /^$/);
  });

  test('db:watch runs what is saved, and says in which line of which file it is wrong', async () => {
    const fixture = 'migrations/fixtures/features.sql';
    const original = await project.read(fixture);
    await project.write('migrations/current.sql', '--! include features.sql\n');
    const watch = db(['watch'], named());
    await watch.says(/Finished/);
    await project.write(fixture, `${original}\ncreate policy;\n`);
    const line = original.split('\n').length + 1;
    await watch.says(new RegExp(`migrations/fixtures/features\\.sql, line ${line}: syntax error`));
    await project.write(fixture, `${original}\ncomment on schema app_hidden is 'Saved.';\n`);
    await watch.says(/Finished[\s\S]*Finished/);
    watch.kill('SIGINT');
    const ended: Ended = await watch.ended;
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expectNoStackTrace(ended);
    await project.write(fixture, original);
  });

  test('db:check ends with 1, in plain words, when there is something to mend', async () => {
    const environment = { ...named(), SHADOW_DATABASE_URL: urls.shadow };
    const [first = ''] = (await readHistory(project.migrations)).map(({ file }) => file);
    await project.write(
      `migrations/committed/${first}`,
      (await project.read(`migrations/committed/${first}`)).replace('200', '300'),
    );
    const [failed, wrong] = await Promise.all([
      db(['check'], environment).ended,
      db(['check', '--base', 'nowhere'], environment).ended,
    ]);
    expectPlainWords(
      failed,
      new RegExp(
        `FAILED {2}no committed migration was edited\n.*- ${first} was edited after it was committed.\n.*why: .*\n.*mend: git checkout main -- migrations/committed/${first}`,
      ),
    );
    // The rest is looked at all the same, as far as it can be.
    expect(failed.stdout).toMatch(/^ok.*squawk/m);
    expect(failed.stdout).toMatch(/^skipped history replays/m);
    expectPlainWords(wrong, /^--base nowhere: git knows no such commit here\. Fetch it first/);
  });
});
