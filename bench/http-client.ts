import { Client } from 'undici';
import { signToken } from '../src/identity.ts';
import { JWT_SECRET } from './servers.ts';

/** One connection, on which one request is under way at a time. */
export type Connection = {
  /** Sends JSON, or asks without a body, and returns what came back; throws unless the status is 200. */
  ask(method: 'GET' | 'POST' | 'PUT', path: string, token: string, body?: string): Promise<unknown>;
  close(): Promise<void>;
};

export function connectTo(url: string): Connection {
  const client = new Client(url, { pipelining: 1 });
  return {
    async ask(method, path, token, body) {
      const headers: Record<string, string> = { authorization: `Bearer ${token}` };
      if (body !== undefined) headers['content-type'] = 'application/json';
      const answer = await client.request({ method, path, headers, body: body ?? null });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) {
        throw new Error(
          `${method} ${path} was answered ${answer.statusCode}: ${text.slice(0, 500)}`,
        );
      }
      return JSON.parse(text);
    },
    close: () => client.close(),
  };
}

export const tokenOf = (userId: string) => signToken(userId, 24 * 3600, { secret: JWT_SECRET });

/** Asks by GraphQL and returns `data`; throws when there are errors. */
export async function askGraphql<T>(
  connection: Connection,
  token: string,
  query: string,
  variables: object,
): Promise<T> {
  const answer = (await connection.ask(
    'POST',
    '/graphql',
    token,
    JSON.stringify({ query, variables }),
  )) as { data?: T; errors?: unknown };
  if (answer.errors !== undefined || answer.data === undefined) {
    throw new Error(`GraphQL answered ${JSON.stringify(answer).slice(0, 500)}`);
  }
  return answer.data;
}
