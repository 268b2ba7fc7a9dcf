import { randomInt, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startClient } from './support/client-process.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { connectGateway, connectGateways, type Gateway } from './support/gateway.ts';
import {
  authorize,
  type Company,
  type Connection,
  callOf,
  createCompany,
  discrepancies,
  eventOf,
  listModels,
  type Row,
  record,
  release,
  rowOf,
  rowsOf,
  setPrices,
  settle,
  statusOf,
} from './support/ledger.ts';
import { createWorld, type World } from './support/world.ts';

let database: TestDatabase;
let world: World;
const gateways: Gateway[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  await listModels(database.owner);
});
afterEach(async () => {
  await Promise.all(gateways.splice(0).map((gateway) => gateway.end()));
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(() => database?.drop());

async function connect(count: number): Promise<Gateway[]> {
  const made = await connectGateways(database.urls.authenticator, world.people.ai_gateway, count);
  gateways.push(...made);
  return made;
}

const pick = <T>(of: readonly T[]): T => of[randomInt(of.length)] as T;

/** As many whole tokens as that, of any kinds: model `unit` takes a micro for each. */
function spread(total: number): { input: number; output: number; read: number; write: number } {
  const output = randomInt(total + 1);
  const read = randomInt(total - output + 1);
  const write = randomInt(total - output - read + 1);
  return { input: total - output - read - write, output, read, write };
}

function callOfSize(userId: string, size: number, changes: Row = {}): Row {
  const { input, output, read, write } = spread(size);
  return callOf(userId, {
    input_tokens: input,
    max_output_tokens: output,
    cache_read_tokens: read,
    cache_write_tokens: write,
    ...changes,
  });
}

function settlementOfSize(requestId: unknown, size: number): Row {
  const { input, output, read, write } = spread(size);
  return {
    request_id: requestId,
    input_tokens: input,
    output_tokens: output,
    cache_read_tokens: read,
    cache_write_tokens: write,
  };
}

const tokensOf = (used: Row): number =>
  sum([used.input_tokens, used.output_tokens, used.cache_read_tokens, used.cache_write_tokens]);

type Standing = { limit: number; spent: number; held: number };

/** Every budget of an organization at one instant, added up from the ledger and the holds: no counter is asked. */
async function standings(db: Connection, organizationId: string): Promise<Map<string, Standing>> {
  const { rows } = await db.query(
    `with budgets as (
       select b.group_id, b.group_id = o.id as is_everyone, b.applies_to, b.spend_limit_micros, w.*
       from app_public.organizations o
         join app_public.groups g on g.organization_id = o.id
         join app_public.group_ai_budgets b on b.group_id = g.id
         cross join lateral app_hidden.budget_window(b.period, clock_timestamp(), o.time_zone) w
       where o.id = $1
     ), amounts as (
       select group_id, user_id, occurred_at, cost_micros as spent, 0 as held
       from app_public.ai_usage_events where organization_id = $1
       union all
       select group_id, user_id, null, 0, estimate_micros
       from app_private.ai_spend_requests
       where organization_id = $1 and state = 'held' and expires_at > clock_timestamp()
     )
     select concat_ws(' ', b.group_id, case when b.applies_to = 'member' then a.user_id end) as account,
       b.spend_limit_micros as limit, coalesce(sum(a.spent), 0) as spent, coalesce(sum(a.held), 0) as held
     from budgets b
       left join amounts a on (b.is_everyone or a.group_id = b.group_id)
         and (a.occurred_at is null or a.occurred_at >= b.period_start and a.occurred_at < b.period_end)
     group by 1, 2`,
    [organizationId],
  );
  return new Map(
    rows.map((row) => [
      row.account,
      { limit: Number(row.limit), spent: Number(row.spent), held: Number(row.held) },
    ]),
  );
}

/** Looks at an organization again and again, from a connection of its own, until it is told to stop. */
async function observe(organizationId: string) {
  const client = new Client({ connectionString: database.urls.owner });
  await client.connect();
  const db = client as unknown as Connection;
  const exceeded: unknown[] = [];
  const differing: Row[] = [];
  let samples = 0;
  let over = false;
  const done = (async () => {
    while (!over) {
      for (const [account, standing] of await standings(db, organizationId)) {
        if (standing.spent + standing.held > standing.limit)
          exceeded.push({ account, ...standing });
      }
      samples += 1;
      if (samples % 25 === 0) differing.push(...(await discrepancies(db)));
    }
  })();
  return {
    async stop() {
      over = true;
      await done;
      await client.end();
      return { exceeded, differing, samples };
    },
  };
}

/** The account of a budget that refused. */
function refusingAccount(company: Company, answer: Row, userId: string): string {
  if (answer.reason === 'ORGANIZATION_BUDGET_EXCEEDED') return company.id;
  if (answer.reason === 'MEMBER_BUDGET_EXCEEDED') return `${answer.group_id} ${userId}`;
  return String(answer.group_id);
}

const sum = (amounts: readonly unknown[]): number =>
  amounts.reduce((total: number, amount) => total + Number(amount), 0);

describe('200 connections at once', () => {
  test('never exceed a budget, and are refused nothing that fits', {
    timeout: 90_000,
  }, async () => {
    const name = (letter: string, count: number) =>
      Array.from({ length: count }, (_, i) => `${letter}${i}`);
    const plan = { red: name('r', 20), blue: name('b', 20), green: name('g', 10) };
    const people = [...plan.red, ...plan.blue, ...plan.green, ...name('n', 10)];
    const company = await createCompany(database.owner, {
      people,
      groups: {
        red: { members: plan.red, budget: { limit: 40_000 } },
        blue: { members: plan.blue, budget: { limit: 4_000, appliesTo: 'member', period: 'day' } },
        green: { members: plan.green, budget: { limit: 20_000, period: 'lifetime' } },
        Everyone: { budget: { limit: 145_000, period: 'quarter' } },
      },
    });
    const connections = await connect(200);
    const watch = await observe(company.id);
    const settled: Row[] = [];
    const refused: { call: Row; size: number }[] = [];
    const askWith = async (gateway: Gateway) => {
      const size = randomInt(1, 1001);
      const call = callOfSize(company.user(pick(people)), size);
      const answer = await gateway.call((db) => authorize(db, call));
      const after = Number(answer.spent_micros) + Number(answer.held_micros);
      const limit = Number(answer.limit_micros);
      if (answer.allowed) expect(after).toBeLessThanOrEqual(limit);
      else {
        expect(after + size).toBeGreaterThan(limit);
        refused.push({ call, size });
      }
      return { call, size, answer };
    };

    // First a burst that only takes. The groups are full long before the ceiling, and that is reached as well.
    const burst = (
      await Promise.all(
        connections.map(async (gateway) => {
          const answers = [];
          for (let i = 0; i < 3; i += 1) answers.push(await askWith(gateway));
          return answers;
        }),
      )
    ).flat();
    const full = await standings(database.owner, company.id);
    const reasons = new Set(burst.map(({ answer }) => answer.reason));
    expect([...reasons].sort()).toEqual([
      'GROUP_BUDGET_EXCEEDED',
      'MEMBER_BUDGET_EXCEEDED',
      'ORGANIZATION_BUDGET_EXCEEDED',
      null,
    ]);
    expect(full.get(company.id)?.held).toBe(
      sum(burst.filter(({ answer }) => answer.allowed).map(({ size }) => size)),
    );
    // Nothing was given back, so whatever was refused fits even less now: the smallest one, too.
    for (const { call, size, answer } of burst.filter(({ answer }) => !answer.allowed)) {
      const { limit, spent, held } = full.get(
        refusingAccount(company, answer, String(call.user_id)),
      ) as Standing;
      expect(spent + held + size).toBeGreaterThan(limit);
    }

    // Then some are settled, some released, some left alone, while more ask.
    const open = burst.filter(({ answer }) => answer.allowed);
    await Promise.all(
      connections.map(async (gateway, i) => {
        for (let next = i; next < open.length; next += connections.length) {
          const one = open[next];
          if (one === undefined) break;
          const what = randomInt(10);
          if (what < 5) {
            const used = settlementOfSize(one.call.request_id, randomInt(one.size + 1));
            settled.push(await gateway.call((db) => settle(db, used)));
          } else if (what < 8) {
            const args = { hold_id: one.answer.hold_id };
            expect(await gateway.call((db) => release(db, args))).toBe(true);
          }
          await askWith(gateway);
        }
      }),
    );
    const seen = await watch.stop();
    expect(seen.exceeded).toEqual([]);
    expect(seen.differing).toEqual([]);
    expect(seen.samples).toBeGreaterThan(5);
    const end = await standings(database.owner, company.id);
    expect(end.get(company.id)?.spent).toBe(sum(settled.map(({ cost_micros }) => cost_micros)));

    // The dust settles: some that were left alone are given back, so that there is room. Then what was refused is
    // asked again, alone.
    const [alone] = connections as [Gateway];
    for (const { answer } of open.filter((_, i) => i % 2 === 0)) {
      await alone.call((db) => release(db, { hold_id: answer.hold_id }));
    }
    const count = { allowed: 0, refused: 0 };
    for (const { call, size } of refused.filter(
      (_, i) => i % Math.ceil(refused.length / 80) === 0,
    )) {
      const [{ candidate_group_id: charged, applies_to: appliesTo }] = (await rowsOf(
        database.owner,
        'explain_ai_budget',
        { user_id: call.user_id, provider: 'acme', model: 'unit' },
      )) as [Row];
      const account = appliesTo === 'member' ? `${charged} ${call.user_id}` : String(charged);
      const now = await standings(database.owner, company.id);
      const fits = [now.get(account), now.get(company.id)].every(
        (standing) =>
          standing === undefined || standing.spent + standing.held + size <= standing.limit,
      );
      const again = { ...call, request_id: randomUUID() };
      const answer = await alone.call((db) => authorize(db, again));
      expect({ call, allowed: answer.allowed }).toEqual({ call, allowed: fits });
      count[answer.allowed ? 'allowed' : 'refused'] += 1;
    }
    expect(count.allowed).toBeGreaterThan(0);
    expect(count.refused).toBeGreaterThan(0);
    for (const { limit, spent, held } of (await standings(database.owner, company.id)).values()) {
      expect(spent + held).toBeLessThanOrEqual(limit);
    }
  });
});

describe('a burst of 20 calls', () => {
  test.each([
    ['a pool', 'red', { limit: 4_999 }, 'GROUP_BUDGET_EXCEEDED'],
    ['a member’s share', 'red', { limit: 4_000, appliesTo: 'member' }, 'MEMBER_BUDGET_EXCEEDED'],
    ['the ceiling', 'Everyone', { limit: 4_500 }, 'ORGANIZATION_BUDGET_EXCEEDED'],
  ])('of which 4 fit %s lets exactly 4 through', async (_, group, budget, reason) => {
    for (let round = 0; round < 3; round += 1) {
      const company = await createCompany(database.owner, {
        people: ['ann'],
        groups: { red: { members: ['ann'] }, [group]: { members: ['ann'], budget } },
      });
      const connections = await connect(20);
      const answers = await Promise.all(
        connections.map((gateway) =>
          gateway.call((db) => authorize(db, callOfSize(company.user('ann'), 1000))),
        ),
      );
      expect(answers.filter(({ allowed }) => allowed)).toHaveLength(4);
      expect(answers.filter((answer) => answer.reason === reason)).toHaveLength(16);
      expect((await statusOf(database.owner, company.group(group))).held_micros).toBe('4000');
    }
  });
});

describe('the same thing from 20 connections at once', () => {
  test('one request is one hold, with 20 equal answers', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1500 } } },
    });
    const connections = await connect(20);
    for (const size of [1000, 900]) {
      const call = callOfSize(company.user('ann'), size);
      const answers = await Promise.all(
        connections.map((gateway) => gateway.call((db) => authorize(db, call))),
      );
      expect(answers[0]?.allowed).toBe(size === 1000);
      for (const answer of answers) expect(answer).toEqual(answers[0]);
    }
    expect(await statusOf(database.owner, company.group('red'))).toMatchObject({
      held_micros: '1000',
      spent_micros: '0',
    });
  });

  test('one request is settled once', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1500 } } },
    });
    const connections = await connect(20);
    const call = callOfSize(company.user('ann'), 1000);
    const { hold_id } = await (connections[0] as Gateway).call((db) => authorize(db, call));
    const byRequest = settlementOfSize(call.request_id, 1200);
    const { request_id: _, ...used } = byRequest;
    const answers = await Promise.all(
      connections.map((gateway, i) =>
        gateway.call((db) => settle(db, i % 2 === 0 ? byRequest : { ...used, hold_id })),
      ),
    );
    expect(answers[0]).toEqual({
      event_id: call.request_id,
      group_id: company.group('red'),
      cost_micros: '1200',
      overage_micros: '200',
    });
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await statusOf(database.owner, company.group('red'))).toMatchObject({
      held_micros: '0',
      spent_micros: '1200',
      overage_micros: '200',
    });
  });

  test('one call that is settled, released and reported counts once', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 100_000 } } },
    });
    const connections = await connect(20);
    for (let round = 0; round < 10; round += 1) {
      const call = callOfSize(company.user('ann'), 1000);
      const [first] = connections as [Gateway];
      await first.call((db) => authorize(db, call));
      const used = settlementOfSize(call.request_id, 700);
      const { request_id: id, ...tokens } = used;
      const event = eventOf(company.user('ann'), { id, ...tokens });
      await Promise.all(
        connections.map((gateway, i) =>
          gateway.call(async (db) => {
            if (i % 3 === 0) await settle(db, used);
            else if (i % 3 === 1) await record(db, [event]);
            else await release(db, { request_id: id });
          }),
        ),
      );
      expect(await statusOf(database.owner, company.group('red'))).toMatchObject({
        held_micros: '0',
        spent_micros: String((round + 1) * 700),
      });
    }
  });
});

test('6 processes that report the same events in opposite orders book each once', {
  timeout: 90_000,
}, async () => {
  const names = Array.from({ length: 10 }, (_, i) => `p${i}`);
  const company = await createCompany(database.owner, {
    people: names,
    groups: {
      red: { members: names.slice(0, 4), budget: { limit: 1_000_000_000 } },
      blue: {
        members: names.slice(3, 8),
        budget: { limit: 900_000_000, appliesTo: 'member', period: 'day' },
      },
      Everyone: { budget: { limit: 1_000_000_000, period: 'year' } },
    },
  });
  // So that there are counters to wait for.
  for (const user of names) await authorize(database.owner, callOfSize(company.user(user), 1));
  const events = Array.from({ length: 1000 }, (_, i) => {
    const { input, output, read, write } = spread(randomInt(1, 1000));
    return eventOf(company.user(pick(names)), {
      input_tokens: input,
      output_tokens: output,
      cache_read_tokens: read,
      cache_write_tokens: write,
      ...(i % 3 === 0 ? {} : { occurred_at: new Date(Date.now() - randomInt(5e8)).toISOString() }),
    });
  });
  // Each batch has half of its events in common with the one before it, and half with the one after.
  const batches = Array.from({ length: 20 }, (_, i) =>
    Array.from({ length: 100 }, (_, k) => events[(i * 50 + k) % events.length] as Row),
  );
  const folder = await mkdtemp(join(tmpdir(), 'bursar-clients-'));
  try {
    const clients = await Promise.all(
      Array.from({ length: 6 }, (_, p) => {
        const mine =
          p % 2 === 0 ? batches : batches.map((batch) => batch.toReversed()).toReversed();
        const lane = mine.map((batch, i) => ({
          key: String(i),
          name: 'record_ai_usage',
          args: { events: JSON.stringify(batch) },
        }));
        return startClient(
          { url: database.urls.authenticator, userId: world.people.ai_gateway, lanes: [lane] },
          join(folder, `${p}.json`),
        );
      }),
    );
    for (const client of clients) client.begin();
    const codes = await Promise.all(clients.map((client) => client.ended));
    expect(codes).toEqual(codes.map(() => 0));
    const answers = clients.flatMap((client) => client.answers);
    expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(answers).toHaveLength(6 * batches.length);
    expect(sum(answers.map(({ answer }) => answer?.recorded))).toBe(events.length);
  } finally {
    await rm(folder, { recursive: true });
  }
  const { rows } = await database.owner.query(
    `select count(*)::int as events, count(distinct id)::int as ids, sum(cost_micros)::int as cost
     from app_public.ai_usage_events where organization_id = $1`,
    [company.id],
  );
  expect(rows).toEqual([
    { events: events.length, ids: events.length, cost: sum(events.map(tokensOf)) },
  ]);
});

const ZONES = ['UTC', 'Asia/Tokyo', 'Asia/Kolkata', 'America/New_York', 'Europe/Berlin'];
const MORE_ZONES = ['Pacific/Apia', 'Asia/Kathmandu', 'Australia/Eucla', 'Pacific/Marquesas'];
const PERIODS = ['day', 'week', 'month', 'quarter', 'year', 'lifetime'];

test('everything at once adds up, without an error', { timeout: 90_000 }, async () => {
  const names = Array.from({ length: 12 }, (_, i) => `p${i}`);
  const company = await createCompany(database.owner, {
    people: names,
    settings: { unpriced_usage: 'allow' },
    groups: {
      red: { members: names.slice(0, 5), budget: { limit: 50_000 } },
      blue: { members: names.slice(3, 8), budget: { limit: 20_000, appliesTo: 'member' } },
      green: { members: names.slice(7, 10) },
      Everyone: { budget: { limit: 500_000 } },
    },
  });
  const errors: Record<string, number> = {};
  /** How many events were acknowledged as new, and the tokens of each. */
  const acknowledged = { events: 0, tokens: new Map<unknown, number>() };
  const count: Record<string, number> = {};
  const models = Array.from({ length: 12 }, () => `late ${randomUUID()}`);
  const KINDS = ['ask', 'report', 'administer', 'price', 'late'];
  const until = Date.now() + 2_000;
  const modelOf = () => (randomInt(4) === 0 ? pick(models) : 'unit');
  const aDayInTheLast = (months: number) =>
    new Date(Date.now() - randomInt(months * 30 * 24 * 3600) * 1000).toISOString();
  const seen: Row[][] = [];

  const ask = async (gateway: Gateway) => {
    const size = randomInt(1, 1000);
    const call = callOfSize(company.user(pick(names)), size, { model: modelOf() });
    const { allowed } = await gateway.call((db) => authorize(db, call));
    if (!allowed) return;
    if (randomInt(5) === 0) {
      await gateway.call((db) => release(db, { request_id: call.request_id }));
      return;
    }
    const used = settlementOfSize(call.request_id, randomInt(size * 2));
    if (randomInt(3) === 0) used.occurred_at = aDayInTheLast(2);
    await gateway.call((db) => settle(db, used));
    acknowledged.events += 1;
    acknowledged.tokens.set(call.request_id, tokensOf(used));
  };
  const report = async (gateway: Gateway) => {
    const batch = Array.from({ length: randomInt(1, 30) }, () => {
      const { input, output, read, write } = spread(randomInt(1000));
      return eventOf(company.user(pick(names)), {
        model: modelOf(),
        input_tokens: input,
        output_tokens: output,
        cache_read_tokens: read,
        cache_write_tokens: write,
        ...(randomInt(2) === 0 ? {} : { occurred_at: aDayInTheLast(24) }),
      });
    });
    // Others' events, too: half of the batch comes again from somewhere else.
    seen.push(batch);
    const again = pick(seen).slice(0, 10);
    const given = [...batch, ...again];
    const { recorded } = await gateway.call((db) => record(db, given));
    acknowledged.events += Number(recorded);
    for (const event of given) acknowledged.tokens.set(event.id, tokensOf(event));
  };
  const administer = async (gateway: Gateway) => {
    const group = pick(['red', 'blue', 'green', 'Everyone']);
    const what = randomInt(4);
    if (what === 0) {
      await gateway.call((db) =>
        rowOf(db, 'upsert_group_ai_budget', {
          group_id: company.group(group),
          spend_limit_micros: randomInt(10_000, 1_000_000),
        }),
      );
    } else if (what === 1) {
      const args = {
        group_id: company.group(pick(['red', 'blue', 'Everyone'])),
        applies_to: pick(['group', 'member']),
        period: pick(PERIODS),
      };
      await gateway.call((db) => rowOf(db, 'set_group_ai_budget_terms', args));
    } else if (what === 2) {
      await company.change({ time_zone: pick([...ZONES, ...MORE_ZONES]) });
    } else {
      await statusOf(database.owner, company.group(group));
    }
  };
  const price = async (gateway: Gateway) => {
    await sleep(100);
    const next = models[count.priced ?? 0];
    if (next !== undefined && randomInt(3) === 0) {
      count.priced = (count.priced ?? 0) + 1;
      const one = 1_000_000;
      const prices = { input_price: one, output_price: one };
      await setPrices(database.owner, [
        { provider: 'acme', model: next, ...prices, cache_read_price: one, cache_write_price: one },
      ]);
    }
    for (const row of await gateway.call((db) => rowsOf(db, 'price_unpriced_ai_usage'))) {
      if (row.organization_id === company.id) count.late = (count.late ?? 0) + Number(row.events);
    }
  };
  const drive = async (gateway: Gateway, name: string, work: (g: Gateway) => Promise<void>) => {
    // On a slow machine longer, until there was some of everything.
    while (
      Date.now() < until ||
      (KINDS.some((kind) => !count[kind]) && Date.now() < until + 30_000)
    ) {
      try {
        await work(gateway);
        count[name] = (count[name] ?? 0) + 1;
      } catch (error) {
        const code = String((error as Row).code ?? error);
        errors[code] = (errors[code] ?? 0) + 1;
      }
    }
  };
  // Whoever changes budgets must be an owner.
  const owners = await Promise.all(
    [1, 2, 3].map(() => connectGateway(database.urls.authenticator, world.people.owner)),
  );
  gateways.push(...owners);
  const connections = await connect(36);
  await Promise.all([
    ...connections.map((gateway, i) =>
      i % 3 === 0 ? drive(gateway, 'report', report) : drive(gateway, 'ask', ask),
    ),
    ...owners.map((gateway, i) =>
      i === 0 ? drive(gateway, 'price', price) : drive(gateway, 'administer', administer),
    ),
  ]);
  expect(errors).toEqual({});
  for (const name of KINDS) {
    expect({ [name]: count[name] }).toEqual({ [name]: expect.any(Number) });
  }
  const { rows } = await database.owner.query(
    `select id, input_tokens + output_tokens + cache_read_tokens + cache_write_tokens as tokens, model, cost_micros
     from app_public.ai_usage_events where organization_id = $1`,
    [company.id],
  );
  expect(rows).toHaveLength(acknowledged.events);
  expect(new Map(rows.map(({ id, tokens }) => [id, Number(tokens)]))).toEqual(acknowledged.tokens);
  // A micro for each token: at once, or when the price came, or not yet.
  const wrong = rows.filter(({ tokens, model, cost_micros: cost }) =>
    cost === null ? model === 'unit' : Number(cost) !== Number(tokens),
  );
  expect(wrong).toEqual([]);
  expect(await discrepancies(database.owner)).toEqual([]);
});
