import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import {
  expectNothingExecuted,
  expectNothingOfTheInside,
  expectUnauthenticated,
  type IdentifiedRequest,
  identifiedRequests,
  lastStatements,
  send,
  sendLines,
} from '../../support/identified-requests.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { now, token } from '../../support/tokens.ts';
import { createWorld, type World } from '../../support/world.ts';

// The right token in the wrong place or form: a header that two readers may read differently is no header.

let database: TestDatabase;
let world: World;
let requests: [name: string, request: IdentifiedRequest][];
let server: TestServer;
let owner: string;
let other: string;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  requests = Object.entries(identifiedRequests(world));
  server = await startTestServer(database);
  owner = await token({ sub: world.people.owner, exp: now() + 3600 });
  other = await token({ sub: world.people.member, exp: now() + 3600 });
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

/** The lines of a header, of which each is refused. */
const MALFORMED: Record<string, () => readonly string[]> = {
  'the same header twice': () => [
    `Authorization: Bearer ${owner}`,
    `Authorization: Bearer ${owner}`,
  ],
  'two headers, of two people': () => [
    `Authorization: Bearer ${owner}`,
    `Authorization: Bearer ${other}`,
  ],
  'a header of nonsense after the right one': () => [
    `Authorization: Bearer ${owner}`,
    'authorization: nonsense',
  ],
  'a header of nonsense before the right one': () => [
    'AUTHORIZATION: nonsense',
    `Authorization: Bearer ${owner}`,
  ],
  'an empty header before the right one': () => [
    'Authorization:',
    `Authorization: Bearer ${owner}`,
  ],
  'two tokens in one header': () => [`Authorization: Bearer ${owner}, Bearer ${other}`],
  'a tab instead of the blank': () => [`Authorization: Bearer\t${owner}`],
  'no blank': () => [`Authorization: Bearer${owner}`],
  'a colon': () => [`Authorization: Bearer: ${owner}`],
  'an equals sign': () => [`Authorization: Bearer=${owner}`],
  'a blank that does not break': () => [`Authorization: Bearer\xa0${owner}`],
  'a blank within the token': () => [`Authorization: Bearer ${owner.replace('.', ' .')}`],
  'a tab within the token': () => [`Authorization: Bearer ${owner.replace('.', '\t.')}`],
  quotes: () => [`Authorization: Bearer "${owner}"`],
  'the name of a parameter': () => [`Authorization: Bearer token=${owner}`],
  'another scheme': () => [`Authorization: Token ${owner}`],
  'the scheme twice': () => [`Authorization: Bearer Bearer ${owner}`],
  'a letter of another alphabet': () => [`Authorization: B\xe9arer ${owner}`],
  'bytes that are no text': () => [`Authorization: Bearer \x80\xff\xfe`],
  'a token with bytes that are no text': () => [`Authorization: Bearer ${owner}\xff`],
  '15 kB of dots': () => [`Authorization: Bearer ${'.'.repeat(15_000)}`],
  '15 kB of blanks': () => [`Authorization: Bearer ${' '.repeat(15_000)}!`],
};

describe('is refused, at every route', () => {
  test.each(Object.entries(MALFORMED))('%s', async (_name, lines) => {
    const before = await lastStatements(database);
    for (const [, request] of requests) {
      expectUnauthenticated(request, await sendLines(server.url, request, lines()));
    }
    expectNothingExecuted(before, await lastStatements(database));
  });
});

/** Node itself turns these away, before a route is asked, in few words or none. */
const UNREADABLE: Record<string, [status: number, lines: () => readonly string[]]> = {
  'a NUL': [400, () => [`Authorization: Bearer ${owner}\0`]],
  'a line that goes on': [400, () => [`Authorization: Bearer\r\n ${owner}`]],
  'a line feed alone': [400, () => [`X: y\nAuthorization: Bearer ${owner}`]],
  'a return alone': [400, () => [`X: y\rAuthorization: Bearer ${owner}`]],
  'a blank before the colon': [400, () => [`Authorization : Bearer ${owner}`]],
  'a header of 20 kB': [431, () => [`Authorization: Bearer ${'a'.repeat(20_000)}`]],
  'a header of 1 MB': [431, () => [`Authorization: Bearer ${'a'.repeat(1_000_000)}`]],
  'the right header behind 1 MB of others': [
    431,
    () => [`X: ${'a'.repeat(1_000_000)}`, `Authorization: Bearer ${owner}`],
  ],
};

test.each(Object.entries(UNREADABLE))('%s is not read at all', async (_name, [status, lines]) => {
  const before = await lastStatements(database);
  for (const [name, request] of requests) {
    const answer = await sendLines(server.url, request, lines());
    expect(answer.status, name).toBe(status);
    expectNothingOfTheInside(answer.text);
  }
  expectNothingExecuted(before, await lastStatements(database));
  // And the next one is served.
  expect((await server.request(world.people.owner, requests[0]?.[1].path ?? '')).status).not.toBe(
    401,
  );
});

/** Where others look for a token, and Bursar must not: what stands in a URL stands in logs. */
const ELSEWHERE: Record<string, (request: IdentifiedRequest) => [IdentifiedRequest, string[]?]> = {
  'in the query string': (r) => [{ ...r, path: `${r.path}?access_token=${owner}&token=${owner}` }],
  'as a header of the query string': (r) => [
    { ...r, path: `${r.path}?Authorization=Bearer%20${owner}` },
  ],
  'in the body': (r) => [
    { ...r, ...(r.body?.startsWith('{') ? { body: withTokenIn(r.body) } : {}) },
  ],
  'as a cookie': (r) => [
    r,
    [`Cookie: access_token=${owner}; Authorization=Bearer ${owner}; token=${owner}`],
  ],
  'in headers of proxies': (r) => [
    r,
    [
      `Proxy-Authorization: Bearer ${owner}`,
      `X-Authorization: Bearer ${owner}`,
      `X-Forwarded-Authorization: Bearer ${owner}`,
      `X-Access-Token: ${owner}`,
    ],
  ],
  'in headers that name the user': (r) => [
    r,
    [
      `X-User-Id: ${world.people.owner}`,
      `X-Forwarded-User: ${world.people.owner}`,
      `X-Remote-User: owner`,
      `Bursar.user_id: ${world.people.owner}`,
    ],
  ],
  'as a protocol of websockets': (r) => [r, [`Sec-WebSocket-Protocol: bearer, ${owner}`]],
  'in a header with an underscore': (r) => [r, [`Authorization_: Bearer ${owner}`]],
  'behind the body': (r) => [
    { ...r, body: `${r.body ?? ''}\r\nAuthorization: Bearer ${owner}\r\n` },
  ],
};

function withTokenIn(body: string): string {
  return JSON.stringify({
    ...JSON.parse(body === '{' ? '{}' : body),
    ...{ access_token: owner, authorization: `Bearer ${owner}` },
    extensions: { authorization: `Bearer ${owner}`, pgSettings: { role: 'bursar_owner' } },
  });
}

describe('makes nobody somebody', () => {
  test.each(Object.entries(ELSEWHERE))('a token %s', async (_name, place) => {
    for (const [name, request] of requests) {
      const [sent, lines = []] = place(request);
      const answer = await sendLines(server.url, sent, lines);
      if (sent.path.startsWith('/api')) expectUnauthenticated(sent, answer);
      else if (answer.status === 200) {
        // Nobody may ask GraphQL, and sees nothing.
        const { data = null, errors } = JSON.parse(answer.text);
        const nothing = [null, { groups: { nodes: [] } }, { __typename: 'Query' }];
        expect(nothing, name).toContainEqual(data);
        if (data === null) expect(errors[0].extensions.code).toBe('UNAUTHENTICATED');
      } else expect(answer.status, name).toBe(400);
    }
    expect(await changed()).toBe(false);
  });
});

test('what needs no token takes none amiss, and tells nothing of whose it is', async () => {
  for (const path of ['/healthz', '/readyz']) {
    const request = { method: 'GET', path };
    const expected = await send(server.url, request);
    expect(expected.status).toBe(200);
    for (const lines of [
      ...Object.values(MALFORMED).map((of) => of()),
      [`Authorization: Bearer ${owner}`],
    ]) {
      const { status, text } = await sendLines(server.url, request, lines);
      expect({ status, text }).toEqual({ status: expected.status, text: expected.text });
    }
  }
});

test('how many ways that is', ({ task }) => {
  const ways = { ...MALFORMED, ...UNREADABLE, ...ELSEWHERE };
  task.meta.figures = [
    `${Object.keys(MALFORMED).length} malformed or doubled Authorization headers, ${Object.keys(UNREADABLE).length} unreadable ones and ` +
      `${Object.keys(ELSEWHERE).length} other places for a token, at ${requests.length} requests each: ` +
      `${Object.keys(ways).length * requests.length} sent, none got in`,
  ];
});

/** Whether the budget that the requests write is another than at first. */
async function changed(): Promise<boolean> {
  const { rows } = await database.owner.query<{ limit: string }>(
    'select spend_limit_micros as limit from app_public.group_ai_budgets where group_id = $1',
    [world.group],
  );
  return rows[0]?.limit !== '500000000';
}
