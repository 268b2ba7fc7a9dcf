import {
  HTTP_LIMITS,
  QUERY_LIMITS,
  RESULT_LIMIT_MB,
  type ServerConfiguration,
} from '../../src/configuration.ts';
import { signToken } from '../../src/identity.ts';
import { type RunningServer, serve } from '../../src/serve.ts';
import type { TestDatabase } from './database.ts';

export const SECRET = 'a secret for tests, of more than 32 bytes';

export function configurationFor(
  database: TestDatabase,
  changes: Partial<ServerConfiguration> = {},
): ServerConfiguration {
  return {
    host: '127.0.0.1',
    port: 0,
    authDatabaseUrl: database.urls.authenticator,
    listenDatabaseUrl: database.urls.authenticator,
    workers: 1,
    poolSize: 5,
    tokens: { keys: { kind: 'secret', secret: SECRET }, issuer: undefined, audience: undefined },
    graphiql: false,
    queryLimits: QUERY_LIMITS,
    resultLimit: RESULT_LIMIT_MB * 1_048_576,
    httpLimits: HTTP_LIMITS,
    trustedDocuments: undefined,
    introspection: true,
    corsOrigins: [],
    metrics: 'nobody',
    logLevel: 'warn',
    drainSeconds: 0,
    traces: undefined,
    ...changes,
  };
}

export type GraphQLAnswer = {
  status: number;
  headers: Headers;
  data?: Record<string, unknown> | null;
  errors?: { message: string; path?: unknown[]; extensions: Record<string, unknown> }[];
};

export type TestServer = RunningServer & {
  /** A token for a user, or undefined for nobody. */
  tokenOf(userId: string | null): Promise<string | undefined>;
  /** Any request, on behalf of a user. */
  request(userId: string | null, path: string, init?: RequestInit): Promise<Response>;
  graphql(
    userId: string | null,
    query: string,
    variables?: Record<string, unknown>,
  ): Promise<GraphQLAnswer>;
};

/** The real server on a free port. */
export async function startTestServer(
  database: TestDatabase,
  changes: Partial<ServerConfiguration> = {},
): Promise<TestServer> {
  const server = await serve(configurationFor(database, changes));
  const tokens = new Map<string, Promise<string>>();
  const tokenOf = async (userId: string | null) => {
    if (userId === null) return undefined;
    const token = tokens.get(userId) ?? signToken(userId, 3600, { secret: SECRET });
    tokens.set(userId, token);
    return token;
  };
  const request = async (userId: string | null, path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    const token = await tokenOf(userId);
    if (token !== undefined && !headers.has('authorization')) {
      headers.set('authorization', `Bearer ${token}`);
    }
    return fetch(`${server.url}${path}`, { ...init, headers });
  };
  return {
    ...server,
    tokenOf,
    request,
    async graphql(userId, query, variables = {}) {
      const response = await request(userId, '/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables }),
      });
      const answer = (await response.json()) as Pick<GraphQLAnswer, 'data' | 'errors'>;
      return { status: response.status, headers: response.headers, ...answer };
    },
  };
}
