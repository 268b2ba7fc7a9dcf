import { Pool, type PoolClient } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asUser } from './support/as-user.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import {
  authorize,
  type Company,
  callOf,
  createCompany,
  eventOf,
  listModels,
  record,
} from './support/ledger.ts';

// The statuses of a page of groups come from a view; decisions are made by functions. Both must see the same.

let database: TestDatabase;
let company: Company;
let server: Pool;

const TEAMS = Array.from({ length: 12 }, (_, n) => `team ${n}`);
const HOUR = 3_600_000;

beforeAll(async () => {
  database = await createTestDatabase();
  server = new Pool({ connectionString: database.urls.authenticator, max: 1 });
  await listModels(database.owner);
  company = await createCompany(database.owner, {
    people: ['ann', 'bob'],
    groups: Object.fromEntries(
      TEAMS.map((name, n) => [
        name,
        {
          members: ['ann', 'bob'],
          ...(n % 4 === 3
            ? {}
            : { budget: { limit: 1_000_000, appliesTo: n % 4 === 2 ? 'member' : 'group' } }),
        },
      ]),
    ),
  });
  // Two days and a half, so that days and their midnights anywhere are in it.
  await record(
    database.owner,
    Array.from({ length: 120 }, (_, n) =>
      eventOf(company.user(n % 3 === 0 ? 'bob' : 'ann'), {
        group_id: company.group(TEAMS[n % 12] ?? ''),
        input_tokens: 1 + n,
        occurred_at: new Date(Date.now() - (n * HOUR) / 2).toISOString(),
      }),
    ),
  );
  for (const name of TEAMS) {
    await authorize(
      database.owner,
      callOf(company.user('ann'), { group_id: company.group(name), input_tokens: 5 }),
    );
  }
  // Two holds are over, and nobody has swept them yet.
  await database.owner.query(
    `update app_private.ai_spend_requests set expires_at = clock_timestamp() where group_id = any ($1)`,
    [[company.group('team 1'), company.group('team 2')]],
  );
  await database.owner.query(
    `update app_private.ai_spend_accounts set swept_until = clock_timestamp() - interval '1 hour'`,
  );
});
afterAll(async () => {
  await server?.end();
  await database?.drop();
});

/** Groups of which the view and the functions that decide say different things. */
const DIFFERENCES = `
  select g.name, s.spent_micros, pool.spent_micros as pool_spent, s.held_micros, pool.held_micros as pool_held
  from app_public.groups g
    cross join lateral app_public.groups_ai_budget_status(g) s
    cross join lateral app_private.budget_standings(
      g.organization_id, array[g.id], null, clock_timestamp(), clock_timestamp()
    ) pool
  where g.organization_id = $1
    and (s.limit_micros, s.spent_micros, s.held_micros, s.overage_micros, coalesce(s.period_start, '-infinity'))
      is distinct from
      (pool.limit_micros, pool.spent_micros, pool.held_micros, pool.overage_micros,
        case when s.period_start is null then '-infinity' else pool.period_start end)`;

/** What somebody spent of each group by the events that they may read, beside what the view says. */
const MINE = `
  select g.name, s.my_spent_micros as told, coalesce((
      select sum(e.cost_micros) from app_public.ai_usage_events e
      where e.user_id = app_hidden.current_user_id() and e.organization_id = g.organization_id
        and (g.id = g.organization_id or e.group_id = g.id)
        and e.occurred_at >= coalesce(s.period_start, '-infinity') and e.occurred_at < coalesce(s.period_end, 'infinity')
    ), 0) as added_up
  from app_public.groups g cross join lateral app_public.groups_ai_budget_status(g) s
  order by g.name`;

const ZONES = ['UTC', 'Asia/Kolkata', 'America/Los_Angeles', 'Pacific/Apia'];
const PERIODS = ['day', 'week', 'month', 'quarter', 'year', 'lifetime'];

test.each(ZONES)('the status says what decisions go by: %s, all periods', async (time_zone) => {
  await company.change({ time_zone });
  for (const period of PERIODS) {
    await database.owner.query(
      `update app_public.group_ai_budgets b set period = $2
       from app_public.groups g where g.id = b.group_id and g.organization_id = $1`,
      [company.id, period],
    );
    const { rows } = await database.owner.query(DIFFERENCES, [company.id]);
    expect(rows, period).toEqual([]);
    for (const name of ['ann', 'bob']) {
      const mine = await asUser(server, company.user(name), 'rest', (client) =>
        // The view must not depend on the session's own calendar.
        client.query(`set local timezone to 'America/New_York'`).then(() => client.query(MINE)),
      );
      expect(mine.rows).toHaveLength(TEAMS.length + 1);
      expect(mine.rows.some(({ told }) => Number(told) > 0)).toBe(true);
      for (const { name: group, told, added_up } of mine.rows) {
        expect(Number(told), `${period}, ${name} in ${group}`).toBe(Number(added_up));
      }
    }
  }
});

test('one group’s status is the same by itself', async () => {
  const { rows } = await database.owner.query(
    `select g.name from app_public.groups g
       cross join lateral app_public.groups_ai_budget_status(g) page
       cross join lateral app_public.ai_budget_status(g.id) one
     where page is distinct from one`,
  );
  expect(rows).toEqual([]);
});

type Plan = {
  'Node Type': string;
  'Relation Name'?: string;
  'Function Name'?: string;
  'Actual Loops': number;
  Plans?: Plan[];
};
const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
const loopsOf = async (client: PoolClient, statement: string) => {
  const { rows } = await client.query(`explain (analyze, format json, timing off) ${statement}`);
  return nodesOf(rows[0]['QUERY PLAN'][0].Plan);
};

test('a page is planned as one query, and looks up the groups that are on it', async () => {
  await asUser(server, company.user('ann'), 'graphql', async (client) => {
    const nodes = await loopsOf(
      client,
      `select g.name, s.spent_micros, s.my_spent_micros
       from (select g.* from app_public.groups g order by g.name limit 5) g
         left join lateral app_public.groups_ai_budget_status(g) s on true`,
    );
    const functions = nodes.flatMap((node) => node['Function Name'] ?? []);
    expect(functions).not.toContain('groups_ai_budget_status');
    for (const relation of ['ai_spend_counters', 'ai_spend_accounts', 'group_ai_budgets']) {
      const loops = nodes
        .filter((node) => node['Relation Name'] === relation)
        .map((node) => node['Actual Loops']);
      expect(loops, relation).toEqual([5]);
    }
    // Which groups the caller reads is asked once, not for each group.
    const rights = nodes.filter((node) => node['Node Type'] === 'ProjectSet');
    expect(rights.length).toBeGreaterThan(0);
    for (const node of rights) expect(node['Actual Loops']).toBeLessThanOrEqual(1);
  });
});
