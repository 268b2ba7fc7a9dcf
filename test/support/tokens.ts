import { CompactSign, type JWK } from 'jose';
import { SECRET } from './server.ts';

type Key = Parameters<CompactSign['sign']>[0];

export const now = () => Math.floor(Date.now() / 1000);

/** A token with exactly this payload, however wrong it is. */
export function token(
  payload: object,
  header: { alg: string; kid?: string } = { alg: 'HS256' },
  key: Key | JWK = new TextEncoder().encode(SECRET),
): Promise<string> {
  return new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader(header)
    .sign(key);
}

/** A token that says that it needs no signature. */
export function unsignedToken(payload: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(payload)}.`;
}
