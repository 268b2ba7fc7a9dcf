import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readServerConfiguration } from '../src/configuration.ts';
import { namesDatabase, readDatabaseUrl } from '../src/database-urls.ts';
import { ConfigurationError } from '../src/settings.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bursar-configuration-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the configuration', () => {
  const good = {
    AUTH_DATABASE_URL: 'postgres://server:password@127.0.0.1/bursar',
    JWT_SECRET: randomBytes(24).toString('base64'),
  };

  const read = (changes: Record<string, string | undefined>) =>
    readServerConfiguration({ ...good, ...changes }, { isEmbedded: false });

  function mistakesIn(changes: Record<string, string | undefined>): readonly string[] {
    try {
      read(changes);
      return [];
    } catch (error) {
      if (error instanceof ConfigurationError) return error.mistakes;
      throw error;
    }
  }

  test('takes a secret, or keys', () => {
    expect(mistakesIn({})).toEqual([]);
    expect(mistakesIn({ JWT_SECRET: undefined, JWKS_URL: 'https://keys.example' })).toEqual([]);
    expect(mistakesIn({ JWT_SECRET: 'x'.repeat(32) })).toEqual([]);
  });

  const REFUSED: Record<string, [Record<string, string | undefined>, RegExp]> = {
    'both kinds of key': [{ JWKS_URL: 'https://keys.example' }, /JWT_SECRET and JWKS_URL/],
    'neither kind of key': [{ JWT_SECRET: undefined }, /JWT_SECRET.*or JWKS_URL/],
    'a blank secret': [{ JWT_SECRET: '  ' }, /JWT_SECRET.*or JWKS_URL/],
    'a secret of 31 bytes': [{ JWT_SECRET: 'x'.repeat(31) }, /JWT_SECRET has 31 bytes/],
    'fewer connections than workers': [
      { WORKERS: '4', DATABASE_POOL_SIZE: '3' },
      /DATABASE_POOL_SIZE must be 4 or more/,
    ],
    'no worker': [{ WORKERS: '0' }, /WORKERS must be a whole number/],
    'no place to listen': [{ LISTEN_DATABASE_URL: 'nowhere' }, /LISTEN_DATABASE_URL must/],
    'a database of another kind': [{ AUTH_DATABASE_URL: 'mysql://x' }, /AUTH_DATABASE_URL/],
    'no database': [{ AUTH_DATABASE_URL: undefined }, /AUTH_DATABASE_URL is missing/],
    'an answer of no size': [{ MAX_RESULT_MB: '0' }, /MAX_RESULT_MB must be a whole number/],
    'no time for requests': [{ REQUEST_SECONDS: 'long' }, /REQUEST_SECONDS must be/],
    'a level of no log': [{ LOG_LEVEL: 'loud' }, /LOG_LEVEL must be error, warn, info, not "loud"/],
    'a token for metrics that is guessed': [{ METRICS_TOKEN: 'secret' }, /METRICS_TOKEN must have/],
    'origins that are URLs': [{ CORS_ORIGINS: 'https://a.example/' }, /CORS_ORIGINS.*a\.example\//],
    'any origin': [{ CORS_ORIGINS: '*' }, /CORS_ORIGINS must list origins/],
    'no collector': [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }, /OTEL_EXPORTER_OTLP/],
    'documents that are not there': [
      { TRUSTED_DOCUMENTS: '/nowhere.json' },
      /can’t be read \(ENOENT\)/,
    ],
    'a switch that is neither': [
      { GRAPHQL_INTROSPECTION: 'no' },
      /must be true or false, not "no"/,
    ],
    // As a container's unset variable often comes.
    'a blank database': [{ AUTH_DATABASE_URL: '' }, /AUTH_DATABASE_URL is missing/],
  };
  test.each(Object.entries(REFUSED))('refuses %s', (_name, [changes, mistake]) => {
    expect(mistakesIn(changes)).toEqual([expect.stringMatching(mistake)]);
  });

  test('tells every mistake at once, and no secret', () => {
    const mistakes = mistakesIn({
      AUTH_DATABASE_URL: 'http://someone:hunter2@host',
      JWT_SECRET: 'correct horse',
      JWKS_URL: 'https://keys.example',
      PORT: '70000',
      GRAPHIQL: 'perhaps',
    });
    expect(mistakes).toHaveLength(5);
    expect(mistakes.join('\n')).not.toMatch(/hunter2|correct horse/);
  });

  test('is generous where nothing is said, and shows nothing', () => {
    expect(read({})).toMatchObject({
      corsOrigins: [],
      graphiql: false,
      metrics: 'nobody',
      trustedDocuments: undefined,
      introspection: true,
      logLevel: 'warn',
      resultLimit: 16 * 2 ** 20,
      httpLimits: { connections: 10_000, requestSeconds: 30 },
      traces: undefined,
    });
    const embedded = readServerConfiguration(good, { isEmbedded: true });
    expect(embedded).toMatchObject({ graphiql: true, metrics: 'everybody' });
  });

  test('takes lists, documents and a collector', async () => {
    const file = join(folder, 'documents.json');
    await writeFile(file, '{"one": "{ __typename }"}');
    const settings = {
      CORS_ORIGINS: 'https://a.example, http://localhost:3000',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318/',
      TRUSTED_DOCUMENTS: file,
    };
    expect(read(settings)).toMatchObject({
      corsOrigins: ['https://a.example', 'http://localhost:3000'],
      traces: 'http://127.0.0.1:4318/v1/traces',
      trustedDocuments: { one: '{ __typename }' },
    });
    for (const text of ['', '[]', 'null', '{"one": 1}']) {
      await writeFile(file, text);
      expect(mistakesIn({ TRUSTED_DOCUMENTS: file })).toEqual([
        expect.stringMatching(/TRUSTED_DOCUMENTS names .*which must be a JSON object/),
      ]);
    }
  });

  describe('secrets from files', () => {
    const file = (name: string) => join(folder, name);

    test('stand for what they name, without their last line break', async () => {
      await writeFile(file('jwt'), `${good.JWT_SECRET}\n`);
      await writeFile(file('url'), `${good.AUTH_DATABASE_URL}\n`);
      await writeFile(file('token'), 'a-token-of-metrics\n');
      const configuration = read({
        AUTH_DATABASE_URL: undefined,
        AUTH_DATABASE_URL_FILE: file('url'),
        JWT_SECRET: undefined,
        JWT_SECRET_FILE: file('jwt'),
        METRICS_TOKEN_FILE: file('token'),
      });
      expect(configuration).toMatchObject({
        authDatabaseUrl: good.AUTH_DATABASE_URL,
        listenDatabaseUrl: good.AUTH_DATABASE_URL,
        tokens: { keys: { kind: 'secret', secret: good.JWT_SECRET } },
        metrics: { token: 'a-token-of-metrics' },
      });
    });

    test('say by which name they were to be found, and nothing of what is in them', async () => {
      await writeFile(file('short'), 'short secret');
      await writeFile(file('empty'), '\n');
      const mistakes = mistakesIn({
        JWT_SECRET: undefined,
        JWT_SECRET_FILE: file('short'),
        AUTH_DATABASE_URL_FILE: file('short'),
        LISTEN_DATABASE_URL_FILE: file('absent'),
        METRICS_TOKEN_FILE: file('empty'),
      });
      expect(mistakes).toHaveLength(4);
      const text = mistakes.join('\n');
      expect(text).toMatch(/JWT_SECRET has 12 bytes/);
      expect(text).toMatch(/AUTH_DATABASE_URL and AUTH_DATABASE_URL_FILE are both set/);
      expect(text).toMatch(
        /LISTEN_DATABASE_URL_FILE names .*absent, which can’t be read \(ENOENT\)/,
      );
      expect(text).toMatch(/METRICS_TOKEN_FILE names .*empty, which is empty/);
      expect(text).not.toContain('short secret');
    });

    test('tell commands which database is meant', async () => {
      await writeFile(file('owner'), 'postgres://owner:password@127.0.0.1/bursar');
      expect(namesDatabase({ DATABASE_URL_FILE: file('owner') })).toBe(true);
      expect(namesDatabase({ JWT_SECRET_FILE: file('owner') })).toBe(false);
      expect(readDatabaseUrl({ DATABASE_URL_FILE: file('owner') })).toContain('owner:password');
      // Nothing but secrets comes from files.
      expect(read({ PORT_FILE: file('owner') }).port).toBe(5678);
    });
  });
});
