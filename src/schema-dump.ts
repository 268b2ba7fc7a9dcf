import type { Client } from 'pg';

/**
 * PLACEHOLDER with the signature of what replaces it: columns, constraints, functions, policies and grants as
 * the catalogue has them. Months of the ledger depend on the calendar, and are left out.
 */
export async function dumpSchema(client: Client): Promise<string> {
  const { rows } = await client.query<{ line: string }>(`
    with ours as (
      select oid, nspname from pg_namespace where nspname in ('app_public', 'app_hidden', 'app_private')
    ), tables as (
      select c.* from pg_class c join ours on ours.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v') and c.relname !~ '_[0-9]{4}_[0-9]{2}$'
    )
    select line from (
      select format('column %s.%s %s%s%s', c.oid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
        case when a.attnotnull then ' not null' end, ' default ' || pg_get_expr(d.adbin, d.adrelid)) as line
      from tables c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
      union all
      select format('constraint %s.%s %s%s', c.oid::regclass, k.conname, pg_get_constraintdef(k.oid), case when not k.convalidated then ' not valid' end)
      from tables c join pg_constraint k on k.conrelid = c.oid
      union all
      select format('index %s', pg_get_indexdef(i.indexrelid)) from tables c join pg_index i on i.indrelid = c.oid
      union all
      select format('policy %s.%s %s %s', c.oid::regclass, p.polname, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
      from tables c join pg_policy p on p.polrelid = c.oid
      union all
      select format('trigger %s', pg_get_triggerdef(t.oid)) from tables c join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
      union all
      select format('grants %s %s', c.oid::regclass, c.relacl) from tables c
      union all
      select format('function %s %s %s', p.oid::regprocedure, md5(pg_get_functiondef(p.oid)), p.proacl)
      from pg_proc p join ours on ours.oid = p.pronamespace
    ) all_lines
    order by line collate "C"`);
  return `${rows.map((row) => row.line).join('\n')}\n`;
}
