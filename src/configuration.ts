/**
 * Everything that the environment can say, checked as a whole: every mistake is reported at once, each
 * with its remedy.
 */

import type { QueryLimits } from '../plugins/query-limits.ts';
import type { HttpLimits } from './http-limits.ts';
import { type Environment, isGiven, SettingsReader } from './settings.ts';

export type TokenKeys =
  | { readonly kind: 'secret'; readonly secret: string }
  | { readonly kind: 'jwks'; readonly url: string };

export type TokenRules = {
  readonly keys: TokenKeys;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
};

export type ServerConfiguration = {
  readonly host: string;
  readonly port: number;
  readonly authDatabaseUrl: string;
  /** Where to listen for changes of features, when `authDatabaseUrl` is a pooler's. */
  readonly listenDatabaseUrl: string;
  /** Processes that answer at one port. */
  readonly workers: number;
  /** Connections of all of them together. */
  readonly poolSize: number;
  readonly tokens: TokenRules;
  readonly graphiql: boolean;
  /** The largest operation of GraphQL that is answered. */
  readonly queryLimits: QueryLimits;
  /** The most that one request may get from the database, in bytes. */
  readonly resultLimit: number;
  readonly httpLimits: HttpLimits;
  /** The only operations that run, by the id that clients send; undefined where any may. */
  readonly trustedDocuments: TrustedDocuments | undefined;
  /** Whether clients may ask for the schema itself. */
  readonly introspection: boolean;
  /** Whose pages may call, such as `https://console.example.com`. */
  readonly corsOrigins: readonly string[];
  /** Who reads /metrics: whoever has the token, everybody, or nobody. */
  readonly metrics: MetricsAccess;
  readonly logLevel: LogLevel;
  /** For how long a server that was told to stop still answers, while /readyz says 503. */
  readonly drainSeconds: number;
  /** Where OpenTelemetry's traces go. */
  readonly traces: string | undefined;
};

export const LOG_LEVELS = ['error', 'warn', 'info'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type TrustedDocuments = Readonly<Record<string, string>>;
export type MetricsAccess = { readonly token: string } | 'everybody' | 'nobody';

/** Several times what GraphiQL asks of the whole schema, which is more than clients do. */
export const QUERY_LIMITS: QueryLimits = { depth: 20, fields: 1_000 };

/** Some fifty thousand rows: generous, and no more than a process can work off in seconds. */
export const RESULT_LIMIT_MB = 16;

export const HTTP_LIMITS: HttpLimits = { connections: 10_000, requestSeconds: 30 };

const SHORTEST_SECRET_BYTES = 32;

function readTokenRules(reader: SettingsReader): TokenRules {
  const secret = reader.text('JWT_SECRET');
  const url = reader.text('JWKS_URL');
  if (reader.isGiven('JWT_SECRET') && url !== undefined) {
    reader.wrong('JWT_SECRET and JWKS_URL are both set: keep the one that signs your tokens.');
  }
  if (!reader.isGiven('JWT_SECRET') && url === undefined) {
    reader.wrong(
      `Set JWT_SECRET (${SHORTEST_SECRET_BYTES} bytes or more) or JWKS_URL: without a key no token can be checked.`,
    );
  }
  if (secret !== undefined && Buffer.byteLength(secret) < SHORTEST_SECRET_BYTES) {
    reader.wrong(
      `JWT_SECRET has ${Buffer.byteLength(secret)} bytes; HS256 wants ${SHORTEST_SECRET_BYTES} or more (try: openssl rand -base64 48).`,
    );
  }
  return {
    keys: url === undefined ? { kind: 'secret', secret: secret ?? '' } : { kind: 'jwks', url },
    issuer: reader.text('JWT_ISSUER'),
    audience: reader.text('JWT_AUDIENCE'),
  };
}

/** What a server needs. With the embedded database GraphiQL and the metrics are there for everybody by default. */
export function readServerConfiguration(
  environment: Environment,
  { isEmbedded }: { isEmbedded: boolean },
): ServerConfiguration {
  const reader = new SettingsReader(environment);
  const authDatabaseUrl = reader.databaseUrl('AUTH_DATABASE_URL');
  if (!reader.isGiven('AUTH_DATABASE_URL')) {
    reader.wrong('AUTH_DATABASE_URL is missing: the URL of the server’s own login role.');
  }
  const workers = reader.wholeNumber('WORKERS', 1, 1, 64);
  const poolSize = reader.wholeNumber('DATABASE_POOL_SIZE', Math.max(10, 5 * workers), 1, 1000);
  if (poolSize < workers) {
    reader.wrong(
      `DATABASE_POOL_SIZE must be ${workers} or more, one for each of the WORKERS, not "${poolSize}".`,
    );
  }
  return reader.finish({
    host: reader.text('HOST') ?? '127.0.0.1',
    port: reader.wholeNumber('PORT', 5678, 0, 65535),
    authDatabaseUrl: authDatabaseUrl ?? '',
    listenDatabaseUrl: reader.databaseUrl('LISTEN_DATABASE_URL') ?? authDatabaseUrl ?? '',
    workers,
    poolSize,
    tokens: readTokenRules(reader),
    graphiql: readSwitch(reader, 'GRAPHIQL', isEmbedded),
    queryLimits: {
      depth: reader.wholeNumber('GRAPHQL_MAX_DEPTH', QUERY_LIMITS.depth, 1, 1_000),
      fields: reader.wholeNumber('GRAPHQL_MAX_FIELDS', QUERY_LIMITS.fields, 1, 100_000),
    },
    resultLimit: reader.wholeNumber('MAX_RESULT_MB', RESULT_LIMIT_MB, 1, 1_024) * 1_048_576,
    httpLimits: {
      connections: reader.wholeNumber('MAX_CONNECTIONS', HTTP_LIMITS.connections, 1, 1_000_000),
      requestSeconds: reader.wholeNumber('REQUEST_SECONDS', HTTP_LIMITS.requestSeconds, 1, 3_600),
    },
    trustedDocuments: readTrustedDocuments(reader),
    introspection: readSwitch(reader, 'GRAPHQL_INTROSPECTION', true),
    corsOrigins: readOrigins(reader),
    metrics: readMetricsAccess(reader, isEmbedded),
    logLevel: readLogLevel(reader),
    drainSeconds: reader.wholeNumber('DRAIN_SECONDS', 0, 0, 600),
    traces: readTraces(reader),
  });
}

function readTrustedDocuments(reader: SettingsReader): TrustedDocuments | undefined {
  const file = reader.text('TRUSTED_DOCUMENTS');
  const text = file === undefined ? undefined : reader.contents('TRUSTED_DOCUMENTS', file);
  if (text === undefined) return undefined;
  let documents: unknown;
  try {
    documents = JSON.parse(text);
  } catch {
    documents = undefined;
  }
  if (
    typeof documents === 'object' &&
    documents !== null &&
    !Array.isArray(documents) &&
    Object.values(documents).every((document) => typeof document === 'string')
  ) {
    return documents as TrustedDocuments;
  }
  reader.wrong(
    `TRUSTED_DOCUMENTS names ${file}, which must be a JSON object of GraphQL documents by their ids.`,
  );
  return undefined;
}

function readOrigins(reader: SettingsReader): string[] {
  const origins = (reader.text('CORS_ORIGINS') ?? '').split(/[\s,]+/).filter(Boolean);
  for (const origin of origins) {
    if (URL.canParse(origin) && new URL(origin).origin === origin) continue;
    reader.wrong(`CORS_ORIGINS must list origins such as https://example.com, not "${origin}".`);
  }
  return origins;
}

function readMetricsAccess(reader: SettingsReader, isEmbedded: boolean): MetricsAccess {
  const token = reader.text('METRICS_TOKEN');
  if (token !== undefined && !/^[\w.~+/=-]{16,}$/.test(token)) {
    reader.wrong(
      'METRICS_TOKEN must have 16 letters, digits or characters of .~+/=-_ or more (try: openssl rand -hex 24).',
    );
  }
  if (token !== undefined) return { token };
  return isEmbedded && !reader.isGiven('METRICS_TOKEN') ? 'everybody' : 'nobody';
}

function readLogLevel(reader: SettingsReader): LogLevel {
  const text = reader.text('LOG_LEVEL');
  const level = LOG_LEVELS.find((one) => one === (text ?? 'warn'));
  if (level === undefined) {
    reader.wrong(`LOG_LEVEL must be ${LOG_LEVELS.join(', ')}, not "${text}".`);
  }
  return level ?? 'warn';
}

function readTraces(reader: SettingsReader): string | undefined {
  const url = reader.text('OTEL_EXPORTER_OTLP_ENDPOINT');
  if (url === undefined) return undefined;
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) {
    return `${url.replace(/\/+$/, '')}/v1/traces`;
  }
  reader.wrong(
    `OTEL_EXPORTER_OTLP_ENDPOINT must be the URL of a collector for OTLP over HTTP, such as http://127.0.0.1:4318, not "${url}".`,
  );
  return undefined;
}

function readSwitch(reader: SettingsReader, name: string, standard: boolean): boolean {
  const text = reader.text(name);
  if (text === undefined) return standard;
  if (text === 'true' || text === 'false') return text === 'true';
  reader.wrong(`${name} must be true or false, not "${text}".`);
  return standard;
}

/** The environment, with the embedded database's own secret where it names none. */
export function signingWith<E extends Environment>(secret: string, environment: E) {
  return isGiven(environment, 'JWT_SECRET') ? environment : { ...environment, JWT_SECRET: secret };
}

/** What signing a token needs. */
export function readSigningSecret(environment: Environment): {
  secret: string;
  issuer: string | undefined;
  audience: string | undefined;
} {
  const reader = new SettingsReader(environment);
  const rules = readTokenRules(reader);
  if (rules.keys.kind === 'jwks') {
    reader.wrong(
      'Tokens are signed by whoever owns the keys at JWKS_URL; set JWT_SECRET to sign here.',
    );
  }
  const secret = rules.keys.kind === 'secret' ? rules.keys.secret : '';
  return reader.finish({ secret, issuer: rules.issuer, audience: rules.audience });
}
