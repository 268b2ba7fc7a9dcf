import { CallerError } from './errors.ts';

/** As many as the parts of a page that clients ask for at once. */
const STATEMENTS_AT_ONCE = 4;

/** What a row takes in memory beside its values. */
const BYTES_OF_A_ROW = 64;

/**
 * What one request takes of what all share: connections to the database, and memory for what comes from it. However
 * much it asks for, others come in between.
 */
export class RequestShare {
  #bytes = 0;
  #hasTooMuch = false;
  #breaksOff = true;
  #free = STATEMENTS_AT_ONCE;
  readonly #waiting: (() => void)[] = [];

  /** Whether more has come than may; then no other statement is begun. */
  get hasTooMuch(): boolean {
    return this.#hasTooMuch;
  }

  /** For a request that writes: nobody could say of a statement that was broken off whether it has written. */
  mustNotBreakOff(): void {
    this.#breaksOff = false;
  }

  /** Counts a row of so many bytes. Returns whether its statement may go on; `limit` is in bytes. */
  add(bytes: number, limit: number): boolean {
    this.#bytes += bytes + BYTES_OF_A_ROW;
    this.#hasTooMuch ||= this.#bytes > limit;
    return !this.#hasTooMuch || !this.#breaksOff;
  }

  /** Runs `statement` when the request may have one more; it calls `end` when it is done. */
  begin(statement: () => void): void {
    if (this.#free === 0) {
      this.#waiting.push(statement);
      return;
    }
    this.#free -= 1;
    statement();
  }

  end(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}

/** More than the server keeps in memory for one request. */
export class ResultTooLarge extends CallerError {
  constructor() {
    super(
      'VALIDATION_FAILED',
      'This is more than is answered at once: ask for a page, with first.',
      {
        field: 'first',
      },
    );
  }
}
