import type { Pool } from 'pg';
import { GraphQLError } from 'postgraphile/graphql';
import 'postgraphile/grafserv/express/v4';
import { type ErrorCode, HEADERS_OF_CODE, STATUS_OF_CODE } from '../src/errors.ts';
import { logError } from '../src/log.ts';
import { requireKnown } from '../src/on-behalf.ts';
import { createMaskError } from './errors.ts';

/**
 * Nobody is answered whom the database does not know. It says so with the first statement of a request; where
 * there was none, or it failed, it is asked before the answer leaves.
 */
export function createKnownCallersPlugin(pool: Pool): GraphileConfig.Plugin {
  return {
    name: 'BursarKnownCallersPlugin',
    description: 'A token that names no user that exists is answered with 401',
    version: '1.0.0',
    grafserv: {
      middleware: {
        async processRequest(next, { requestDigest }) {
          const result = await next();
          if (result?.type === 'buffer' && saysUnavailable(result.buffer)) {
            return {
              ...result,
              statusCode: STATUS_OF_CODE.UNAVAILABLE,
              headers: { ...result.headers, ...HEADERS_OF_CODE.UNAVAILABLE },
            };
          }
          const caller = requestDigest.requestContext.expressv4?.req.bursarCaller;
          if (result === null || caller === undefined || caller.isKnown) return result;
          try {
            await requireKnown(pool, caller);
            return result;
          } catch (error) {
            const { status, headers, body } = answerOf(error);
            return {
              type: 'buffer',
              statusCode: status,
              headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
              buffer: Buffer.from(JSON.stringify(body)),
            };
          }
        },
      },
    },
  };
}

/** Whether nothing came of an operation because the database is away. */
function saysUnavailable(buffer: Buffer): boolean {
  if (!buffer.includes('"UNAVAILABLE"')) return false;
  const { data, errors } = JSON.parse(buffer.toString('utf8')) as {
    data?: Record<string, unknown> | null;
    errors?: { extensions?: { code?: unknown } }[];
  };
  const isUnavailable =
    errors?.some(({ extensions }) => extensions?.code === 'UNAVAILABLE') ?? false;
  return isUnavailable && Object.values(data ?? {}).every((value) => value === null);
}

const maskError = createMaskError(logError);

/** What a request is answered that ends before GraphQL begins, or whose answer may not leave. */
export function answerOf(error: unknown): {
  status: number;
  headers: Record<string, string>;
  body: object;
} {
  const originalError = error instanceof Error ? error : new Error(String(error));
  const { message, extensions } = maskError(new GraphQLError('', { originalError }));
  const code = extensions.code as ErrorCode;
  return {
    status: STATUS_OF_CODE[code],
    headers: HEADERS_OF_CODE[code] ?? {},
    body: { errors: [{ message, extensions }] },
  };
}
