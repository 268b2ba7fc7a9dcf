import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger, watch } from 'graphile-migrate';
import type { Client } from 'pg';
import { withClient } from '../database.ts';
import type { DatabaseUrls, WorkflowUrls } from '../database-urls.ts';
import type { Migration } from '../history.ts';
import { loginOf } from '../migrate.ts';
import {
  MigrationError,
  PATIENCE,
  RUNNER_KEEPS_POOL_MS,
  runnerSettings,
} from '../run-migrations.ts';
import { placeOf, type Source } from './includes.ts';
import type { Project } from './project.ts';

/** A database with nothing in it, made for this and left behind to be looked at. */
export function withShadow<T>(
  urls: WorkflowUrls,
  work: (shadow: DatabaseUrls) => Promise<T>,
): Promise<T> {
  return withoutShadow(urls, async (root) => {
    const { pathname, hostname, port } = new URL(urls.shadow);
    await orExplained(
      root.query(
        `create database ${shadowOf(root, urls)} owner ${root.escapeIdentifier(loginOf(urls.shadow).name)}`,
      ),
    );
    const authenticator = new URL(urls.authenticator);
    authenticator.hostname = hostname;
    authenticator.port = port;
    authenticator.pathname = pathname;
    return work({ owner: urls.shadow, authenticator: authenticator.href });
  });
}

/** For the runner, which makes the shadow itself. Two that work with one shadow wait for each other. */
export function withoutShadow<T>(
  urls: WorkflowUrls,
  work: (root: Client) => Promise<T>,
): Promise<T> {
  return withClient(urls.root, async (root) => {
    await root.query('set statement_timeout to 0');
    const shadow = shadowOf(root, urls);
    await root.query('select pg_advisory_lock(hashtext($1))', [`bursar shadow ${shadow}`]);
    await orExplained(dropDatabase(root, shadow));
    try {
      return await work(root);
    } finally {
      await sleep(RUNNER_KEEPS_POOL_MS);
    }
  });
}

/**
 * With force nobody but a superuser may end a superuser's process, and PostgreSQL's own that vacuums is one; without it,
 * that one is told to leave, and others are waited for.
 */
async function dropDatabase(root: Client, name: string): Promise<void> {
  const drop = `drop database if exists ${name}`;
  for (let attempt = 1; ; attempt += 1) {
    const isForced = attempt % 2 === 1;
    try {
      await root.query(isForced ? `${drop} with (force)` : drop);
      return;
    } catch (error) {
      const { code } = error as { code?: string };
      const mayPass = code === (isForced ? '42501' : '55006');
      if (!mayPass || attempt === 6) throw error;
    }
  }
}

function shadowOf(root: Client, urls: WorkflowUrls): string {
  return root.escapeIdentifier(decodeURIComponent(new URL(urls.shadow).pathname.slice(1)));
}

async function orExplained(query: Promise<unknown>): Promise<void> {
  try {
    await query;
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    if (code !== '42501') throw error;
    throw new Error(
      `The shadow database can't be made anew: ${message}. Give the role createdb (alter role NAME createdb), or set ROOT_DATABASE_URL to one that has it.`,
    );
  }
}

/** A migrations folder that ends with some earlier migration. */
export async function withHistoryUpTo<T>(
  migrations: string,
  history: readonly Migration[],
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'bursar-history-'));
  try {
    await mkdir(join(folder, 'committed'));
    await symlink(join(migrations, 'roles.sql'), join(folder, 'roles.sql'));
    for (const { file } of history) {
      await symlink(join(migrations, 'committed', file), join(folder, 'committed', file));
    }
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export const BLANK = '-- Write the next migration here.\n';

/** Runs current.sql, whether it has run before or not. */
export async function runCurrent(url: string, project: Project, current: Source): Promise<void> {
  // The runner passes over what it knows.
  await withClient(url, (client) => client.query('delete from graphile_migrate.current'));
  try {
    await watch(
      {
        connectionString: url,
        migrationsFolder: project.migrations,
        blankMigrationContent: BLANK,
        pgSettings: runnerSettings(PATIENCE.lockTimeoutMs),
        logger: new Logger(() => () => {}),
      },
      true,
    );
  } catch (error) {
    throw explained(error, current);
  }
}

/** What went wrong with current.sql, and in which line of which file. */
export function explained(error: unknown, current: Source): Error {
  const { message, position, where } = error as Error & { position?: string; where?: string };
  const line = current.text.slice(0, Number(position ?? 0)).split('\n').length;
  const at = position === undefined ? 'current.sql' : placeOf(current, line);
  const inside = position === undefined && where !== undefined ? ` (${where.split('\n')[0]})` : '';
  return new MigrationError(`${at}: ${message}${inside}`);
}

/** Where each table lies: what is written anew lies elsewhere afterwards. */
export async function placesOfTables(client: Client): Promise<ReadonlyMap<string, string>> {
  const { rows } = await client.query<{ name: string; place: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name, c.relfilenode::text as place
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname in ('app_public', 'app_private')`,
  );
  return new Map(rows.map(({ name, place }) => [name, place]));
}
