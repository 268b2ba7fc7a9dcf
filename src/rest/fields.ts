import { CallerError } from '../errors.ts';
import { shown, wholeNumber } from '../exact-json.ts';
import { UUID } from '../identity.ts';

/** Reads one member of a body as what PostgreSQL is given for it: null when it is missing or null. */
type FieldReader = (body: Record<string, unknown>, field: string) => string | null;

/** The members that a body may have. Whether one must be there is for the SQL function to say. */
export type Fields = Readonly<Record<string, FieldReader>>;

const reader =
  (what: string, accepts: (value: string) => boolean): FieldReader =>
  (body, field) => {
    const value = body[field] ?? null;
    if (value === null || (typeof value === 'string' && accepts(value))) return value;
    throw new CallerError('VALIDATION_FAILED', `${field} must be ${what}, not ${shown(value)}.`, {
      field,
    });
  };

export const uuid = reader('a UUID', (value) => UUID.test(value));
/** PostgreSQL has no NUL in texts, and does not say which of them had one. */
export const text = reader(
  'text without NUL',
  (value) => value.isWellFormed() && !value.includes('\0'),
);
export const whole: FieldReader = wholeNumber;
export const time = reader('a time such as "2026-11-23T12:00:00Z"', isTime);

/**
 * The values of a body's members, in the order of `fields`.
 *
 * @throws {CallerError} VALIDATION_FAILED with the member for one that nobody asked for: a misspelt
 *   `cache_read_tokens` would be money that nobody sees.
 */
export function readFields(body: Record<string, unknown>, fields: Fields): (string | null)[] {
  refuseOthers(body, Object.keys(fields));
  return Object.entries(fields).map(([field, read]) => read(body, field));
}

export function refuseOthers(body: Record<string, unknown>, known: readonly string[]): void {
  const other = Object.keys(body).find((field) => !known.includes(field));
  if (other === undefined) return;
  throw new CallerError(
    'VALIDATION_FAILED',
    `${shown(other)} is no field here; there are ${known.join(', ')}.`,
    { field: other },
  );
}

const TIME =
  /^([1-9]\d{3})-(\d\d)-(\d\d)[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?$/i;

/** A day that the calendar has, and a time: what PostgreSQL reads the same way. UTC unless it says otherwise. */
function isTime(value: string): boolean {
  const [, year, month, day] = TIME.exec(value) ?? [];
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
}
