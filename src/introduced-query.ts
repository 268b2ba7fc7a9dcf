import { type Connection, Query } from 'pg';
import { type RequestShare, ResultTooLarge } from './request-share.ts';

/**
 * What pg's own query class does with the protocol's messages. It is exported to be extended; its types leave
 * these out.
 */
type ProtocolQuery = {
  name: string | undefined;
  text: string;
  callback: ((error: Error | undefined, result: QueryAnswer) => void) | undefined;
  submit(connection: Connection): Error | null;
  prepare(connection: Connection): void;
  handleDataRow(message: DataRow): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
};
type DataRow = { readonly length: number };
export type QueryAnswer = { rows: unknown[]; rowCount: number | null; command: string };

const ProtocolQuery = Query as unknown as new (config: {
  text: string;
  values: readonly unknown[];
  rowMode: 'array' | undefined;
  queryMode: 'extended';
}) => ProtocolQuery;

/** The messages of pg's connections, whose types ask for more than their code does. */
type Messages = {
  parsedStatements: Record<string, string>;
  parse(message: { text: string; name?: string }): void;
  bind(message: { statement?: string; values?: readonly (string | null)[] }): void;
  execute(message: object): void;
  close(message: { type: 'S'; name: string }): void;
};

export type Statement = {
  readonly text: string;
  readonly values?: readonly unknown[];
  /** Rows as arrays, not as objects. */
  readonly rowMode?: 'array';
};

/** A statement that comes before the query, in the same write. Nobody looks at its rows. */
export type Introduction = {
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly (string | null)[];
};

/**
 * A query behind statements that introduce it, sent in one write with one synchronization point. Where no
 * transaction is open, PostgreSQL takes all up to that point as one transaction: it commits there, and its answer
 * says so, or it comes to nothing at the first error, after which it reads no further. So the query never runs without
 * its introduction, what is said "until the end of the transaction" ends with it, and the caller is answered
 * when what was written is durable, after one round trip.
 */
export class IntroducedQuery extends ProtocolQuery {
  readonly #introductions: readonly Introduction[];
  readonly #share: RequestShare | undefined;
  /** How many of the introductions have not been answered yet. */
  #unanswered: number;
  #limit = Number.POSITIVE_INFINITY;
  #connection: Connection | undefined;

  /** @param share The request's whose rows these are. */
  constructor(
    introductions: readonly Introduction[],
    { text, values = [], rowMode }: Statement,
    share?: RequestShare,
  ) {
    super({ text, values, rowMode, queryMode: 'extended' });
    this.#introductions = introductions;
    this.#share = share;
    this.#unanswered = introductions.length;
  }

  override submit(connection: Connection): Error | null {
    this.#connection = connection;
    this.#limit = resultLimits.get(connection) ?? this.#limit;
    connection.stream.cork();
    try {
      this.name = preparedOn(connection)?.nameOf(this.text);
      return super.submit(connection);
    } finally {
      connection.stream.uncork();
    }
  }

  override prepare(connection: Connection): void {
    const messages = connection as unknown as Messages;
    for (const { name, text, values = [] } of this.#introductions) {
      if (name !== undefined && messages.parsedStatements[name] === text) {
        messages.bind({ statement: name, values });
      } else {
        messages.parse({ text });
        messages.bind({ values });
      }
      messages.execute({});
    }
    super.prepare(connection);
  }

  override handleDataRow(message: DataRow): void {
    if (this.#unanswered > 0) return;
    if (this.#share?.add(message.length, this.#limit) === false) this.#breakOff();
    else super.handleDataRow(message);
  }

  /** There is no other way to stop PostgreSQL from sending the rest. */
  #breakOff(): void {
    const { callback } = this;
    this.callback = () => {};
    this.#connection?.stream.destroy();
    callback?.(new ResultTooLarge(), { rows: [], rowCount: null, command: '' });
  }

  override handleCommandComplete(message: unknown, connection: Connection): void {
    if (this.#unanswered === 0) super.handleCommandComplete(message, connection);
    else this.#unanswered -= 1;
  }
}

const resultLimits = new WeakMap<Connection, number>();

/** From now on a request that gets more bytes than this, in all its statements together, is broken off. */
export function limitResults(connection: Connection, bytes: number): void {
  resultLimits.set(connection, bytes);
}

/** As many statements as a server with many clients has in use; each costs PostgreSQL some memory. */
const MOST_PREPARED = 100;

/** The statements that a connection has prepared, so that PostgreSQL reads and plans a text once and not each time. */
export class PreparedStatements {
  readonly #messages: Messages;
  /** Names by text; the text used longest ago comes first. */
  readonly #names = new Map<string, string>();
  #count = 0;

  constructor(connection: Connection) {
    this.#messages = connection as unknown as Messages;
  }

  nameOf(text: string): string {
    const name = this.#names.get(text) ?? `s${++this.#count}`;
    this.#names.delete(text);
    this.#names.set(text, name);
    const [oldest] = this.#names.keys();
    if (this.#names.size > MOST_PREPARED && oldest !== undefined) this.forget(oldest);
    return name;
  }

  /** A name is never used for a second text, even where PostgreSQL has not come to forget the first. */
  forget(text: string): void {
    const name = this.#names.get(text);
    if (name === undefined) return;
    this.#names.delete(text);
    delete this.#messages.parsedStatements[name];
    this.#messages.close({ type: 'S', name });
  }
}

const preparedStatements = new WeakMap<Connection, PreparedStatements>();

/** From now on this connection prepares what it is asked. Without this, as behind a pooler, it never does. */
export function prepareStatements(connection: Connection): void {
  preparedStatements.set(connection, new PreparedStatements(connection));
}

/** What this connection has prepared, if it does. */
export function preparedOn(connection: Connection): PreparedStatements | undefined {
  return preparedStatements.get(connection);
}
