import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { type PostGraphileInstance, postgraphile } from 'postgraphile';
import { grafserv } from 'postgraphile/grafserv/express/v4';
import { createFeatureGate } from '../plugins/feature-gate.ts';
import { createPreset } from '../plugins/preset.ts';
import type { ServerConfiguration } from './configuration.ts';
import { createPool, createWatchPool, endPool, openConnections, withClient } from './database.ts';
import { rememberConstraintColumns } from './errors.ts';
import { FeatureWatch } from './features.ts';
import { MIGRATIONS_FOLDER } from './folders.ts';
import { healthRoutes, isOlder, metricsRoute, readinessOf } from './health.ts';
import { readHistory } from './history.ts';
import { createHttp } from './http.ts';
import { limitConnections, timeLimits } from './http-limits.ts';
import { createTokenVerifier } from './identity.ts';
import { logError, logRequest, logWarning, setLogLevel } from './log.ts';
import { trackRequests } from './request.ts';
import { answerError, noSuchRoute } from './rest/answers.ts';
import { metricsOfAll } from './worker-metrics.ts';

export type RunningServer = {
  readonly url: string;
  /** Finishes what runs, refuses what is new, and lets go of the database. */
  stop(): Promise<void>;
};

const LAST_ORDERS_MS = 10_000;

/** Serves one database over HTTP. Resolves once requests are answered. */
export async function serve(configuration: ServerConfiguration): Promise<RunningServer> {
  const { authDatabaseUrl, listenDatabaseUrl, poolSize, host, port } = configuration;
  setLogLevel(configuration.logLevel);
  // What OpenTelemetry needs is loaded for whoever wants it.
  const tracing =
    configuration.traces === undefined
      ? undefined
      : await (await import('./tracing.ts')).startTracing(configuration.traces);
  const verify = await createTokenVerifier(configuration.tokens);
  const broken = (error: Error) => logWarning('A database connection broke.', error);
  const pool = createPool(authDatabaseUrl, poolSize, configuration.resultLimit, broken);
  const watchPool = createWatchPool(authDatabaseUrl, broken);
  const open = [openConnections(pool), openConnections(watchPool)] as const;
  const features = new FeatureWatch(listenDatabaseUrl, pool, logWarning);
  const requireFeature = (feature: string) => features.require(feature);
  const gate = createFeatureGate(requireFeature);
  // Where nobody may see them, nothing is loaded and nothing counted.
  const metrics =
    configuration.metrics === 'nobody'
      ? undefined
      : new (await import('./metrics.ts')).Metrics(pool, watchPool);
  const onDecision = metrics?.onDecision;
  const preset = createPreset({
    pool,
    gate: gate.plugin,
    log: logError,
    graphiql: configuration.graphiql,
    limits: configuration.queryLimits,
    trustedDocuments: configuration.trustedDocuments,
    introspection: configuration.introspection,
    onDecision,
  });
  let graphql: PostGraphileInstance | undefined;
  let isStopping = false;

  const letGo = async () => {
    await features.stop();
    await graphql?.release();
    await Promise.all([endPool(pool, open[0]), endPool(watchPool, open[1])]);
    await tracing?.stop();
  };
  try {
    const needed = await newestMigration();
    // The schema comes from the database: one that can't be reached must say so now, not at the first request.
    await withClient(authDatabaseUrl, (client) => lookAtDatabase(client, needed));
    graphql = postgraphile(preset);
    await graphql.getSchema();
    await gate.prepare(preset);
    await features.start();

    const database = readinessOf(watchPool, needed);
    const app = createHttp({
      routes: { pool, requireFeature, onDecision },
      verify,
      track: trackRequests((request) => {
        metrics?.requestEnded(request);
        logRequest(request);
      }, tracing),
      watchers: [
        healthRoutes(async () => (isStopping ? 'The server is stopping.' : database())),
        metricsRoute(
          configuration.metrics,
          metrics === undefined ? undefined : metricsOfAll(metrics.registry),
        ),
      ],
      graphiql: configuration.graphiql,
      corsOrigins: configuration.corsOrigins,
    });
    const server = createServer(timeLimits(configuration.httpLimits), app);
    limitConnections(server, configuration.httpLimits);
    await graphql.createServ(grafserv).addTo(app, server, false);
    app.use(noSuchRoute, answerError);
    await listen(server, host, port);

    const address = server.address() as AddressInfo;
    return {
      url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
      async stop() {
        isStopping = true;
        sendAway(server);
        await sleep(configuration.drainSeconds * 1_000);
        await close(server);
        await letGo();
      },
    };
  } catch (error) {
    await letGo().catch(() => {});
    throw error;
  }
}

/** The number of the newest migration that came with this code. */
async function newestMigration(): Promise<string> {
  const history = await readHistory(MIGRATIONS_FOLDER);
  return history.at(-1)?.file.slice(0, 6) ?? '';
}

/** Says plainly when the database is older than this code, and learns which columns its constraints are about. */
async function lookAtDatabase(client: Client, needed: string): Promise<void> {
  if (await isOlder(client, needed)) {
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

/** A connection that is kept alive is busy at one moment, and would bring new requests the next. */
function sendAway(server: Server): void {
  server.prependListener('request', (_request, response) =>
    response.setHeader('Connection', 'close'),
  );
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const timer = setTimeout(() => server.closeAllConnections(), LAST_ORDERS_MS);
  await closed;
  clearInterval(idle);
  clearTimeout(timer);
}
