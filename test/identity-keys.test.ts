import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTokenVerifier } from '../src/identity.ts';
import { budgetPath } from './support/actions.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { logOf } from './support/log.ts';
import { SECRET, startTestServer, type TestServer } from './support/server.ts';
import { now, token, unsignedToken } from './support/tokens.ts';
import { createWorld, type World } from './support/world.ts';

// Tokens that somebody else signs: the keys come from a file or from a URL.

const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
type Algorithm = (typeof ALGORITHMS)[number];
type Pair = { publicKey: CryptoKey; privateKey: CryptoKey; jwk: JWK };

let database: TestDatabase;
let world: World;
let folder: string;
let keyServer: Server;
let keysAsked = 0;
let pairs: Readonly<Record<Algorithm, Pair>>;
let servers: Readonly<Record<'a file' | 'a URL', TestServer>>;

async function newPair(alg: Algorithm): Promise<Pair> {
  const options = alg === 'EdDSA' ? { crv: 'Ed25519' } : {};
  const { publicKey, privateKey } = await generateKeyPair(alg, { ...options, extractable: true });
  return { publicKey, privateKey, jwk: { ...(await exportJWK(publicKey)), alg, kid: alg } };
}

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  pairs = {
    RS256: await newPair('RS256'),
    ES256: await newPair('ES256'),
    EdDSA: await newPair('EdDSA'),
  };
  const keys = JSON.stringify({
    keys: [
      ...Object.values(pairs).map((pair) => pair.jwk),
      // One that has no business there: a secret is not for sharing.
      { kty: 'oct', kid: 'secret', k: Buffer.from(SECRET).toString('base64url') },
    ],
  });
  folder = await mkdtemp(join(tmpdir(), 'bursar-keys-'));
  const file = join(folder, 'keys.json');
  await writeFile(file, keys);
  keyServer = createServer((_request, response) => {
    keysAsked += 1;
    response.setHeader('content-type', 'application/json').end(keys);
  });
  await new Promise<void>((resolve) => keyServer.listen(0, '127.0.0.1', resolve));
  const { port } = keyServer.address() as AddressInfo;
  const start = (url: string) =>
    startTestServer(database, {
      tokens: { keys: { kind: 'jwks', url }, issuer: undefined, audience: undefined },
    });
  servers = { 'a file': await start(file), 'a URL': await start(`http://127.0.0.1:${port}/keys`) };
});

afterAll(async () => {
  for (const server of Object.values(servers ?? {})) await server.stop();
  await new Promise((resolve) => keyServer?.close(resolve));
  await database?.drop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

const payload = () => ({ sub: world.people.member, exp: now() + 3600 });

async function statusOf(where: keyof typeof servers, jwt: string): Promise<number> {
  const response = await fetch(`${servers[where].url}${budgetPath(world.group)}`, {
    headers: { authorization: `Bearer ${jwt}` },
  });
  await response.body?.cancel();
  return response.status;
}

describe.each(['a file', 'a URL'] as const)('keys from %s', (where) => {
  test.each(ALGORITHMS)('accepts %s', async (alg) => {
    const jwt = await token(payload(), { alg, kid: alg }, pairs[alg].privateKey);
    expect(await statusOf(where, jwt)).toBe(200);
  });

  test.each(ALGORITHMS)('refuses %s with a key that is not theirs', async (alg) => {
    const { privateKey } = await newPair(alg);
    expect(await statusOf(where, await token(payload(), { alg, kid: alg }, privateKey))).toBe(401);
    const unknown = await token(payload(), { alg, kid: 'unknown' }, privateKey);
    expect(await statusOf(where, unknown)).toBe(401);
  });

  test.each(ALGORITHMS)('refuses %s that has expired', async (alg) => {
    const old = { ...payload(), exp: now() - 1 };
    const jwt = await token(old, { alg, kid: alg }, pairs[alg].privateKey);
    expect(await statusOf(where, jwt)).toBe(401);
  });

  test('refuses an algorithm that is not on the list, with the right key', async () => {
    // jose binds a key to its algorithm; node:crypto signs what it is told to.
    const { privateKey } = pairs.RS256;
    const jwk = { ...(await exportJWK(privateKey)), alg: 'PS256' };
    expect(await statusOf(where, await token(payload(), { alg: 'PS256', kid: 'RS256' }, jwk))).toBe(
      401,
    );
  });

  // What everybody knows, the public key, must never serve as the secret of HS256.
  test('refuses HS256 that is signed with the public key', async () => {
    const spki = await exportSPKI(pairs.RS256.publicKey);
    const secrets = [
      spki,
      spki.trim(),
      spki.replace(/-----[^-]+-----|\n/g, ''),
      JSON.stringify(pairs.RS256.jwk),
      pairs.RS256.jwk.n ?? '',
    ];
    for (const secret of secrets) {
      for (const header of [{ alg: 'HS256', kid: 'RS256' }, { alg: 'HS256' }]) {
        const jwt = await token(payload(), header, new TextEncoder().encode(secret));
        expect(await statusOf(where, jwt)).toBe(401);
      }
    }
  });

  test('refuses HS256 even with a secret that stands among the keys', async () => {
    expect(await statusOf(where, await token(payload(), { alg: 'HS256', kid: 'secret' }))).toBe(
      401,
    );
  });

  test('refuses a token without a signature', async () => {
    expect(await statusOf(where, unsignedToken(payload()))).toBe(401);
  });
});

test('keys from a URL are asked for once, not for each request', () => {
  expect(keysAsked).toBeGreaterThan(0);
  expect(keysAsked).toBeLessThanOrEqual(2);
});

test('keys may be named by a file URL', async () => {
  const url = pathToFileURL(join(folder, 'keys.json')).href;
  const verify = await createTokenVerifier({
    keys: { kind: 'jwks', url },
    issuer: undefined,
    audience: undefined,
  });
  const jwt = await token(payload(), { alg: 'ES256', kid: 'ES256' }, pairs.ES256.privateKey);
  expect(await verify(jwt)).toBe(world.people.member);
});

test('keys that can’t be had are no fault of the token’s, and are asked for again', async () => {
  let isUp = false;
  const { jwk, privateKey } = pairs.ES256;
  const flapping = createServer((_request, response) => {
    if (isUp)
      response
        .setHeader('content-type', 'application/json')
        .end(`{"keys": [${JSON.stringify(jwk)}]}`);
    else response.writeHead(502).end('<h1>Bad gateway</h1>');
  });
  await new Promise<void>((resolve) => flapping.listen(0, '127.0.0.1', resolve));
  const verify = await createTokenVerifier({
    keys: { kind: 'jwks', url: `http://127.0.0.1:${(flapping.address() as AddressInfo).port}/` },
    issuer: undefined,
    audience: undefined,
  });
  const jwt = await token(payload(), { alg: 'ES256', kid: 'ES256' }, privateKey);
  const { log } = await logOf(async () => {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await expect(verify(jwt)).rejects.toMatchObject({ name: 'CallerError', code: 'UNAVAILABLE' });
    }
  });
  expect(log).toEqual([
    expect.objectContaining({ level: 'warn', message: expect.stringMatching(/JWKS_URL/) }),
  ]);
  isUp = true;
  expect(await verify(jwt)).toBe(world.people.member);
  await new Promise((resolve) => flapping.close(resolve));
});

test('a key set that goes away after it was had lets in whom it knows, and nobody else', async () => {
  const { jwk, privateKey } = pairs.ES256;
  let answer: (response: ServerResponse) => void = (response) =>
    void response
      .setHeader('content-type', 'application/json')
      .end(`{"keys": [${JSON.stringify(jwk)}]}`);
  const issuer = createServer((_request, response) => answer(response));
  await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/`;
  const rules = { keys: { kind: 'jwks', url }, issuer: undefined, audience: undefined } as const;
  const verify = await createTokenVerifier(rules);
  const tokenOf = (kid: string) => token(payload(), { alg: 'ES256', kid }, privateKey);
  await verify(await tokenOf('ES256'));
  const FAULTS: ((response: ServerResponse) => void)[] = [
    (response) => response.socket?.destroy(),
    (response) => void response.writeHead(500).end(),
    (response) => void response.end('{"keys": 7}'),
    // More than any key set has; it must not be kept in memory.
    (response) => void response.end(`{"keys": [], "more": "${'x'.repeat(5_000_000)}"}`),
    (response) => void response.writeHead(302, { location: url }).end(),
  ];
  await logOf(async () => {
    for (const fault of FAULTS) {
      answer = fault;
      expect(await verify(await tokenOf('ES256'))).toBe(world.people.member);
      await expect(verify(await tokenOf('other'))).rejects.toThrow();
      // Nor does a server that has just started take it for a key set.
      const fresh = await createTokenVerifier(rules);
      await expect(fresh(await tokenOf('ES256'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    }
  });
  issuer.closeAllConnections();
  await new Promise((resolve) => issuer.close(resolve));
});
