import cors from 'cors';
import express, { type ErrorRequestHandler, type Express, type Handler } from 'express';
import helmet from 'helmet';
import { answerOf } from '../plugins/known-callers.ts';
import { identify, requireSignedIn, type TokenVerifier } from './identity.ts';
import { answerError, noSuchRoute, toKnownCallers } from './rest/answers.ts';
import { budgetRoutes } from './rest/budget.ts';
import type { RouteContext } from './rest/route.ts';
import { spendRoutes } from './rest/spend.ts';

/** The HTTP side without GraphQL, which `serve` adds behind it: who calls comes before all else. */
export function createHttp({
  routes,
  verify,
  track,
  watchers,
  graphiql,
  corsOrigins,
}: {
  routes: RouteContext;
  verify: TokenVerifier;
  /** Gives each request an id, and tells what became of it. */
  track: Handler;
  /** For whoever watches over the process: no requests of callers. */
  watchers: readonly Handler[];
  graphiql: boolean;
  corsOrigins: readonly string[];
}): Express {
  const app = express().disable('x-powered-by');
  app.use(
    helmet({
      contentSecurityPolicy: graphiql ? false : NOTHING_TO_SHOW,
      // For whoever ends TLS to say, of a name that is theirs.
      strictTransportSecurity: false,
    }),
  );
  for (const watcher of watchers) app.use(watcher);
  app.use(track);
  if (corsOrigins.length > 0) app.use(['/api/v2', '/graphql'], cors(crossOrigin(corsOrigins)));

  app.use('/api/v2', identify(verify, 'rest'), requireSignedIn);
  app.use('/api/v2', budgetRoutes(routes), spendRoutes(routes));
  app.use('/api', noSuchRoute);
  app.use('/api', toKnownCallers(routes.pool), answerError);

  app.use('/graphql', identify(verify, 'graphql'), answerUnidentified);
  return app;
}

/** Answers are data: a browser that is made to show one runs nothing of it, and puts it in no frame. */
const NOTHING_TO_SHOW = {
  useDefaults: false,
  directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
};

/** Pages of these origins may call, with a token that they send: there are no cookies to send with it. */
function crossOrigin(origins: readonly string[]): cors.CorsOptions {
  return {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'X-Request-Id', 'traceparent'],
    exposedHeaders: ['Retry-After', 'Warning', 'X-Request-Id'],
    maxAge: 600,
  };
}

/** A bad token ends a GraphQL request before GraphQL begins; the answer has GraphQL's form all the same. */
const answerUnidentified: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  const { status, headers, body } = answerOf(error);
  response.status(status).set(headers).json(body);
};
