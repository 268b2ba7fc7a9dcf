import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { dollars, exact, micros } from '../examples/client/amounts.ts';
import { type Bursar, BursarError, connect } from '../examples/client/bursar.ts';
import { generate } from '../examples/client/generate.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { type FaultyLine, startFaultyLine } from './support/faulty-line.ts';
import { OFF, ON, switchAiBridge } from './support/features.ts';
import { logOf } from './support/log.ts';
import { INSIDE, whileRaising } from './support/raising.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type Person, type World } from './support/world.ts';

let database: TestDatabase;
let world: World;
let server: TestServer;
let line: FaultyLine;
let owner: Bursar;
let gateway: Bursar;

const clientOf = async (person: Person, url = server.url) =>
  connect(url, (await server.tokenOf(world.people[person])) ?? '');

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
  line = await startFaultyLine(server.url);
  owner = await clientOf('owner');
  gateway = await clientOf('ai_gateway');
});

afterAll(async () => {
  line?.stop();
  await server?.stop();
  await database?.drop();
});

/** A call to a model that costs 3 micros a token in, 15 out. */
const callOf = (changes: object = {}) => ({
  requestId: randomUUID(),
  userId: world.people.member,
  provider: 'acme',
  model: 'one',
  inputTokens: '1000',
  maxOutputTokens: '100',
  ...changes,
});

async function errorOf(work: Promise<unknown>): Promise<BursarError> {
  const error = await work.then(
    () => expect.fail('it was expected to fail'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BursarError);
  return error as BursarError;
}

test('what was generated is what the schema and the operations say', async () => {
  const { path, content } = await generate();
  expect(await readFile(path, 'utf8'), 'out of date: run npm run codegen').toBe(content);
});

test('amounts are added, compared and shown without losing a digit', () => {
  const many = '1000000999998.999999';
  expect(micros(exact(many) + exact('0.000001'))).toBe('1000000999999');
  expect(micros(exact('-1.5') + exact('1'))).toBe('-0.5');
  expect(exact('9210')).toBe(exact('9210.000000'));
  expect(exact('9007199254740993') - exact('9007199254740992')).toBe(1_000_000n);
  expect(dollars('750000000')).toBe('$750.00');
  expect(dollars('1000000000000000')).toBe('$1000000000.00');
  expect(dollars('9999.9')).toBe('$0.00');
  expect(dollars('-12345678')).toBe('-$12.34');
  for (const wrong of ['1e6', '', '1.', '1.0000001', '1,5']) expect(() => exact(wrong)).toThrow();
});

describe('budgets', () => {
  test('are set, read, given terms and taken away', async () => {
    const admin = await clientOf('organization_admin');
    expect(await admin.setBudget(world.otherGroup, '8000001')).toMatchObject({
      groupId: world.otherGroup,
      spendLimitMicros: '8000001',
      appliesTo: 'group',
      period: 'month',
    });
    const terms = { groupId: world.otherGroup, appliesTo: 'member', period: 'day' } as const;
    expect(await admin.setTerms(terms)).toMatchObject({ appliesTo: 'member', period: 'day' });
    expect(await admin.budget(world.otherGroup)).toMatchObject({ ...terms });
    expect(await admin.removeBudget(world.otherGroup)).toMatchObject({
      spendLimitMicros: '8000001',
    });
    expect(await admin.budget(world.otherGroup)).toBeNull();
    await admin.setBudget(world.otherGroup, '7000000');
  });

  test('keep the last digit of the largest amount', async () => {
    await owner.setBudget(world.foreignGroup, '999999999999999');
    expect((await owner.budget(world.foreignGroup))?.spendLimitMicros).toBe('999999999999999');
  });

  test('say who is in the group', async () => {
    expect(await owner.group(world.group)).toMatchObject({
      name: 'Engineering',
      members: { nodes: [{ userId: world.people.member }] },
    });
    expect(await (await clientOf('stranger')).group(world.group)).toBeNull();
  });
});

describe('prices', () => {
  test('are loaded as strings come back', async () => {
    const free = { provider: 'acme', model: 'free', input_price: 0, output_price: null };
    const dear = { provider: 'acme', model: 'dear', input_price: Number.MAX_SAFE_INTEGER };
    expect(await owner.loadPrices([free, dear])).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ model: 'free', inputPrice: '0', outputPrice: null }),
        expect.objectContaining({ model: 'dear', inputPrice: '9007199254740991' }),
      ]),
    );
  });

  test('are loaded all or none, and the one at fault is named', async () => {
    const good = { provider: 'acme', model: 'good', input_price: 1 };
    const bad = { ...good, model: 'bad', input_price: -1 };
    const error = await errorOf(owner.loadPrices([good, bad]));
    expect(error).toMatchObject({ code: 'VALIDATION_FAILED', field: 'seed[1].input_price' });
    const { rowCount } = await database.owner.query(
      `select from app_public.ai_model_prices where model = 'good'`,
    );
    expect(rowCount).toBe(0);
  });
});

describe('a call', () => {
  test('is authorized, settled, and the same again has the same answer', async () => {
    const call = callOf();
    const decision = await gateway.authorize(call);
    // 1000 x 3 + 100 x 15
    expect(decision).toMatchObject({ allowed: true, reason: null, estimateMicros: '4500' });
    expect(await gateway.authorize(call)).toEqual(decision);

    const usage = { requestId: call.requestId, inputTokens: '1000', outputTokens: '7' };
    const settlement = await gateway.settle(usage);
    expect(settlement).toMatchObject({ eventId: call.requestId, costMicros: '3105' });
    expect(await gateway.settle(usage)).toEqual(settlement);
  });

  test('costs what it costs, to digits that no double has', async () => {
    await owner.loadPrices([
      { provider: 'acme', model: 'fine', input_price: 1_000_001, output_price: 0 },
    ]);
    const call = callOf({
      model: 'fine',
      userId: world.foreigner,
      organizationId: world.foreignOrganization,
      inputTokens: '1',
    });
    expect(await gateway.authorize(call)).toMatchObject({ allowed: true });
    const { costMicros } = await gateway.settle({
      requestId: call.requestId,
      inputTokens: '999999999999',
      outputTokens: '0',
    });
    // 999999999999 x 1000001 / 10^6
    expect(costMicros).toBe('1000000999998.999999');
  });

  test('is refused with the reason', async () => {
    expect(await gateway.authorize(callOf({ model: 'unheard-of' }))).toMatchObject({
      allowed: false,
      reason: 'UNPRICED_MODEL',
      holdId: null,
    });
    expect(await gateway.authorize(callOf({ inputTokens: '999999999999' }))).toMatchObject({
      allowed: false,
      reason: 'GROUP_BUDGET_EXCEEDED',
    });
  });

  test('that was not made gives its hold back', async () => {
    const call = callOf();
    await gateway.authorize(call);
    expect(await gateway.release(call.requestId)).toBe(true);
    expect(await gateway.release(call.requestId)).toBe(false);
  });
});

describe('asking again', () => {
  test.each([
    ['the answer is lost', ['answer lost', 'answer lost']],
    ['somebody on the way is away', ['turned away', 'turned away', 'turned away']],
  ] as const)('under the same id, when %s', async (_what, faults) => {
    const client = await clientOf('ai_gateway', line.url);
    const call = callOf();
    line.sent.length = 0;
    line.faults.push(...faults);
    expect(await client.authorize(call)).toMatchObject({ allowed: true, holdId: call.requestId });
    expect(line.sent).toHaveLength(faults.length + 1);
    expect(new Set(line.sent).size).toBe(1);

    line.faults.push(...faults);
    await client.settle({ requestId: call.requestId, inputTokens: '1000', outputTokens: '0' });
    const { rows } = await database.owner.query(
      'select cost_micros::float8 as cost from app_public.ai_usage_events where id = $1',
      [call.requestId],
    );
    expect(rows).toEqual([{ cost: 3000 }]);
  });

  test('ends, and says that there was no answer', async () => {
    const client = await clientOf('ai_gateway', line.url);
    line.sent.length = 0;
    line.faults.push('turned away', 'turned away', 'turned away', 'answer lost');
    const error = await errorOf(client.authorize(callOf()));
    expect(error).toMatchObject({ code: 'NO_ANSWER' });
    expect(line.sent).toHaveLength(4);
    expect(line.faults).toEqual([]);
  });

  test('is not for what would be done twice', async () => {
    const client = await clientOf('owner', line.url);
    line.faults.push('answer lost');
    const error = await errorOf(client.removeBudget(world.otherGroup));
    expect(error).toMatchObject({ code: 'NO_ANSWER' });
    expect(await client.budget(world.otherGroup)).toBeNull();
  });
});

describe('spend', () => {
  test('is read to its end, a page at a time, each row once', async () => {
    const client = await clientOf('organization_auditor', line.url);
    const models = Array.from({ length: 7 }, (_, i) => `paged-${i}`);
    await database.owner.query(
      `insert into app_public.ai_spend_daily (organization_id, day, group_id, user_id, provider, model,
         requests, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_micros,
         overage_micros, unpriced_requests)
       select $1, '2026-01-01', $1, $2, 'acme', model, 1, 0, 0, 0, 0, 0.000001, 0, 0
       from unnest($3::text[]) as model`,
      [world.organization, world.people.member, models],
    );
    line.sent.length = 0;
    const seen: string[] = [];
    for await (const row of client.dailySpend(world.organization, 2)) {
      if (row.day === '2026-01-01') seen.push(row.model);
    }
    expect(seen.toSorted()).toEqual(models);
    expect(line.sent.length).toBeGreaterThan(3);
  });
});

describe('what goes wrong has a code', () => {
  test('UNAUTHENTICATED: no token, or none that counts', async () => {
    expect(await errorOf(connect(server.url, 'none').budget(world.group))).toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    expect(await errorOf(connect(server.url, '').setBudget(world.group, '1'))).toMatchObject({
      code: 'UNAUTHENTICATED',
    });
  });

  test('NOT_FOUND: absent or not yours, which is the same', async () => {
    const member = await clientOf('member');
    const forbidden = await errorOf(member.setBudget(world.group, '1'));
    const absent = await errorOf(member.setBudget(randomUUID(), '1'));
    expect(forbidden).toMatchObject({ code: 'NOT_FOUND' });
    expect(absent).toMatchObject({ code: 'NOT_FOUND', message: forbidden.message });
  });

  test('VALIDATION_FAILED: with the field', async () => {
    expect(await errorOf(owner.setBudget(world.group, '-1'))).toMatchObject({
      code: 'VALIDATION_FAILED',
      field: 'spendLimitMicros',
    });
    expect(await errorOf(owner.setBudget('Engineering', '1'))).toMatchObject({
      code: 'VALIDATION_FAILED',
      field: 'groupId',
    });
  });

  test('CONFLICT: other content under the same id', async () => {
    const call = callOf();
    await gateway.authorize(call);
    expect(await errorOf(gateway.authorize({ ...call, model: 'two' }))).toMatchObject({
      code: 'CONFLICT',
    });
  });

  test('TIMEOUT and INTERNAL: after trying again, the latter with the id of the log', async () => {
    const authorize =
      'app_public.authorize_ai_spend(uuid, uuid, text, text, bigint, bigint, bigint, bigint, uuid, uuid)';
    const raised = (sqlstate: string) =>
      whileRaising(database.owner, authorize, sqlstate, () => errorOf(gateway.authorize(callOf())));
    expect(await raised('57014')).toMatchObject({ code: 'TIMEOUT' });
    expect(await raised('57P03')).toMatchObject({ code: 'UNAVAILABLE' });
    const { result: internal, log } = await logOf(() => raised('XX000'));
    expect(log.at(-1)?.id).toBe(internal.id);
    expect(internal).toMatchObject({
      code: 'INTERNAL',
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(internal.message).not.toContain(INSIDE);
  });

  test('FEATURE_NOT_ENABLED: with the feature', async () => {
    await switchAiBridge(database, server, world.people.owner, OFF);
    expect(await errorOf(owner.budget(world.group))).toMatchObject({
      code: 'FEATURE_NOT_ENABLED',
      feature: 'ai_bridge',
    });
    await switchAiBridge(database, server, world.people.owner, ON);
    expect(await owner.budget(world.group)).not.toBeNull();
  });
});

test('a feature in its grace period is warned of', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  await switchAiBridge(database, server, world.people.owner, { entitlement: 'grace_period' });
  expect(await owner.budget(world.group)).not.toBeNull();
  expect(warn).toHaveBeenCalledWith(expect.stringContaining('ai_bridge is in its grace period'));
  await switchAiBridge(database, server, world.people.owner, ON);
  warn.mockRestore();
});

test('main.ts runs through it all, and puts the budget back', async () => {
  await owner.setTerms({ groupId: world.group, appliesTo: 'group', period: 'quarter' });
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [join(import.meta.dirname, '../examples/client/main.ts'), world.group],
    {
      env: {
        ...process.env,
        BURSAR_URL: server.url,
        BURSAR_TOKEN: await server.tokenOf(world.people.owner),
      },
    },
  );
  expect(stderr).toBe('');
  expect(stdout.split('\n')).toEqual([
    'Engineering may spend $500.00',
    'now $750.00 a week',
    'may cost up to 21000 micros, which are held',
    'cost 9210 micros',
    'the same again: true',
    'a call that is too large: GROUP_BUDGET_EXCEEDED',
    expect.stringMatching(/^Engineering has spent \d+ micros so far$/),
    expect.stringMatching(/^VALIDATION_FAILED of spendLimitMicros: ./),
    '',
  ]);
  expect(await owner.budget(world.group)).toMatchObject({
    spendLimitMicros: '500000000',
    period: 'quarter',
  });
});
