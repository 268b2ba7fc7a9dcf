import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { RequestShare } from './request-share.ts';
import type { RequestTrace, Tracing } from './tracing.ts';

/** What is known of a request while it runs, wherever its code is. */
export type RequestRecord = {
  /** The caller's X-Request-Id, or one of our own: the answer, its errors and the log carry it. */
  readonly id: string;
  /** What it asks for: of GraphQL the name of the operation, of REST the pattern of the route, which has no ids in it. */
  operation?: string;
  /** The code of the first thing that went wrong. */
  failure?: string;
  readonly trace: RequestTrace | undefined;
  /** What it takes of what all share. */
  readonly share: RequestShare;
};

/** What stands for the operations that are not told apart. */
export const OTHER_OPERATION = 'other';
/** Clients name their operations as they like, and the name goes into logs, metrics and traces. */
const LONGEST_NAME = 64;

export type EndedRequest = {
  readonly id: string;
  readonly door: 'graphql' | 'rest' | 'other';
  readonly operation: string;
  /** Whether it came from somebody whom the database knows. */
  readonly isKnown: boolean;
  /** `ok`, `aborted` by the caller, or the code of an error in lower case. */
  readonly outcome: string;
  readonly status: number;
  readonly milliseconds: number;
};

const storage = new AsyncLocalStorage<RequestRecord>();

export function currentRequest(): RequestRecord | undefined {
  return storage.getStore();
}

/** Notes what the present request asks for, and whether it may write. */
export function noteOperation(name: string, writes = false): void {
  const record = storage.getStore();
  if (record === undefined) return;
  record.operation = name.length > LONGEST_NAME ? OTHER_OPERATION : name;
  if (writes) record.share.mustNotBreakOff();
}

/** Notes with which code the present request fails; the first one stands for it. */
export function noteFailure(code: string): void {
  const record = storage.getStore();
  if (record !== undefined) record.failure ??= code;
}

/** The id under which an error of the present request is logged. */
export function errorId(): string {
  return storage.getStore()?.id ?? randomUUID();
}

/** What can be told from other text in a log, and is no means to write a second line into it. */
const WELL_FORMED = /^[\w.:-]{1,128}$/;

/** Gives each request its id and its record, and tells when it has ended. */
export function trackRequests(
  ended: (request: EndedRequest) => void,
  tracing?: Tracing,
): RequestHandler {
  return (request, response, next) => {
    const began = performance.now();
    const given = request.headers['x-request-id'];
    const id = typeof given === 'string' && WELL_FORMED.test(given) ? given : randomUUID();
    const record: RequestRecord = {
      id,
      trace: tracing?.begin(request),
      share: new RequestShare(),
    };
    response.setHeader('X-Request-Id', id);
    response.once('close', () => {
      const { statusCode: status } = response;
      const door = request.bursarCaller?.door ?? doorOf(request.originalUrl);
      const operation = record.operation ?? 'none';
      const outcome = response.writableFinished
        ? (record.failure?.toLowerCase() ?? outcomeOf(status))
        : 'aborted';
      const milliseconds = performance.now() - began;
      record.trace?.end({ id, door, operation, outcome, status });
      const caller = request.bursarCaller;
      const isKnown = caller?.isKnown === true && caller.userId !== null;
      ended({ id, door, operation, isKnown, outcome, status, milliseconds });
    });
    storage.run(record, next);
  };
}

function doorOf(url: string): EndedRequest['door'] {
  if (/^\/graphql\b/.test(url)) return 'graphql';
  return /^\/api\b/.test(url) ? 'rest' : 'other';
}

function outcomeOf(status: number): string {
  return status < 400 ? 'ok' : status < 500 ? 'refused' : 'internal';
}
