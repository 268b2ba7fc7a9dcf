import type { ClientBase, Pool, PoolClient } from 'pg';
import { type Door, settingsOf } from '../../src/on-behalf.ts';

/** Runs `work` in one transaction on behalf of a user, statement by statement, on a connection of the server's login. */
export async function speakingFor<T>(
  client: ClientBase,
  userId: string | null,
  door: Door,
  work: () => Promise<T>,
): Promise<T> {
  await client.query('begin');
  try {
    await client.query('select set_config(key, value, true) from json_each_text($1)', [
      JSON.stringify(settingsOf({ userId, door })),
    ]);
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

/** The same on a connection of a pool. */
export async function asUser<T>(
  pool: Pool,
  userId: string | null,
  door: Door,
  work: (client: PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    return await speakingFor(client, userId, door, () => work(client));
  } finally {
    client.release();
  }
}
