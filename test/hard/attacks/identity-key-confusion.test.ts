import { createPublicKey, sign } from 'node:crypto';
import { exportJWK, exportPKCS8, exportSPKI } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { signedBytes } from '../../support/forged-tokens.ts';
import {
  expectNothingExecuted,
  expectUnauthenticated,
  type IdentifiedRequest,
  identifiedRequests,
  lastStatements,
  send,
} from '../../support/identified-requests.ts';
import {
  KEY_ALGORITHMS,
  type KeyServer,
  keysAre,
  newPair,
  type Pair,
  startKeyServer,
} from '../../support/key-server.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { now, token } from '../../support/tokens.ts';
import { createWorld, type World } from '../../support/world.ts';

// Where keys are public, what everybody knows must sign nothing, and no token may bring its own.

let database: TestDatabase;
let world: World;
let server: TestServer;
let keys: KeyServer;
/** The attacker's, with keys of theirs. */
let elsewhere: KeyServer;
let pairs: Readonly<Record<(typeof KEY_ALGORITHMS)[number], Pair>>;
let theirs: Pair;
let requests: [name: string, request: IdentifiedRequest][];

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  requests = Object.entries(identifiedRequests(world));
  pairs = {
    RS256: await newPair('RS256'),
    ES256: await newPair('ES256'),
    EdDSA: await newPair('EdDSA'),
  };
  theirs = await newPair('RS256');
  keys = await startKeyServer(keysAre(...Object.values(pairs).map(({ jwk }) => jwk)));
  elsewhere = await startKeyServer(keysAre(theirs.jwk));
  server = await startTestServer(database, {
    tokens: { keys: { kind: 'jwks', url: keys.url }, issuer: undefined, audience: undefined },
  });
});

afterAll(async () => {
  await server?.stop();
  await keys?.stop();
  await elsewhere?.stop();
  await database?.drop();
});

const payload = () => ({ sub: world.people.owner, exp: now() + 3600 });
const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const headAndBody = (header: object) => `${base64url(header)}.${base64url(payload())}`;

/** By the attacker's key, with a header that says where to find it. */
function bringing(header: object, pem: string): string {
  const signed = headAndBody({ alg: 'RS256', kid: 'RS256', ...header });
  return `${signed}.${sign('sha256', Buffer.from(signed), pem).toString('base64url')}`;
}

/** Everything that is public about a key, as somebody may take it for a secret. */
async function publicFormsOf({ publicKey, jwk }: Pair): Promise<(string | Buffer)[]> {
  const spki = await exportSPKI(publicKey);
  const der = createPublicKey(spki).export({ type: 'spki', format: 'der' });
  return [
    ...[spki, spki.trim(), spki.replaceAll('\n', '\r\n'), spki.replace(/-----[^-]+-----|\n/g, '')],
    ...[der, JSON.stringify(jwk), JSON.stringify({ keys: [jwk] }), jwk.kid ?? ''],
    ...[jwk.n, jwk.x, jwk.y].filter((part) => part !== undefined),
    ...[jwk.n, jwk.x].flatMap((part) => (part ? [Buffer.from(part, 'base64url')] : [])),
  ];
}

async function confusions(): Promise<string[]> {
  const tokens: string[] = [];
  for (const alg of KEY_ALGORITHMS) {
    for (const secret of await publicFormsOf(pairs[alg])) {
      for (const header of [{ alg: 'HS256', kid: alg }, { alg: 'HS256' }, { alg, kid: alg }]) {
        tokens.push(signedBytes(JSON.stringify(header), JSON.stringify(payload()), secret));
      }
    }
    const { privateKey } = await newPair(alg);
    tokens.push(await token(payload(), { alg, kid: alg }, privateKey));
    // The right key under the name of another, and of none.
    for (const kid of [...KEY_ALGORITHMS.filter((other) => other !== alg), '', '../keys', 'x'])
      tokens.push(await token(payload(), { alg, kid }, pairs[alg].privateKey));
    // Signatures of nothing but zeros, which some have taken for right.
    for (const length of [0, 1, 64, 70, 256]) {
      const zeros = Buffer.alloc(length).toString('base64url');
      tokens.push(`${headAndBody({ alg, kid: alg })}.${zeros}`);
    }
    for (const none of ['none', 'None', 'NONE', 'nOnE'])
      tokens.push(`${headAndBody({ alg: none, kid: alg })}.`);
    const old = { ...payload(), exp: now() - 1 };
    tokens.push(await token(old, { alg, kid: alg }, pairs[alg].privateKey));
    const later = { ...payload(), nbf: now() + 60 };
    tokens.push(await token(later, { alg, kid: alg }, pairs[alg].privateKey));
  }
  for (const alg of ['RS384', 'RS512', 'PS256']) {
    const jwk = { ...(await exportJWK(pairs.RS256.privateKey)), alg };
    tokens.push(await token(payload(), { alg, kid: 'RS256' }, jwk));
  }
  const { url } = elsewhere;
  const pem = await exportPKCS8(theirs.privateKey);
  const x5c = [(await exportSPKI(theirs.publicKey)).replace(/-----[^-]+-----|\n/g, '')];
  const headers = [
    ...[{}, { jwk: theirs.jwk }, { jku: url }, { x5u: url }, { x5c }, { iss: url }],
    ...[{ jku: url, kid: url }, { jku: `${keys.url}@${new URL(url).host}` }],
    ...[{ kid: '../../../../etc/passwd' }, { kid: `file://${process.execPath}` }],
    { crit: ['jwk'], jwk: theirs.jwk },
  ];
  tokens.push(...headers.map((header) => bringing(header, pem)));
  return tokens;
}

test('no public key is a secret, and no token brings its own key, at any route', async ({
  task,
}) => {
  const tokens = await confusions();
  const right = await token(payload(), { alg: 'ES256', kid: 'ES256' }, pairs.ES256.privateKey);
  const before = await lastStatements(database);
  for (const jwt of tokens) {
    for (const [, request] of requests) {
      const authorization = `Bearer ${jwt}`;
      expectUnauthenticated(request, await send(server.url, request, { authorization }));
    }
  }
  expectNothingExecuted(before, await lastStatements(database));
  expect(elsewhere.asked).toBe(0);
  // However many unknown keys were named: the key set was asked for by the first token, and once more at most.
  expect(keys.asked).toBeLessThanOrEqual(2);
  for (const [name, request] of requests) {
    const answer = await send(server.url, request, { authorization: `Bearer ${right}` });
    expect(answer.status, name).not.toBe(401);
  }
  task.meta.figures = [
    `${tokens.length} tokens that confuse keys (HS256 with public keys, alg none, keys of their own by jwk, jku, x5u, x5c ` +
      `or kid, signatures of zeros) at ${requests.length} requests: all answered 401, no statement reached the ` +
      `database, no URL that a token names was asked, and the key set was asked for at most twice`,
  ];
});
