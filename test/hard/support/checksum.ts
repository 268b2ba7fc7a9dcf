import { Client } from 'pg';
import type { TestDatabase } from '../../support/database.ts';

export type Checksum = {
  /** Of each table, of all of its rows. */
  take(): Promise<Readonly<Record<string, string>>>;
  stop(): Promise<void>;
};

/** Tells whether anything at all was written: every table of the three schemas, past row-level security. */
export async function checksumOf(database: TestDatabase): Promise<Checksum> {
  const client = new Client({ connectionString: database.superuserUrl });
  await client.connect();
  const { rows } = await client.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class
     where relnamespace::regnamespace::text like 'app\\_%' and relkind in ('r', 'p') and not relispartition
     order by 1`,
  );
  const text = rows
    .map(
      ({ name }) =>
        `select '${name}' as name, md5(coalesce(string_agg(r::text, '|' order by r::text), '')) as sum from ${name} r`,
    )
    .join(' union all ');
  return {
    async take() {
      const result = await client.query<{ name: string; sum: string }>({ name: 'sums', text });
      return Object.fromEntries(result.rows.map(({ name, sum }) => [name, sum]));
    },
    stop: () => client.end(),
  };
}
