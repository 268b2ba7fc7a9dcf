import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { databaseNameOf, withClient } from './database.ts';
import type { DatabaseUrls } from './database-urls.ts';
import { MIGRATIONS_FOLDER } from './folders.ts';
import { TIME_LIMITS } from './on-behalf.ts';
import { PATIENCE, type Patience, runMigrations } from './run-migrations.ts';

const OLDEST_POSTGRES = 15;

export type MigrateOptions = {
  /** By default the migrations that came with this code. */
  readonly folder?: string;
  readonly patience?: Patience;
};

/**
 * Brings a database to what this code needs: the roles that are missing, then the committed migrations,
 * then the server's login role as one that may speak for users. Running it again changes nothing.
 *
 * @param say Is told of what was done, a line at a time.
 */
export function migrate(
  urls: DatabaseUrls,
  say: (line: string) => void,
  { folder = MIGRATIONS_FOLDER, patience = PATIENCE }: MigrateOptions = {},
): Promise<void> {
  return withClient(urls.owner, async (client) => {
    await requireVersion(client);
    await client.query('set statement_timeout to 0; set lock_timeout to 0');
    // Two servers that start at once: the second waits, and then finds nothing to do.
    await client.query("select pg_advisory_lock(hashtext('bursar migrate'))");
    await client.query("select set_config('lock_timeout', $1, false)", [
      `${patience.lockTimeoutMs}ms`,
    ]);
    await requireOurs(client);
    await client.query(await readFile(join(folder, 'roles.sql'), 'utf8'));
    await createAuthenticator(client, urls.authenticator, say);
    await runMigrations(urls.owner, folder, client, patience, say);
    await client.query('select app_private.register_authenticator($1)', [
      loginOf(urls.authenticator).name,
    ]);
  });
}

async function requireVersion(client: Client): Promise<void> {
  const { rows } = await client.query<{ version: number }>(
    "select current_setting('server_version_num')::int / 10000 as version",
  );
  const version = rows[0]?.version ?? 0;
  if (version < OLDEST_POSTGRES) {
    throw new Error(`This is PostgreSQL ${version}; Bursar needs ${OLDEST_POSTGRES} or newer.`);
  }
}

/** Whoever may say on whose behalf they speak must have no powers of their own beside that. */
async function requireHarmless(client: Client, name: string): Promise<void> {
  const { rows } = await client.query<{ power: string }>(
    `select power
     from pg_roles r
       cross join lateral (values
         (rolsuper, 'is a superuser'),
         (rolbypassrls, 'bypasses row security'),
         (rolcreaterole, 'may create roles'),
         (rolname = current_user, 'owns the database')
       ) as powers (has, power)
     where rolname = $1 and has`,
    [name],
  );
  if (rows[0] !== undefined) {
    throw new Error(
      `The role ${name} of AUTH_DATABASE_URL ${rows[0].power}: the server needs one that may do nothing by itself.`,
    );
  }
}

/** A database that has schemas of these names and none of our migrations belongs to something else. */
async function requireOurs(client: Client): Promise<void> {
  const { rows } = await client.query<{ schema: string }>(
    `select nspname as schema from pg_namespace
     where nspname in ('app_public', 'app_hidden', 'app_private')
       and to_regclass('graphile_migrate.migrations') is null`,
  );
  if (rows[0] !== undefined) {
    throw new Error(
      `This database has a schema ${rows[0].schema} that is not Bursar's: nothing was changed. Give Bursar a database of its own.`,
    );
  }
}

export function loginOf(url: string): { name: string; password: string } {
  const { username, password } = new URL(url);
  return { name: decodeURIComponent(username), password: decodeURIComponent(password) };
}

async function createAuthenticator(
  client: Client,
  url: string,
  say: (line: string) => void,
): Promise<void> {
  const { name, password } = loginOf(url);
  if (name === '') throw new Error('AUTH_DATABASE_URL names no role: postgres://NAME:PASSWORD@…');
  const role = client.escapeIdentifier(name);

  const existing = await client.query('select from pg_roles where rolname = $1', [name]);
  if (existing.rowCount === 0) {
    const login = password === '' ? '' : `password ${client.escapeLiteral(password)}`;
    await client.query(`create role ${role} login noinherit ${login}`);
    await client.query(
      `comment on role ${role} is 'Bursar: the server''s login. It owns nothing and becomes bursar_user for each request.'`,
    );
    say(`created the role ${name}`);
  }
  // Before it gets anything: a refusal leaves no grant behind.
  await requireHarmless(client, name);
  const granted = await client.query(
    `select from pg_auth_members
     where roleid = 'bursar_user'::regrole and member = $1::text::regrole`,
    [role],
  );
  if (granted.rowCount === 0) await client.query(`grant bursar_user to ${role}`);
  const database = client.escapeIdentifier(await databaseNameOf(client));
  await client.query(`grant connect on database ${database} to ${role}`);
  await limitTime(client, name, database, say);
}

/** The server sets these limits itself; the role has them for whoever else gets hold of its password. */
async function limitTime(
  client: Client,
  name: string,
  database: string,
  say: (line: string) => void,
): Promise<void> {
  const role = client.escapeIdentifier(name);
  const wanted = Object.entries(TIME_LIMITS).map(([setting, value]) => `${setting}=${value}`);
  const { rows } = await client.query<{ setting: string }>(
    `select unnest(s.setconfig) as setting
     from pg_db_role_setting s join pg_roles r on r.oid = s.setrole join pg_database d on d.oid = s.setdatabase
     where r.rolname = $1 and d.datname = current_database()`,
    [name],
  );
  const present = new Set(rows.map(({ setting }) => setting));
  if (wanted.every((setting) => present.has(setting))) return;
  try {
    for (const [setting, value] of Object.entries(TIME_LIMITS)) {
      await client.query(
        `alter role ${role} in database ${database} set ${setting} to ${client.escapeLiteral(value)}`,
      );
    }
  } catch (error) {
    // Somebody else made it: theirs to limit.
    if ((error as { code?: string }).code !== '42501') throw error;
    say(`left the role ${name} without time limits of its own, which this login may not set`);
  }
}
