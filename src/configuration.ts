/**
 * Everything that the environment can say, checked as a whole: every mistake is reported at once, each
 * with its remedy.
 */

import type { QueryLimits } from '../plugins/query-limits.ts';

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
};

export type Environment = Readonly<Record<string, string | undefined>>;

export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(mistakes.join('\n'));
    this.mistakes = mistakes;
  }
}

/** Several times what GraphiQL asks of the whole schema, which is more than clients do. */
export const QUERY_LIMITS: QueryLimits = { depth: 20, fields: 1_000 };

const SHORTEST_SECRET_BYTES = 32;

/** Reads settings one by one and collects what is wrong with them. */
class Reader {
  readonly mistakes: string[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  text(name: string): string | undefined {
    return this.#environment[name]?.trim() || undefined;
  }

  wrong(mistake: string): void {
    this.mistakes.push(mistake);
  }

  wholeNumber(name: string, standard: number, from: number, to: number): number {
    const text = this.text(name);
    if (text === undefined) return standard;
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= from && number <= to) return number;
    this.wrong(`${name} must be a whole number from ${from} to ${to}, not "${text}".`);
    return standard;
  }

  databaseUrl(name: string): string | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol)) return text;
    // The value itself may hold a password.
    this.wrong(`${name} must look like postgres://NAME:PASSWORD@HOST:5432/DATABASE.`);
    return undefined;
  }

  finish<T>(value: T): T {
    if (this.mistakes.length > 0) throw new ConfigurationError(this.mistakes);
    return value;
  }
}

function readTokenRules(reader: Reader): TokenRules {
  const secret = reader.text('JWT_SECRET');
  const url = reader.text('JWKS_URL');
  if (secret !== undefined && url !== undefined) {
    reader.wrong('JWT_SECRET and JWKS_URL are both set: keep the one that signs your tokens.');
  }
  if (secret === undefined && url === undefined) {
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

/** What a server needs. `GRAPHIQL=true` shows GraphiQL where `graphiqlByDefault` would not. */
export function readServerConfiguration(
  environment: Environment,
  { graphiqlByDefault }: { graphiqlByDefault: boolean },
): ServerConfiguration {
  const reader = new Reader(environment);
  const authDatabaseUrl = reader.databaseUrl('AUTH_DATABASE_URL');
  if (reader.text('AUTH_DATABASE_URL') === undefined) {
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
    graphiql: readSwitch(reader, 'GRAPHIQL', graphiqlByDefault),
    queryLimits: {
      depth: reader.wholeNumber('GRAPHQL_MAX_DEPTH', QUERY_LIMITS.depth, 1, 1_000),
      fields: reader.wholeNumber('GRAPHQL_MAX_FIELDS', QUERY_LIMITS.fields, 1, 100_000),
    },
  });
}

function readSwitch(reader: Reader, name: string, standard: boolean): boolean {
  const text = reader.text(name);
  if (text === undefined) return standard;
  if (text === 'true' || text === 'false') return text === 'true';
  reader.wrong(`${name} must be true or false, not "${text}".`);
  return standard;
}

/** What signing a token needs. */
export function readSigningSecret(environment: Environment): {
  secret: string;
  issuer: string | undefined;
  audience: string | undefined;
} {
  const reader = new Reader(environment);
  const rules = readTokenRules(reader);
  if (rules.keys.kind === 'jwks') {
    reader.wrong(
      'Tokens are signed by whoever owns the keys at JWKS_URL; set JWT_SECRET to sign here.',
    );
  }
  const secret = rules.keys.kind === 'secret' ? rules.keys.secret : '';
  return reader.finish({ secret, issuer: rules.issuer, audience: rules.audience });
}

export type DatabaseUrls = { readonly owner: string; readonly authenticator: string };

/** The one URL that looking needs, of any login. */
export function readDatabaseUrl(environment: Environment): string {
  const reader = new Reader(environment);
  const url = reader.databaseUrl('DATABASE_URL');
  if (reader.text('DATABASE_URL') === undefined) reader.wrong('DATABASE_URL is missing.');
  return reader.finish(url ?? '');
}

/** The two databases URLs that migrating needs. */
export function readDatabaseUrls(environment: Environment): DatabaseUrls {
  const reader = new Reader(environment);
  const owner = reader.databaseUrl('DATABASE_URL');
  const authenticator = reader.databaseUrl('AUTH_DATABASE_URL');
  for (const name of ['DATABASE_URL', 'AUTH_DATABASE_URL']) {
    if (reader.text(name) === undefined) reader.wrong(`${name} is missing.`);
  }
  return reader.finish({ owner: owner ?? '', authenticator: authenticator ?? '' });
}

/** How long a migration waits for a lock, in milliseconds; `standard` where the environment says nothing. */
export function readLockTimeout(environment: Environment, standard: number): number {
  const reader = new Reader(environment);
  return reader.finish(reader.wholeNumber('MIGRATION_LOCK_TIMEOUT_MS', standard, 0, 3_600_000));
}

/** Whether the environment names a database; the embedded one serves otherwise. */
export function namesDatabase(environment: Environment): boolean {
  return Boolean(environment.DATABASE_URL?.trim() || environment.AUTH_DATABASE_URL?.trim());
}

export type WorkflowUrls = DatabaseUrls & {
  /** Is dropped and made anew. */
  readonly shadow: string;
  /** The owner's login in a database from which others are dropped and created. */
  readonly root: string;
};

/** What writing and checking migrations needs. */
export function readWorkflowUrls(environment: Environment): WorkflowUrls {
  const reader = new Reader(environment);
  const owner = reader.databaseUrl('DATABASE_URL');
  const authenticator = reader.databaseUrl('AUTH_DATABASE_URL');
  const shadow = reader.databaseUrl('SHADOW_DATABASE_URL');
  const root = reader.databaseUrl('ROOT_DATABASE_URL');
  for (const name of ['DATABASE_URL', 'AUTH_DATABASE_URL']) {
    if (reader.text(name) === undefined) reader.wrong(`${name} is missing.`);
  }
  if (reader.text('SHADOW_DATABASE_URL') === undefined) {
    reader.wrong(
      'SHADOW_DATABASE_URL is missing: the URL of a database that is dropped and made anew, such as …/bursar_shadow.',
    );
  }
  // What is about to be dropped must say by its name that it may be.
  if (shadow !== undefined && !databaseOf(shadow).includes('shadow')) {
    reader.wrong(
      `SHADOW_DATABASE_URL names the database "${databaseOf(shadow)}", which would be dropped: use one with "shadow" in its name.`,
    );
  }
  // Whatever the host: one server has many names, and two databases of one name have no use here.
  for (const [name, url] of Object.entries({ DATABASE_URL: owner, ROOT_DATABASE_URL: root })) {
    if (shadow !== undefined && url !== undefined && databaseOf(url) === databaseOf(shadow)) {
      reader.wrong(
        `SHADOW_DATABASE_URL names the same database as ${name}, and would be dropped: give the shadow a name of its own.`,
      );
    }
  }
  return reader.finish({
    owner: owner ?? '',
    authenticator: authenticator ?? '',
    shadow: shadow ?? '',
    root: root ?? (shadow === undefined ? '' : withDatabase(shadow, 'postgres')),
  });
}

function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}

export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${encodeURIComponent(database)}`;
  return changed.href;
}
