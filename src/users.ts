import type { Client } from 'pg';

/**
 * Finds a user by name or id, for commands. The id wins where somebody is named like another's id.
 *
 * @param client The database's owner.
 */
export async function findUser(
  client: Client,
  nameOrId: string,
): Promise<{ id: string; username: string }> {
  const { rows } = await client.query<{ id: string; username: string }>(
    `select id, username from app_public.users where id::text = lower($1) or username = $1
     order by id::text = lower($1) desc`,
    [nameOrId],
  );
  if (rows[0] === undefined) throw new Error(`There is no user "${nameOrId}".`);
  return rows[0];
}
