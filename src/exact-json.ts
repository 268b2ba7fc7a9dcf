import { CallerError } from './errors.ts';

/** The digits of a JSON number as they were sent: a double would have rounded them already. */
export class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Reviver = (key: string, value: unknown, context: { source: string }) => unknown;
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown;

/**
 * Reads a JSON object whose numbers stay text.
 *
 * @throws {CallerError} VALIDATION_FAILED when it is no JSON, or no object.
 */
export function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parse(text, (_key, inner, { source }) =>
      typeof inner === 'number' ? new NumberText(source) : inner,
    );
  } catch {
    throw new CallerError('VALIDATION_FAILED', 'The body is no valid JSON.');
  }
  if (
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value) ||
    value instanceof NumberText
  ) {
    throw new CallerError('VALIDATION_FAILED', 'The body must be a JSON object.');
  }
  return value as Record<string, unknown>;
}

/**
 * A member of the object that is a whole number, as its digits, or null when it is missing or null. Which
 * numbers are acceptable is for the database to say; this only makes sure that it can hold them.
 *
 * @throws {CallerError} VALIDATION_FAILED with the field for whatever else stands there.
 */
export function wholeNumber(object: Record<string, unknown>, field: string): string | null {
  const value = object[field] ?? null;
  if (value === null) return null;
  const digits =
    value instanceof NumberText && /^-?\d{1,19}$/.test(value.text) ? value.text : undefined;
  if (digits !== undefined && BigInt.asIntN(64, BigInt(digits)) === BigInt(digits)) return digits;
  throw new CallerError(
    'VALIDATION_FAILED',
    `${field} must be a whole number of 64 bits, not ${shown(value)}.`,
    { field },
  );
}

/** A value as it was sent, shortened, for a message. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value, (_key, inner) =>
    inner instanceof NumberText ? rawJSON(inner.text) : inner,
  );
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
