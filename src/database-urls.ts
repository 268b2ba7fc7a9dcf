import { type Environment, isGiven, SettingsReader } from './settings.ts';

/** Which databases the environment names, for commands that work on them. */

export type DatabaseUrls = { readonly owner: string; readonly authenticator: string };

/** The one URL that looking needs, of any login. */
export function readDatabaseUrl(environment: Environment): string {
  const reader = new SettingsReader(environment);
  const url = reader.databaseUrl('DATABASE_URL');
  if (!reader.isGiven('DATABASE_URL')) reader.wrong('DATABASE_URL is missing.');
  return reader.finish(url ?? '');
}

/** The two databases URLs that migrating needs. */
export function readDatabaseUrls(environment: Environment): DatabaseUrls {
  const reader = new SettingsReader(environment);
  const owner = reader.databaseUrl('DATABASE_URL');
  const authenticator = reader.databaseUrl('AUTH_DATABASE_URL');
  for (const name of ['DATABASE_URL', 'AUTH_DATABASE_URL']) {
    if (!reader.isGiven(name)) reader.wrong(`${name} is missing.`);
  }
  return reader.finish({ owner: owner ?? '', authenticator: authenticator ?? '' });
}

/** Whether the environment names a database; the embedded one serves otherwise. */
export function namesDatabase(environment: Environment): boolean {
  return isGiven(environment, 'DATABASE_URL') || isGiven(environment, 'AUTH_DATABASE_URL');
}

export type WorkflowUrls = DatabaseUrls & {
  /** Is dropped and made anew. */
  readonly shadow: string;
  /** The owner's login in a database from which others are dropped and created. */
  readonly root: string;
};

/** What writing and checking migrations needs. */
export function readWorkflowUrls(environment: Environment): WorkflowUrls {
  const reader = new SettingsReader(environment);
  const owner = reader.databaseUrl('DATABASE_URL');
  const authenticator = reader.databaseUrl('AUTH_DATABASE_URL');
  const shadow = reader.databaseUrl('SHADOW_DATABASE_URL');
  const root = reader.databaseUrl('ROOT_DATABASE_URL');
  for (const name of ['DATABASE_URL', 'AUTH_DATABASE_URL']) {
    if (!reader.isGiven(name)) reader.wrong(`${name} is missing.`);
  }
  if (!reader.isGiven('SHADOW_DATABASE_URL')) {
    reader.wrong(
      'SHADOW_DATABASE_URL is missing: the URL of a database that is dropped and made anew, such as …/bursar_shadow.',
    );
  }
  // What is about to be dropped must say by its name that it may be.
  if (shadow !== undefined && !databaseOf(shadow).includes('shadow')) {
    reader.wrong(
      `SHADOW_DATABASE_URL names the database "${databaseOf(shadow)}", which would be dropped: use one with "shadow" in its name.`,
    );
  }
  // Whatever the host: one server has many names, and two databases of one name have no use here.
  for (const [name, url] of Object.entries({ DATABASE_URL: owner, ROOT_DATABASE_URL: root })) {
    if (shadow !== undefined && url !== undefined && databaseOf(url) === databaseOf(shadow)) {
      reader.wrong(
        `SHADOW_DATABASE_URL names the same database as ${name}, and would be dropped: give the shadow a name of its own.`,
      );
    }
  }
  return reader.finish({
    owner: owner ?? '',
    authenticator: authenticator ?? '',
    shadow: shadow ?? '',
    root: root ?? (shadow === undefined ? '' : withDatabase(shadow, 'postgres')),
  });
}

function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}

export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${encodeURIComponent(database)}`;
  return changed.href;
}

/** How long a migration waits for a lock, in milliseconds; `standard` where the environment says nothing. */
export function readLockTimeout(environment: Environment, standard: number): number {
  const reader = new SettingsReader(environment);
  return reader.finish(reader.wholeNumber('MIGRATION_LOCK_TIMEOUT_MS', standard, 0, 3_600_000));
}
