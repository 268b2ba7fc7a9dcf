import { isDeepStrictEqual } from 'node:util';
import { Client } from 'pg';
import { inTransaction } from '../../src/database.ts';
import type { TestDatabase } from './database.ts';

/** Every row of every table that the API shows. */
export type State = Readonly<Record<string, readonly object[]>>;

export type StateKeeper = {
  take(): Promise<State>;
  /** Puts back what `state` has and `now` has not, down to the timestamps. */
  restore(state: State, now: State): Promise<void>;
  stop(): Promise<void>;
};

/** Looks at the whole database past row-level security, so that "nothing changed" means nothing at all. */
export async function createStateKeeper(database: TestDatabase): Promise<StateKeeper> {
  const client = new Client({ connectionString: database.superuserUrl });
  await client.connect();
  // Rows come back in any order, and triggers would write them anew.
  await client.query('set session_replication_role = replica');
  const { rows } = await client.query<{ name: string }>(
    `select relname as name from pg_class
     where relnamespace = 'app_public'::regnamespace and relkind in ('r', 'p') and not relispartition
       -- The trail of what was done stays, whoever undoes it: audit-trail.test.ts looks at it.
       and relname <> 'audit_events'
     order by 1`,
  );
  const tables = rows.map((row) => row.name);
  const everything = tables
    .map(
      (
        t,
      ) => `select '${t}' as name, coalesce(jsonb_agg(to_jsonb(r) order by to_jsonb(r)), '[]') as rows
              from app_public.${t} r`,
    )
    .join(' union all ');
  return {
    async take() {
      const result = await client.query<{ name: string; rows: object[] }>({
        // By name, so that PostgreSQL plans it once and not each of many hundred times.
        name: 'everything',
        text: everything,
      });
      return Object.fromEntries(result.rows.map((row) => [row.name, row.rows]));
    },
    restore: (state, now) =>
      // At once: a server that reads the features meanwhile must not find none, since nobody tells it of the rest.
      inTransaction(client, async () => {
        for (const table of tables.filter((t) => !isDeepStrictEqual(state[t], now[t]))) {
          await client.query(`delete from app_public.${table}`);
          await client.query(
            `insert into app_public.${table}
             select * from jsonb_populate_recordset(null::app_public.${table}, $1)`,
            [JSON.stringify(state[table])],
          );
        }
      }),
    stop: () => client.end(),
  };
}
