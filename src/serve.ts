import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Client } from 'pg';
import { type PostGraphileInstance, postgraphile } from 'postgraphile';
import { grafserv } from 'postgraphile/grafserv/express/v4';
import { createFeatureGate } from '../plugins/feature-gate.ts';
import { createPreset } from '../plugins/preset.ts';
import type { ServerConfiguration } from './configuration.ts';
import { createPool, endPool, openConnections, withClient } from './database.ts';
import { rememberConstraintColumns } from './errors.ts';
import { FeatureWatch } from './features.ts';
import { createHttp } from './http.ts';
import { createTokenVerifier } from './identity.ts';
import { logError, logWarning } from './log.ts';
import { answerError, noSuchRoute } from './rest/answers.ts';

export type RunningServer = {
  readonly url: string;
  /** Finishes what runs, refuses what is new, and lets go of the database. */
  stop(): Promise<void>;
};

const LAST_ORDERS_MS = 10_000;

/** Serves one database over HTTP. Resolves once requests are answered. */
export async function serve(configuration: ServerConfiguration): Promise<RunningServer> {
  const { authDatabaseUrl, listenDatabaseUrl, poolSize, host, port } = configuration;
  const verify = await createTokenVerifier(configuration.tokens);
  const pool = createPool(authDatabaseUrl, poolSize, (error) =>
    logWarning('A database connection broke.', error),
  );
  const open = openConnections(pool);
  const features = new FeatureWatch(listenDatabaseUrl, pool, logWarning);
  const gate = createFeatureGate((feature) => features.require(feature));
  const preset = createPreset({
    pool,
    gate: gate.plugin,
    log: logError,
    graphiql: configuration.graphiql,
    limits: configuration.queryLimits,
  });
  let graphql: PostGraphileInstance | undefined;

  const letGo = async () => {
    await features.stop();
    await graphql?.release();
    await endPool(pool, open);
  };
  try {
    // The schema comes from the database: one that can't be reached must say so now, not at the first request.
    await withClient(authDatabaseUrl, lookAtDatabase);
    graphql = postgraphile(preset);
    await graphql.getSchema();
    await gate.prepare(preset);
    await features.start();

    const app = createHttp({ pool, verify, features, graphiql: configuration.graphiql });
    const server = createServer(app);
    await graphql.createServ(grafserv).addTo(app, server, false);
    app.use(noSuchRoute, answerError);
    await listen(server, host, port);

    const address = server.address() as AddressInfo;
    return {
      url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
      async stop() {
        await close(server);
        await letGo();
      },
    };
  } catch (error) {
    await letGo().catch(() => {});
    throw error;
  }
}

/** Says plainly when the database has not been migrated, and learns which columns its constraints are about. */
async function lookAtDatabase(client: Client): Promise<void> {
  const { rows } = await client.query<{ is_migrated: boolean }>(
    "select to_regprocedure('app_hidden.require_user(uuid)') is not null as is_migrated",
  );
  if (rows[0]?.is_migrated !== true) {
    throw new Error('This database is not as new as this server: run bursar migrate first.');
  }
  const columns = await client.query<{ name: string; column: string }>(
    `select c.conname as name, a.attname as column
     from pg_catalog.pg_constraint c
       join pg_catalog.pg_attribute a
         on a.attrelid = c.conrelid and a.attnum = c.conkey[array_upper(c.conkey, 1)]
     where c.connamespace = pg_catalog.to_regnamespace('app_public')`,
  );
  rememberConstraintColumns(new Map(columns.rows.map((row) => [row.name, row.column])));
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that is kept alive is busy at one moment, and would bring new requests the next.
  server.prependListener('request', (_request, response) =>
    response.setHeader('Connection', 'close'),
  );
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const timer = setTimeout(() => server.closeAllConnections(), LAST_ORDERS_MS);
  await closed;
  clearInterval(idle);
  clearTimeout(timer);
}
