import { isSafeError } from 'postgraphile/grafast';
import {
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLScalarTypeConfig,
  print,
} from 'postgraphile/graphql';
import { CallerError, callerErrorFrom, NOT_FOUND_TEXT } from '../src/errors.ts';
import { logAbsence } from '../src/log.ts';
import { errorId, noteFailure } from '../src/request.ts';
import { afterValidation } from './after-validation.ts';
import 'postgraphile/grafserv';

/** Writes what happened inside where operators see it. Callers get the id alone. */
export type ErrorLog = (id: string, error: unknown) => void;

/**
 * Turns whatever went wrong into what a caller may see: a text for people, and `extensions.code` with the
 * field or feature for programs. What it does not know becomes INTERNAL with the id that the log carries.
 */
export function createMaskError(log: ErrorLog) {
  return (error: GraphQLError): GraphQLError => {
    if (error.extensions?.code !== undefined) {
      noteFailure(String(error.extensions.code));
      return error;
    }
    const { message, extensions } = describe(error, log);
    noteFailure(String(extensions.code));
    return reworded(error, message, extensions);
  };
}

/** The same error at the same place, in other words. */
export function reworded(
  { nodes, source, positions, path }: GraphQLError,
  message: string,
  extensions: GraphQLFormattedError['extensions'],
): GraphQLError {
  return new GraphQLError(message, {
    nodes: nodes ?? null,
    source: source ?? null,
    positions: positions ?? null,
    path: path ?? null,
    extensions,
  });
}

type Described = Pick<GraphQLFormattedError, 'message'> & { extensions: Record<string, unknown> };

function describe(error: GraphQLError, log: ErrorLog): Described {
  const cause = error.originalError ?? undefined;
  const known = callerErrorFrom(cause) ?? generatedRefusal(cause);
  if (known !== undefined) {
    if (known.code === 'UNAVAILABLE' && known !== cause) logAbsence(cause);
    return {
      message: known.message,
      extensions: {
        code: known.code,
        ...(known.field === undefined ? {} : { field: inGraphQLCase(known.field) }),
        ...(known.feature === undefined ? {} : { feature: known.feature }),
      },
    };
  }
  // Without a path nothing has run yet: the document or its variables are at fault.
  const isAboutTheRequest =
    error.path === undefined && (cause === undefined || cause instanceof GraphQLError);
  if (isAboutTheRequest) {
    const field = fieldAtFault(error);
    return {
      message: error.message,
      extensions: { code: 'VALIDATION_FAILED', ...(field === undefined ? {} : { field }) },
    };
  }
  const id = errorId();
  log(id, cause ?? error);
  return {
    message: `Something went wrong inside. The log has it as ${id}.`,
    extensions: { code: 'INTERNAL', id },
  };
}

/** What the generated parts, and those below them, say in words alone about a caller's mistake. */
const GENERATED_REFUSALS: readonly [RegExp, CallerError][] = [
  [/^No values were /, new CallerError('NOT_FOUND', NOT_FOUND_TEXT)],
  [
    /^Attempted to update a record, but no new values/,
    new CallerError('VALIDATION_FAILED', 'The patch {} changes nothing.', { field: 'patch' }),
  ],
  [
    /^Empty objects are forbidden/,
    new CallerError('VALIDATION_FAILED', 'The filter {} says nothing.', { field: 'filter' }),
  ],
  [
    /^Null literals are forbidden/,
    new CallerError(
      'VALIDATION_FAILED',
      'A filter compares with a value, and null is none: isNull asks for it.',
      { field: 'filter' },
    ),
  ],
  [
    // `having` offers each aggregate for each column, and compares how many there are with a time as well.
    /^function (?:sum|avg|stddev_\w+|var_\w+)\([a-z ]+\) does not exist$|^operator does not exist: bigint [=<>!]+ (?:timestamp|date)/,
    new CallerError(
      'VALIDATION_FAILED',
      'Groups can be told by the least and the greatest of dates and times, and by nothing else of them.',
      { field: 'having' },
    ),
  ],
  [
    /^Maximum call stack size exceeded/,
    new CallerError('VALIDATION_FAILED', 'A value is nested too deep.'),
  ],
  [
    /\bcursor\b/i,
    new CallerError('VALIDATION_FAILED', 'The cursor is none of this list.', { field: 'after' }),
  ],
];

function generatedRefusal(cause: Error | undefined): CallerError | undefined {
  if (cause === undefined) return undefined;
  const found = GENERATED_REFUSALS.find(([pattern]) => pattern.test(cause.message));
  if (found !== undefined) return found[1];
  return isSafeError(cause) ? new CallerError('VALIDATION_FAILED', cause.message) : undefined;
}

/** `spend_limit_micros` is `spendLimitMicros` here; a path into JSON stays as it is. */
export function inGraphQLCase(field: string): string {
  if (!/^[a-z_]+$/.test(field)) return field;
  return field.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}

/**
 * Where the bad value stood: GraphQL.js says it in the text for variables, and by position for literals.
 * The text is the caller's, as long as they like: no pattern here may look at it twice.
 */
function fieldAtFault(error: GraphQLError): string | undefined {
  const message = error.message.slice(0, 2_000);
  const named =
    /^Variable "\$\w+" got invalid value .{0,1500}? at "[\w.[\]]*\.(\w+)(?:\[\d+\])*"[;,]/s.exec(
      message,
    ) ??
    /^Field "(?:\w+\.)?(\w+)" (?:of required type|is not defined by type)/.exec(message) ??
    /^Variable "\$\w+" got invalid value .{0,1500}?Field "(\w+)" (?:of required type|is not defined)/s.exec(
      message,
    ) ??
    /argument "(\w+)" of type/.exec(message);
  if (named !== null) return named[1];
  const [node] = error.nodes ?? [];
  if (node?.loc === undefined) return undefined;
  const { body } = node.loc.source;
  const variable = /^Variable "\$(\w+)"/.exec(message)?.[1];
  if (variable === undefined) return nameBefore(body, node.loc.start);
  const use = body.search(new RegExp(`:\\s{0,20}\\$${variable}\\b`));
  return (use === -1 ? undefined : nameBefore(body, use + 1)) ?? variable;
}

/** Of `… name: `, with the position of what follows, the name. */
function nameBefore(body: string, position: number): string | undefined {
  const before = body.slice(Math.max(0, position - 200), position);
  return /(?<!\w)(\w{1,100})\s{0,20}:\s{0,20}\[?\s{0,20}$/.exec(before)?.[1];
}

/**
 * Gives every answer of `/graphql` that shape of error, also where no operation ran: syntax, validation,
 * methods, media types, sizes.
 */
export function createErrorsPlugin(maskError: (error: GraphQLError) => GraphQLError) {
  const plugin: GraphileConfig.Plugin = {
    name: 'BursarErrorsPlugin',
    description: 'Errors carry extensions.code, and nothing about the inside',
    version: '1.0.0',
    schema: {
      hooks: {
        GraphQLScalarType: (config) => ({ ...config, ...locatedLiterals(config) }),
      },
    },
    grafserv: {
      middleware: {
        setPreset: afterValidation((validated) =>
          validated.errors === undefined ? validated : { errors: validated.errors.map(maskError) },
        ),
        async processRequest(next) {
          const result = await next();
          if (result?.type === 'error') {
            // What can be said of a request that could not even be read; the rest is for the log.
            const isTheirs = result.statusCode < 500;
            const error = maskError(
              isTheirs
                ? new GraphQLError(result.error.message)
                : new GraphQLError('', { originalError: result.error, path: [] }),
            );
            return answerWith(result.statusCode, [error.toJSON()]);
          }
          if (result?.type === 'buffer' && result.statusCode >= 400) {
            const { errors } = JSON.parse(result.buffer.toString('utf8')) as {
              errors: GraphQLFormattedError[];
            };
            const coded = errors.map((error) =>
              error.extensions?.code === undefined
                ? maskError(new GraphQLError(error.message)).toJSON()
                : error,
            );
            return answerWith(result.statusCode, coded, {
              ...result.headers,
              ...(result.statusCode === 405 ? { allow: 'POST' } : {}),
            });
          }
          return result;
        },
      },
    },
  };
  return plugin;
}

/** A scalar that refuses a literal says which one and where; GraphQL.js adds that for variables alone. */
function locatedLiterals({ parseLiteral }: Readonly<GraphQLScalarTypeConfig<unknown, unknown>>) {
  if (parseLiteral === undefined) return {};
  const located: typeof parseLiteral = (node, variables) => {
    try {
      return parseLiteral(node, variables);
    } catch (error) {
      if (!(error instanceof GraphQLError) || error.nodes !== undefined) throw error;
      throw new GraphQLError(`${print(node).slice(0, 60)}: ${error.message}`, { nodes: node });
    }
  };
  return { parseLiteral: located };
}

function answerWith(
  statusCode: number,
  errors: readonly GraphQLFormattedError[],
  headers: Record<string, string> = {},
) {
  const buffer = Buffer.from(JSON.stringify({ errors }));
  return {
    type: 'buffer' as const,
    statusCode,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...headers,
      'content-length': String(buffer.length),
    },
    buffer,
  };
}
