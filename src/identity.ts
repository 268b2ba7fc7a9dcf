import { readFile } from 'node:fs/promises';
import type { Request, RequestHandler } from 'express';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
  SignJWT,
} from 'jose';
import type { TokenRules } from './configuration.ts';
import { CallerError } from './errors.ts';
import { logRepeated } from './log.ts';
import { Caller, type Door } from './on-behalf.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** On whose behalf the request speaks. Set by `identify`. */
    bursarCaller?: Caller;
  }
}

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Says whom a token names. Throws UNAUTHENTICATED for every token that is not whole, valid and of now. */
export type TokenVerifier = (token: string) => Promise<string>;

export async function createTokenVerifier(rules: TokenRules): Promise<TokenVerifier> {
  const options: JWTVerifyOptions = {
    // The list of algorithms goes with the kind of key, so that a public key is never taken for a secret.
    algorithms: rules.keys.kind === 'secret' ? ['HS256'] : ['RS256', 'ES256', 'EdDSA'],
    requiredClaims: ['exp', 'sub'],
    ...(rules.issuer === undefined ? {} : { issuer: rules.issuer }),
    ...(rules.audience === undefined ? {} : { audience: rules.audience }),
  };
  const key = await verificationKey(rules);
  const verified = new VerifiedTokens();
  return async (token) => {
    const remembered = verified.userOf(token);
    if (remembered !== undefined) return remembered;
    let subject: unknown;
    let expires: number;
    try {
      const { payload } = await jwtVerify(token, key, options);
      subject = payload.sub;
      expires = (payload.exp ?? 0) * 1_000;
    } catch (error) {
      if (error instanceof CallerError) throw error;
      throw new CallerError('UNAUTHENTICATED', 'The token is not valid, or no longer.');
    }
    if (typeof subject !== 'string' || !UUID.test(subject)) {
      throw new CallerError('UNAUTHENTICATED', 'The token names no user.');
    }
    return verified.remember(token, subject.toLowerCase(), expires);
  };
}

const MOST_REMEMBERED = 10_000;
/** A key that is withdrawn is not trusted for longer than this because of it. */
const REMEMBERED_MS = 30_000;

/**
 * Whom tokens name that were found valid a moment ago: clients send the same one with each request, and
 * checking the signature takes longer than all else that a request does here.
 */
class VerifiedTokens {
  /** The one remembered longest comes first. */
  readonly #known = new Map<string, { userId: string; until: number }>();

  userOf(token: string): string | undefined {
    const known = this.#known.get(token);
    if (known === undefined) return undefined;
    if (Date.now() < known.until) return known.userId;
    this.#known.delete(token);
    return undefined;
  }

  remember(token: string, userId: string, expires: number): string {
    this.#known.set(token, { userId, until: Math.min(expires, Date.now() + REMEMBERED_MS) });
    if (this.#known.size > MOST_REMEMBERED) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    return userId;
  }
}

const FAULTS_OF_THE_TOKEN = new Set([
  'ERR_JWKS_NO_MATCHING_KEY',
  'ERR_JWKS_MULTIPLE_MATCHING_KEYS',
  'ERR_JOSE_NOT_SUPPORTED',
]);

/**
 * How the key set at JWKS_URL is fetched. It is kept for long, so that whoever issues tokens may be away for a while; a
 * key that is not in it is looked for anew, and not more often than this, whoever makes up names of keys.
 */
const KEY_SET = { cacheMaxAge: 600_000, cooldownDuration: 30_000, timeoutDuration: 5_000 };
const LARGEST_KEY_SET = 1_000_000;

/** As `fetch`, but for an answer that is larger than any key set. */
const fetchKeySet: FetchImplementation = async (url, options) => {
  const response = await fetch(url, options);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > LARGEST_KEY_SET) throw new Error('The answer is larger than any key set.');
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), {
    status: response.status,
    headers: { 'content-type': 'application/json' },
  });
};

function remoteKeys(url: string): JWTVerifyGetKey {
  const find = createRemoteJWKSet(new URL(url), { ...KEY_SET, [customFetch]: fetchKeySet });
  return async (header, token) => {
    try {
      return await find(header, token);
    } catch (error) {
      if (error instanceof errors.JOSEError && FAULTS_OF_THE_TOKEN.has(error.code)) throw error;
      // The server's trouble, and no fault of the token's.
      logRepeated('The key set at JWKS_URL can’t be fetched.', error as Error);
      throw new CallerError(
        'UNAVAILABLE',
        'The keys that check tokens can’t be had: try again in a moment.',
      );
    }
  };
}

async function verificationKey({ keys }: TokenRules): Promise<JWTVerifyGetKey> {
  if (keys.kind === 'secret') {
    const secret = new TextEncoder().encode(keys.secret);
    return async () => secret;
  }
  if (/^https?:/.test(keys.url)) return remoteKeys(keys.url);
  const path = keys.url.startsWith('file:') ? new URL(keys.url) : keys.url;
  return createLocalJWKSet(JSON.parse(await readFile(path, 'utf8')) as JSONWebKeySet);
}

/** Signs a token with which `userId` can call the API for `seconds`. */
export function signToken(
  userId: string,
  seconds: number,
  by: { secret: string; issuer?: string | undefined; audience?: string | undefined },
): Promise<string> {
  const token = new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(userId)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + seconds);
  if (by.issuer !== undefined) token.setIssuer(by.issuer);
  if (by.audience !== undefined) token.setAudience(by.audience);
  return token.sign(new TextEncoder().encode(by.secret));
}

/**
 * Finds out whom the request's token names, once a request and before anything else: no token is nobody, a token that
 * is wrong is an error and never nobody. Whether there is such a user is for the database to say, with the first
 * statement that runs on their behalf.
 */
export function identify(verify: TokenVerifier, door: Door): RequestHandler {
  return async (request, _response, next) => {
    request.bursarCaller = new Caller(await userOf(authorizationOf(request), verify), door);
    next();
  };
}

/** @throws {CallerError} UNAUTHENTICATED when the request speaks for nobody. */
export function signedIn({ bursarCaller }: Request): Caller {
  if (typeof bursarCaller?.userId === 'string') return bursarCaller;
  throw new CallerError('UNAUTHENTICATED', 'Send a token: "Authorization: Bearer TOKEN".');
}

/** Stops nobody before anything else is looked at, a path that can't be decoded included. */
export const requireSignedIn: RequestHandler = (request, _response, next) => {
  signedIn(request);
  next();
};

/** Node drops the second of two headers. Whoever stands before the server may have looked at that one. */
function authorizationOf({ headers, rawHeaders }: Request): string | undefined {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() === 'authorization') count += 1;
  }
  if (count > 1) {
    throw new CallerError('UNAUTHENTICATED', 'The Authorization header must come once.');
  }
  return headers.authorization;
}

async function userOf(header: string | undefined, verify: TokenVerifier): Promise<string | null> {
  if (header === undefined) return null;
  const token = /^Bearer +([\w.~+/=-]+)$/i.exec(header.trim())?.[1];
  if (token === undefined) {
    throw new CallerError('UNAUTHENTICATED', 'The Authorization header must read "Bearer TOKEN".');
  }
  return verify(token);
}
