import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { fastest } from './support/fastest.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// What somebody tried who meant harm, and what once worked.

let database: TestDatabase;
let server: TestServer;
let world: World;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

describe('naming the field at fault takes no time, however long the text', () => {
  const bad = Array.from({ length: 20 }, (_, i) => `a${i}:groups(first:"x"){__typename}`);
  test.each([
    ['a long name', `query ${'a'.repeat(50_000)} { ${bad.join(' ')} }`, {}],
    ['many spaces', `{ ${bad.join(' ').replaceAll('first:', `first:${' '.repeat(4_000)}`)} }`, {}],
    [
      'many names before a variable',
      `query($v: Int!) { ${'a'.repeat(50_000)}: groups(first: $v) { __typename } }`,
      { v: 'x' },
    ],
    [
      'a long key in a variable',
      'query($f: GroupFilter) { groups(filter: $f) { totalCount } }',
      { f: { [` at "${'a'.repeat(40_000)}`]: 1 } },
    ],
  ])('%s', async (_what, query, variables) => {
    const ms = await fastest(3, async () => {
      const { errors } = await server.graphql(null, query, variables);
      expect(errors?.[0]?.extensions.code).toBe('VALIDATION_FAILED');
    });
    // 30 ms is usual.
    expect(ms).toBeLessThan(1_000);
  });
});

describe('while the feature is off', () => {
  beforeAll(async () => {
    await database.owner.query(
      "update app_public.features set enabled = false where name = 'ai_bridge'",
    );
    // Until the server has heard of it.
    while ((await server.graphql(world.people.owner, '{ groupAiBudgets { totalCount } }')).data) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });

  const nodeId = () =>
    Buffer.from(JSON.stringify(['GroupAiBudget', world.group])).toString('base64');

  test.each([
    [
      'an object where a list of them is meant',
      () =>
        'query($f: [GroupFilter!] = {groupAiBudgetExists: true}) { groups(filter: {or: $f}) { totalCount } }',
    ],
    [
      'the same in place',
      () => '{ groups(filter: {or: {groupAiBudgetExists: true}}) { totalCount } }',
    ],
    [
      'whether a budget exists, through a relation of a relation',
      () =>
        '{ groups(filter: {members: {some: {group: {groupAiBudgetExists: true}}}}) { totalCount } }',
    ],
    [
      'a variable named like what every object has',
      () =>
        `query($constructor: ID! = "${nodeId()}") { node(nodeId: $constructor) { __typename } }`,
    ],
  ])('%s is refused', async (_what, query) => {
    const { data, errors } = await server.graphql(world.people.owner, query());
    expect(data).toBeUndefined();
    expect(errors?.[0]?.extensions).toEqual({ code: 'FEATURE_NOT_ENABLED', feature: 'ai_bridge' });
  });
});

test('a flood of notifications is one read, and one more', async () => {
  await database.owner.query(
    "select count(pg_notify('bursar_features', g::text)) from generate_series(1, 20000) g",
  );
  const began = performance.now();
  const { data } = await server.graphql(world.people.owner, '{ groups { totalCount } }');
  expect(data).toEqual({ groups: { totalCount: 5 } });
  // Each of them read on its own would take a minute.
  expect(performance.now() - began).toBeLessThan(5_000);
});
