import type { Pool, PoolClient } from 'pg';
import { type Door, settingsOf } from '../../src/on-behalf.ts';

/** Runs `work` in one transaction on behalf of a user, statement by statement, on a connection of the server's login. */
export async function asUser<T>(
  pool: Pool,
  userId: string | null,
  door: Door,
  work: (client: PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query('select set_config(key, value, true) from json_each_text($1)', [
      JSON.stringify(settingsOf({ userId, door })),
    ]);
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  } finally {
    client.release();
  }
}
