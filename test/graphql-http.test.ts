import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { GRAPHQL_TYPE, JSON_TYPE, postGraphQL, readAnswer } from './support/graphql-answer.ts';
import { logOf } from './support/log.ts';
import { INSIDE, whileRaising } from './support/raising.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

/** How `/graphql` speaks HTTP (https://graphql.github.io/graphql-over-http/draft/), and what its errors say. */
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

const post = (body: string | object, headers: Record<string, string> = {}) =>
  postGraphQL(server, world.people.owner, body, headers);

const UPSERT = `mutation ($group: UUID!, $limit: BigInt!) {
  upsertGroupAiBudget(input: { groupId: $group, spendLimitMicros: $limit }) {
    groupAiBudget { groupId spendLimitMicros }
  }
}`;

describe('media types', () => {
  test.each([
    [GRAPHQL_TYPE, GRAPHQL_TYPE],
    [JSON_TYPE, JSON_TYPE],
    [`${JSON_TYPE}; charset=utf-8`, JSON_TYPE],
    [`text/html, ${GRAPHQL_TYPE};q=0.9, ${JSON_TYPE};q=0.8`, GRAPHQL_TYPE],
  ])('accept: %s is answered with %s', async (accept, type) => {
    const answer = await post({ query: '{ __typename }' }, { accept });
    expect(answer).toMatchObject({ status: 200, type, data: { __typename: 'Query' } });
    expect(answer.headers.get('content-type')).toMatch(/charset=utf-8/i);
  });

  test('whoever accepts anything gets one of the two', async () => {
    const answer = await post({ query: '{ __typename }' }, { accept: '*/*' });
    expect(answer.status).toBe(200);
    expect([GRAPHQL_TYPE, JSON_TYPE]).toContain(answer.type);
  });

  test('whoever accepts neither gets 406', async () => {
    expect(await post({ query: '{ __typename }' }, { accept: 'text/html' })).toMatchObject({
      status: 406,
    });
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'a body of %s, which a foreign page could send, gets 415',
    async (type) => {
      const answer = await post('{"query": "{ __typename }"}', { 'content-type': type });
      expect(answer).toMatchObject({ status: 415, errors: [{}] });
    },
  );

  test('a body of no type gets 400', async () => {
    const response = await server.request(world.people.owner, '/graphql', {
      method: 'POST',
      body: Buffer.from('{"query": "{ __typename }"}'),
    });
    expect(await readAnswer(response)).toMatchObject({ status: 400, errors: [{}] });
  });
});

describe('methods', () => {
  test.each(['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    '%s gets 405 with Allow',
    async (method) => {
      for (const query of ['', '?query={__typename}']) {
        const response = await server.request(null, `/graphql${query}`, { method });
        expect(response.headers.get('allow')).toBe('POST');
        expect(await readAnswer(response)).toMatchObject({ status: 405, errors: [{}] });
      }
    },
  );
});

describe('requests that can’t be run', () => {
  test.each([
    ['an empty body', ''],
    ['no JSON', '{"query":'],
    ['null', 'null'],
    ['a number', '5'],
    ['a batch', '[{"query": "{ __typename }"}, {"query": "{ __typename }"}]'],
    ['no query', '{}'],
    ['a query that is no text', '{"query": 5}'],
    ['variables in a list', '{"query": "{ __typename }", "variables": []}'],
    ['variables in a text', '{"query": "{ __typename }", "variables": "{}"}'],
    ['extensions in a list', '{"query": "{ __typename }", "extensions": []}'],
    ['a numeric operation name', '{"query": "{ __typename }", "operationName": 5}'],
  ])('%s gets 400 whatever is accepted', async (_what, body) => {
    for (const accept of [GRAPHQL_TYPE, JSON_TYPE]) {
      const answer = await post(body, { accept });
      expect(answer).toMatchObject({ status: 400, data: undefined, errors: [{}] });
    }
  });

  test('a body over 100 kB gets 413, one just under it is read', async () => {
    const padded = (size: number) => {
      const body = JSON.stringify({ query: '{ __typename }', extensions: { x: '' } });
      return body.replace('""', `"${'x'.repeat(size - body.length)}"`);
    };
    expect(await post(padded(100_001))).toMatchObject({ status: 413, errors: [{}] });
    expect(await post(padded(99_000))).toMatchObject({ status: 200, errors: [] });
  });

  test.each([
    ['a syntax error', { query: '{' }],
    ['a field that does not exist', { query: '{ nope }' }],
    ['an unknown operation', { query: 'query A { __typename }', operationName: 'B' }],
    ['no operation named', { query: 'query A { __typename } query B { __typename }' }],
    ['an empty operation name', { query: '{ __typename }', operationName: '' }],
    ['a missing variable', { query: 'query ($id: UUID!) { group(id: $id) { id } }' }],
    [
      'a bad variable',
      { query: 'query ($id: UUID!) { group(id: $id) { id } }', variables: { id: 'x' } },
    ],
  ])('%s gets 400, or 200 for those who know no better', async (_what, body) => {
    const failed = { data: undefined, errors: [{ extensions: { code: 'VALIDATION_FAILED' } }] };
    expect(await post(body)).toMatchObject({ ...failed, status: 400, type: GRAPHQL_TYPE });
    expect(await post(body, { accept: JSON_TYPE })).toMatchObject({
      ...failed,
      status: 200,
      type: JSON_TYPE,
    });
  });

  test('of several operations the named one runs', async () => {
    const query = 'query A { a: __typename } query B { b: __typename }';
    expect((await post({ query, operationName: 'B' })).data).toEqual({ b: 'Query' });
  });
});

describe('UNAUTHENTICATED', () => {
  test('a token that is wrong ends the request with 401', async () => {
    const authorization = 'Bearer not.a.token';
    const answer = await post({ query: '{ __typename }' }, { authorization });
    expect(answer).toMatchObject({
      status: 401,
      data: undefined,
      errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
    });
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
  });

  test('nobody reads nothing, and may not write', async () => {
    const read = await postGraphQL(server, null, {
      query: `{ groupAiBudget(groupId: "${world.group}") { groupId } aiModelPrices { totalCount } }`,
    });
    expect(read.data).toEqual({ groupAiBudget: null, aiModelPrices: { totalCount: 0 } });
    const write = await postGraphQL(server, null, {
      query: UPSERT,
      variables: { group: world.group, limit: '5' },
    });
    expect(write).toMatchObject({
      data: undefined,
      errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
    });
  });
});

describe('NOT_FOUND', () => {
  test('is the same for absent and forbidden', async () => {
    const { member } = world.people;
    const answers = [];
    for (const group of [randomUUID(), world.foreignGroup, world.otherGroup, world.group]) {
      const answer = await postGraphQL(server, member, {
        query: UPSERT,
        variables: { group, limit: '5' },
      });
      expect(answer.errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
      answers.push(answer.text);
    }
    expect(new Set(answers).size).toBe(1);
  });
});

describe('CONFLICT', () => {
  test('a name that is taken', async () => {
    const query = `mutation {
      createGroup(input: { group: { organizationId: "${world.organization}", name: "Research" } }) {
        group { id }
      }
    }`;
    const answer = await post({ query });
    expect(answer.errors).toMatchObject([
      { path: ['createGroup'], extensions: { code: 'CONFLICT' } },
    ]);
    expect(answer.errors[0]?.message).toContain('group name is taken once in its organization');
  });

  test.each(['40001', '40P01', '23505'])('SQLSTATE %s', async (sqlstate) => {
    expect(await upsertWhileRaising(sqlstate)).toMatchObject([
      { extensions: { code: 'CONFLICT' } },
    ]);
  });
});

describe('TIMEOUT', () => {
  test.each(['57014', '55P03'])('SQLSTATE %s', async (sqlstate) => {
    expect(await upsertWhileRaising(sqlstate)).toMatchObject([{ extensions: { code: 'TIMEOUT' } }]);
  });
});

/** The errors of an upsert that fails inside. None of them may tell of the inside. */
async function upsertWhileRaising(sqlstate: string) {
  const upsert = () => post({ query: UPSERT, variables: { group: world.group, limit: '5' } });
  const { text, errors } = await whileRaising(
    database.owner,
    'app_public.upsert_group_ai_budget(uuid, bigint)',
    sqlstate,
    upsert,
  );
  expect(text).not.toContain('vault');
  expect(text).not.toContain('inside.sql');
  return errors;
}

describe('INTERNAL', () => {
  const LEAK =
    /vault|inside\.sql|select|insert|app_|sqlstate|raise|plpgsql|\.[jt]s\b|node_modules| at /i;

  test.each([
    ['a mutation', 'app_public.upsert_group_ai_budget(uuid, bigint)', 'XX000', 200],
    ['a mutation', 'app_public.upsert_group_ai_budget(uuid, bigint)', '42P01', 200],
    ['a mutation', 'app_public.upsert_group_ai_budget(uuid, bigint)', 'P0001', 200],
    ['a policy', 'app_hidden.reads_every_organization()', 'XX000', 200],
    ['finding out who calls', 'app_hidden.require_user(uuid)', 'XX000', 500],
  ])(
    '%s (%s) that raises %s: the log has it, the caller its id',
    async (_what, signature, sqlstate, status) => {
      const query = signature.startsWith('app_public') ? UPSERT : '{ groups { nodes { id } } }';
      const { result: answer, log } = await logOf(() =>
        whileRaising(database.owner, signature, sqlstate, () =>
          post({ query, variables: { group: world.group, limit: '5' } }),
        ),
      );
      expect(answer.status).toBe(status);
      expect(answer.errors).toMatchObject([
        { extensions: { code: 'INTERNAL', id: expect.stringMatching(/^[0-9a-f-]{36}$/) } },
      ]);
      for (const { message, extensions } of answer.errors) {
        expect(Object.keys(extensions).sort()).toEqual(['code', 'id']);
        expect(message).not.toMatch(LEAK);
      }
      expect(answer.text).not.toContain('vault');
      const id = answer.errors[0]?.extensions.id;
      expect(log).toContainEqual(
        expect.objectContaining({ level: 'error', id, sqlstate, message: INSIDE }),
      );
    },
  );
});

describe('headers', () => {
  test.each([
    ['POST', '/graphql', 200],
    ['GET', '/graphql', 405],
    ['GET', '/api/v2/groups/x/ai/budget', 400],
    ['GET', '/api/nothing', 404],
    ['GET', '/healthz', 200],
    ['OPTIONS', '/graphql', undefined],
    ['OPTIONS', '/api/v2/groups/x/ai/budget', undefined],
  ])(
    'of %s %s let no page show it, guess what it is, or read it from elsewhere',
    async (method, path, status) => {
      const { status: is, headers } = await server.request(world.people.owner, path, {
        method,
        headers: { 'content-type': 'application/json', origin: 'https://elsewhere.example' },
        ...(method === 'POST' ? { body: '{"query": "{ __typename }"}' } : {}),
      });
      if (status !== undefined) expect(is).toBe(status);
      expect(Object.fromEntries(headers)).toMatchObject({
        'content-security-policy': "default-src 'none';frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'SAMEORIGIN',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
      });
      expect(
        [...headers.keys()].filter((name) => /^access-control|^x-powered-by$|^server$/.test(name)),
      ).toEqual([]);
    },
  );
});

describe('GraphiQL', () => {
  const html = { headers: { accept: 'text/html' } };

  test('is absent unless asked for', async () => {
    for (const path of ['/', '/graphiql', '/graphql']) {
      const response = await server.request(null, path, html);
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(await response.text()).not.toMatch(/<html|ruru|graphiql/i);
    }
  });

  test('is served at / when asked for', async () => {
    const withGraphiql = await startTestServer(database, { graphiql: true });
    try {
      const response = await withGraphiql.request(null, '/', html);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toMatch(/^text\/html\b/);
      expect(await response.text()).toMatch(/graphiql|ruru/i);
    } finally {
      await withGraphiql.stop();
    }
  });
});
