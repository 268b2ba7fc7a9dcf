import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Pool } from 'pg';
import { inject } from 'vitest';
import type { DatabaseUrls } from '../../src/database-urls.ts';

export type TestDatabase = {
  readonly urls: DatabaseUrls;
  /** The database's owner: row-level security does not bind it. For making the world and looking at it. */
  readonly owner: Pool;
  /** A superuser, in this database. */
  readonly superuserUrl: string;
  /** A login role of a person, such as a DBA: mapped to the user by users.pg_role. Returns its URL. */
  createLogin(userId: string | null): Promise<string>;
  drop(): Promise<void>;
};

/** A copy of the migrated template, for one test file. */
export async function createTestDatabase(template = 'bursar_template'): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const host = inject('host');
  await asSuperuser('postgres', (client) =>
    client.query(
      `create database ${name} template ${template} strategy file_copy owner bursar_owner`,
    ),
  );
  // A database does not bring its privileges along when it is copied.
  await asSuperuser('postgres', (client) =>
    client.query(`grant connect on database ${name} to bursar_authenticator, bursar_user`),
  );
  const urls = {
    owner: `postgres://bursar_owner:owner@${host}/${name}`,
    authenticator: `postgres://bursar_authenticator:authenticator@${host}/${name}`,
  };
  const owner = new Pool({ connectionString: urls.owner, max: 5 });
  owner.on('error', () => {});
  const logins: string[] = [];
  return {
    urls,
    owner,
    superuserUrl: withDatabase(inject('superuser'), name),
    async createLogin(userId) {
      const login = `login_${randomBytes(6).toString('hex')}`;
      await asSuperuser(name, async (client) => {
        await client.query(`create role ${login} login password 'login' in role bursar_user`);
        await client.query('update app_public.users set pg_role = $1 where id = $2', [
          login,
          userId,
        ]);
      });
      logins.push(login);
      return `postgres://${login}:login@${host}/${name}`;
    },
    async drop() {
      await owner.end();
      await asSuperuser('postgres', async (client) => {
        await untilNobodyIsIn(client, name);
        await client.query(`drop database ${name} with (force)`);
        for (const login of logins) await client.query(`drop role ${login}`);
      });
    },
  };
}

/** A connection that is just ending would report its being forced out to nobody, and end the run. */
async function untilNobodyIsIn(client: Client, database: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const { rowCount } = await client.query('select from pg_stat_activity where datname = $1', [
      database,
    ]);
    if (rowCount === 0) return;
    await sleep(10);
  }
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

export async function asSuperuser<T>(
  database: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({ connectionString: withDatabase(inject('superuser'), database) });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
