import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, PEOPLE, type World } from './support/world.ts';

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  // $1.50 and $6 a million, so that amounts have halves; and a model that nobody knows the price of.
  await database.owner.query(
    `insert into app_public.ai_model_prices
       (provider, model, input_price, output_price, cache_read_price, cache_write_price)
     values ('acme', 'half', 1500000, 6000000, 150001, 1875000), ('acme', 'unknown', null, null, null, null)`,
  );
  server = await startTestServer(database, { poolSize: 10 });
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

afterEach(async () => {
  const { rows } = await database.owner.query('select * from app_public.ai_ledger_discrepancies');
  expect(rows).toEqual([]);
});

const AUTHORIZE = '/api/v2/ai/spend/authorize';
const SETTLE = '/api/v2/ai/spend/settle';
const RELEASE = '/api/v2/ai/spend/release';
const USAGE = '/api/v2/ai/usage';
const spendOf = (group: string) => `/api/v2/groups/${group}/ai/spend`;

type Answer = { status: number; headers: Headers; text: string; body: Record<string, unknown> };

async function send(
  user: string | null,
  path: string,
  body?: object | string,
  init: RequestInit = {},
): Promise<Answer> {
  const response = await server.request(user, path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    ...init,
  });
  const text = await response.text();
  const json = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  return { status: response.status, headers: response.headers, text, body: json };
}

const post = (path: string, body: object | string) => send(world.people.ai_gateway, path, body);

const call = (changes: Record<string, unknown> = {}) => ({
  request_id: randomUUID(),
  user_id: world.people.member,
  provider: 'acme',
  model: 'half',
  input_tokens: 1035,
  max_output_tokens: 0,
  ...changes,
});

const event = (changes: Record<string, unknown> = {}) => ({
  id: randomUUID(),
  user_id: world.people.member,
  provider: 'acme',
  model: 'half',
  input_tokens: 1035,
  output_tokens: 0,
  ...changes,
});

/** How much there is of everything that these routes write. */
async function written(): Promise<unknown> {
  const { rows } = await database.owner.query(
    `select (select count(*) from app_public.ai_usage_events) as events,
       (select count(*) from app_private.ai_spend_requests) as requests`,
  );
  return rows[0];
}

async function expectProblem(answer: Answer, status: number, field: string, value: RegExp) {
  expect(answer.status, answer.text).toBe(status);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json\b/);
  expect(answer.body.message).toMatch(value);
  expect(answer.body.validations).toEqual([{ field, detail: answer.body.message }]);
}

describe('a call', () => {
  test('is authorized, settled and shown, exact to the last digit', async () => {
    const request = call({ user_id: world.colleague });
    const before = await post(AUTHORIZE, request);
    expect(before.status, before.text).toBe(200);
    expect(before.text).toContain('"estimate_micros":1552.5,');
    expect(before.text).toContain('"held_micros":1552.5,');
    expect(Object.keys(before.body)).toEqual([
      'allowed',
      'reason',
      'hold_id',
      'group_id',
      'estimate_micros',
      'limit_micros',
      'spent_micros',
      'held_micros',
      'remaining_micros',
      'period_start',
      'period_end',
      'expires_at',
    ]);
    expect(before.body).toMatchObject({
      allowed: true,
      reason: null,
      group_id: world.organization,
      limit_micros: null,
      spent_micros: 0,
      remaining_micros: null,
    });

    const settled = await post(SETTLE, {
      request_id: request.request_id,
      input_tokens: 1036,
      output_tokens: 1,
      cache_read_tokens: 3,
    });
    expect(settled.status, settled.text).toBe(200);
    // 1036 x 1.5 + 1 x 6 + 3 x 0.150001, and what that is more than the hold
    expect(settled.text).toBe(
      `{"event_id":"${request.request_id}","group_id":"${world.organization}","cost_micros":1560.450003,"overage_micros":7.950003}`,
    );

    const shown = await send(world.people.owner, spendOf(world.organization));
    expect(shown.text).toContain('"spent_micros":1560.450003,"held_micros":0,');
  });

  test('of a group with a budget says what is left of it, and of which period', async () => {
    const { body } = await post(AUTHORIZE, call());
    expect(body).toMatchObject({ allowed: true, group_id: world.group, limit_micros: 500_000_000 });
    const { limit_micros, spent_micros, held_micros, remaining_micros } = body as Record<
      string,
      number
    >;
    expect(remaining_micros).toBe((limit_micros ?? 0) - (spent_micros ?? 0) - (held_micros ?? 0));
    expect(body.period_start).toMatch(/^\d{4}-\d\d-01T00:00:00\+00:00$/);
    expect(body.period_end).toMatch(/^\d{4}-\d\d-01T00:00:00\+00:00$/);
    expect(Date.parse(String(body.expires_at)) - Date.now()).toBeLessThan(601_000);
  });

  test('that is refused is a success that says why', async () => {
    const tooMuch = await post(AUTHORIZE, call({ input_tokens: 400_000_000 }));
    expect(tooMuch.status, tooMuch.text).toBe(200);
    expect(tooMuch.body).toMatchObject({
      allowed: false,
      reason: 'GROUP_BUDGET_EXCEEDED',
      hold_id: null,
      expires_at: null,
    });
    const unpriced = await post(AUTHORIZE, call({ model: 'unknown' }));
    expect(unpriced.body).toMatchObject({
      allowed: false,
      reason: 'UNPRICED_MODEL',
      estimate_micros: null,
    });
  });

  test('is booked once, however often it is sent', async () => {
    const request = call();
    const first = await post(AUTHORIZE, request);
    const again = await post(AUTHORIZE, { ...request, cache_read_tokens: null });
    expect(again.text).toBe(first.text);
    const settlement = { request_id: request.request_id, input_tokens: 1035, output_tokens: 0 };
    const settled = await post(SETTLE, settlement);
    const before = await written();
    expect((await post(SETTLE, settlement)).text).toBe(settled.text);
    expect(await written()).toEqual(before);
  });

  test('is told from another one under the same id: 409', async () => {
    const request = call();
    await post(AUTHORIZE, request);
    const other = await post(AUTHORIZE, { ...request, input_tokens: 1 });
    expect(other.status, other.text).toBe(409);
    expect(other.body.message).toContain(request.request_id);

    const settlement = { request_id: request.request_id, input_tokens: 5, output_tokens: 0 };
    await post(SETTLE, settlement);
    expect((await post(SETTLE, { ...settlement, input_tokens: 6 })).status).toBe(409);

    const refused = call({ input_tokens: 400_000_000 });
    await post(AUTHORIZE, refused);
    expect((await post(SETTLE, { ...settlement, request_id: refused.request_id })).status).toBe(
      409,
    );
  });

  test('that was not made gives its hold back, once', async () => {
    const request = call();
    const { body } = await post(AUTHORIZE, request);
    const held = async () => (await send(world.people.owner, spendOf(world.group))).body;
    const before = (await held()) as { held_micros: number };
    expect((await post(RELEASE, { request_id: request.request_id })).text).toBe(
      '{"released":true}',
    );
    expect((await post(RELEASE, { hold_id: body.hold_id })).text).toBe('{"released":false}');
    expect(await held()).toMatchObject({ held_micros: before.held_micros - 1552.5 });
  });

  test('that nobody knows can’t be settled or released: 404', async () => {
    const request_id = randomUUID();
    expect((await post(SETTLE, { request_id, input_tokens: 1, output_tokens: 1 })).status).toBe(
      404,
    );
    expect((await post(RELEASE, { request_id })).status).toBe(404);
  });

  test('can be settled with the time at which it occurred', async () => {
    const request = call();
    await post(AUTHORIZE, request);
    const { status, text } = await post(SETTLE, {
      request_id: request.request_id,
      input_tokens: 1035,
      output_tokens: 0,
      occurred_at: '2025-02-28T23:59:59.5+01:00',
    });
    expect(status, text).toBe(200);
    const { rows } = await database.owner.query(
      'select occurred_at from app_public.ai_usage_events where id = $1',
      [request.request_id],
    );
    expect(rows).toEqual([{ occurred_at: new Date('2025-02-28T22:59:59.5Z') }]);
  });
});

describe('a field that is refused', () => {
  const uuids = [5, true, '', 'x', {}, [], '00000000-0000-0000-0000-00000000000'];
  const texts = [5, false, {}, [], '\ud800'];
  const numbers = ['5', 1.5, -1, true, {}, [5], 1e300, 1_000_000_000_001];
  const times = [
    5,
    'yesterday',
    'infinity',
    '2025-02-30T00:00:00Z',
    '2025-13-01T00:00Z',
    '2025-01-01',
  ];
  const wrongTimes = [...times, '2025-01-01T25:00Z', '2025-01-01T00:00+99', '1999-12-31T00:00Z'];
  const settlement = { request_id: randomUUID(), input_tokens: 1, output_tokens: 1 };

  const cases = [
    ...['request_id', 'user_id'].flatMap((f) => [...uuids, null].map((v) => [AUTHORIZE, f, v])),
    ...['group_id', 'organization_id'].flatMap((f) => uuids.map((v) => [AUTHORIZE, f, v])),
    ...['provider', 'model'].flatMap((f) => [...texts, '', null].map((v) => [AUTHORIZE, f, v])),
    ...['input_tokens', 'max_output_tokens'].flatMap((f) =>
      [...numbers, null].map((v) => [AUTHORIZE, f, v]),
    ),
    ...['cache_read_tokens', 'cache_write_tokens'].flatMap((f) =>
      numbers.map((v) => [AUTHORIZE, f, v]),
    ),
    ...['request_id', 'hold_id'].flatMap((f) => uuids.map((v) => [SETTLE, f, v])),
    ...['input_tokens', 'output_tokens'].flatMap((f) =>
      [...numbers, null].map((v) => [SETTLE, f, v]),
    ),
    ...wrongTimes.map((v) => [SETTLE, 'occurred_at', v]),
    ...uuids.map((v) => [RELEASE, 'request_id', v]),
  ] as [string, string, unknown][];

  test.each(cases)('%s: %s = %j', async (path, field, value) => {
    const before = await written();
    const body = path === AUTHORIZE ? call() : path === SETTLE ? settlement : {};
    const answer = await post(path, { ...body, [field]: value });
    await expectProblem(answer, 400, field, new RegExp(field));
    expect(await written()).toEqual(before);
  });

  test('names its value', async () => {
    const answer = await post(AUTHORIZE, call({ input_tokens: 'a dozen' }));
    await expectProblem(answer, 400, 'input_tokens', /not "a dozen"\.$/);
    const digits = JSON.stringify(call()).replace('1035', '12345678901234567890123');
    await expectProblem(
      await post(AUTHORIZE, digits),
      400,
      'input_tokens',
      /12345678901234567890123/,
    );
  });

  test.each([
    [AUTHORIZE, 'cache_reed_tokens'],
    [AUTHORIZE, '__proto__'],
    [SETTLE, 'max_output_tokens'],
    [RELEASE, 'id'],
    [USAGE, 'event'],
  ])('%s: %s, which is none', async (path, field) => {
    const answer = await post(path, `{"${field}": 5}`);
    await expectProblem(answer, 400, field, new RegExp(field));
  });

  test('a time zone, a NUL and a person of elsewhere', async () => {
    const zone = '2025-01-01T00:00 Europe/Nowhere';
    const answer = await post(SETTLE, { ...settlement, occurred_at: zone });
    await expectProblem(answer, 400, 'occurred_at', /Nowhere/);
    await expectProblem(
      await post(AUTHORIZE, call({ model: 'a\u0000b' })),
      400,
      'model',
      /without NUL/,
    );
    const events = [event(), event({ provider: 'a\u0000b' })];
    await expectProblem(await post(USAGE, { events }), 400, 'events[1].provider', /NUL/);
    const foreign = call({ group_id: world.foreignGroup });
    expect((await post(AUTHORIZE, foreign)).status).toBe(400);
  });
});

describe('a body that is refused', () => {
  const routes = [AUTHORIZE, SETTLE, RELEASE, USAGE];
  const bodies = ['', '{', '[]', '5', 'null', '"x"', `{"a": ${'['.repeat(9_000)}`];
  test.each(routes.flatMap((path) => bodies.map((body) => [path, body.slice(0, 20), body])))(
    '%s: %s',
    async (path, _shown, body) => {
      const answer = await post(path, body);
      expect(answer.status, answer.text).toBe(400);
      expect(answer.body.message).toMatch(/^The body/);
    },
  );

  test.each(routes)('%s: no UTF-8', async (path) => {
    const body = Buffer.from('{"model": "caf\xe9"}', 'latin1');
    const response = await server.request(world.people.ai_gateway, path, { method: 'POST', body });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ message: 'The body is no UTF-8.' });
  });

  test.each([
    [AUTHORIZE, 20_000],
    [SETTLE, 20_000],
    [RELEASE, 20_000],
    [USAGE, 11_000_000],
  ])('%s: too large', async (path, size) => {
    const answer = await post(path, `{"x": "${'x'.repeat(size)}"}`);
    expect(answer.status).toBe(413);
    expect(answer.body).toEqual({ message: 'The body is too large.' });
  });
});

describe('usage', () => {
  const lines = (body: string, type = 'application/x-ndjson') =>
    send(world.people.ai_gateway, USAGE, body, { headers: { 'content-type': type } });

  test('is recorded once by its id', async () => {
    const events = [event(), event({ occurred_at: '2025-03-30T02:30:00+02:00' })];
    expect((await post(USAGE, { events })).text).toBe('{"recorded":2,"duplicates":0}');
    expect((await post(USAGE, { events: [...events, event()] })).text).toBe(
      '{"recorded":1,"duplicates":2}',
    );
    expect((await post(USAGE, { events: [] })).text).toBe('{"recorded":0,"duplicates":0}');
  });

  test('comes as lines as well', async () => {
    const events = [event(), event(), event()];
    const body = `${events.map((e) => JSON.stringify(e)).join('\r\n')}\n\n`;
    expect((await lines(body)).text).toBe('{"recorded":3,"duplicates":0}');
    expect((await lines(body, 'Application/X-NDJSON; charset=utf-8')).text).toBe(
      '{"recorded":0,"duplicates":3}',
    );
    expect((await lines('')).text).toBe('{"recorded":0,"duplicates":0}');
  });

  test('keeps the digits that were sent', async () => {
    const id = randomUUID();
    const text = JSON.stringify({ events: [event({ id, user_id: world.foreigner })] }).replace(
      '1035',
      '999999999999.000',
    );
    expect((await post(USAGE, text)).status).toBe(200);
    const { rows } = await database.owner.query(
      'select input_tokens, cost_micros from app_public.ai_usage_events where id = $1',
      [id],
    );
    expect(rows).toEqual([{ input_tokens: '999999999999', cost_micros: '1499999999998.500000' }]);
    const tooFine = text
      .replace('999999999999.000', '5.00000000000000000001')
      .replace(id, randomUUID());
    await expectProblem(
      await post(USAGE, tooFine),
      400,
      'events[0].input_tokens',
      /5\.00000000000000000001/,
    );
  });

  test('with one bad event is refused as a whole, and the event named', async () => {
    const before = await written();
    const bad: [Record<string, unknown>, string][] = [
      [{ input_tokens: -1 }, 'input_tokens'],
      [{ id: 'x' }, 'id'],
      [{ occurred_at: 'soon' }, 'occurred_at'],
      [{ cache_reed_tokens: 5 }, 'cache_reed_tokens'],
      [{ model: ['half'] }, 'model'],
    ];
    for (const [change, field] of bad) {
      const events = [event(), event(change)];
      const path = `events[1].${field}`;
      await expectProblem(await post(USAGE, { events }), 400, path, new RegExp(field));
      const [first, second] = events.map((e) => JSON.stringify(e));
      const answer = await lines(`${first}\n\n${second}\n`);
      await expectProblem(answer, 400, `line 3.${field}`, /^line 3\./);
    }
    const nobody = { ...event(), user_id: randomUUID() };
    const answer = await lines(`\n${JSON.stringify(nobody)}`);
    await expectProblem(answer, 400, 'line 2.user_id', /^line 2\.user_id: The user /);
    expect(await written()).toEqual(before);
  });

  test('with a broken line names its number', async () => {
    const good = JSON.stringify(event());
    await expectProblem(await lines(`${good}\n{"id": `), 400, 'line 2', /^Line 2 is no valid JSON/);
    await expectProblem(await lines(`${good}\n${good},${good}`), 400, 'line 2', /^Line 2 /);
    await expectProblem(await lines(`${good}\n5`), 400, 'line 2', /must be an object/);
  });

  test.each([
    ['{"events": 5}', 'events'],
    ['{}', 'events'],
    ['{"events": {}}', 'events'],
    ['{"events": [[]]}', 'events[0]'],
    [`{"events": [${'['.repeat(9_000)}${']'.repeat(9_000)}]}`, 'events[0]'],
    [`{"events": [{"id": ${'['.repeat(9_000)}${']'.repeat(9_000)}}]}`, 'events[0].id'],
  ])('is no batch: %s', async (body, field) => {
    await expectProblem(await post(USAGE, body), 400, field, /must be/);
  });

  test('of thousands comes in one request', async () => {
    const events = Array.from({ length: 5_000 }, () => event({ input_tokens: 2 }));
    expect((await post(USAGE, { events })).body).toEqual({ recorded: 5_000, duplicates: 0 });
  }, 30_000);
});

describe('who may', () => {
  const gateways = ['owner', 'ai_gateway'];

  test.each(PEOPLE)('call for others: %s', async (person) => {
    const user = world.people[person];
    const before = await written();
    const request = call();
    const expected = gateways.includes(person) ? 200 : 404;
    const answers = [
      await send(user, AUTHORIZE, request),
      await send(user, SETTLE, {
        request_id: request.request_id,
        input_tokens: 1,
        output_tokens: 1,
      }),
      await send(user, RELEASE, { request_id: request.request_id }),
      await send(user, USAGE, { events: [event()] }),
    ];
    expect(answers.map((answer) => answer.status)).toEqual(Array(4).fill(expected));
    if (expected === 200) return;
    for (const { body } of answers) {
      expect(body).toEqual({ message: 'Not found, or not yours to read or change.' });
    }
    expect(await written()).toEqual(before);
  });

  test.each(PEOPLE)('read what a group has spent: %s', async (person) => {
    const answer = await send(world.people[person], spendOf(world.group));
    if (person === 'stranger') {
      const absent = await send(world.people.stranger, spendOf(randomUUID()));
      expect(answer.status).toBe(404);
      expect(answer.text).toBe(absent.text);
      return;
    }
    expect(answer.status, answer.text).toBe(200);
    expect(Object.keys(answer.body)).toEqual([
      'group_id',
      'limit_micros',
      'spent_micros',
      'held_micros',
      'remaining_micros',
      'period_start',
      'period_end',
    ]);
    expect(answer.body).toMatchObject({ group_id: world.group, limit_micros: 500_000_000 });
  });

  test('a member sees what the whole group has spent', async () => {
    const [member, admin] = await Promise.all(
      (['member', 'organization_admin'] as const).map((p) =>
        send(world.people[p], spendOf(world.group)),
      ),
    );
    expect(member?.text).toBe(admin?.text);
    expect((await send(world.people.member, spendOf(world.otherGroup))).status).toBe(404);
  });
});

describe('what is wrong is told in one order', () => {
  const nobodyMay = () => world.people.stranger;

  test.each([AUTHORIZE, SETTLE, RELEASE, USAGE])('%s', async (path) => {
    const noToken = await send(null, path, '{', { method: 'PATCH' });
    expect(noToken.status).toBe(401);
    expect(noToken.headers.get('www-authenticate')).toBe('Bearer');
    const method = await send(nobodyMay(), path, '{', { method: 'PUT' });
    expect(method.status).toBe(405);
    expect(method.headers.get('allow')).toBe('POST');
    expect((await send(nobodyMay(), path)).status).toBe(405);
    expect((await send(nobodyMay(), path, '{')).status).toBe(400);
  });

  test('spend of a group', async () => {
    expect((await send(null, spendOf('x'))).status).toBe(401);
    const noUuid = await send(nobodyMay(), spendOf('x'), '{');
    await expectProblem(noUuid, 400, 'group', /"x"/);
    expect((await send(nobodyMay(), spendOf(world.group), '{')).status).toBe(404);
    const method = await send(world.people.member, spendOf(world.group), '{');
    expect(method.status).toBe(405);
    expect(method.headers.get('allow')).toBe('GET, HEAD');
  });
});

describe('the feature ai_bridge', () => {
  const routes = () => [
    () => post(AUTHORIZE, call()),
    () => post(SETTLE, '{'),
    () => send(world.people.stranger, RELEASE, '{', { method: 'PUT' }),
    () => post(USAGE, { events: [] }),
    () => send(world.people.member, spendOf(world.group)),
  ];
  const set = async (entitlement: string, enabled: boolean, seen: (a: Answer) => boolean) => {
    await database.owner.query(
      `update app_public.features set entitlement = $1, enabled = $2 where name = 'ai_bridge'`,
      [entitlement, enabled],
    );
    await vi.waitFor(async () =>
      expect(seen(await send(world.people.member, spendOf(world.group)))).toBe(true),
    );
  };
  const isWarned = (answer: Answer) => answer.headers.has('warning');

  beforeEach(() => set('entitled', true, (a) => a.status === 200 && !isWarned(a)));
  afterEach(() => set('entitled', true, (a) => a.status === 200 && !isWarned(a)));

  test('that is off is 403, before body and method', async () => {
    await set('entitled', false, (answer) => answer.status === 403);
    for (const route of routes()) {
      const { status, body } = await route();
      expect(status).toBe(403);
      expect(body.message).toContain('ai_bridge');
    }
    expect((await send(null, AUTHORIZE, call())).status).toBe(401);
    expect((await send(world.people.stranger, spendOf(world.group))).status).toBe(404);
  });

  test('in its grace period passes with a warning', async () => {
    await set('grace_period', true, isWarned);
    for (const route of routes()) {
      const answer = await route();
      expect(answer.status).not.toBe(403);
      expect(answer.headers.get('warning')).toContain('ai_bridge');
    }
  });
});
