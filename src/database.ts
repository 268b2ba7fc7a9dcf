import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientBase, Pool, type PoolClient } from 'pg';
import { limitResults } from './introduced-query.ts';
import { prepareConnection } from './on-behalf.ts';

/** A little longer than every limit on the database’s side: it ends waits for a database that has fallen silent. */
const CLIENT_TIMEOUT_MS = 12_000;

/**
 * The server's connections, as its own login role.
 *
 * @param resultLimit The most that one request may get, in bytes.
 * @param onError Is told of connections that break while idle; they are replaced when needed.
 */
export function createPool(
  connectionString: string,
  size: number,
  resultLimit: number,
  onError: (e: Error) => void,
): Pool {
  const pool = new Pool({
    connectionString,
    max: size,
    application_name: 'bursar',
    connectionTimeoutMillis: 5_000,
    query_timeout: CLIENT_TIMEOUT_MS,
    keepAlive: true,
    onConnect: (client) => prepareConnection(client as PoolClient),
  });
  pool.on('error', onError);
  // A client that breaks while it is checked out reports to its own listeners, and without one Node ends.
  pool.on('connect', (client) => {
    client.on('error', onError);
    limitResults((client as PoolClient).connection, resultLimit);
  });
  return pool;
}

/** Whoever watches over the server asks again soon, and must not wait for its callers. PostgreSQL gives up later. */
const WATCH_TIMEOUT_MS = 2_000;

/** Connections for those who watch over the server: as many as ask at once, and none while nobody does. */
export function createWatchPool(connectionString: string, onError: (e: Error) => void): Pool {
  const pool = new Pool({
    connectionString,
    max: 2,
    application_name: 'bursar watch',
    connectionTimeoutMillis: WATCH_TIMEOUT_MS,
    query_timeout: WATCH_TIMEOUT_MS,
    statement_timeout: 10_000,
    idleTimeoutMillis: 30_000,
  });
  pool.on('error', onError);
  pool.on('connect', (client) => client.on('error', onError));
  return pool;
}

/** How long a connection may take to say goodbye. */
const GOODBYE_MS = 1_000;

/**
 * Ends a pool, and returns when its connections have ended too, which `pool.end()` alone does not wait for:
 * whoever stops PostgreSQL next would break them.
 */
export async function endPool(pool: Pool, open: OpenConnections): Promise<void> {
  const ended = pool.end();
  const patience = new AbortController();
  await Promise.race([
    ended.then(() => Promise.all(open.values())),
    sleep(GOODBYE_MS, undefined, { signal: patience.signal }).catch(() => {}),
  ]);
  patience.abort();
  // Whoever asked is gone by now: what still runs for them is cut off, and undone.
  for (const client of open.keys()) client.connection.stream.destroy();
}

/** The connections of a pool that have not ended yet, each with the promise of its end. */
export type OpenConnections = ReadonlyMap<PoolClient, Promise<unknown>>;

export function openConnections(pool: Pool): OpenConnections {
  const open = new Map<PoolClient, Promise<unknown>>();
  pool.on('connect', (connected) => {
    const client = connected as PoolClient;
    const ended: Promise<unknown> = new Promise((resolve) => client.once('end', resolve));
    open.set(client, ended);
    void ended.then(() => open.delete(client));
  });
  return open;
}

/** Runs `work` on a connection of its own, outside the pool: for commands, mostly as the database's owner. */
export async function withClient<T>(
  connectionString: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({
    connectionString,
    application_name: 'bursar',
    connectionTimeoutMillis: CLIENT_TIMEOUT_MS,
  });
  // Without a listener, a connection that breaks would end Node; the query that waits is told anyway.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

/** All of `work`, or nothing of it. */
export async function inTransaction<T>(client: ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

export async function databaseNameOf(client: ClientBase): Promise<string> {
  const { rows } = await client.query<{ name: string }>('select current_database() as name');
  return rows[0]?.name ?? '';
}
