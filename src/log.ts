/**
 * Writes one line of JSON to standard error. What an answer may not say of an error, this does, under the
 * id that the answer carries.
 */
export function logError(id: string, error: unknown): void {
  const { message, stack, code, detail, where } = (
    error instanceof Error ? error : new Error(String(error))
  ) as Error & { code?: string; detail?: string; where?: string };
  write('error', { id, message, sqlstate: code, detail, where, stack });
}

export function logWarning(message: string, error?: Error): void {
  // A host with several addresses fails with a code, and no text.
  write('warning', { message, cause: error?.message || (error as { code?: string })?.code });
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

function write(level: string, entry: Record<string, unknown>): void {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, ...entry })}\n`);
}
