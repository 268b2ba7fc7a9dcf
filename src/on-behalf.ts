import { DatabaseError, type Pool, type PoolClient } from 'pg';
import { callerErrorFrom } from './errors.ts';
import {
  IntroducedQuery,
  type Introduction,
  preparedOn,
  prepareStatements,
  type QueryAnswer,
  type Statement,
} from './introduced-query.ts';
import { reachesPostgres } from './pooler.ts';
import { currentRequest, type RequestRecord } from './request.ts';
import { type RequestShare, ResultTooLarge } from './request-share.ts';

/** Through which door somebody came: the audit trail says so. */
export type Door = 'graphql' | 'rest';

/** On whose behalf one request speaks. */
export class Caller {
  /** The user's id, or null for nobody. */
  readonly userId: string | null;
  readonly door: Door;
  /** Whether the database has told this request that there is such a user. Nobody needs no telling. */
  isKnown: boolean;

  constructor(userId: string | null, door: Door) {
    this.userId = userId;
    this.door = door;
    this.isKnown = userId === null;
  }
}

/**
 * The settings with which a transaction speaks for a caller. They hold for that transaction alone, so a
 * connection that goes back to the pool speaks for nobody.
 */
export function settingsOf({ userId, door }: Pick<Caller, 'userId' | 'door'>) {
  return { role: ROLE, 'bursar.user_id': userId ?? '', 'bursar.door': door, ...LIMITS };
}

const ROLE = 'bursar_user';

/** How long a request may keep the database busy, or others waiting. */
export const TIME_LIMITS = {
  statement_timeout: '10s',
  lock_timeout: '5s',
  idle_in_transaction_session_timeout: '15s',
};

/** What is the same for everybody. */
const LIMITS = {
  TimeZone: 'UTC',
  ...TIME_LIMITS,
  // Compiling costs more than most statements take, and the planner can't tell which.
  jit: 'off',
};

const setAll = (settings: Record<string, string>, isLocal: boolean) =>
  Object.entries(settings)
    .map(([name, value]) => `set_config('${name}', '${value}', ${isLocal})`)
    .join(', ');

/** Says who speaks, or fails (BU401) for a user that does not exist; what comes after it then does not run. */
const INTRODUCTION = `select app_hidden.require_user($1), set_config('bursar.user_id', coalesce($1::text, ''), true),
  set_config('bursar.door', $2, true), ${setAll({ role: ROLE }, true)}`;

/** On a connection of our own, which knows the limits. */
const PREPARED = { name: 'introduction', text: INTRODUCTION };
/** Behind a pooler, where each transaction may be on another connection. */
const COMPLETE = { text: `${INTRODUCTION}, ${setAll(LIMITS, true)}` };

function introductionOf({ connection }: PoolClient, { userId, door }: Caller): Introduction {
  const introduction = preparedOn(connection) === undefined ? COMPLETE : PREPARED;
  return { ...introduction, values: [userId, door] };
}

/** Readies a new connection, so that its first request is as quick as the others; leaves one of a pooler as it is. */
export async function prepareConnection(client: PoolClient): Promise<void> {
  if (!(await reachesPostgres(client))) return;
  await client.query(`select ${setAll(LIMITS, false)}`);
  await client.query({ ...PREPARED, values: [null, 'rest'] });
  prepareStatements(client.connection);
}

export type Answer<Row> = { readonly rows: Row[]; readonly rowCount: number | null };

/**
 * Runs one statement on behalf of a caller, as one transaction and in one round trip. When it returns, what
 * was written is durable; when it throws, nothing was written.
 */
export function ask<Row = Record<string, unknown>>(
  pool: Pool,
  caller: Caller,
  statement: Statement,
): Promise<Answer<Row>> {
  // Looked up here: whoever gets a connection that was waited for runs where the one before let go of it.
  return askFor<Row>(currentRequest(), pool, caller, statement);
}

function askFor<Row>(
  request: RequestRecord | undefined,
  pool: Pool,
  caller: Caller,
  statement: Statement,
): Promise<Answer<Row>> {
  const share = request?.share;
  const traced = request?.trace?.statement(statement.text);
  return new Promise((resolve, reject) => {
    const done = (error: Error | undefined, answer?: QueryAnswer) => {
      share?.end();
      traced?.(error);
      if (error !== undefined) return reject(error);
      caller.isKnown = true;
      resolve(answer as Answer<Row>);
    };
    const run = () => {
      // Of an answer that has become too large, nothing more is asked.
      if (share?.hasTooMuch === true) return done(new ResultTooLarge());
      pool.connect((failure, client, release) => {
        if (client === undefined) return done(failure);
        introduced(client, [introductionOf(client, caller)], statement, share, (error, answer) => {
          release(isBroken(error) ? error : undefined);
          done(error, answer);
        });
      });
    };
    if (share === undefined) run();
    else share.begin(run);
  });
}

/** @throws BU401 for a user that does not exist, unless the database has spoken of them in this request before. */
export async function requireKnown(pool: Pool, caller: Caller): Promise<void> {
  // Also for a request that may have nothing more.
  if (!caller.isKnown) await askFor(undefined, pool, caller, { text: 'select' });
}

type Callback = (error: Error | undefined, answer: QueryAnswer) => void;

function introduced(
  client: PoolClient,
  introductions: readonly Introduction[],
  statement: Statement,
  share: RequestShare | undefined,
  callback: Callback,
): void {
  const query = new IntroducedQuery(introductions, statement, share);
  query.callback = (error, answer) => {
    const prepared = preparedOn(client.connection);
    if (isOutdated(error) && prepared !== undefined) {
      // Nothing has run: what is sent again is prepared again.
      prepared.forget(statement.text);
      const again = new IntroducedQuery(introductions, statement, share);
      again.callback = (error, answer) => callback(error ?? undefined, answer);
      client.query(again);
      return;
    }
    callback(error ?? undefined, answer);
  };
  client.query(query);
}

/** A migration changed what the statement returns since it was prepared. */
function isOutdated(error: Error | null | undefined): boolean {
  return error instanceof DatabaseError && error.code === '0A000';
}

/**
 * Whether nobody knows in what state the connection is. What PostgreSQL says of a statement leaves it whole, but for
 * one: that it has not prepared what we think it has (26000).
 */
function isBroken(error: Error | undefined): boolean {
  if (error === undefined) return false;
  return !(error instanceof DatabaseError) || error.severity === 'FATAL' || error.code === '26000';
}

/** A transaction of several statements on behalf of a caller; each waits for the one before. */
export class Transaction {
  readonly #client: PoolClient;
  readonly #depth: number;
  readonly #request = currentRequest();
  /** What the first statement still has to say, in the same write. */
  #introductions: readonly Introduction[];
  #turn: Promise<unknown> = Promise.resolve();

  constructor(client: PoolClient, introductions: readonly Introduction[] = [], depth = 0) {
    this.#client = client;
    this.#introductions = introductions;
    this.#depth = depth;
  }

  get hasBegun(): boolean {
    return this.#introductions.length === 0;
  }

  query<Row = Record<string, unknown>>(statement: Statement): Promise<Answer<Row>> {
    return this.#inTurn(() => this.#send<Row>(statement));
  }

  /** Runs `work` so that its failure undoes what it did, and nothing else. */
  savepoint<T>(work: (inner: Transaction) => Promise<T>): Promise<T> {
    const name = `s${this.#depth}`;
    return this.#inTurn(async () => {
      await this.#send({ text: `savepoint ${name}` });
      try {
        const result = await work(new Transaction(this.#client, [], this.#depth + 1));
        await this.#send({ text: `release savepoint ${name}` });
        return result;
      } catch (error) {
        await this.#send({ text: `rollback to savepoint ${name}` });
        throw error;
      }
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  #send<Row>(statement: Statement): Promise<Answer<Row>> {
    if (this.#request?.share.hasTooMuch === true) throw new ResultTooLarge();
    const introductions = this.#introductions;
    this.#introductions = [];
    const traced = this.#request?.trace?.statement(statement.text);
    return new Promise((resolve, reject) => {
      const query = new IntroducedQuery(introductions, statement, this.#request?.share);
      query.callback = (error, answer) => {
        traced?.(error ?? undefined);
        if (error) reject(error);
        else resolve(answer as unknown as Answer<Row>);
      };
      this.#client.query(query);
    });
  }
}

/**
 * Runs `work` in one transaction on behalf of a caller. It begins with the first statement, in the same write.
 *
 * The connection is thrown away, not reused, when even the rollback fails: its state is unknown then.
 */
export async function inTransactionOf<T>(
  pool: Pool,
  caller: Caller,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    const transaction = new Transaction(client, [
      { text: 'begin' },
      introductionOf(client, caller),
    ]);
    try {
      const result = await work(transaction);
      if (transaction.hasBegun) {
        const { command } = await client.query('commit');
        // So PostgreSQL answers when a statement had failed and `work` went on as if nothing were.
        if (command !== 'COMMIT') throw new Error('The transaction had failed, and was undone.');
        caller.isKnown = true;
      }
      return result;
    } catch (error) {
      // A database that has fallen silent would not answer this either; it undoes what is cut off.
      if (callerErrorFrom(error)?.code === 'UNAVAILABLE') broken = error as Error;
      else if (transaction.hasBegun) {
        await client.query('rollback').catch((e: Error) => {
          broken = e;
        });
      }
      throw error;
    }
  } finally {
    client.release(broken);
  }
}
