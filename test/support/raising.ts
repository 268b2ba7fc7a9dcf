import type { Pool } from 'pg';

/** What stands in the error that a broken function raises, and must never reach a caller. */
export const INSIDE = 'relation "vault" of /var/lib/inside.sql';

/** Makes a function of the database raise an SQLSTATE for as long as `work` runs. */
export async function whileRaising<T>(
  owner: Pool,
  signature: string,
  sqlstate: string,
  work: () => Promise<T>,
): Promise<T> {
  const { rows } = await owner.query<{ definition: string }>(
    'select pg_get_functiondef($1::regprocedure) as definition',
    [signature],
  );
  const definition = rows[0]?.definition ?? '';
  const raising = definition
    .replace(/LANGUAGE sql/, 'LANGUAGE plpgsql')
    .replace(
      /AS \$function\$[\s\S]*$/,
      `AS $function$ begin raise exception using errcode = '${sqlstate}', message = '${INSIDE}'; end $function$`,
    );
  await owner.query(raising);
  try {
    return await work();
  } finally {
    await owner.query(definition);
  }
}
