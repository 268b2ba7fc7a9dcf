import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { check } from '../src/check.ts';
import { withClient } from '../src/database.ts';
import { migrate } from '../src/migrate.ts';
import { priceListOfPackage } from '../src/price-list.ts';
import { packagePrices, syncPrices } from '../src/prices.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { wantedVersion } from './support/postgres-version.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// One way through everything that Bursar does, for each PostgreSQL that it supports.

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

async function request(user: string, method: string, path: string, body?: object) {
  const response = await server.request(user, path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

const graphql = (user: string, query: string, variables: object) =>
  request(user, 'POST', '/graphql', { query, variables });

describe(`PostgreSQL ${wantedVersion()}`, () => {
  test('is what this is, with an owner who is no superuser', async () => {
    const { rows } = await database.owner.query(
      `select current_setting('server_version_num')::int / 10000 as version, rolsuper
       from pg_roles where rolname = current_user`,
    );
    expect(rows).toEqual([{ version: Number(wantedVersion()), rolsuper: false }]);
  });

  test('has what this code needs, and keeps it when migrate runs again', async () => {
    await migrate(database.urls, () => {});
    const findings = await check(database.urls);
    expect(findings).toHaveLength(10);
    expect(findings.flatMap((finding) => finding.missing)).toEqual([]);
  });

  test('takes the whole price list, once', async () => {
    const listed = priceListOfPackage(new Date()).seed.length;
    const seed = packagePrices(new Date());
    expect((await withClient(database.urls.owner, (c) => syncPrices(c, seed))).added).toHaveLength(
      listed,
    );
    expect(await withClient(database.urls.owner, (c) => syncPrices(c, seed))).toMatchObject({
      added: [],
      changed: [],
      leftAlone: listed,
      unlisted: 1,
    });
  });

  test('serves a budget through GraphQL', async () => {
    const { organization_admin: admin, member } = world.people;
    const group = world.organization;
    const upsert = `mutation ($group: UUID!, $limit: BigInt!) {
      upsertGroupAiBudget(input: { groupId: $group, spendLimitMicros: $limit }) {
        groupAiBudget { spendLimitMicros }
      }
    }`;
    const read = 'query ($group: UUID!) { groupAiBudget(groupId: $group) { spendLimitMicros } }';
    const remove = `mutation ($group: UUID!) {
      deleteGroupAiBudget(input: { groupId: $group }) { groupAiBudget { spendLimitMicros } }
    }`;
    const budget = { spendLimitMicros: '1000000000000000' };

    expect(await graphql(admin, upsert, { group, limit: '1000000000000000' })).toMatchObject({
      body: { data: { upsertGroupAiBudget: { groupAiBudget: budget } } },
    });
    expect(await graphql(member, read, { group })).toMatchObject({
      body: { data: { groupAiBudget: budget } },
    });
    expect(await graphql(member, upsert, { group, limit: '1' })).toMatchObject({
      body: { errors: [{ extensions: { code: 'NOT_FOUND' } }] },
    });
    expect(await graphql(admin, remove, { group })).toMatchObject({
      body: { data: { deleteGroupAiBudget: { groupAiBudget: budget } } },
    });
    expect(await graphql(member, read, { group })).toMatchObject({
      body: { data: { groupAiBudget: null } },
    });
  });

  test('serves a budget through REST', async () => {
    const { organization_admin: admin, member, stranger } = world.people;
    const path = `/api/v2/groups/${world.group}/ai/budget`;
    const put = await request(admin, 'PUT', path, { spend_limit_micros: 42 });
    expect(put).toMatchObject({
      status: 200,
      body: { group_id: world.group, spend_limit_micros: 42 },
    });
    expect(await request(member, 'GET', path)).toEqual(put);
    expect(await request(stranger, 'GET', path)).toMatchObject({ status: 404 });
    expect(await request(member, 'PUT', path, { spend_limit_micros: 1 })).toMatchObject({
      status: 404,
    });
    expect(await request(admin, 'DELETE', path)).toEqual({ status: 204, body: undefined });
    expect(await request(member, 'GET', path)).toMatchObject({ status: 404 });
  });

  test('authorizes, settles, records and prices, and its books agree', async () => {
    const { organization_admin: admin, ai_gateway: gateway, member, auditor } = world.people;
    const post = (path: string, body: object) =>
      request(gateway, 'POST', `/api/v2/ai${path}`, body);
    await request(admin, 'PUT', `/api/v2/groups/${world.group}/ai/budget`, {
      spend_limit_micros: 1000,
    });
    await database.owner.query(
      `select app_public.set_group_ai_budget_terms($1, applies_to => 'member', period => 'day')`,
      [world.group],
    );
    await database.owner.query(
      `update app_public.organizations set time_zone = 'Europe/Berlin' where id = $1`,
      [world.organization],
    );
    const call = { user_id: member, provider: 'acme', model: 'one', max_output_tokens: 0 };
    const request_id = '00000000-0000-4000-8000-000000000001';
    expect(
      await post('/spend/authorize', { ...call, request_id, input_tokens: 300 }),
    ).toMatchObject({ body: { allowed: true, estimate_micros: 900, remaining_micros: 100 } });
    expect(
      await post('/spend/authorize', {
        ...call,
        request_id: '00000000-0000-4000-8000-000000000002',
        input_tokens: 34,
      }),
    ).toMatchObject({ body: { allowed: false, reason: 'MEMBER_BUDGET_EXCEEDED' } });
    const settle = { request_id, input_tokens: 100, output_tokens: 0 };
    expect(await post('/spend/settle', settle)).toMatchObject({ body: { cost_micros: 300 } });
    const events = ['one', 'unheard of'].map((model, i) => ({
      id: `00000000-0000-4000-8000-00000000001${i}`,
      user_id: member,
      provider: 'acme',
      model,
      input_tokens: 10,
      output_tokens: 1,
      occurred_at: new Date(Date.now() - i * 40 * 86_400_000).toISOString(),
    }));
    for (const recorded of [2, 0]) {
      expect(await post('/usage', { events })).toMatchObject({
        body: { recorded, duplicates: 2 - recorded },
      });
    }
    await database.owner.query(
      `select app_public.upsert_ai_model_prices('[{"provider": "acme", "model": "unheard of", "input_price": 1, "output_price": 1}]')`,
    );
    const { rows } = await database.owner.query(
      'select * from app_public.price_unpriced_ai_usage()',
    );
    expect(rows).toMatchObject([{ events: '1', cost_micros: '0.000011' }]);
    expect(
      await graphql(auditor, '{ aiSpendDailies { aggregates { sum { costMicros } } } }', {}),
    ).toMatchObject({
      body: { data: { aiSpendDailies: { aggregates: { sum: { costMicros: '345.000011' } } } } },
    });
    expect(
      (await database.owner.query('select * from app_public.ai_ledger_discrepancies')).rows,
    ).toEqual([]);
    expect((await check(database.urls)).flatMap((finding) => finding.missing)).toEqual([]);
  });
});
