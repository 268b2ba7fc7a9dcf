import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import {
  buildClientSchema,
  getIntrospectionQuery,
  type IntrospectionQuery,
} from 'postgraphile/graphql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { type LogEntry, logOf } from '../../support/log.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createStateKeeper, type StateKeeper } from '../../support/state.ts';
import { createWorld, type Person, type World } from '../../support/world.ts';
import {
  type Exchange,
  expectNoFault,
  type Fingerprints,
  faultOf,
  figure,
  openFingerprints,
  RUNS,
  SEED,
  sendAll,
  tallyOf,
} from '../support/fuzz.ts';
import { ENCODINGS, hostile, hostileBodies, hugeBody, MEDIA_TYPES } from '../support/hostile.ts';
import {
  type GoodValue,
  likelyValueOf,
  operationFor,
  type Slot,
  slotsOf,
} from '../support/operations.ts';

// Every argument and input field that the schema has, found by introspection, one of them hostile at a time.

const EACH_READ = 3 * RUNS;
const EACH_WRITE = 12 * RUNS;
/** How many calls may be told from each other by what they wrote. */
const BATCH = 12;

let database: TestDatabase;
let server: TestServer;
let world: World;
let tables: Fingerprints;
let keeper: StateKeeper;
let slots: Slot[];

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
  tables = await openFingerprints(database);
  keeper = await createStateKeeper(database);
  const { data } = await server.graphql(world.people.owner, getIntrospectionQuery());
  slots = slotsOf(buildClientSchema(data as unknown as IntrospectionQuery));
});

afterAll(async () => {
  await tables?.stop();
  await keeper?.stop();
  await server?.stop();
  await database?.drop();
});

const TYPE_OF_NODE_ID = /(?:delete|update)?(\w+?)ByNodeId$/i;

const good: GoodValue = (name, type, of) => {
  switch (type.name) {
    case 'UUID':
      if (/user/i.test(name) || /user/i.test(of)) return `"${world.people.member}"`;
      if (/organization/i.test(name)) return `"${world.organization}"`;
      return `"${/request|hold/i.test(name) ? randomUUID() : world.group}"`;
    case 'ID': {
      const [, table = 'Group'] = TYPE_OF_NODE_ID.exec(of) ?? [];
      const id = [table.charAt(0).toUpperCase() + table.slice(1), world.group];
      return `"${Buffer.from(JSON.stringify(id)).toString('base64')}"`;
    }
    case 'JSON':
      return '[]';
    case 'Boolean':
      return 'true';
    case 'Int':
      return '1';
    case 'BigInt':
    case 'BigFloat':
      return '"1"';
    case 'Date':
      return '"2026-11-01"';
    case 'Datetime':
      return '"2026-11-01T00:00:00Z"';
    default:
      return name === 'provider' ? '"acme"' : name === 'model' ? '"one"' : '"ai_bridge"';
  }
};

type Call = {
  readonly body: string | Buffer;
  readonly headers?: Record<string, string>;
  readonly slot?: Slot;
};
type Answer = Exchange & { readonly slot: Slot | undefined };
type Errors = { message: string; extensions?: { code?: string; field?: string } }[];

async function send(person: Person, { body, headers = {}, slot }: Call): Promise<Answer> {
  const response = await server.request(world.people[person], '/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  const text = await response.text();
  const { errors } = JSON.parse(text) as { errors?: Errors };
  const codes = errors?.map(({ extensions }) => extensions?.code ?? 'no code');
  return {
    request: `${person}: ${JSON.stringify(headers)} ${body}`,
    status: response.status,
    body: errors === undefined ? text : JSON.stringify(errors),
    refusedAs: codes?.find((code) => code === 'INTERNAL') ?? codes?.[0],
    slot,
  };
}

const callFor = (slot: Slot, value: string): Call => {
  const { query, variables } = operationFor(slot, value, good);
  return { slot, body: `{"query":${JSON.stringify(query)},"variables":${variables}}` };
};

/** Each slot with a likely value, and with some hostile ones. */
function callsOf(operation: Slot['operation'], each: number): Call[] {
  return slots
    .filter((slot) => slot.operation === operation)
    .flatMap((slot, index) =>
      [likelyValueOf(slot, good), ...fc.sample(hostile, { numRuns: each, seed: SEED + index })].map(
        (value) => callFor(slot, value),
      ),
    );
}

/** What is wrong as a whole: no JSON, no UTF-8, cut off, too large, of another kind. */
function wrongBodies(): Call[] {
  const body = '{"query":"query($id: UUID!){group(id:$id){id}}","variables":{"id":"x"}}';
  return [
    ...[...hostileBodies(body), hugeBody(body)].map((one) => ({ body: one })),
    ...MEDIA_TYPES.flatMap((type) =>
      ENCODINGS.map((encoding) => ({
        body,
        headers: { 'content-type': type, 'content-encoding': encoding },
      })),
    ),
    ...fc
      .sample(hostile, { numRuns: 60 * RUNS, seed: SEED })
      .flatMap((value) => [
        { body: `{"query":${value}}` },
        { body: `{"query":"{__typename}","variables":${value}}` },
        { body: `{"query":"{__typename}","operationName":${value}}` },
        { body: `{"query":"{__typename}","extensions":${value}}` },
        { body: `{"query":"{__typename}","id":${value}}` },
        { body: JSON.stringify({ query: `{group(id:${value}){id}}` }) },
        { body: JSON.stringify({ query: `{groups(first:${value}){totalCount}}` }) },
      ]),
  ];
}

/** With one value hostile, the answer names where it stood. */
function unnamed({ body, slot, refusedAs }: Answer): string | undefined {
  if (slot === undefined || refusedAs !== 'VALIDATION_FAILED') return undefined;
  const [error] = JSON.parse(body) as Errors;
  if (error === undefined || error.message === '') return 'no message';
  const names = [slot.argument, ...slot.inner];
  const where = `${slot.path.map(({ name }) => name).join('.')}(${names.join('.')})`;
  const { field } = error.extensions ?? {};
  if (EXCUSED.some((text) => text.test(error.message))) return undefined;
  if (field === undefined) return `${where} is not named: ${error.message.slice(0, 150)}`;
  // A key within the hostile value may be what is wrong with it, and of pages PostgreSQL says only that.
  const isThere =
    // The whole input was another one: whatever it lacks may be named.
    (slot.argument === 'input' && slot.inner.length === 0) ||
    field.split(/[.[\]]/).some((part) => names.includes(part)) ||
    NAMED_BY_SUBJECT.has(field) ||
    body.includes(`\\"${field}\\"`);
  return isThere ? undefined : `${field} is named for ${where}: ${error.message.slice(0, 150)}`;
}

/** What an answer names by what it is about, and not by where it stood: `before` has a cursor as `after` has. */
const NAMED_BY_SUBJECT = new Set(['filter', 'having', 'after', 'first', 'patch']);

/** Refusals that can't name the field, or name the one that it goes with. */
const EXCUSED: readonly RegExp[] = [
  // The body was no JSON.
  /JSON|body|^Parsing failed/,
  // PostgreSQL reads dates, times, numbers and patterns itself: it shows the value, and not where it stood.
  /^invalid input syntax for type|out of range|^time zone .* not recognized|^time zone displacement/,
  /^A text has a character that can’t be stored|^A pattern ends|^A value is nested too deep/,
  // Null is as good as missing.
  /^Name the |is missing\.$/,
  // Of two ids that don't belong together, either may be the wrong one.
  /There is no group|does not belong to|"[\w ]+ belongs to (?:a|an|its) [\w ]+"/,
];

async function fuzz(person: Person, calls: readonly Call[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  const { log } = await logOf(() =>
    sendAll(calls, async (call) => {
      const answer = await send(person, call);
      answers.push(answer);
      return answer;
    }),
  );
  expectNoFault(answers, (answer) => {
    const fault = faultOf(answer);
    return fault && `${fault}${errorOf(answer, log)}`;
  });
  expect(log).toEqual([]);
  expectNoFault(answers, (answer) => unnamed(answer as Answer));
  return answers;
}

/** What the log says of an answer that says INTERNAL. */
function errorOf({ body }: Exchange, log: readonly LogEntry[]): string {
  const entry = log.find(({ id }) => typeof id === 'string' && body.includes(id));
  return entry === undefined ? '' : `: ${entry.message}`;
}

test('every argument and input field of the schema is hostile once and more, and nothing is written', async ({
  task,
}) => {
  const before = await tables.take();
  const reads = await fuzz('auditor', callsOf('query', EACH_READ));
  const bodies = await fuzz('auditor', wrongBodies());
  const writes = await fuzz('auditor', callsOf('mutation', EACH_WRITE));
  expect(await tables.take()).toEqual(before);
  task.meta.figures = [
    `GraphQL: ${slots.length} arguments and input fields found by introspection`,
    figure('GraphQL, reads, from an auditor', tallyOf(reads)),
    figure('GraphQL, bodies, from an auditor', tallyOf(bodies)),
    figure('GraphQL, writes, from an auditor', tallyOf(writes)),
  ];
});

test('from somebody who may write, what is refused writes nothing', async ({ task }) => {
  const good = await keeper.take();
  const answers: Answer[] = [];
  const calls = callsOf('mutation', EACH_WRITE);
  for (let start = 0; start < calls.length; start += BATCH) {
    const before = await tables.take();
    const batch = await fuzz('owner', calls.slice(start, start + BATCH));
    if (batch.every(({ refusedAs }) => refusedAs !== undefined)) {
      expect(await tables.take(), batch[0]?.request).toEqual(before);
    } else {
      // What one accepted call wrote can't be told from another's: put back, so that the next find the same world.
      await keeper.restore(good, await keeper.take());
    }
    answers.push(...batch);
  }
  task.meta.figures = [figure('GraphQL, writes, from an owner', tallyOf(answers))];
});
