import { createHmac } from 'node:crypto';
import { SECRET } from './server.ts';
import { now, token } from './tokens.ts';

// Tokens as attackers make them: with a secret of ours where a claim or a header is what is wrong, and else without.

type Secret = string | Buffer;

/** A token of exactly these bytes, signed with HS256 whatever its header says. */
export function signedBytes(header: Secret, payload: Secret, secret: Secret = SECRET): string {
  const parts = [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.');
  return `${parts}.${createHmac('sha256', secret).update(parts).digest('base64url')}`;
}

/** With a header that jose would not write. */
function headed(header: unknown, payload: object, secret?: Secret): string {
  return signedBytes(JSON.stringify(header), JSON.stringify(payload), secret);
}

/** Whatever is wrong with them, they are wrong at each server whose secret is the tests' own. */
export function forgedTokens(sub: string): Readonly<Record<string, string | Promise<string>>> {
  const exp = now() + 3600;
  const good = { sub, exp };
  const claims = (more: object) => token({ ...good, ...more });
  const header = (more: object) => headed({ alg: 'HS256', ...more }, good);
  const payload = (bytes: string | Buffer) => signedBytes('{"alg":"HS256"}', bytes);
  const text = JSON.stringify(good);
  const whole = signedBytes('{"alg":"HS256"}', text);
  const [head = '', body = '', signature = ''] = whole.split('.');
  const elsewhere = 'http://127.0.0.1:9/keys';
  return {
    'expired an hour ago': claims({ exp: now() - 3600 }),
    'expired since the epoch': claims({ exp: 0 }),
    'expired before the epoch': claims({ exp: -1 }),
    'without expiry': claims({ exp: undefined }),
    'whose expiry is text': claims({ exp: String(exp) }),
    'whose expiry is a date': claims({ exp: '2999-01-01T00:00:00Z' }),
    'whose expiry is a list': claims({ exp: [exp] }),
    'whose expiry is an object': claims({ exp: { valueOf: exp } }),
    'whose expiry is true': claims({ exp: true }),
    'for later': claims({ nbf: now() + 600 }),
    'that begins with text': claims({ nbf: '0' }),
    'that begins with a list': claims({ nbf: [0] }),
    'issued at a word': claims({ iat: 'yesterday' }),
    unsigned: `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`,
    'unsigned, in capitals': `${Buffer.from('{"alg":"NONE"}').toString('base64url')}.${body}.`,
    'unsigned, in capitals here and there': headed({ alg: 'nOnE' }, good),
    'unsigned, with a signature': headed({ alg: 'none' }, good),
    'without algorithm': headed({}, good),
    'with no text as algorithm': headed({ alg: ['HS256'] }, good),
    'with an empty algorithm': headed({ alg: '' }, good),
    'with its algorithm in small letters': headed({ alg: 'hs256' }, good),
    'with an algorithm of objects': headed({ alg: 'constructor' }, good),
    'with the algorithm __proto__': signedBytes('{"alg":"__proto__"}', text),
    'that says RS256 and is HS256': headed({ alg: 'RS256' }, good),
    'that says ES256 and is HS256': headed({ alg: 'ES256' }, good),
    'that says EdDSA and is HS256': headed({ alg: 'EdDSA' }, good),
    'of HS384': token(good, { alg: 'HS384' }),
    'of HS512': token(good, { alg: 'HS512' }),
    'signed with an empty secret': headed({ alg: 'HS256' }, good, ''),
    'signed with a NUL, as /dev/null reads': headed(
      { alg: 'HS256', kid: '../../../../dev/null' },
      good,
      '\0',
    ),
    'signed with the words that everybody tries': headed({ alg: 'HS256' }, good, 'secret'),
    'signed with most of the secret': headed({ alg: 'HS256' }, good, SECRET.slice(0, -1)),
    'signed with the secret and a blank': headed({ alg: 'HS256' }, good, `${SECRET} `),
    'signed with the secret in Base64': headed(
      { alg: 'HS256' },
      good,
      Buffer.from(SECRET).toString('base64'),
    ),
    'signed with what its own jwk says': headed(
      { alg: 'HS256', jwk: { kty: 'oct', k: Buffer.from('mine').toString('base64url') } },
      good,
      'mine',
    ),
    'whose kid is SQL': headed({ alg: 'HS256', kid: "x' union select 'mine' --" }, good, 'mine'),
    'whose keys lie elsewhere (jku)': headed({ alg: 'HS256', jku: elsewhere }, good, 'mine'),
    'whose keys lie elsewhere (x5u)': headed({ alg: 'HS256', x5u: elsewhere }, good, 'mine'),
    'with a critical extension': header({ crit: ['exp'], exp }),
    'with an unknown critical extension': header({ crit: ['x'], x: 1 }),
    'with no critical extension': header({ crit: [] }),
    'with crit that is text': header({ crit: 'exp' }),
    'whose payload is not encoded': header({ crit: ['b64'], b64: false }),
    'whose header is a list': headed(['HS256'], good),
    'whose header is null': headed(null, good),
    'whose header is not JSON': signedBytes('alg: HS256', text),
    'whose header is binary': signedBytes(Buffer.from([0, 255, 254, 128]), text),
    'whose payload is empty': payload(''),
    'whose payload is null': payload('null'),
    'whose payload is text': payload(JSON.stringify(sub)),
    'whose payload is a list': payload(JSON.stringify([good])),
    'whose payload is cut off': payload(text.slice(0, -1)),
    'whose payload is binary': payload(Buffer.from([0, 255, 254, 128])),
    'whose payload is no UTF-8': payload(
      Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from([0x80]), Buffer.from('}')]),
    ),
    'without a subject': claims({ sub: undefined }),
    'whose subject is a number': claims({ sub: 0 }),
    'whose subject is true': claims({ sub: true }),
    'whose subject is null': claims({ sub: null }),
    'whose subject is a list': claims({ sub: [sub] }),
    'whose subject is an object': claims({ sub: { toString: sub } }),
    'whose subject is constructor': claims({ sub: 'constructor' }),
    'whose subject is __proto__': claims({ sub: '__proto__' }),
    'whose subject is undefined, in words': claims({ sub: 'undefined' }),
    'whose subject is a name': claims({ sub: 'owner' }),
    'whose subject is SQL': claims({ sub: `${sub}' or '1' = '1` }),
    'whose subject is long': claims({ sub: sub.repeat(100) }),
    'whose subject has a NUL before it': claims({ sub: `\0${sub}` }),
    'whose subject has a NUL in it': claims({ sub: sub.replace('-', '\0') }),
    'whose subject has a blank after it': claims({ sub: `${sub} ` }),
    'whose subject has no dashes': claims({ sub: sub.replaceAll('-', '') }),
    'whose subject is a URN': claims({ sub: `urn:uuid:${sub}` }),
    'whose subject is in wide letters': claims({
      sub: sub.replace(/[0-9a-z]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0)),
    }),
    'whose signature is cut off': `${head}.${body}.`,
    'whose signature lacks its end': `${head}.${body}.${signature.slice(0, -4)}`,
    'whose signature is there twice': `${head}.${body}.${signature}${signature}`,
    'of two parts': `${head}.${body}`,
    'of four parts': `${whole}.${signature}`,
    'of five parts, as if encrypted': `${head}.${body}.${signature}.${body}.${signature}`,
    'of dots': '..',
    'with an empty head': `.${body}.${signature}`,
    'of 10 kB of nothing': 'a'.repeat(10_000),
    'of 10 kB, signed': token({ ...good, exp: now() - 1, more: 'a'.repeat(7_000) }),
    'of a thousand parts': 'a.'.repeat(1_000),
  };
}
