import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type Pool } from 'pg';
import { CallerError } from './errors.ts';
import { reachesPostgres } from './pooler.ts';

/** What the gate knows of one feature. */
export type FeatureState = { readonly isOn: boolean; readonly isInGracePeriod: boolean };

const RETRY_MS = 1_000;
const HEARTBEAT_MS = 10_000;
const HEARD_WITHIN_MS = 2_000;

const POOLER =
  'A pooler stands before the database, and passes no changes of features on; LISTEN_DATABASE_URL can name PostgreSQL itself.';
const ELSEWHERE =
  'Changes of features do not arrive by LISTEN_DATABASE_URL: it must lead to the same database as AUTH_DATABASE_URL.';

/**
 * Knows which features are on, for the gates of GraphQL and REST.
 *
 * A connection of its own listens for changes and then reads the states again, so that a flip holds on
 * every server as soon as PostgreSQL has passed the notification on. While that connection is away a flip
 * could be missed: until it is back, each question is answered by the database itself. So it is for good where
 * that connection is a pooler's, which need not pass notifications on.
 */
export class FeatureWatch {
  readonly #connectionString: string;
  readonly #pool: Pool;
  readonly #report: (message: string, error?: Error) => void;
  #listener: Client | undefined;
  /** The states, or undefined when they could be stale. */
  #states: ReadonlyMap<string, FeatureState> | undefined;
  /** Counts notifications, so that a read that began before one is not taken for news. */
  #version = 0;
  #isReading = false;
  /** Only then is what was read known to be true still. */
  #isListening = false;
  #retry: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(
    connectionString: string,
    pool: Pool,
    report: (message: string, error?: Error) => void,
  ) {
    this.#connectionString = connectionString;
    this.#pool = pool;
    this.#report = report;
  }

  /** Begins to listen. Resolves when the states are known, or nobody can listen; a database that is away is tried again. */
  async start(): Promise<void> {
    if (this.#stopped) return;
    const listener = new Client({
      connectionString: this.#connectionString,
      application_name: 'bursar features',
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
    });
    this.#listener = listener;
    listener.on('error', (error) => this.#lost(listener, error));
    listener.on('end', () => this.#lost(listener, new Error('the connection ended')));
    try {
      await listener.connect();
      if (!(await reachesPostgres(listener))) return await this.#leave(listener, POOLER);
      // Listen first: what changes between the two statements is then announced.
      await listener.query('listen bursar_features');
      if (!(await this.#hearsThePool(listener))) return await this.#leave(listener, ELSEWHERE);
      listener.on('notification', () => void this.#read());
      this.#isListening = true;
      await this.#read();
      // A connection that is silently dead would miss every flip from then on.
      clearInterval(this.#heartbeat);
      this.#heartbeat = setInterval(() => {
        listener.query('select').catch((error: Error) => this.#lost(listener, error));
      }, HEARTBEAT_MS);
    } catch (error) {
      this.#lost(listener, error as Error);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#isListening = false;
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    await this.#listener?.end().catch(() => {});
  }

  /**
   * Passes when the feature is on, and says whether it is so in its grace period.
   *
   * @throws {CallerError} FEATURE_NOT_ENABLED when it is off, or when there is no such feature.
   */
  async require(feature: string): Promise<FeatureState> {
    const states = this.#states ?? (await this.#readFromDatabase());
    const state = states.get(feature);
    if (state?.isOn !== true) {
      throw new CallerError('FEATURE_NOT_ENABLED', `The feature ${feature} is not on.`, {
        feature,
      });
    }
    return state;
  }

  /** Reads the states; whoever comes while a read is under way asks for one more after it, however many come. */
  async #read(): Promise<void> {
    this.#version += 1;
    // Unknown until read: whoever asks meanwhile asks the database.
    this.#states = undefined;
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      let version: number;
      do {
        version = this.#version;
        const states = await this.#readFromDatabase();
        if (version === this.#version && this.#isListening) this.#states = states;
      } while (version !== this.#version && this.#isListening);
    } catch (error) {
      this.#report('The features could not be read; trying again.', error as Error);
      if (this.#isListening) this.#retry = setTimeout(() => void this.#read(), RETRY_MS);
    } finally {
      this.#isReading = false;
    }
  }

  async #readFromDatabase(): Promise<ReadonlyMap<string, FeatureState>> {
    const { rows } = await this.#pool.query<{
      name: string;
      is_on: boolean;
      is_in_grace_period: boolean;
    }>('select name, is_on, is_in_grace_period from app_hidden.feature_states()');
    return new Map(
      rows.map((row) => [row.name, { isOn: row.is_on, isInGracePeriod: row.is_in_grace_period }]),
    );
  }

  /** Whether what is announced where the pool reads arrives here: two URLs may lead to two databases. */
  async #hearsThePool(listener: Client): Promise<boolean> {
    const token = randomUUID();
    const patience = new AbortController();
    const heard = new Promise<boolean>((resolve) => {
      listener.on('notification', ({ payload }) => payload === token && resolve(true));
    });
    await this.#pool.query("select pg_notify('bursar_features', $1)", [token]);
    const tooLate = sleep(HEARD_WITHIN_MS, false, patience).catch(() => false);
    const hears = await Promise.race([heard, tooLate]);
    patience.abort();
    listener.removeAllListeners('notification');
    return hears;
  }

  async #leave(listener: Client, why: string): Promise<void> {
    this.#listener = undefined;
    this.#report(`${why} Features are read for each request.`);
    await listener.end();
  }

  #lost(listener: Client, error: Error): void {
    // Several events tell of one loss.
    if (this.#stopped || this.#listener !== listener) return;
    this.#listener = undefined;
    this.#isListening = false;
    clearInterval(this.#heartbeat);
    this.#version += 1;
    this.#states = undefined;
    this.#report('The connection that listens for features is lost; trying again.', error);
    listener.end().catch(() => {});
    this.#retry = setTimeout(() => void this.start(), RETRY_MS);
  }
}

/** What a response says in its Warning header of features that run on borrowed time. */
export function graceWarning(features: readonly string[]): string {
  return features
    .map((feature) => `299 - "The feature ${feature} is in its grace period."`)
    .join(', ');
}
