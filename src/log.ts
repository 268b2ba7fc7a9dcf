import pino from 'pino';
import type { LogLevel } from './configuration.ts';
import type { EndedRequest } from './request.ts';

/**
 * Lines of JSON on standard error. What is written is put together here, field by field: no header, token, body
 * or variable of a request is ever among it.
 */
const log = pino(
  {
    level: 'warn',
    base: null,
    messageKey: 'message',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
  },
  { write: (line) => void process.stderr.write(line) },
);

/** From which level on there is anything to read; `info` has a line for each request. */
export function setLogLevel(level: LogLevel): void {
  log.level = level;
}

/** What an answer may not say of an error, under the id that the answer carries. */
export function logError(id: string, error: unknown): void {
  const { message, stack, code, detail, where } = (
    error instanceof Error ? error : new Error(String(error))
  ) as Error & { code?: string; detail?: string; where?: string };
  log.error({ id, message, sqlstate: code, detail, where, stack });
}

export function logWarning(message: string, error?: Error): void {
  log.warn({
    message,
    // A host with several addresses fails with a code, and no text.
    cause: error?.message || (error as { code?: string } | undefined)?.code,
  });
}

/** What became of a request. */
export function logRequest(request: EndedRequest): void {
  if (log.isLevelEnabled('info')) log.info({ message: 'request', ...request });
}

const REPEATED_EVERY_MS = 5_000;
const saidAt = new Map<string, number>();

/** What many requests run into at once, said once for all of them. */
export function logRepeated(message: string, error: Error): void {
  const now = performance.now();
  if (now - (saidAt.get(message) ?? Number.NEGATIVE_INFINITY) < REPEATED_EVERY_MS) return;
  saidAt.set(message, now);
  logWarning(message, error);
}

export function logAbsence(error: unknown): void {
  logRepeated('The database does not answer; requests are told to try again.', error as Error);
}
