import { Client, DatabaseError } from 'pg';
import { expect } from 'vitest';
import { withClient } from '../../src/database.ts';
import { speakingFor } from './as-user.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { eventOf, record } from './ledger.ts';
import { createWorld, type World } from './world.ts';

// Sessions that try what they may not, and what stands where none of them may look.

/** Who tries: logins of people for psql, and the server's own login in what it can be. */
export const INTRUDERS = [
  'member',
  'organization_admin',
  'organization_auditor',
  'login of nobody',
  'server',
  'server as nobody',
  'server as member',
] as const;
export type Intruder = (typeof INTRUDERS)[number];

/** What only the other organization has; none of it may come back in rows, notices or errors. */
const SECRET_NAMES = ['Zanzibar', 'Clove growers', 'saffron', 'saffron@spice.example', '987654321'];

export type Answer = {
  /** An SQLSTATE, or `ok`. */
  readonly code: string;
  readonly rows: readonly object[];
  readonly rowCount: number;
  /** Rows, what was copied, notices and errors with their details, as one text. */
  readonly text: string;
};

export type Lair = {
  readonly database: TestDatabase;
  readonly world: World;
  readonly secrets: readonly string[];
  /** Runs statements one after another, up to the first that fails, in a session which then forgets everything. */
  attack(who: Intruder, statements: string | readonly string[]): Promise<Answer>;
  /** The same by a superuser: what there is to be seen. */
  asSuperuser(statements: string | readonly string[]): Promise<Answer>;
  leave(): Promise<void>;
};

export async function createLair(): Promise<Lair> {
  const database = await createTestDatabase();
  const world = await createWorld(database.owner);
  const { foreignOrganization, foreignGroup, foreigner, people } = world;
  const set = (text: string, values: unknown[]) => database.owner.query(text, values);
  await set('update app_public.organizations set name = $1 where id = $2', [
    'Zanzibar',
    foreignOrganization,
  ]);
  await set('update app_public.groups set name = $1 where id = $2', [
    'Clove growers',
    foreignGroup,
  ]);
  await set('update app_public.users set username = $1, email = $2 where id = $3', [
    'saffron',
    'saffron@spice.example',
    foreigner,
  ]);
  await set(
    'update app_public.group_ai_budgets set spend_limit_micros = 987654321 where group_id = $1',
    [foreignGroup],
  );
  await withClient(database.urls.authenticator, (gateway) =>
    speakingFor(gateway, people.ai_gateway, 'rest', () =>
      record(gateway, [
        eventOf(foreigner, {
          organization_id: foreignOrganization,
          group_id: foreignGroup,
          model: 'one',
          input_tokens: 7,
        }),
      ]),
    ),
  );
  await database.owner.query('analyze');
  const secrets = [...SECRET_NAMES, foreignOrganization, foreignGroup, foreigner];

  const personOf = { member: 'member', 'server as member': 'member' } as const;
  const sessions = new Map<string, Session>();
  async function sessionOf(who: Intruder | 'superuser'): Promise<Session> {
    const known = sessions.get(who);
    if (known !== undefined) return known;
    const session = await open(who);
    sessions.set(who, session);
    return session;
  }
  async function open(who: Intruder | 'superuser'): Promise<Session> {
    switch (who) {
      case 'superuser':
        return new Session(database.superuserUrl).start();
      case 'login of nobody':
        return new Session(await database.createLogin(null)).start();
      case 'server':
        return new Session(database.urls.authenticator).start();
      case 'server as nobody':
        return new Session(database.urls.authenticator, 'set role bursar_user').start();
      case 'server as member':
        return new Session(
          database.urls.authenticator,
          `set role bursar_user; set bursar.user_id = '${people[personOf[who]]}'`,
        ).start();
      default:
        return new Session(await database.createLogin(people[who])).start();
    }
  }
  return {
    database,
    world,
    secrets,
    attack: async (who, statements) => (await sessionOf(who)).run(statements),
    asSuperuser: async (statements) => (await sessionOf('superuser')).run(statements),
    async leave() {
      for (const session of sessions.values()) await session.end();
      await database.drop();
    },
  };
}

class Session {
  readonly #client: Client;
  readonly #prelude: string;
  readonly #notices: object[] = [];

  constructor(connectionString: string, prelude = 'select') {
    this.#client = new Client({ connectionString });
    this.#client.on('notice', (notice) => this.#notices.push(said(notice)));
    this.#client.on('error', () => {});
    this.#client.connection.on('copyData', ({ chunk }: { chunk: Buffer }) =>
      this.#notices.push({ copied: chunk.toString() }),
    );
    this.#prelude = prelude;
  }

  async start(): Promise<this> {
    await this.#client.connect();
    return this;
  }

  async run(statements: string | readonly string[]): Promise<Answer> {
    this.#notices.length = 0;
    await this.#client.query(this.#prelude);
    let rows: object[] = [];
    let rowCount = 0;
    let code = 'ok';
    let failure = {};
    try {
      for (const statement of [statements].flat()) {
        const result = await this.#client.query<object>(statement);
        rows = result.rows ?? [];
        rowCount = result.rowCount ?? 0;
      }
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      code = error.code ?? 'none';
      failure = said(error);
      rows = [];
      rowCount = 0;
    }
    const text = JSON.stringify({ rows, failure, notices: this.#notices });
    await this.#client.query('rollback');
    await this.#client.query('discard all');
    return { code, rows, rowCount, text };
  }

  end(): Promise<void> {
    return this.#client.end();
  }
}

/** What a client is told; not the place in PostgreSQL's own source. */
function said(what: { [K in keyof DatabaseError]?: DatabaseError[K] | undefined }): object {
  const { code, message, detail, hint, where, internalQuery, constraint, column, table } = what;
  return { code, message, detail, hint, where, internalQuery, constraint, column, table };
}

/** Nothing comes back that the attacker did not say first. */
export function expectNoSecret(
  { secrets }: Pick<Lair, 'secrets'>,
  answer: Answer,
  statements: string | readonly string[],
  what: string,
): void {
  const asked = [statements].flat().join('\n');
  const told = secrets.filter((secret) => !asked.includes(secret) && answer.text.includes(secret));
  expect(told, `${what}: ${answer.text.slice(0, 600)}`).toEqual([]);
}
