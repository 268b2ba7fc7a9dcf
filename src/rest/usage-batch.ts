import { CallerError, callerErrorFrom } from '../errors.ts';
import { refuseOthers } from './fields.ts';

/** A batch of events, as the text that PostgreSQL reads: its numbers are the ones that were sent. */
export type UsageBatch = {
  /** `{"events": […]}` */
  readonly json: string;
  /** Of NDJSON, the number of the line on which each event stood. */
  readonly lines?: readonly number[];
};

/**
 * Reads a batch that was sent as `{"events": […]}`, or with one event a line. What an event must have is for
 * SQL to say; here it need only be flat, as PostgreSQL's reader can't go to every depth.
 *
 * @throws {CallerError} VALIDATION_FAILED for what is no batch; of NDJSON, with the number of the line.
 */
export function readUsageBatch(text: string, contentType: string | undefined): UsageBatch {
  return /^\s*application\/(x-)?ndjson\b/i.test(contentType ?? '')
    ? readLines(text)
    : readObject(text);
}

function readObject(text: string): UsageBatch {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new CallerError('VALIDATION_FAILED', 'The body is no valid JSON.');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new CallerError('VALIDATION_FAILED', 'The body must be a JSON object.');
  }
  refuseOthers(body as Record<string, unknown>, ['events']);
  const { events } = body as { events?: unknown };
  if (!Array.isArray(events)) refuse('events', 'must be an array');
  events.forEach((event: unknown, index) => {
    requireFlat(event, `events[${index}]`);
  });
  return { json: text };
}

function readLines(text: string): UsageBatch {
  const events: string[] = [];
  const lines: number[] = [];
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    let event: unknown;
    try {
      event = JSON.parse(line);
    } catch {
      throw new CallerError('VALIDATION_FAILED', `Line ${index + 1} is no valid JSON.`, {
        field: `line ${index + 1}`,
      });
    }
    requireFlat(event, `line ${index + 1}`);
    events.push(line);
    lines.push(index + 1);
  });
  return { json: `{"events": [${events.join(',')}]}`, lines };
}

function requireFlat(event: unknown, where: string): void {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    refuse(where, 'must be an object');
  }
  for (const [key, value] of Object.entries(event as object)) {
    if (typeof value === 'object' && value !== null) {
      refuse(`${where}.${key.slice(0, 60)}`, 'must be text or a number');
    }
    if (typeof value === 'string' && !value.isWellFormed()) {
      refuse(`${where}.${key.slice(0, 60)}`, 'has half a character (a lone surrogate)');
    }
    if (typeof value === 'string' && value.includes('\0')) {
      refuse(`${where}.${key.slice(0, 60)}`, 'has a character that can’t be stored (NUL)');
    }
  }
}

function refuse(field: string, problem: string): never {
  throw new CallerError('VALIDATION_FAILED', `${field} ${problem}.`, { field });
}

/** SQL counts events; whoever sent lines looks for one by its number. */
export function namingLines(error: unknown, { lines }: UsageBatch): unknown {
  const known = lines === undefined ? undefined : callerErrorFrom(error);
  if (known?.field === undefined) return error;
  const toLine = (text: string) =>
    text.replace(/^events\[(\d+)\]/, (_all, index) => `line ${lines?.[Number(index)]}`);
  return new CallerError(known.code, toLine(known.message), { field: toLine(known.field) });
}
