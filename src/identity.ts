import { readFile } from 'node:fs/promises';
import type { Request, RequestHandler } from 'express';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
  SignJWT,
} from 'jose';
import type { Pool } from 'pg';
import type { TokenRules } from './configuration.ts';
import { CallerError } from './errors.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** The user on whose behalf the request speaks, or null for nobody. Set by `identify`. */
    bursarUserId?: string | null;
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
  return async (token) => {
    let subject: unknown;
    try {
      const { payload } = await jwtVerify(token, key, options);
      subject = payload.sub;
    } catch (error) {
      if (error instanceof KeysUnavailable) throw error;
      throw new CallerError('UNAUTHENTICATED', 'The token is not valid, or no longer.');
    }
    if (typeof subject !== 'string' || !UUID.test(subject)) {
      throw new CallerError('UNAUTHENTICATED', 'The token names no user.');
    }
    return subject.toLowerCase();
  };
}

/** The keys can't be had: the server's trouble, and no fault of the token's. */
class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

const FAULTS_OF_THE_TOKEN = new Set([
  'ERR_JWKS_NO_MATCHING_KEY',
  'ERR_JWKS_MULTIPLE_MATCHING_KEYS',
  'ERR_JOSE_NOT_SUPPORTED',
]);

function remoteKeys(url: string): JWTVerifyGetKey {
  const find = createRemoteJWKSet(new URL(url));
  return async (header, token) => {
    try {
      return await find(header, token);
    } catch (error) {
      if (error instanceof errors.JOSEError && FAULTS_OF_THE_TOKEN.has(error.code)) throw error;
      throw new KeysUnavailable('The key set can’t be fetched.', { cause: error });
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
 * Finds out who calls, once a request and before anything else: no token is nobody, a token that is wrong
 * or names no user is an error and never nobody.
 */
export function identify(verify: TokenVerifier, pool: Pool): RequestHandler {
  return async (request, _response, next) => {
    request.bursarUserId = await callerOf(request.headers.authorization, verify, pool);
    next();
  };
}

/** @throws {CallerError} UNAUTHENTICATED when the request speaks for nobody. */
export function signedIn(request: Request): string {
  if (typeof request.bursarUserId === 'string') return request.bursarUserId;
  throw new CallerError('UNAUTHENTICATED', 'Send a token: "Authorization: Bearer TOKEN".');
}

/** Stops nobody before anything else is looked at, a path that can't be decoded included. */
export const requireSignedIn: RequestHandler = (request, _response, next) => {
  signedIn(request);
  next();
};

async function callerOf(
  header: string | undefined,
  verify: TokenVerifier,
  pool: Pool,
): Promise<string | null> {
  if (header === undefined) return null;
  const token = /^Bearer +([\w.~+/=-]+)$/i.exec(header.trim())?.[1];
  if (token === undefined) {
    throw new CallerError('UNAUTHENTICATED', 'The Authorization header must read "Bearer TOKEN".');
  }
  const userId = await verify(token);
  const { rows } = await pool.query<{ user_exists: boolean }>({
    name: 'user_exists',
    text: 'select app_hidden.user_exists($1)',
    values: [userId],
  });
  if (rows[0]?.user_exists !== true) {
    throw new CallerError('UNAUTHENTICATED', 'The token names no user.');
  }
  return userId;
}
