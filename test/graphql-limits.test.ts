import { getIntrospectionQuery, parse } from 'postgraphile/graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { weightOf } from '../plugins/query-limits.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { fastest } from './support/fastest.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

let database: TestDatabase;
let world: World;
let server: TestServer;
/** Answers four fields within each other, and ten in all. */
let strict: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
  strict = await startTestServer(database, { queryLimits: { depth: 4, fields: 10 } });
});

afterAll(async () => {
  await server?.stop();
  await strict?.stop();
  await database?.drop();
});

/** Each fragment spreads the next one twice. */
function fanOut(levels: number): string {
  const fragments = Array.from({ length: levels }, (_, n) =>
    n === levels - 1
      ? `fragment A${n} on Query { groups { totalCount } }`
      : `fragment A${n} on Query { ...A${n + 1} ...A${n + 1} }`,
  );
  return `{ ...A0 } ${fragments.join(' ')}`;
}

/** Each fragment spreads the next one, and none has a field but the last. */
const chain = (length: number) =>
  `{ ...f0 } ${Array.from({ length }, (_, n) => `fragment f${n} on Query{${n === length - 1 ? '__typename' : `...f${n + 1}`}}`).join(' ')}`;

const aliases = (count: number) =>
  `{ ${Array.from({ length: count }, (_, n) => `a${n}: groups { totalCount }`).join(' ')} }`;

const nested = (depth: number) =>
  `${'{ groups { nodes { organization '.repeat(depth)} { id } ${'} } }'.repeat(depth)}`;

test('what GraphiQL asks of the whole schema is far from any limit', async () => {
  const { depth, fields } = weightOf(parse(getIntrospectionQuery()));
  expect(depth).toBeLessThan(16);
  expect(fields).toBeLessThan(300);
  expect((await server.graphql(null, getIntrospectionQuery())).errors).toBeUndefined();
});

describe('is refused at once, and says by how much', () => {
  test.each([
    [
      'fragments that spread each other',
      fanOut(18),
      /asks for 262144 fields|asks for 524\d+ fields/,
    ],
    ['many more of them', fanOut(60), /asks for more than a billion fields/],
    ['a thousand aliases', aliases(1_000), /asks for 2000 fields.*at most 1000/],
    ['fragments in a row', chain(300), /Fragments are nested too deep/],
    ['more than can be walked', chain(3_000), /Fragments are nested too deep/],
    ['relations that lead back', nested(10), /is 31 fields deep; at most 20/],
  ])('%s', async (_what, query, message) => {
    const ms = await fastest(3, async () => {
      const { status, data, errors } = await server.graphql(world.people.owner, query);
      expect(data).toBeUndefined();
      expect(status).toBe(400);
      expect(errors).toEqual([
        { message: expect.stringMatching(message), extensions: { code: 'VALIDATION_FAILED' } },
      ]);
    });
    // 50 ms is usual; planned, the first of them takes seconds.
    expect(ms).toBeLessThan(1_000);
  });

  test('text that is nested deeper than anybody reads', async () => {
    for (const query of ['{ a '.repeat(20_000), `{ a(b: ${'['.repeat(40_000)}) }`]) {
      const { data, errors } = await server.graphql(world.people.owner, query);
      expect(data).toBeUndefined();
      expect(errors).toHaveLength(1);
      expect(errors?.[0]?.extensions.code).toBe('VALIDATION_FAILED');
    }
    expect((await server.graphql(world.people.owner, '{ __typename }')).errors).toBeUndefined();
  });
});

describe('up to the limits', () => {
  test.each([
    ['four deep', '{ groups { nodes { organization { name } } } }', true],
    ['five deep', '{ groups { nodes { organization { groups { totalCount } } } } }', false],
    ['ten fields', aliases(5), true],
    ['eleven fields', `${aliases(5).slice(0, -1)} __typename }`, false],
    [
      'eleven fields of a fragment that is spread',
      '{ a: groups { ...F } b: groups { ...F } c: groups { ...F __typename } ...G } fragment F on GroupConnection { totalCount } fragment G on Query { d: groups { ...F } e: groups { ...F } }',
      false,
    ],
    ['the same that nobody spreads', `{ __typename } fragment F on Query ${aliases(20)}`, null],
  ])('%s', async (_what, query, passes) => {
    const { data, errors } = await strict.graphql(world.people.owner, query);
    // GraphQL itself refuses a fragment that nobody spreads.
    if (passes === null) expect(errors?.[0]?.message).toMatch(/never used/);
    else if (passes) expect(errors).toBeUndefined();
    else expect(errors?.[0]?.message).toMatch(/at most/);
    expect(data === undefined).toBe(passes !== true);
  });
});
