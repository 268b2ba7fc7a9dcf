import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import type { Pool } from 'pg';
import { CallerError, callerErrorFrom, HEADERS_OF_CODE, STATUS_OF_CODE } from '../errors.ts';
import { logAbsence, logError } from '../log.ts';
import { requireKnown } from '../on-behalf.ts';
import { errorId, noteFailure } from '../request.ts';

/** `{"message", "detail"?, "validations"?}`: the body of every answer that is no success. */
type ErrorBody = {
  message: string;
  detail?: string;
  validations?: { field: string; detail: string }[];
};

/** Sends JSON that is text already, such as PostgreSQL wrote it: its numbers stay exact. */
export function sendJson(response: Response, status: number, json: string): void {
  response.status(status).type('application/json').send(json);
}

function sendError(response: Response, status: number, body: ErrorBody): void {
  sendJson(response, status, JSON.stringify(body));
}

export const noSuchRoute: RequestHandler = () => {
  throw new CallerError('NOT_FOUND', 'There is no such route.');
};

/**
 * A refusal that came about without the database goes to those alone whom it knows: a token that names no user is
 * the first thing that callers learn.
 */
export function toKnownCallers(pool: Pool): ErrorRequestHandler {
  return (error, { bursarCaller }, _response, next) => {
    const refusal = refusalOf(error);
    // Nor is anything asked of a database that has just not answered.
    const isFinal = refusal === undefined || refusal.code === 'UNAVAILABLE';
    if (bursarCaller === undefined || bursarCaller.isKnown || isFinal) return next(error);
    return requireKnown(pool, bursarCaller).then(() => next(error), next);
  };
}

/** What a caller may see of what a route has thrown, or nothing when it tells of the inside. */
export function refusalOf(error: unknown): CallerError | undefined {
  return callerErrorFrom(error) ?? unreadable(error);
}

/** Answers in REST's form whatever a route has thrown. */
export const answerError: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  const known = refusalOf(error);
  if (known === undefined) {
    const id = errorId();
    noteFailure('INTERNAL');
    logError(id, error);
    sendError(response, 500, {
      message: 'Something went wrong inside.',
      detail: `The log has it as ${id}.`,
    });
    return;
  }
  noteFailure(known.code);
  const status = known.status ?? STATUS_OF_CODE[known.code];
  if (known.code === 'UNAVAILABLE' && known !== error) logAbsence(error);
  response.set(HEADERS_OF_CODE[known.code] ?? {});
  sendError(response, status, {
    message: known.message,
    ...(known.field === undefined
      ? {}
      : { validations: [{ field: known.field, detail: known.message }] }),
  });
};

/** What Express and its body reader say of a request that they can't read. */
function unreadable(error: unknown): CallerError | undefined {
  const status = (error as { status?: unknown }).status;
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined;
  const message =
    status === 413
      ? 'The body is too large.'
      : error instanceof URIError
        ? `${error.message}.`
        : 'The request can’t be read.';
  return new CallerError('VALIDATION_FAILED', message, { status });
}
