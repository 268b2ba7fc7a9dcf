import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import {
  authorize,
  callOf,
  discrepancies,
  eventOf,
  failure,
  listModels,
  type Row,
  record,
  rowsOf,
} from './support/ledger.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, PEOPLE, type Person, type World } from './support/world.ts';

// Section 3 of the contract, for usage and spend, through two doors: psql and GraphQL.

type Caller = Person | 'nobody';
const CALLERS: Caller[] = [...PEOPLE, 'nobody'];
const GATEWAYS: Caller[] = ['owner', 'ai_gateway'];
const OTHERS = CALLERS.filter((caller) => !GATEWAYS.includes(caller));
const SITE: Caller[] = ['owner', 'user_admin', 'auditor', 'ai_gateway'];
const ORGANIZATION: Caller[] = [
  'organization_admin',
  'organization_user_admin',
  'organization_auditor',
];

let database: TestDatabase;
let server: TestServer;
let world: World;
const sessions = new Map<Caller, Client>();

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  await listModels(database.owner);
  server = await startTestServer(database);
  for (const caller of CALLERS) {
    const client = new Client({ connectionString: await database.createLogin(idOf(caller)) });
    await client.connect();
    sessions.set(caller, client);
  }
  // Three rows at home, of the member and a colleague, and one abroad.
  const user = (id: string, group: string) =>
    eventOf(id, { group_id: group, input_tokens: 1, output_tokens: 1 });
  await record(database.owner, [
    user(world.people.member, world.group),
    user(world.people.member, world.organization),
    user(world.colleague, world.organization),
    user(world.foreigner, world.foreignGroup),
  ]);
});
afterEach(async () => {
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(async () => {
  for (const client of sessions.values()) await client.end();
  await server?.stop();
  await database?.drop();
});

function idOf(caller: Caller): string | null {
  return caller === 'nobody' ? null : world.people[caller];
}
const sql = (caller: Caller) => sessions.get(caller) as never as typeof database.owner;

const codeOf = async (caller: Caller, query: string, variables: Row): Promise<unknown> => {
  const { errors } = await server.graphql(idOf(caller), query, variables);
  return errors?.[0]?.extensions.code;
};

const MUTATIONS: Record<string, { name: string; args: () => Row; query: string }> = {
  authorize: {
    name: 'authorize_ai_spend',
    args: () => callOf(world.people.member),
    query: `mutation ($request_id: UUID!, $user_id: UUID!, $provider: String!, $model: String!, $input_tokens: BigInt!, $max_output_tokens: BigInt!) {
      authorizeAiSpend(input: { requestId: $request_id, userId: $user_id, provider: $provider, model: $model,
        inputTokens: $input_tokens, maxOutputTokens: $max_output_tokens }) { decision { allowed } } }`,
  },
  settle: {
    name: 'settle_ai_spend',
    args: () => ({ input_tokens: 0, output_tokens: 0 }),
    query: `mutation ($request_id: UUID!, $input_tokens: BigInt!, $output_tokens: BigInt!) {
      settleAiSpend(input: { requestId: $request_id, inputTokens: $input_tokens, outputTokens: $output_tokens }) {
        settlement { costMicros } } }`,
  },
  release: {
    name: 'release_ai_spend',
    args: () => ({}),
    query: `mutation ($request_id: UUID!) { releaseAiSpend(input: { requestId: $request_id }) { released } }`,
  },
  record: {
    name: 'record_ai_usage',
    args: () => ({ events: JSON.stringify([eventOf(world.people.member)]) }),
    query: `mutation ($events: JSON!) { recordAiUsage(input: { events: $events }) { receipt { recorded } } }`,
  },
  price_unpriced: {
    name: 'price_unpriced_ai_usage',
    args: () => ({}),
    query: 'mutation { priceUnpricedAiUsage(input: {}) { result { events } } }',
  },
};

/** A request that is there to be settled or released, for those that may. */
async function argsFor(action: string): Promise<Row> {
  const given = (MUTATIONS[action] as (typeof MUTATIONS)[string]).args();
  if (action !== 'settle' && action !== 'release') return given;
  const call = callOf(world.people.member);
  await authorize(database.owner, call);
  return { ...given, request_id: call.request_id };
}
const variablesOf = (args: Row): Row =>
  'events' in args ? { events: JSON.parse(String(args.events)) } : args;

describe.each(Object.entries(MUTATIONS))('%s', (action, { name, query }) => {
  test.each(GATEWAYS)('is for %s', async (caller) => {
    await rowsOf(sql(caller), name, await argsFor(action));
    expect(await codeOf(caller, query, variablesOf(await argsFor(action)))).toBeUndefined();
  });

  test.each(OTHERS)('is not for %s', async (caller) => {
    const args = await argsFor(action);
    expect(await failure(rowsOf(sql(caller), name, args))).toMatchObject({ code: '42501' });
    expect(await codeOf(caller, query, variablesOf(args))).toBe(
      caller === 'nobody' ? 'UNAUTHENTICATED' : 'NOT_FOUND',
    );
  });

  test('ends at once with the role', async () => {
    const role = [world.people.ai_gateway, 'ai_gateway'];
    await database.owner.query(
      'delete from app_public.user_site_roles where user_id = $1 and role = $2',
      role,
    );
    const args = await argsFor(action);
    expect(await failure(rowsOf(sql('ai_gateway'), name, args))).toMatchObject({ code: '42501' });
    await database.owner.query(
      'insert into app_public.user_site_roles (user_id, role) values ($1, $2)',
      role,
    );
  });
});

test('a session that claims to be somebody else gains nothing', async () => {
  const client = sql('member');
  await client.query(`set bursar.user_id = '${world.people.ai_gateway}'`);
  const error = await failure(authorize(client, callOf(world.people.member)));
  await client.query('reset bursar.user_id');
  expect(error).toMatchObject({ code: '42501' });
});

describe('reading', () => {
  const own = (id: string | null) => `user_id = '${id ?? randomUUID()}'`;
  const visible = (caller: Caller): string => {
    if (SITE.includes(caller)) return 'true';
    if (ORGANIZATION.includes(caller))
      return `${own(idOf(caller))} or organization_id = '${world.organization}'`;
    return own(idOf(caller));
  };

  test.each(CALLERS)('rows and daily totals: what %s sees', async (caller) => {
    for (const table of ['ai_usage_events', 'ai_spend_daily']) {
      const columns = 'organization_id, group_id, user_id, cost_micros';
      const select = `select ${columns} from app_public.${table}`;
      const expected = await database.owner.query(
        `${select} where ${visible(caller)} order by 1, 2, 3, 4`,
      );
      const seen = await sql(caller).query(`${select} order by 1, 2, 3, 4`);
      expect(seen.rows).toEqual(expected.rows);
      if (SITE.includes(caller)) expect(seen.rows.length).toBeGreaterThanOrEqual(4);
      if (caller === 'stranger' || caller === 'nobody') expect(seen.rows).toEqual([]);
      if (caller === 'member') {
        expect(seen.rows.length).toBeGreaterThanOrEqual(2);
        expect(new Set(seen.rows.map((row) => row.user_id))).toEqual(new Set([idOf('member')]));
      }
    }
  });

  test.each(CALLERS)('sums through GraphQL: what %s adds up', async (caller) => {
    const { data } = await server.graphql(
      idOf(caller),
      `{ aiUsageEvents { totalCount aggregates { sum { costMicros } } groupedAggregates(groupBy: USER_ID) { keys } }
         aiSpendDailies { aggregates { sum { costMicros requests } } } }`,
    );
    const { rows } = await database.owner.query(
      `select count(*)::int as n, sum(cost_micros)::text as cost, count(distinct user_id)::int as users
       from app_public.ai_usage_events where ${visible(caller)}`,
    );
    const events = data?.aiUsageEvents as {
      totalCount: number;
      aggregates: { sum: { costMicros: string } };
      groupedAggregates: unknown[];
    };
    const daily = data?.aiSpendDailies as { aggregates: { sum: Record<string, string> } };
    const { n, cost, users } = rows[0] as { n: number; cost: string | null; users: number };
    expect(events.totalCount).toBe(n);
    expect(Number(events.aggregates.sum.costMicros)).toBe(Number(cost ?? 0));
    expect(events.groupedAggregates.length).toBe(users);
    expect(Number(daily.aggregates.sum.costMicros)).toBe(Number(cost ?? 0));
    expect(Number(daily.aggregates.sum.requests)).toBe(n);
  });

  test.each(CALLERS)('the status of a group: what %s sees', async (caller) => {
    const reads = (group: string): boolean =>
      SITE.includes(caller) ||
      (ORGANIZATION.includes(caller) && group !== world.foreignGroup) ||
      (caller === 'member' && group === world.group);
    for (const group of [world.group, world.otherGroup, world.foreignGroup]) {
      const rows = await rowsOf(sql(caller), 'ai_budget_status', { group_id: group });
      expect(rows.length).toBe(reads(group) ? 1 : 0);
      const { data } = await server.graphql(
        idOf(caller),
        'query ($id: UUID!) { group(id: $id) { aiBudgetStatus { spentMicros remainingMicros mySpentMicros } } }',
        { id: group },
      );
      const answer = data?.group as { aiBudgetStatus: Row } | null;
      expect(answer !== null && answer !== undefined).toBe(reads(group));
      if (answer)
        expect(Number(answer.aiBudgetStatus.spentMicros)).toBe(Number(rows[0]?.spent_micros));
    }
  });

  test.each(CALLERS)('an explanation about somebody: what %s gets', async (caller) => {
    const may = SITE.includes(caller) || ORGANIZATION.includes(caller) || caller === 'member';
    const args = { user_id: world.people.member, provider: 'acme', model: 'unit' };
    const asked = rowsOf(sql(caller), 'explain_ai_budget', args);
    if (may) expect((await asked).length).toBe(2);
    else expect(await failure(asked)).toMatchObject({ code: 'BU404' });
    const query = `query ($user_id: UUID!, $provider: String!, $model: String!) {
      explainAiBudget(userId: $user_id, provider: $provider, model: $model) { nodes { isCharged why } } }`;
    expect(await codeOf(caller, query, args)).toBe(may ? undefined : 'NOT_FOUND');
  });

  test.each(CALLERS)('discrepancies and the history of prices: what %s sees', async (caller) => {
    await database.owner.query('update app_private.ai_spend_counters set overage_micros = 1');
    const found = await discrepancies(sql(caller));
    await database.owner.query('update app_private.ai_spend_counters set overage_micros = 0');
    expect(found.length > 0).toBe(SITE.includes(caller) || ORGANIZATION.includes(caller));
    const { rows } = await sql(caller).query('select from app_public.ai_model_price_history');
    expect(rows.length > 0).toBe(caller !== 'nobody');
  });
});

describe('the tables of the ledger', () => {
  const TABLES = ['ai_usage_events', 'ai_spend_daily', 'ai_model_price_history'];
  const HIDDEN = [
    'ai_usage_event_keys',
    'ai_spend_counters',
    'ai_spend_accounts',
    'ai_spend_requests',
    'ai_spend_counting_starts',
    'ai_usage_kept',
    'past_memberships',
    'ai_usage_events_unplaced',
  ];

  test.each(CALLERS)('are not written by %s', async (caller) => {
    for (const table of TABLES) {
      for (const statement of [
        `insert into app_public.${table} select * from app_public.${table}`,
        `update app_public.${table} set model = 'x'`,
        `delete from app_public.${table}`,
        `truncate app_public.${table}`,
      ]) {
        expect(await failure(sql(caller).query(statement)), statement).toMatchObject({
          code: '42501',
        });
      }
    }
  });

  test.each(CALLERS)('are not reached around their policies by %s', async (caller) => {
    const { rows } = await database.owner.query(
      `select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
       where i.inhparent = 'app_public.ai_usage_events'::regclass`,
    );
    expect(rows.length).toBeGreaterThanOrEqual(4);
    for (const table of [...HIDDEN, ...rows.map((row) => row.relname)]) {
      expect(
        await failure(sql(caller).query(`select from app_private.${table}`)),
        table,
      ).toMatchObject({ code: '42501' });
    }
    for (const call of [
      `app_private.book_ai_usage('{}')`,
      `app_private.make_usage_months('{}')`,
      `app_private.held_micros(null, null, null, null)`,
      `app_hidden.price_of_usage('acme', 'unit', now(), 1, 1, 0, 0)`,
    ]) {
      expect(await failure(sql(caller).query(`select ${call}`)), call).toMatchObject({
        code: '42501',
      });
    }
  });

  test('have no mutations in GraphQL', async () => {
    const { data } = await server.graphql(
      world.people.owner,
      '{ __schema { mutationType { fields { name } } } }',
    );
    const schema = data?.__schema as { mutationType: { fields: { name: string }[] } } | undefined;
    const names = schema?.mutationType.fields.map((field) => field.name) ?? [];
    expect(names).toContain('authorizeAiSpend');
    expect(
      names.filter((name) => /^(create|update|delete)Ai(Usage|Spend|ModelPriceHistory)/.test(name)),
    ).toEqual([]);
  });

  test('have row security on, partitions included', async () => {
    const { rows } = await database.owner.query(
      `select relname from pg_class
       where relname ~ '^ai_(usage|spend|model_price)' and relkind in ('r', 'p') and not relrowsecurity`,
    );
    expect(rows).toEqual([]);
  });
});

describe('the terms of a budget and of an organization', () => {
  const MANAGERS: Caller[] = [
    'owner',
    'user_admin',
    'organization_admin',
    'organization_user_admin',
  ];

  test.each(CALLERS)('are changed by %s, or not', async (caller) => {
    const changed = rowsOf(sql(caller), 'set_group_ai_budget_terms', {
      group_id: world.group,
      period: 'month',
    });
    if (MANAGERS.includes(caller)) expect((await changed).length).toBe(1);
    else expect(await failure(changed)).toMatchObject({ code: 'BU404' });
    const { rowCount } = await sql(caller).query(
      `update app_public.organizations set hold_seconds = 600, time_zone = 'UTC', unpriced_usage = 'refuse' where id = $1`,
      [world.organization],
    );
    expect(rowCount).toBe(caller === 'owner' || caller === 'organization_admin' ? 1 : 0);
  });
});
