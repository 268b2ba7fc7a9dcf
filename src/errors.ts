/**
 * Which error a caller gets for which SQLSTATE: the one table that GraphQL, REST and
 * docs/errors.md share. Bursar's own states are BU plus the HTTP status that they mean.
 */

export type ErrorCode =
  | 'UNAUTHENTICATED'
  | 'NOT_FOUND'
  | 'FEATURE_NOT_ENABLED'
  | 'VALIDATION_FAILED'
  | 'CONFLICT'
  | 'TIMEOUT'
  | 'UNAVAILABLE'
  | 'INTERNAL';

export const STATUS_OF_CODE: Readonly<Record<ErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  NOT_FOUND: 404,
  FEATURE_NOT_ENABLED: 403,
  VALIDATION_FAILED: 400,
  CONFLICT: 409,
  TIMEOUT: 503,
  UNAVAILABLE: 503,
  INTERNAL: 500,
};

/** What HTTP says beside the status. */
export const HEADERS_OF_CODE: Readonly<Partial<Record<ErrorCode, Record<string, string>>>> = {
  UNAUTHENTICATED: { 'WWW-Authenticate': 'Bearer' },
  // In seconds.
  UNAVAILABLE: { 'Retry-After': '1' },
};

/** How much of the database's own text may reach a caller. */
type Wording =
  /** Written for callers, by Bursar or, in class 22, by PostgreSQL about the caller's own value. */
  | 'as it is'
  /** The name of the broken constraint, which is a sentence. */
  | 'by constraint'
  /** A fixed text: the database's own would tell what the caller may not know. */
  | { readonly always: string };

export type ErrorRow = {
  /** Where the value stood, when the state alone says it. */
  readonly field?: string;
  readonly sqlstate: string;
  readonly code: ErrorCode;
  readonly wording: Wording;
  readonly meaning: string;
};

export const NOT_FOUND_TEXT = 'Not found, or not yours to read or change.';
const CONFLICT_TEXT = 'Somebody else was changing the same thing: try again.';
const TIMEOUT_TEXT = 'This took too long and was stopped; nothing was written.';
const UNAVAILABLE_TEXT =
  'The database does not answer: try again in a moment. What was under way may have been done.';

export const ERROR_TABLE: readonly ErrorRow[] = [
  {
    sqlstate: 'BU400',
    code: 'VALIDATION_FAILED',
    wording: 'as it is',
    meaning:
      'A value is not acceptable; the message names it, the column field names where it stood.',
  },
  {
    sqlstate: 'BU401',
    code: 'UNAUTHENTICATED',
    wording: 'as it is',
    meaning: 'The token is valid and names no user that exists.',
  },
  {
    sqlstate: 'BU404',
    code: 'NOT_FOUND',
    wording: 'as it is',
    meaning: 'Absent, or not for the caller: the two are never told apart.',
  },
  {
    sqlstate: 'BU409',
    code: 'CONFLICT',
    wording: 'as it is',
    meaning: 'A request_id that comes again with other content, or with nothing to settle.',
  },
  {
    sqlstate: '42501',
    code: 'NOT_FOUND',
    wording: { always: NOT_FOUND_TEXT },
    meaning: 'A policy or a grant refused it.',
  },
  {
    sqlstate: '23505',
    code: 'CONFLICT',
    wording: 'by constraint',
    meaning: 'It exists already.',
  },
  {
    sqlstate: '23514',
    code: 'VALIDATION_FAILED',
    wording: 'by constraint',
    meaning: 'A value breaks a check.',
  },
  {
    sqlstate: '23503',
    code: 'VALIDATION_FAILED',
    wording: 'by constraint',
    meaning: 'What it refers to does not exist.',
  },
  {
    sqlstate: '23502',
    code: 'VALIDATION_FAILED',
    wording: { always: 'A value is missing.' },
    meaning: 'A required value is missing; the field names it.',
  },
  {
    sqlstate: '22P02',
    code: 'VALIDATION_FAILED',
    wording: 'as it is',
    meaning: 'Text that is no value of the type.',
  },
  {
    sqlstate: '22003',
    code: 'VALIDATION_FAILED',
    wording: 'as it is',
    meaning: 'A number that the type can’t hold.',
  },
  {
    sqlstate: '22007',
    code: 'VALIDATION_FAILED',
    wording: 'as it is',
    meaning: 'Text that is no date or time.',
  },
  {
    sqlstate: '22008',
    code: 'VALIDATION_FAILED',
    wording: 'as it is',
    meaning: 'A date or time that the type can’t hold.',
  },
  {
    sqlstate: '22009',
    code: 'VALIDATION_FAILED',
    wording: 'as it is',
    meaning: 'A time whose offset from UTC is none.',
  },
  {
    sqlstate: '22023',
    code: 'VALIDATION_FAILED',
    wording: 'as it is',
    meaning: 'A value that a function can’t work with, such as a time zone that is none.',
  },
  {
    sqlstate: '22021',
    code: 'VALIDATION_FAILED',
    wording: { always: 'A text has a character that can’t be stored, such as NUL.' },
    meaning: 'A NUL byte, or bytes that are no UTF-8.',
  },
  {
    sqlstate: '54001',
    code: 'VALIDATION_FAILED',
    wording: { always: 'A value is nested too deep.' },
    meaning: 'JSON within JSON, to a depth that nothing here needs.',
  },
  {
    sqlstate: '22P05',
    code: 'VALIDATION_FAILED',
    wording: { always: 'A text has a character that can’t be stored, such as NUL.' },
    meaning: 'A NUL or a lone surrogate within JSON.',
  },
  {
    sqlstate: '22P03',
    code: 'VALIDATION_FAILED',
    wording: { always: 'A value has a form that can’t be stored.' },
    meaning: 'A malformed binary value.',
  },
  {
    sqlstate: '2201W',
    code: 'VALIDATION_FAILED',
    wording: { always: 'A page can’t have a negative size.' },
    field: 'first',
    meaning: 'A negative number of rows.',
  },
  {
    sqlstate: '2201X',
    code: 'VALIDATION_FAILED',
    wording: { always: 'A page can’t begin at a negative row.' },
    field: 'offset',
    meaning: 'A negative offset.',
  },
  {
    sqlstate: '22025',
    code: 'VALIDATION_FAILED',
    wording: { always: 'A pattern ends in the middle of an escape.' },
    meaning: 'A pattern for `like` that ends with its escape character.',
  },
  {
    sqlstate: '40001',
    code: 'CONFLICT',
    wording: { always: CONFLICT_TEXT },
    meaning: 'Two transactions at odds; nothing was written.',
  },
  {
    sqlstate: '40P01',
    code: 'CONFLICT',
    wording: { always: CONFLICT_TEXT },
    meaning: 'Two transactions waited for each other; nothing was written.',
  },
  {
    sqlstate: '55P03',
    code: 'TIMEOUT',
    wording: { always: TIMEOUT_TEXT },
    meaning: 'A lock did not come in time.',
  },
  {
    sqlstate: '57014',
    code: 'TIMEOUT',
    wording: { always: TIMEOUT_TEXT },
    meaning: 'The statement ran into its time limit.',
  },
  ...[
    ['57P01', 'PostgreSQL is being stopped, or ended the connection.'],
    ['57P02', 'PostgreSQL crashed.'],
    ['57P03', 'PostgreSQL is starting, or stopping.'],
    ['57P04', 'The database was dropped.'],
    ['57P05', 'The connection was idle for longer than PostgreSQL allows.'],
    ['25P03', 'The transaction was idle for longer than PostgreSQL allows.'],
    ['53300', 'PostgreSQL has no connection left.'],
    ['53100', 'PostgreSQL has no room left on its disk.'],
    ['53200', 'PostgreSQL has no memory left.'],
    ['58030', 'PostgreSQL can’t read or write its files.'],
    ['25006', 'PostgreSQL only reads: a standby that is not the primary yet, or not any more.'],
    ['08P01', 'A pooler broke the connection off.'],
  ].map(
    ([sqlstate = '', meaning = '']): ErrorRow => ({
      sqlstate,
      code: 'UNAVAILABLE',
      wording: { always: UNAVAILABLE_TEXT },
      meaning,
    }),
  ),
];

const rowBySqlstate = new Map(ERROR_TABLE.map((row) => [row.sqlstate, row]));

/** An error that callers may see: a code, a text for people, and the field at fault where there is one. */
export class CallerError extends Error {
  override readonly name = 'CallerError';
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly feature: string | undefined;
  /** Where HTTP has a status of its own for it, other than the code's. */
  readonly status: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    about: { field?: string; feature?: string; status?: number } = {},
  ) {
    super(message);
    this.code = code;
    this.status = about.status;
    this.field = about.field;
    this.feature = about.feature;
  }
}

let constraintColumns: ReadonlyMap<string, string> = new Map();

/** Which column a constraint is about: PostgreSQL does not say it with the error. Read once, at start. */
export function rememberConstraintColumns(columns: ReadonlyMap<string, string>): void {
  constraintColumns = columns;
}

type DatabaseError = Error & {
  code?: string;
  severity?: string;
  column?: string;
  constraint?: string;
  detail?: string;
};

/** What the network says when PostgreSQL is not there, or went away. */
const BROKEN_CONNECTIONS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** The same in the words of node-postgres, which gives its own errors no code. */
const NODE_POSTGRES_SAYS = [
  /^Connection terminated/,
  /^timeout exceeded when trying to connect/,
  /^Query read timeout/,
  /^Client has encountered a connection error/,
];

function saysThatDatabaseIsAway(error: Error & { code?: string }): boolean {
  if (error.code !== undefined) return BROKEN_CONNECTIONS.has(error.code);
  return NODE_POSTGRES_SAYS.some((words) => words.test(error.message));
}

/** What a caller may see of an error that the database raised, or nothing when it tells of the inside. */
export function callerErrorFrom(error: unknown): CallerError | undefined {
  if (error instanceof CallerError) return error;
  if (!(error instanceof Error)) return undefined;
  if (saysThatDatabaseIsAway(error)) return new CallerError('UNAVAILABLE', UNAVAILABLE_TEXT);
  const { code: sqlstate, severity, column, constraint, detail, message } = error as DatabaseError;
  const row = sqlstate === undefined ? undefined : rowBySqlstate.get(sqlstate);
  if (row === undefined) return undefined;
  // PostgreSQL itself says so of what is wrong with our own messages, and goes on.
  if (sqlstate === '08P01' && severity !== 'FATAL') return undefined;
  const field =
    row.code === 'VALIDATION_FAILED'
      ? (row.field ?? column ?? constraintColumns.get(constraint ?? '') ?? keyColumn(detail))
      : undefined;
  return new CallerError(
    row.code,
    wordingOf(row.wording, message, constraint),
    field === undefined ? {} : { field },
  );
}

function wordingOf(wording: Wording, message: string, constraint: string | undefined): string {
  if (wording === 'as it is') return message;
  if (wording === 'by constraint') {
    return `This breaks the rule "${(constraint ?? 'unknown').replaceAll('_', ' ')}".`;
  }
  return wording.always;
}

/** Of `Key (organization_id, user_id)=(…) is not present`, the last column: what the caller chose. */
function keyColumn(detail: string | undefined): string | undefined {
  return detail?.match(/^Key \((?:.*, )?(\w+)\)=/)?.[1];
}
