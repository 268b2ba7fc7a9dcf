import type { Client } from 'pg';
import { inTransaction } from '../../src/database.ts';
import { progress } from '../progress.ts';
import { withoutIndexes } from './without-indexes.ts';
import { LARGE_ORGANIZATIONS, ORGANIZATIONS } from './world.ts';

/** How the ledger is spread, as the output says it. */
export const SPREAD =
  'Calls are spread evenly over 12 months and 100 organizations. Of the 100 people of an organization the busiest 25 make half of the calls; each person is charged to one group and calls two of five models, three times in four the same one.';

const ROWS_AT_ONCE = 500_000;

/**
 * Writes the ledger, the keys of its events, the daily totals and the counters straight into the tables, so that
 * the check of the ledger finds them in order. A longer ledger has more calls of the same people and months.
 */
export async function loadLedger(client: Client, rows: number): Promise<void> {
  await client.query(
    `select app_private.make_usage_months(array(
       select now() - make_interval(months => ago) from generate_series(0, 11) as ago))`,
  );
  await client.query(
    `create temporary table models as
     select p.*, row_number() over (order by w.place) - 1 as place
     from unnest(
         array['anthropic', 'anthropic', 'openai', 'openai', 'google'],
         array['claude-sonnet-4-5', 'claude-haiku-4-5', 'gpt-5', 'gpt-5-mini', 'gemini-2.5-pro']
       ) with ordinality as w (provider, model, place)
       join app_public.ai_model_prices p using (provider, model)`,
  );
  await client.query(
    `create temporary table callers as
     select o, r, md5('organization ' || o)::uuid as organization_id, md5('user ' || o || '.' || r)::uuid as user_id,
       md5('group ' || o || '.' || r % case when o < ${LARGE_ORGANIZATIONS} then 100 else 10 end)::uuid as group_id
     from generate_series(0, ${ORGANIZATIONS - 1}) as o cross join generate_series(0, 99) as r`,
  );
  await client.query('analyze models, callers');
  await client.query('select setseed(0.5)');

  await withoutIndexes(client, 'app_private.ai_usage_event_keys', () =>
    withoutIndexes(client, 'app_public.ai_usage_events', async () => {
      for (let written = 0; written < rows; written += ROWS_AT_ONCE) {
        await client.query(EVENTS, [written, Math.min(written + ROWS_AT_ONCE, rows) - 1]);
        progress(`ledger: ${Math.min(written + ROWS_AT_ONCE, rows).toLocaleString('en')} rows`);
      }
      await client.query(
        `insert into app_private.ai_usage_event_keys (organization_id, id, occurred_at)
         select organization_id, id, occurred_at from app_public.ai_usage_events`,
      );
      progress('ledger: indexes');
    }),
  );
  progress('ledger: daily totals');
  await withoutIndexes(client, 'app_public.ai_spend_daily', () =>
    inTransaction(client, async () => {
      await client.query("set local work_mem = '512MB'");
      await client.query(DAILY);
    }),
  );
  progress('ledger: counters');
  await client.query(
    'select app_private.count_anew(organization_id, id, clock_timestamp()) from app_public.groups',
  );
  await client.query('vacuum (analyze)');
}

// The square of a random number is below a quarter half of the time.
const EVENTS = `
  insert into app_public.ai_usage_events
    (organization_id, id, occurred_at, group_id, user_id, provider, model,
     input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
     input_price, output_price, cache_read_price, cache_write_price, cost_micros)
  select c.organization_id, gen_random_uuid(), e.occurred_at, c.group_id, c.user_id, m.provider, m.model,
    e.input, e.output, 0, 0, m.input_price, m.output_price, m.cache_read_price, m.cache_write_price,
    app_hidden.exact_cost(
      e.input, e.output, 0, 0, m.input_price, m.output_price, m.cache_read_price, m.cache_write_price)
  from (
      select n % ${ORGANIZATIONS} as o, floor(100 * power(random(), 2))::int as r,
        date_trunc('month', now(), 'UTC') - interval '11 months'
          + random() * (now() - date_trunc('month', now(), 'UTC') + interval '11 months') as occurred_at,
        1 + floor(random() * 8000)::bigint as input, 1 + floor(random() * 1200)::bigint as output,
        (random() < 0.25)::int as other
      from generate_series($1::bigint, $2::bigint) as n
    ) e
    join callers c on c.o = e.o and c.r = e.r
    join models m on m.place = (e.r + e.other) % 5`;

// Days follow each other, as they were written.
const DAILY = `
  insert into app_public.ai_spend_daily
    (organization_id, day, group_id, user_id, provider, model, requests,
     input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_micros, overage_micros, unpriced_requests)
  select organization_id, (occurred_at at time zone 'UTC')::date, group_id, user_id, provider, model, count(*),
    sum(input_tokens), sum(output_tokens), 0, 0, sum(cost_micros), 0, 0
  from app_public.ai_usage_events
  group by 1, 2, 3, 4, 5, 6
  order by 2`;
