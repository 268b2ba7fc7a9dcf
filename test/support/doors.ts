import { Client } from 'pg';
import { expect } from 'vitest';
import type { Read, Write } from './actions.ts';
import type { TestDatabase } from './database.ts';
import type { GraphQLAnswer, TestServer } from './server.ts';

/** One of the three ways to the data, for a user, or null for nobody. */
export type Door = {
  /** What each way of reading shows. No ways: this door has none. */
  read(userId: string | null, read: Read): Promise<string[][]>;
  /** Whether it went through, or undefined when it can't be said at this door. */
  write(userId: string | null, write: Write): Promise<boolean | undefined>;
};

/** Sessions of people who have a login role of their own, kept open. */
export class Sessions {
  readonly #database: TestDatabase;
  readonly #sessions = new Map<string | null, Promise<Client>>();

  constructor(database: TestDatabase) {
    this.#database = database;
  }

  of(userId: string | null): Promise<Client> {
    const session = this.#sessions.get(userId) ?? this.#open(userId);
    this.#sessions.set(userId, session);
    return session;
  }

  async #open(userId: string | null): Promise<Client> {
    const client = new Client({ connectionString: await this.#database.createLogin(userId) });
    await client.connect();
    return client;
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await (await session).end();
  }
}

export function sqlDoor(sessions: Sessions): Door {
  return {
    async read(userId, { sql }) {
      const session = await sessions.of(userId);
      const ways: string[][] = [];
      for (const [text, ...values] of sql) {
        const { rows } = await session.query<{ fact: unknown }>(text, values);
        ways.push(rows.map((row) => String(row.fact)).sort());
      }
      return ways;
    },
    async write(userId, { sql }) {
      if (sql === undefined) return undefined;
      const [text, ...values] = sql;
      const session = await sessions.of(userId);
      try {
        // Rows that row-level security hides are not an error: the statement changes none.
        return (await session.query(text, values)).rowCount !== 0;
      } catch (error) {
        expect((error as { code: string }).code).toMatch(/^(42501|BU404)$/);
        return false;
      }
    },
  };
}

export function graphqlDoor(server: TestServer): Door {
  return {
    async read(userId, { graphql }) {
      const ways: string[][] = [];
      for (const query of graphql) {
        const answer = await server.graphql(userId, query);
        expect(answer.errors).toBeUndefined();
        ways.push(factsIn(answer.data).sort());
      }
      return ways;
    },
    async write(userId, { graphql }) {
      if (graphql === undefined) return undefined;
      const answer = await server.graphql(userId, graphql);
      if (answer.errors === undefined) {
        expect(Object.values(answer.data ?? {})).not.toContain(null);
        return true;
      }
      expect(codesOf(answer)).toEqual([userId === null ? 'UNAUTHENTICATED' : 'NOT_FOUND']);
      return false;
    },
  };
}

export function restDoor(server: TestServer): Door {
  const refusal = (userId: string | null) => (userId === null ? 401 : 404);
  return {
    async read(userId, { rest }) {
      if (rest === undefined) return [];
      const [path, member] = rest;
      const response = await server.request(userId, path);
      const body = (await response.json()) as Record<string, unknown>;
      expect(response.status).toBe(member in body ? 200 : refusal(userId));
      return [member in body ? [String(body[member])] : []];
    },
    async write(userId, { rest }) {
      if (rest === undefined) return undefined;
      const { path, ...init } = rest;
      const response = await server.request(userId, path, init);
      if (response.ok) return true;
      expect(response.status).toBe(refusal(userId));
      return false;
    },
  };
}

export function codesOf(answer: GraphQLAnswer): unknown[] {
  return (answer.errors ?? []).map((error) => error.extensions.code);
}

/** Whatever an answer carries under the name `fact`. */
function factsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'fact' ? [String(inner)] : factsIn(inner),
  );
}
