import { type Client, DatabaseError, escapeIdentifier, escapeLiteral } from 'pg';
import { databaseNameOf, inTransaction } from './database.ts';
import { verifierOf } from './password.ts';
import { POWERS } from './role-powers.ts';
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
  TimeZone: 'UTC',
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
  nameOrId: string,
  choosePassword: () => Promise<string>,
): Promise<{ username: string; made: boolean }> {
  requireRoleName(name);
  const user = await findUser(client, nameOrId);
  const existing = await roleOf(client, name);
  // Before anything is looked at that may have changed when it has been typed.
  const isNew = existing === undefined || (existing.isOurs && !existing.canLogIn);
  const verifier = isNew ? verifierOf(await choosePassword()) : undefined;
  const role = escapeIdentifier(name);
  await inTransaction(client, async () => {
    if (verifier !== undefined) {
      const verb = existing === undefined ? 'create' : 'alter';
      await client.query(`${verb} role ${role} login password ${escapeLiteral(verifier)}`);
      await client.query(`comment on role ${role} is ${escapeLiteral(MADE_BY_BURSAR)}`);
    }
    await requireHarmless(client, name);
    await client.query(`grant bursar_user to ${role}`);
    await requireInheritance(client, name);
    const database = escapeIdentifier(await databaseNameOf(client));
    await client.query(`grant connect on database ${database} to ${role}`);
    for (const [setting, value] of Object.entries(SESSION_SETTINGS)) {
      const values = value.split(', ').map(escapeLiteral).join(', ');
      await client.query(`alter role ${role} in database ${database} set ${setting} to ${values}`);
    }
    await mapTo(client, name, user);
  });
  return { username: user.username, made: isNew };
}

/** A role speaks for one user, and a user has one role: whoever came first keeps it. */
async function mapTo(
  client: Client,
  name: string,
  { id, username }: { id: string; username: string },
): Promise<void> {
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
  const mapped = await client.query(
    'update app_public.users set pg_role = $1 where id = $2 and pg_role is null',
    [name, id],
  );
  if (mapped.rowCount !== 1) throw new Error(`The user ${username} has just changed: try again.`);
}

async function roleOf(
  client: Client,
  name: string,
): Promise<{ isOurs: boolean; canLogIn: boolean; isUsedElsewhere: boolean } | undefined> {
  const { rows } = await client.query<{
    isOurs: boolean;
    canLogIn: boolean;
    isUsedElsewhere: boolean;
  }>(
    `select coalesce(shobj_description(oid, 'pg_authid') = $2, false) as "isOurs", rolcanlogin as "canLogIn",
       exists (
         select from pg_db_role_setting s
         where s.setrole = r.oid and s.setdatabase <> 0
           and s.setdatabase <> (select oid from pg_database where datname = current_database())
       ) as "isUsedElsewhere"
     from pg_roles r where rolname = $1`,
    [name, MADE_BY_BURSAR],
  );
  return rows[0];
}

/**
 * Takes a login role's user away: its open sessions speak for nobody from their next statement on. The role is
 * dropped if Bursar made it, and left alone otherwise: also where another database of the cluster gives it to somebody.
 */
export async function removeDba(
  client: Client,
  name: string,
): Promise<{ username: string; left: 'nothing' | 'role' | 'role without login' }> {
  return inTransaction(client, async () => {
    const { rows } = await client.query<{ username: string }>(
      'update app_public.users set pg_role = null where pg_role = $1 returning username',
      [name],
    );
    const username = rows[0]?.username;
    if (username === undefined) {
      throw new Error(`The login role ${name} speaks for no user: there is nothing to remove.`);
    }
    const existing = await roleOf(client, name);
    if (existing === undefined) return { username, left: 'nothing' };

    const role = escapeIdentifier(name);
    const database = escapeIdentifier(await databaseNameOf(client));
    await client.query(`alter role ${role} in database ${database} reset all`);
    await client.query(`revoke connect on database ${database} from ${role}`);
    if (existing.isUsedElsewhere) return { username, left: 'role' };
    await client.query(`revoke bursar_user from ${role}`);
    if (!existing.isOurs) return { username, left: 'role' };
    const dropped = await dropUnlessUsed(client, role);
    return { username, left: dropped ? 'nothing' : 'role without login' };
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

/** How psql is called with the login, in a shell, without the password. */
export async function psqlCommand(client: Client, name: string): Promise<string> {
  const host = client.host.includes(':') ? `[${client.host}]` : client.host;
  const database = encodeURIComponent(await databaseNameOf(client));
  // encodeURIComponent leaves what a shell reads in its own way.
  const role = encodeURIComponent(name).replace(
    /['()*!]/g,
    (c) => `%${c.charCodeAt(0).toString(16)}`,
  );
  return `psql postgres://${role}@${host}:${client.port}/${database}`;
}

function requireRoleName(name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes < 1 || bytes > 63) {
    throw new Error(`The name of a login role has 1 to 63 bytes, not ${bytes}.`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(name)) {
    throw new Error('The name of a login role has no control characters, such as a line break.');
  }
  if (/^pg_/.test(name)) {
    throw new Error(`Names of roles that begin with pg_ are PostgreSQL's own: not "${name}".`);
  }
}

/** A role with powers of its own would not be under the policies. */
async function requireHarmless(client: Client, name: string): Promise<void> {
  const { rows } = await client.query<{ power: string }>(
    `select power from pg_roles r cross join lateral ${POWERS} as powers where rolname = $1
     union all
     select 'can''t log in' from pg_roles where rolname = $1 and not rolcanlogin
     union all
     select 'is a server''s, which speaks for everybody' from app_private.authenticators where role_name = $1`,
    [name],
  );
  if (rows[0] === undefined) return;
  throw new Error(`The role ${name} ${rows[0].power}: choose another name, for a role of its own.`);
}

/** Rights that a session must first take with `set role` are none to somebody in psql. */
async function requireInheritance(client: Client, name: string): Promise<void> {
  const { rows } = await client.query<{ inherits: boolean; byGrant: boolean }>(
    `select pg_has_role($1, 'bursar_user', 'usage') as inherits,
       current_setting('server_version_num')::int >= 160000 as "byGrant"`,
    [name],
  );
  if (rows[0]?.inherits === true) return;
  const role = escapeIdentifier(name);
  const remedy = rows[0]?.byGrant
    ? `grant bursar_user to ${role} with inherit true`
    : `alter role ${role} inherit`;
  throw new Error(`The role ${name} does not inherit what it is granted: ${remedy}.`);
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
