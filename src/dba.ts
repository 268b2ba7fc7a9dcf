import { type Client, DatabaseError, escapeIdentifier, escapeLiteral } from 'pg';
import { verifierOf } from './password.ts';
import { findUser } from './users.ts';

/**
 * Login roles of people. A DBA in psql is a login role that is granted bursar_user, and that users.pg_role
 * maps to a user: what they may do are that user's rows, as through every other door.
 */

/** What a session in psql begins with; whoever needs more time says `set statement_timeout = …`. */
export const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  // Last, so that a temporary table never stands in for one of Bursar's.
  search_path: 'app_public, pg_temp',
  statement_timeout: '60s',
  lock_timeout: '5s',
  // A transaction that somebody forgot holds its locks for no longer than this.
  idle_in_transaction_session_timeout: '60s',
};

/** How a role that Bursar made is known, and may be dropped again. */
const MADE_BY_BURSAR = 'Bursar: the login of a person in psql.';

export type Dba = {
  readonly name: string;
  readonly username: string;
  /** Such as `auditor` or `organization_admin of Acme`. */
  readonly rights: readonly string[];
  /** False when the role does not exist, or can't log in. */
  readonly canLogIn: boolean;
};

/**
 * Gives a user a login role for psql: a new one, or one that exists and has no powers of its own.
 *
 * @param choosePassword Is asked only for a role that is made.
 * @returns The user's name, and whether the role was made.
 */
export async function addDba(
  client: Client,
  name: string,
  user: string,
  choosePassword: () => Promise<string>,
): Promise<{ username: string; made: boolean }> {
  requireRoleName(name);
  const { id, username } = await findUser(client, user);
  const taken = await client.query<{ username: string; pg_role: string }>(
    'select username, pg_role from app_public.users where pg_role = $1 or (id = $2 and pg_role is not null)',
    [name, id],
  );
  const [other] = taken.rows;
  if (other !== undefined) {
    throw new Error(
      `The login role ${other.pg_role} speaks for ${other.username} already: remove it first (bursar dba remove ${other.pg_role}).`,
    );
  }
  const exists = (await client.query('select from pg_roles where rolname = $1', [name])).rowCount;
  const password = exists ? undefined : verifierOf(await choosePassword());
  const role = escapeIdentifier(name);
  await inTransaction(client, async () => {
    if (password === undefined) {
      await requireHarmless(client, name);
    } else {
      await client.query(`create role ${role} login password ${escapeLiteral(password)}`);
      await client.query(`comment on role ${role} is ${escapeLiteral(MADE_BY_BURSAR)}`);
    }
    await client.query(`grant bursar_user to ${role}`);
    await requireInheritance(client, name);
    const database = await databaseOf(client);
    await client.query(`grant connect on database ${database} to ${role}`);
    for (const [setting, value] of Object.entries(SESSION_SETTINGS)) {
      const values = value.split(', ').map(escapeLiteral).join(', ');
      await client.query(`alter role ${role} in database ${database} set ${setting} to ${values}`);
    }
    await client.query('update app_public.users set pg_role = $1 where id = $2', [name, id]);
  });
  return { username, made: !exists };
}

/**
 * Takes a login role's user away: its open sessions speak for nobody from their next statement on. The role is
 * dropped if Bursar made it, and left alone otherwise.
 */
export async function removeDba(
  client: Client,
  name: string,
): Promise<{ username: string; dropped: boolean }> {
  return inTransaction(client, async () => {
    const { rows } = await client.query<{ username: string }>(
      'update app_public.users set pg_role = null where pg_role = $1 returning username',
      [name],
    );
    const username = rows[0]?.username;
    if (username === undefined) {
      throw new Error(`The login role ${name} speaks for no user: there is nothing to remove.`);
    }
    const existing = await client.query<{ is_ours: boolean }>(
      `select coalesce(shobj_description(oid, 'pg_authid') = $2, false) as is_ours
       from pg_roles where rolname = $1`,
      [name, MADE_BY_BURSAR],
    );
    const [role] = existing.rows;
    if (role === undefined) return { username, dropped: false };

    const quoted = escapeIdentifier(name);
    const database = await databaseOf(client);
    await client.query(`alter role ${quoted} in database ${database} reset all`);
    await client.query(`revoke bursar_user from ${quoted}`);
    await client.query(`revoke connect on database ${database} from ${quoted}`);
    if (!role.is_ours) return { username, dropped: false };
    return { username, dropped: await dropUnlessUsed(client, quoted) };
  });
}

export async function listDbas(client: Client): Promise<Dba[]> {
  const { rows } = await client.query<Dba>(
    `select u.pg_role as name, u.username, coalesce(r.rolcanlogin, false) as "canLogIn",
       array(
         select s.role::text from app_public.user_site_roles s where s.user_id = u.id
         union all
         select format('%s of %s', m.role, o.name)
         from app_public.organization_member_roles m
           join app_public.organizations o on o.id = m.organization_id
         where m.user_id = u.id
         order by 1
       ) as rights
     from app_public.users u left join pg_roles r on r.rolname = u.pg_role
     where u.pg_role is not null
     order by u.pg_role`,
  );
  return rows;
}

/** The login in psql's own words, without the password. */
export async function psqlUrl(client: Client, name: string): Promise<string> {
  const { rows } = await client.query<{ name: string }>('select current_database() as name');
  const host = client.host.includes(':') ? `[${client.host}]` : client.host;
  const database = encodeURIComponent(rows[0]?.name ?? '');
  return `postgres://${encodeURIComponent(name)}@${host}:${client.port}/${database}`;
}

function requireRoleName(name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes < 1 || bytes > 63) {
    throw new Error(`The name of a login role has 1 to 63 bytes, not ${bytes}.`);
  }
  if (/^pg_/.test(name)) {
    throw new Error(`Names of roles that begin with pg_ are PostgreSQL's own: not "${name}".`);
  }
}

/** A role with powers of its own would not be under the policies. */
async function requireHarmless(client: Client, name: string): Promise<void> {
  const { rows } = await client.query<{ power: string }>(
    `select power
     from pg_roles r
       cross join lateral (values
         (rolsuper, 'is a superuser'),
         (rolbypassrls, 'bypasses row security'),
         (rolcreaterole, 'may create roles'),
         (rolreplication, 'may replicate the whole cluster'),
         (not rolcanlogin, 'can''t log in'),
         (rolname = current_user, 'owns the database'),
         (pg_has_role(oid, current_user, 'member'), 'may become the database''s owner'),
         (rolname in (select role_name from app_private.authenticators), 'is a server''s, which speaks for everybody')
       ) as powers (has, power)
     where rolname = $1 and has
     limit 1`,
    [name],
  );
  if (rows[0] === undefined) return;
  throw new Error(`The role ${name} ${rows[0].power}: choose another name, for a role of its own.`);
}

/** Rights that a session must first take with `set role` are none to somebody in psql. */
async function requireInheritance(client: Client, name: string): Promise<void> {
  const { rows } = await client.query<{ inherits: boolean }>(
    "select pg_has_role($1, 'bursar_user', 'usage') as inherits",
    [name],
  );
  if (rows[0]?.inherits === true) return;
  throw new Error(
    `The role ${name} does not inherit what it is granted: alter role ${escapeIdentifier(name)} inherit.`,
  );
}

/** @returns Whether it was dropped: a role that owns things, here or in another database, can't be. */
async function dropUnlessUsed(client: Client, role: string): Promise<boolean> {
  await client.query('savepoint before_drop');
  try {
    await client.query(`drop role ${role}`);
    return true;
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === '2BP01')) throw error;
    await client.query('rollback to savepoint before_drop');
    await client.query(`alter role ${role} nologin`);
    return false;
  }
}

async function databaseOf(client: Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>('select current_database() as name');
  return escapeIdentifier(rows[0]?.name ?? '');
}

async function inTransaction<T>(client: Client, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}
