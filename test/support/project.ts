import { execFileSync } from 'node:child_process';
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import type { WorkflowUrls } from '../../src/database-urls.ts';
import { hashOf, readHistory } from '../../src/history.ts';
import { isBlank, readCurrent } from '../../src/migrations/includes.ts';
import { type Project, projectAt } from '../../src/migrations/project.ts';
import { BLANK } from '../../src/migrations/shadow.ts';
import { asSuperuser } from './database.ts';

export type TestProject = Project & {
  read(file: string): Promise<string>;
  write(file: string, text: string): Promise<void>;
  /** Changes a text in a file, in which it stands exactly once. */
  replace(file: string, old: string, young: string): Promise<void>;
  git(...args: string[]): void;
  /** Commits everything. */
  save(): void;
  /** A committed migration without the workflow, whatever it says. Returns its file. */
  addMigration(body: string): Promise<string>;
  remove(): Promise<void>;
};

/** A copy of what the workflow reads and writes, as the main branch of a repository of its own. */
export async function createProject(): Promise<TestProject> {
  const here = projectAt();
  const folder = await mkdtemp(join(tmpdir(), 'bursar-project-'));
  const copy = projectAt(folder);
  await cp(here.migrations, copy.migrations, { recursive: true });
  await mkdir(dirname(copy.breakingChanges), { recursive: true });
  for (const key of ['schemaSql', 'schemaGraphql', 'breakingChanges', 'lintRules'] as const) {
    await copyFile(here[key], copy[key]);
  }
  const git = (...args: string[]) => {
    const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com'];
    execFileSync('git', ['-C', folder, ...identity, ...args], { stdio: 'ignore' });
  };
  const project: TestProject = {
    ...copy,
    read: (file) => readFile(join(folder, file), 'utf8'),
    async write(file, text) {
      // A committed migration is read-only, and nothing keeps anybody from that.
      await rm(join(folder, file), { force: true });
      await writeFile(join(folder, file), text);
    },
    async replace(file, old, young) {
      const text = await project.read(file);
      if (text.split(old).length !== 2) throw new Error(`"${old}" is not in ${file} once`);
      await project.write(
        file,
        text.replace(old, () => young),
      );
    },
    git,
    save() {
      git('add', '--all');
      git('commit', '--quiet', '--message', 'a change');
    },
    async addMigration(body) {
      const history = await readHistory(copy.migrations);
      const previous = history.at(-1)?.hash ?? '-';
      const file = `${String(history.length + 1).padStart(6, '0')}-by-hand.sql`;
      const text = `--! Previous: ${previous}\n--! Hash: ${hashOf(previous, body)}\n\n${body.trim()}\n`;
      await project.write(`migrations/committed/${file}`, text);
      return file;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
  // What is being written here is history there.
  const current = await readCurrent(copy);
  if (!isBlank(current)) {
    await project.addMigration(current.text);
    await project.write('migrations/current.sql', BLANK);
  }
  git('init', '--quiet', '--initial-branch', 'main');
  project.save();
  return project;
}

/** An empty database with its shadow, in the cluster of the tests. */
export async function createWorkflowDatabases(
  name: string,
): Promise<{ urls: WorkflowUrls; drop(): Promise<void> }> {
  const host = inject('host');
  const owner = (database: string) => `postgres://bursar_owner:owner@${host}/${database}`;
  await asSuperuser('postgres', (c) => c.query(`create database ${name} owner bursar_owner`));
  return {
    urls: {
      owner: owner(name),
      authenticator: `postgres://bursar_authenticator:authenticator@${host}/${name}`,
      shadow: owner(`${name}_shadow`),
      root: owner('postgres'),
    },
    drop: () =>
      asSuperuser('postgres', async (c) => {
        await c.query(`drop database if exists ${name} with (force)`);
        await c.query(`drop database if exists ${name}_shadow with (force)`);
      }),
  };
}
