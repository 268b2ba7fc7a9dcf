import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { check } from '../src/check.ts';
import type { DatabaseUrls } from '../src/configuration.ts';
import { withClient } from '../src/database.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/embedded-postgres.ts';
import { signToken } from '../src/identity.ts';
import { migrate } from '../src/migrate.ts';
import { priceListOfPackage } from '../src/price-list.ts';
import { packagePrices, syncPrices } from '../src/prices.ts';
import { type RunningServer, serve } from '../src/serve.ts';
import { SECRET } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// The oldest PostgreSQL that Bursar supports; all other tests run on the newest.

let folder: string;
let postgres: EmbeddedPostgres;
let urls: DatabaseUrls;
let owner: Pool;
let world: World;
let server: RunningServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bursar-postgres-15-'));
  // Under root PostgreSQL runs as another account, which must get to its files.
  await chmod(folder, 0o711);
  postgres = await startEmbeddedPostgres({
    dataFolder: folder,
    version: '15',
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' },
  });
  const client = new Client({ connectionString: postgres.superuserUrl('postgres') });
  await client.connect();
  await client.query("create role an_owner login createrole password 'owner'");
  await client.query('create database spend owner an_owner');
  await client.end();
  const at = `${postgres.host}:${postgres.port}/spend`;
  urls = {
    owner: `postgres://an_owner:owner@${at}`,
    authenticator: `postgres://a_server:server@${at}`,
  };
  await migrate(urls, () => {});
  owner = new Pool({ connectionString: urls.owner, max: 2 });
  owner.on('error', () => {});
  world = await createWorld(owner);
  server = await serve({
    host: '127.0.0.1',
    port: 0,
    authDatabaseUrl: urls.authenticator,
    poolSize: 3,
    tokens: { keys: { kind: 'secret', secret: SECRET }, issuer: undefined, audience: undefined },
    graphiql: false,
  });
}, 60_000);

afterAll(async () => {
  await server?.stop();
  await owner?.end();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function request(user: string, method: string, path: string, body?: object) {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${await signToken(user, 60, { secret: SECRET })}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

const graphql = (user: string, query: string, variables: object) =>
  request(user, 'POST', '/graphql', { query, variables });

describe('PostgreSQL 15', () => {
  test('is what this is, with an owner who is no superuser', async () => {
    const { rows } = await owner.query(
      `select current_setting('server_version_num')::int / 10000 as version, rolsuper
       from pg_roles where rolname = current_user`,
    );
    expect(rows).toEqual([{ version: 15, rolsuper: false }]);
  });

  test('has what this code needs, and keeps it when migrate runs again', async () => {
    await migrate(urls, () => {});
    const findings = await check(urls);
    expect(findings).toHaveLength(8);
    expect(findings.flatMap((finding) => finding.missing)).toEqual([]);
  });

  test('takes the whole price list, once', async () => {
    const listed = priceListOfPackage(new Date()).seed.length;
    const seed = packagePrices(new Date());
    expect((await withClient(urls.owner, (c) => syncPrices(c, seed))).added).toHaveLength(listed);
    expect(await withClient(urls.owner, (c) => syncPrices(c, seed))).toMatchObject({
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
    await owner.query(
      `select app_public.set_group_ai_budget_terms($1, applies_to => 'member', period => 'day')`,
      [world.group],
    );
    await owner.query(
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
    await owner.query(
      `select app_public.upsert_ai_model_prices('[{"provider": "acme", "model": "unheard of", "input_price": 1, "output_price": 1}]')`,
    );
    const { rows } = await owner.query('select * from app_public.price_unpriced_ai_usage()');
    expect(rows).toMatchObject([{ events: '1', cost_micros: '0.000011' }]);
    expect(
      await graphql(auditor, '{ aiSpendDailies { aggregates { sum { costMicros } } } }', {}),
    ).toMatchObject({
      body: { data: { aiSpendDailies: { aggregates: { sum: { costMicros: '345.000011' } } } } },
    });
    expect((await owner.query('select * from app_public.ai_ledger_discrepancies')).rows).toEqual(
      [],
    );
    expect((await check(urls)).flatMap((finding) => finding.missing)).toEqual([]);
  });
});
