import type { Client } from 'pg';

/**
 * Runs `work` while a table has no indexes, and makes them again as they were: in one go they are made in a
 * fraction of the time, and without the holes that rows in no order leave.
 */
export async function withoutIndexes(
  client: Client,
  table: string,
  work: () => Promise<void>,
): Promise<void> {
  const { rows } = await client.query<{ remove: string; add: string }>(
    `select
       case when c.oid is null then format('drop index %s', i.indexrelid::regclass)
         else format('alter table %s drop constraint %I', i.indrelid::regclass, c.conname) end as remove,
       case when c.oid is null then pg_get_indexdef(i.indexrelid)
         else format('alter table %s add constraint %I %s', i.indrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
       end as add
     from pg_index i left join pg_constraint c on c.conindid = i.indexrelid and c.contype in ('p', 'u')
     where i.indrelid = $1::regclass
     order by c.conname nulls last`,
    [table],
  );
  for (const { remove } of rows) await client.query(remove);
  await work();
  for (const { add } of rows) await client.query(add);
}
