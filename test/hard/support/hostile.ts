import fc from 'fast-check';

/** A value as the JSON text that is sent: a value of JavaScript can't be 1e400, or have a key twice. */
export type Hostile = string;

const json = (value: unknown): Hostile => JSON.stringify(value);

const NUMBERS: readonly Hostile[] = [
  ...['-0', '-1', '0.5', '1e400', '-1e400', '1e-400', '1E2', '2147483648', '-2147483649'],
  ...['9007199254740993', '9223372036854775807', '9223372036854775808', '-9223372036854775809'],
  ...['1000000000000001', '9'.repeat(400), '0.'.padEnd(400, '1')],
];

const NUMBERS_AS_TEXT: readonly Hostile[] = [
  ...['NaN', 'Infinity', '-Infinity', '-0', '0x10', '1_000', '1e400', '1e131073', ' 1', '1 '],
  ...['9223372036854775808', '-9223372036854775809', '9'.repeat(400), '١٢', '+1', '--1', '1.5'],
].map(json);

const TEXTS: readonly Hostile[] = [
  json(''),
  json(' '),
  json('a\u0000b'),
  // Half characters: as escapes, since no UTF-8 has them.
  '"\\ud800"',
  '"\\udc00\\ud800"',
  json('\u202e\ufeff\uffff'),
  json('a'.repeat(70_000)),
  json("'; select pg_sleep(1); --"),
  json('$1 \\ %s %_\\'),
  json('\u0001\u001b[31m\r\n'),
  json('__proto__'),
];

const TIMES: readonly Hostile[] = [
  ...['294276-12-31T23:59:59Z', '294277-01-01T00:00:00Z', '-4713-01-01', '4714-11-24 BC'],
  ...['infinity', '-infinity', 'now', 'epoch', 'allballs', '2026-02-30', '2026-13-01T00:00:00Z'],
  ...['2026-11-01T24:00:01Z', '2026-11-01T00:00:00+99:99', '2026-11-01T00:00:00 Mars/Olympus'],
  ...['0000-00-00', '5874898-01-01', '2026-11-01T00:00:60.9999999999Z'],
].map(json);

const UUIDS: readonly Hostile[] = [
  '00000000-0000-0000-0000-000000000000',
  '{00000000-0000-0000-0000-000000000001}',
  '0000000000000000000000000000000g',
  '00000000-0000-0000-0000-00000000000',
  'urn:uuid:00000000-0000-4000-8000-000000000000',
].map(json);

const base64 = (text: string) => Buffer.from(text).toString('base64');

/** What node ids and cursors look like, with something else inside. */
const REFERENCES: readonly Hostile[] = [
  '====',
  base64('['),
  base64('null'),
  base64('{"__proto__":[]}'),
  base64('["Group"]'),
  base64('["Group",null]'),
  base64('["Group",{}]'),
  base64('["Group","no uuid"]'),
  base64('["Query","x"]'),
  base64('["__proto__","x"]'),
  base64('["constructor",1]'),
  base64('["natural",-1]'),
  base64('["natural",1e400]'),
  base64('["primary_key_asc",[]]'),
  base64('["primary_key_asc","\\u0000"]'),
  base64('["name_asc","x","no uuid"]'),
  Buffer.from([0xff, 0xfe, 0x00]).toString('base64'),
].map(json);

const SHAPES: readonly Hostile[] = [
  ...['null', 'true', '[]', '[[]]', '{}', '[null]', '[1,"a"]', '[{}]'],
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"a":1,"a":2}',
  '{"":1}',
  '{"toString":"x","valueOf":1}',
  '{"toJSON":"x","then":"y"}',
  json('NO_SUCH_VALUE'),
  json('toString'),
];

const deep = (open: string, inner: string, close: string, depth = 10_000): Hostile =>
  `${open.repeat(depth)}${inner}${close.repeat(depth)}`;

export const DEEP: readonly Hostile[] = [deep('[', '', ']'), deep('{"a":', '1', '}')];

/** What is no JSON at all: the whole body can't be read. */
export const NO_JSON: readonly Hostile[] = [
  'NaN',
  'Infinity',
  '01',
  "'a'",
  '',
  '"\t"',
  'undefined',
];

/** Whatever somebody may put where one value is meant: each known edge, and what fast-check makes up. */
export const hostile: fc.Arbitrary<Hostile> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...NUMBERS) },
  { weight: 3, arbitrary: fc.constantFrom(...NUMBERS_AS_TEXT) },
  { weight: 3, arbitrary: fc.constantFrom(...TEXTS) },
  { weight: 3, arbitrary: fc.constantFrom(...TIMES) },
  { weight: 2, arbitrary: fc.constantFrom(...UUIDS) },
  { weight: 3, arbitrary: fc.constantFrom(...REFERENCES) },
  { weight: 4, arbitrary: fc.constantFrom(...SHAPES) },
  { weight: 1, arbitrary: fc.constantFrom(...DEEP, ...NO_JSON) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }).map(json) },
  { weight: 1, arbitrary: fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String) },
  { weight: 1, arbitrary: fc.double().map((n) => json(String(n))) },
  { weight: 2, arbitrary: fc.json({ maxDepth: 3 }) },
);

/** Bodies that are wrong as a whole, made of a good one. */
export function hostileBodies(good: string): readonly (string | Buffer)[] {
  const bytes = Buffer.from(good);
  return [
    '',
    ' ',
    'null',
    '[]',
    '"a"',
    '1e400',
    ...NO_JSON,
    ...DEEP,
    good.slice(0, -1),
    good.slice(0, good.length / 2),
    `${good}${good}`,
    `\ufeff${good}`,
    good.replace('{', '{"__proto__":{"polluted":true},'),
    Buffer.concat([bytes.subarray(0, 3), Buffer.from([0xff, 0xc0, 0x80]), bytes.subarray(3)]),
    Buffer.from(good, 'utf16le'),
    Buffer.from([0x1f, 0x8b, 0, 0]),
  ];
}

/** Ten megabytes in one text: sent a few times only. */
export const hugeBody = (good: string) =>
  good.replace('{', `{"x":"${'a'.repeat(10 * 1_048_576)}",`);

export const MEDIA_TYPES = [
  'application/json',
  'application/json; charset=utf-16',
  'application/json; charset=no-such',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/graphql',
  'application/x-ndjson',
  'application/xml',
  '/;;=',
] as const;

export const ENCODINGS = ['identity', 'gzip', 'br', 'no-such'] as const;
