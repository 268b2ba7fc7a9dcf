import { randomUUID } from 'node:crypto';
import { generateKeyPair } from 'jose';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { budgetPath } from './support/actions.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { codesOf } from './support/doors.ts';
import { expectUnauthenticated, sendLines } from './support/identified-requests.ts';
import { SECRET, startTestServer, type TestServer } from './support/server.ts';
import { now, token, unsignedToken } from './support/tokens.ts';
import { createWorld, type World } from './support/world.ts';

let database: TestDatabase;
let world: World;
let server: TestServer;
/** The same, for tokens of one issuer and one audience. */
let strictServer: TestServer;
let member: string;

const ISSUER = 'https://login.example';
const AUDIENCE = 'bursar';

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  member = world.people.member;
  server = await startTestServer(database);
  strictServer = await startTestServer(database, {
    tokens: {
      keys: { kind: 'secret', secret: SECRET },
      issuer: ISSUER,
      audience: AUDIENCE,
    },
  });
});

afterAll(async () => {
  await server?.stop();
  await strictServer?.stop();
  await database?.drop();
});

const inAnHour = () => now() + 3600;

/** Both doors, each with a request that needs no more than somebody to be there. */
const DOORS = {
  REST: (to: TestServer, authorization: string) =>
    fetch(`${to.url}${budgetPath(world.group)}`, { headers: { authorization } }),
  GraphQL: (to: TestServer, authorization: string) =>
    fetch(`${to.url}/graphql`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ groups { nodes { id } } }' }),
    }),
} as const;
const doors = Object.entries(DOORS);

async function expectRefusal(door: string, response: Response): Promise<void> {
  const text = await response.text();
  expect(response.status, text).toBe(401);
  expect(response.headers.get('www-authenticate')).toBe('Bearer');
  expect(response.headers.get('content-type')).toMatch(/^application\/json\b/);
  const body: unknown = JSON.parse(text);
  const message = expect.stringMatching(/^The [^\n]+\.$/);
  expect(body).toEqual(
    door === 'REST'
      ? { message }
      : { errors: [{ message, extensions: { code: 'UNAUTHENTICATED' } }] },
  );
  // Nothing of the inside: no file, no line, no name of an error.
  expect(text).not.toMatch(/\/|\.ts|node_modules|\bat \w|JW[STKE]|Error/);
}

async function expectWelcome(door: string, response: Response): Promise<void> {
  const text = await response.text();
  expect(response.status, text).toBe(200);
  const body = JSON.parse(text) as { data?: { groups: { nodes: unknown[] } } };
  // Engineering and Everyone.
  if (door === 'GraphQL') expect(body.data?.groups.nodes).toHaveLength(2);
  else expect(body).toMatchObject({ group_id: world.group });
}

/** What the Authorization header says, as nobody should get away with. */
const REFUSED: Record<string, () => string | Promise<string>> = {
  'an empty header': () => '',
  'the scheme alone': () => 'Bearer',
  'the scheme and a blank': () => 'Bearer ',
  'another scheme': async () => `Basic ${await token({ sub: member, exp: inAnHour() })}`,
  'no scheme': () => token({ sub: member, exp: inAnHour() }),
  'two tokens': async () => {
    const good = await token({ sub: member, exp: inAnHour() });
    return `Bearer ${good} ${good}`;
  },
  'two tokens with a comma': async () => {
    const good = await token({ sub: member, exp: inAnHour() });
    return `Bearer ${good}, Bearer ${good}`;
  },
  'no token': () => 'Bearer nonsense',
  'three parts of nonsense': () => 'Bearer a.b.c',
  "a user's id": () => `Bearer ${member}`,
  'a token that has expired': () => bearer({ sub: member, exp: now() - 1 }),
  'a token that expires now': () => bearer({ sub: member, exp: now() }),
  'a token that never expires': () => bearer({ sub: member }),
  'an expiry that is no number': () => bearer({ sub: member, exp: String(inAnHour()) }),
  'an expiry that is null': () => bearer({ sub: member, exp: null }),
  'a token for later': () => bearer({ sub: member, exp: inAnHour(), nbf: now() + 60 }),
  'the signature of another secret': async () => {
    const other = new TextEncoder().encode('another secret, of more than 32 bytes');
    return `Bearer ${await token({ sub: member, exp: inAnHour() }, { alg: 'HS256' }, other)}`;
  },
  'a payload that was changed after it was signed': async () => {
    const [header, , signature] = (await token({ sub: member, exp: inAnHour() })).split('.');
    const payload = { sub: world.people.owner, exp: inAnHour() };
    const forged = Buffer.from(JSON.stringify(payload)).toString('base64url');
    return `Bearer ${header}.${forged}.${signature}`;
  },
  'a signature that was cut off': async () => {
    const [header, payload] = (await token({ sub: member, exp: inAnHour() })).split('.');
    return `Bearer ${header}.${payload}.`;
  },
  'no signature (alg none)': () => `Bearer ${unsignedToken({ sub: member, exp: inAnHour() })}`,
  'HS384 with the right secret': () => bearer({ sub: member, exp: inAnHour() }, 'HS384'),
  'HS512 with the right secret': () => bearer({ sub: member, exp: inAnHour() }, 'HS512'),
  'RS256 with a key of its own': async () => {
    const { privateKey } = await generateKeyPair('RS256');
    return `Bearer ${await token({ sub: member, exp: inAnHour() }, { alg: 'RS256' }, privateKey)}`;
  },
  'no subject': () => bearer({ exp: inAnHour() }),
  'an empty subject': () => bearer({ sub: '', exp: inAnHour() }),
  'a subject that is null': () => bearer({ sub: null, exp: inAnHour() }),
  'a subject that is no UUID': () => bearer({ sub: 'member', exp: inAnHour() }),
  'a subject in braces': () => bearer({ sub: `{${member}}`, exp: inAnHour() }),
  'a subject with a line after it': () => bearer({ sub: `${member}\n`, exp: inAnHour() }),
  'a subject with a NUL after it': () => bearer({ sub: `${member}\0`, exp: inAnHour() }),
  'a list of subjects': () => bearer({ sub: [member], exp: inAnHour() }),
  'a subject that is a number': () => bearer({ sub: 1, exp: inAnHour() }),
  'a subject that is an object': () => bearer({ sub: { id: member }, exp: inAnHour() }),
  'a user who never was': () => bearer({ sub: randomUUID(), exp: inAnHour() }),
  'a payload that is a list': () => bearer([member]),
};

async function bearer(payload: object, alg = 'HS256'): Promise<string> {
  return `Bearer ${await token(payload, { alg })}`;
}

/** Requests that the server can answer without the database, or whose statement fails for another reason. */
const WITHOUT_THE_DATABASE: Record<string, [path: string, init: RequestInit]> = {
  'a group that is no UUID': ['/api/v2/groups/x/ai/budget', {}],
  'a route that there is not': ['/api/v2/nothing', {}],
  'a path that can’t be decoded': ['/api/v2/groups/%ff/ai/budget', {}],
  'a method that there is not': [
    '/api/v2/groups/00000000-0000-4000-8000-000000000000/ai/budget',
    { method: 'POST' },
  ],
  'a body that is no JSON': ['/api/v2/ai/spend/authorize', { method: 'POST', body: '{' }],
  'a body that is too large': [
    '/api/v2/ai/spend/settle',
    { method: 'POST', body: ' '.repeat(20_000) },
  ],
  'a batch': ['/api/v2/ai/usage', { method: 'POST', body: '{"events": []}' }],
  'an operation without the database': graphql('{ __typename }'),
  introspection: graphql('{ __schema { queryType { name } } }'),
  'an operation that does not parse': graphql('{'),
  'an operation that is not valid': graphql('{ nothing }'),
  'a mutation with a value that is none': graphql(
    'mutation { upsertGroupAiBudget(input: { groupId: "x", spendLimitMicros: "1" }) { clientMutationId } }',
  ),
  'a body of another type': ['/graphql', { method: 'POST', body: 'query=x' }],
  'GraphQL by GET': ['/graphql?query={__typename}', {}],
};

function graphql(query: string): [string, RequestInit] {
  const headers = { 'content-type': 'application/json' };
  return ['/graphql', { method: 'POST', headers, body: JSON.stringify({ query }) }];
}

test.each(Object.entries(WITHOUT_THE_DATABASE))(
  'a token that names no user comes before all else: %s',
  async (_what, [path, init]) => {
    const authorization = await bearer({ sub: randomUUID(), exp: inAnHour() });
    const headers = { ...init.headers, authorization };
    const response = await fetch(`${server.url}${path}`, { ...init, headers });
    await expectRefusal(path.startsWith('/api') ? 'REST' : 'GraphQL', response);
  },
);

describe.each(doors)('%s', (door, send) => {
  test.each(Object.entries(REFUSED))('refuses %s', async (_name, authorization) => {
    await expectRefusal(door, await send(server, await authorization()));
  });

  test('refuses a token whose user was deleted since', async () => {
    const { rows } = await database.owner.query<{ id: string }>(
      "insert into app_public.users (username) values ('leaver') returning id",
    );
    const id = rows[0]?.id ?? '';
    const authorization = await bearer({ sub: id, exp: inAnHour() });
    expect((await send(server, authorization)).status).not.toBe(401);
    await database.owner.query('delete from app_public.users where id = $1', [id]);
    await expectRefusal(door, await send(server, authorization));
  });

  const ACCEPTED: Record<string, () => string | Promise<string>> = {
    'a token': () => bearer({ sub: member, exp: inAnHour() }),
    'a scheme in small letters': async () =>
      (await bearer({ sub: member, exp: inAnHour() })).replace('Bearer', 'bearer'),
    'a subject in capital letters': () => bearer({ sub: member.toUpperCase(), exp: inAnHour() }),
    'a token that has begun': () => bearer({ sub: member, exp: inAnHour(), nbf: now() - 1 }),
    'an issuer and an audience that nobody asked for': () =>
      bearer({ sub: member, exp: inAnHour(), iss: 'anybody', aud: 'anything' }),
  };
  test.each(Object.entries(ACCEPTED))('accepts %s', async (_name, authorization) => {
    await expectWelcome(door, await send(server, await authorization()));
  });

  test('refuses a token that it has accepted, from the second on in which it expires', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const authorization = await bearer({ sub: member, exp: now() + 5 });
    await expectWelcome(door, await send(server, authorization));
    vi.setSystemTime(Date.now() + 4_000);
    await expectWelcome(door, await send(server, authorization));
    vi.setSystemTime(Date.now() + 1_000);
    await expectRefusal(door, await send(server, authorization));
    vi.useRealTimers();
  });

  const right = () => ({ sub: member, exp: inAnHour(), iss: ISSUER, aud: AUDIENCE });
  const STRICTLY_REFUSED: Record<string, () => object> = {
    'another issuer': () => ({ ...right(), iss: 'https://elsewhere.example' }),
    'no issuer': () => ({ ...right(), iss: undefined }),
    'another audience': () => ({ ...right(), aud: 'somebody else' }),
    'no audience': () => ({ ...right(), aud: undefined }),
    'other audiences': () => ({ ...right(), aud: ['somebody', 'else'] }),
  };
  test.each(Object.entries(STRICTLY_REFUSED))('refuses %s where one is set', async (_name, of) => {
    await expectRefusal(door, await send(strictServer, await bearer(of())));
  });

  test('accepts the issuer and the audience that are set, also among others', async () => {
    await expectWelcome(door, await send(strictServer, await bearer(right())));
    const among = { ...right(), aud: ['another', AUDIENCE] };
    await expectWelcome(door, await send(strictServer, await bearer(among)));
  });
});

describe('two Authorization headers', () => {
  test.each(['/graphql', '/api/v2/nothing'])(
    'are refused at %s, whichever is right',
    async (path) => {
      const right = `Authorization: ${await bearer({ sub: member, exp: inAnHour() })}`;
      for (const lines of [
        [right, right],
        [right, 'authorization: no'],
        ['authorization: no', right],
      ]) {
        const request = { method: 'GET', path };
        expectUnauthenticated(request, await sendLines(server.url, request, lines));
      }
    },
  );
});

describe('no token', () => {
  test('is 401 at REST', async () => {
    const response = await server.request(null, budgetPath(world.group));
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    expect(Object.keys((await response.json()) as object)).toEqual(['message']);
  });

  test('is nobody at GraphQL, who sees nothing', async () => {
    const names = [
      'groups',
      'groupMembers',
      'groupAiBudgets',
      'aiModelPrices',
      'features',
      'users',
    ];
    const fields = names.map((name) => `${name} { totalCount nodes { nodeId } }`);
    const answer = await server.graphql(null, `{ ${fields.join(' ')} }`);
    expect(answer.status).toBe(200);
    expect(answer.errors).toBeUndefined();
    expect(answer.data).toEqual(
      Object.fromEntries(names.map((name) => [name, { totalCount: 0, nodes: [] }])),
    );
  });

  test('changes nothing at GraphQL', async () => {
    const answer = await server.graphql(
      null,
      `mutation { upsertGroupAiBudget(input: { groupId: "${world.group}", spendLimitMicros: "1" }) {
        groupAiBudget { groupId } } }`,
    );
    expect(codesOf(answer)).toEqual(['UNAUTHENTICATED']);
    expect(answer.data ?? null).toBeNull();
  });
});
