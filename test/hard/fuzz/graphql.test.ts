import fc from 'fast-check';
import {
  buildClientSchema,
  getIntrospectionQuery,
  type IntrospectionQuery,
} from 'postgraphile/graphql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { logOf } from '../../support/log.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createWorld, type World } from '../../support/world.ts';
import { type Checksum, checksumOf } from '../support/checksum.ts';
import { expectClean, type Tally, tallied } from '../support/fuzz-oracle.ts';
import { hostileValues } from '../support/hostile-values.ts';
import { type Place, placesOf } from '../support/operations.ts';

// Every argument and input field of the schema, with values that do not belong there.

const RUNS = 1_200 * Number(process.env.FUZZ_RUNS ?? 1);

let database: TestDatabase;
let world: World;
let server: TestServer;
let places: Place[];
let checksum: Checksum;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
  checksum = await checksumOf(database);
  const { data } = await server.graphql(null, getIntrospectionQuery());
  const schema = buildClientSchema(data as unknown as IntrospectionQuery);
  places = placesOf(schema, sample);
});

afterAll(async () => {
  await checksum?.stop();
  await server?.stop();
  await database?.drop();
});

/** What belongs in a place, where another one is the subject. */
function sample(type: string, name: string): string {
  if (type === 'UUID' && /group/i.test(name)) return JSON.stringify(world.group);
  if (type === 'UUID' && /user/i.test(name)) return JSON.stringify(world.people.member);
  if (type === 'UUID' && /organization/i.test(name)) return JSON.stringify(world.organization);
  const samples: Record<string, string> = {
    UUID: JSON.stringify(world.group),
    Int: '1',
    BigInt: '"1"',
    BigFloat: '"1"',
    Boolean: 'true',
    String: '"sample"',
    JSON: '[]',
    Datetime: '"2026-01-01T00:00:00Z"',
    Date: '"2026-01-01"',
  };
  return samples[type] ?? '"sample"';
}

/** First a root field, so that the many filters within filters do not crowd out the rest. */
function attempts(kinds: readonly Place['kind'][] = ['query', 'mutation']) {
  const byArgument = Map.groupBy(
    places.filter(({ kind }) => kinds.includes(kind)),
    ({ root, argument }) => `${root} ${argument}`,
  );
  return fc
    .constantFrom(...byArgument.values())
    .chain((some) => fc.constantFrom(...some))
    .chain((place) => hostileValues(place.type).map((value) => ({ place, value })));
}

const send = (userId: string | null, { place, value }: { place: Place; value: string }) =>
  server.request(userId, '/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: `{"query": ${JSON.stringify(place.operation)}, "variables": ${place.variables(value)}}`,
  });

/** What was sent, short enough to read and to send again. */
const described = ({ place, value }: { place: Place; value: string }) =>
  `${place.root}(${[place.argument, ...place.path].join('.')}: ${place.type}) = ${value.slice(0, 200)}`;

test('of somebody who may write nothing: clear errors, and nothing written', async ({ task }) => {
  const tally: Tally = new Map();
  const before = await checksum.take();
  const { log } = await logOf(async () => {
    await fc.assert(
      fc.asyncProperty(attempts(), async (attempt) => {
        const answer = await send(world.people.stranger, attempt);
        expectClean(answer.status, await tallied(tally, answer), described(attempt));
      }),
      { numRuns: RUNS },
    );
  });
  expect(log).toEqual([]);
  expect(await checksum.take()).toEqual(before);
  task.meta.figures = [
    `${RUNS.toLocaleString('en')} values that do not belong there, in ${places.length.toLocaleString('en')} places of the GraphQL schema, sent by somebody who may write nothing: ${wordsOf(tally)}; nothing written, nothing of the inside told, no error logged`,
  ];
});

test('of an owner: what is refused is not written, and what is accepted is whole', async ({
  task,
}) => {
  const tally: Tally = new Map();
  const { log } = await logOf(async () => {
    let before = await checksum.take();
    await fc.assert(
      fc.asyncProperty(attempts(['mutation']), async (attempt) => {
        const answer = await send(world.people.owner, attempt);
        const text = await tallied(tally, answer);
        expectClean(answer.status, text, described(attempt));
        const after = await checksum.take();
        if (text.includes('"errors"')) expect(after, described(attempt)).toEqual(before);
        before = after;
      }),
      { numRuns: RUNS / 2 },
    );
  });
  expect(log).toEqual([]);
  task.meta.figures = [
    `${(RUNS / 2).toLocaleString('en')} of them in mutations, sent by an owner: ${wordsOf(tally)}; no refused one left anything behind`,
  ];
});

const wordsOf = (tally: Tally) =>
  [...tally]
    .sort(([, a], [, b]) => b - a)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ');
