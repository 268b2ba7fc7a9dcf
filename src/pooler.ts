import type { ClientBase } from 'pg';

/**
 * Whether a connection is one of PostgreSQL itself. A pooler shows itself: it gives each of its clients a process id of
 * its own making, for cancelling. Behind one, two transactions may run on two connections of PostgreSQL, so what is
 * set, prepared or listened to for longer than a transaction may be lost, or be somebody else's.
 *
 * A pooler by session is told apart from one by transaction by nothing, and is taken for one of these: that is
 * slower, and right.
 */
export async function reachesPostgres(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]?.pid === (client as ClientBase & { processID: number | null }).processID;
}
