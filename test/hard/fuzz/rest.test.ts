import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { logOf } from '../../support/log.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
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

// Every field of every route, one of them hostile at a time, and bodies that are wrong as a whole.

const EACH = 24 * RUNS;
const BATCH = 12;

let database: TestDatabase;
let server: TestServer;
let world: World;
let tables: Fingerprints;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
  tables = await openFingerprints(database);
});

afterAll(async () => {
  await tables?.stop();
  await server?.stop();
  await database?.drop();
});

type Route = {
  readonly method: string;
  readonly path: string;
  /** A good body, as texts of JSON. */
  readonly fields: Readonly<Record<string, string>>;
  readonly wrap?: (body: string) => string;
};

/** A good request for each route; whatever of it must be new is new each time. */
function routes(): readonly Route[] {
  const usage = { provider: '"acme"', model: '"one"', input_tokens: '1' };
  const cached = { cache_read_tokens: '0', cache_write_tokens: '0' };
  const id = `"${randomUUID()}"`;
  const where = {
    user_id: `"${world.people.member}"`,
    group_id: `"${world.group}"`,
    organization_id: `"${world.organization}"`,
  };
  const occurred = { occurred_at: `"${new Date().toISOString()}"` };
  return [
    {
      method: 'PUT',
      path: `/groups/${world.group}/ai/budget`,
      fields: { spend_limit_micros: '500000000' },
    },
    {
      method: 'POST',
      path: '/ai/spend/authorize',
      fields: { request_id: id, ...where, ...usage, max_output_tokens: '1', ...cached },
    },
    {
      method: 'POST',
      path: '/ai/spend/settle',
      fields: { request_id: id, input_tokens: '1', output_tokens: '1', ...cached, ...occurred },
    },
    {
      method: 'POST',
      path: '/ai/spend/settle',
      fields: { hold_id: id, input_tokens: '1', output_tokens: '1', ...cached, ...occurred },
    },
    { method: 'POST', path: '/ai/spend/release', fields: { request_id: id } },
    { method: 'POST', path: '/ai/spend/release', fields: { hold_id: id } },
    {
      method: 'POST',
      path: '/ai/usage',
      fields: { id, ...where, ...usage, output_tokens: '1', ...cached, ...occurred },
      wrap: (event) => `{"events":[${event}]}`,
    },
  ];
}

const bodyOf = ({ fields, wrap = (body) => body }: Route) =>
  wrap(
    `{${Object.entries(fields)
      .map(([name, text]) => `"${name}":${text}`)
      .join(',')}}`,
  );

type Call = {
  readonly method: string;
  readonly path: string;
  readonly body?: string | Buffer;
  readonly headers?: Record<string, string>;
  /** The one field whose value is hostile. */
  readonly field?: string;
};

type Answer = Exchange & { readonly field: string | undefined };

async function send(person: Person, call: Call): Promise<Answer> {
  const { method, path, body, headers = {}, field } = call;
  const response = await server.request(world.people[person], `/api/v2${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body }),
  });
  const { status } = response;
  return {
    request: `${person}: ${method} ${path} ${JSON.stringify(headers)} ${body ?? ''}`,
    status,
    body: await response.text(),
    refusedAs: status < 400 ? undefined : String(status),
    field,
  };
}

const EXCUSED = [
  /"The body (?:is no valid JSON|must be a JSON object)/,
  // Of two ids that don't belong together, either may be the wrong one.
  /There is no group [-\w]+ in the organization|does not belong to the (?:group|organization)/,
  // Null is as good as missing.
  /Name the request_id or the hold_id/,
];

/** With one field hostile, the answer names it, unless the body was unreadable: then no field can be. */
function unnamed({ status, body, field }: Answer): string | undefined {
  if (field === undefined || status !== 400) return undefined;
  if (EXCUSED.some((words) => words.test(body))) return undefined;
  const { message, validations } = JSON.parse(body) as {
    message?: string;
    validations?: { field: string }[];
  };
  if (!message) return 'no message';
  const named = validations?.map((one) => one.field).join();
  if (named === undefined) return `names no field but ${field} is hostile`;
  // A key of the hostile value may stand where it ends the value and goes on with the body.
  return named.split(/[.[\]]/).includes(field) ? undefined : `names ${named}, ${field} is hostile`;
}

/** Calls with one hostile field, and some with every field hostile. */
function oneHostileField(): Call[] {
  return routes().flatMap((_route, index) =>
    Object.keys(routes()[index]?.fields ?? {}).flatMap((field, position) => {
      const values = fc.sample(hostile, { numRuns: EACH, seed: SEED + index * 100 + position });
      return values.map((value, run) => {
        const route = routes()[index] as Route;
        const isAll = run % 20 === 19;
        const fields = isAll
          ? Object.fromEntries(
              Object.keys(route.fields).map((name, i) => [name, values[(run + i) % EACH] ?? value]),
            )
          : { ...route.fields, [field]: value };
        const { method, path } = route;
        return { method, path, body: bodyOf({ ...route, fields }), ...(isAll ? {} : { field }) };
      });
    }),
  );
}

function wrongBodies(): Call[] {
  return routes().flatMap((route) => {
    const { method, path } = route;
    const whole = bodyOf(route);
    const bodies = [...hostileBodies(whole), hugeBody(whole)].map((body) => ({
      method,
      path,
      body,
    }));
    const types = MEDIA_TYPES.flatMap((type) =>
      ENCODINGS.map((encoding) => ({
        method,
        path,
        body: bodyOf(route),
        headers: { 'content-type': type, 'content-encoding': encoding },
      })),
    );
    const lines = hostileBodies(bodyOf(route)).map((body) => ({
      method,
      path,
      body,
      headers: { 'content-type': 'application/x-ndjson' },
    }));
    return [...bodies, ...types, ...lines];
  });
}

function wrongPaths(): Call[] {
  const groups = [
    ...fc.sample(fc.webSegment(), { numRuns: 40 * RUNS, seed: SEED }),
    ...['%00', '%ff', '%', '%2e%2e', '..%2f..', 'null', `${world.group}%00`, `{${world.group}}`],
    ...['%F0%9F%98%80', world.group.toUpperCase(), world.group.slice(1), 'a'.repeat(8_000)],
  ];
  return groups.flatMap((group) => [
    { method: 'GET', path: `/groups/${group}/ai/budget` },
    { method: 'GET', path: `/groups/${group}/ai/spend` },
    { method: 'PUT', path: `/groups/${group}/ai/budget`, body: '{"spend_limit_micros":1e400}' },
    { method: 'PATCH', path: `/groups/${group}/ai/spend`, body: '{' },
  ]);
}

async function fuzz(person: Person, calls: readonly Call[]): Promise<Answer[]> {
  const { result, log } = await logOf(async () => {
    const answers: Answer[] = [];
    await sendAll(calls, async (call) => {
      const answer = await send(person, call);
      answers.push(answer);
      return answer;
    });
    return answers;
  });
  expectNoFault(result, faultOf);
  expectNoFault(result, (answer) => unnamed(answer as Answer));
  expect(log).toEqual([]);
  return result;
}

const KINDS = { fields: oneHostileField, bodies: wrongBodies, paths: wrongPaths };

test('what is hostile is refused when it comes from somebody who may only read, and nothing is written', async ({
  task,
}) => {
  const before = await tables.take();
  const figures: string[] = [];
  for (const [kind, calls] of Object.entries(KINDS)) {
    const answers = await fuzz('auditor', calls());
    const written = answers.filter(
      ({ request, refusedAs }) => refusedAs === undefined && !/: GET /.test(request),
    );
    expect(written).toEqual([]);
    figures.push(figure(`REST, ${kind}, from an auditor`, tallyOf(answers)));
  }
  expect(await tables.take()).toEqual(before);
  task.meta.figures = figures;
});

test('from somebody who may write, what is refused writes nothing', async ({ task }) => {
  const figures: string[] = [];
  for (const [kind, calls] of Object.entries(KINDS)) {
    const answers: Answer[] = [];
    const all = calls();
    for (let start = 0; start < all.length; start += BATCH) {
      const before = await tables.take();
      const batch = await fuzz('owner', all.slice(start, start + BATCH));
      // What one accepted call writes can't be told from what another wrote: such a batch is only counted.
      if (batch.every(({ refusedAs }) => refusedAs !== undefined)) {
        expect(await tables.take(), batch[0]?.request).toEqual(before);
      }
      answers.push(...batch);
    }
    figures.push(figure(`REST, ${kind}, from an owner`, tallyOf(answers)));
  }
  task.meta.figures = figures;
});
