import express, { type ErrorRequestHandler, type Express } from 'express';
import helmet from 'helmet';
import type { Pool } from 'pg';
import { answerOf } from '../plugins/known-callers.ts';
import type { FeatureWatch } from './features.ts';
import { healthRoutes } from './health.ts';
import { identify, requireSignedIn, type TokenVerifier } from './identity.ts';
import { answerError, noSuchRoute, toKnownCallers } from './rest/answers.ts';
import { budgetRoutes } from './rest/budget.ts';
import type { RouteContext } from './rest/route.ts';
import { spendRoutes } from './rest/spend.ts';

/** The HTTP side without GraphQL, which `serve` adds behind it: who calls comes before all else. */
export function createHttp({
  pool,
  verify,
  features,
  graphiql,
}: {
  pool: Pool;
  verify: TokenVerifier;
  features: FeatureWatch;
  graphiql: boolean;
}): Express {
  const app = express().disable('x-powered-by');
  app.use(
    helmet({
      contentSecurityPolicy: graphiql ? false : NOTHING_TO_SHOW,
      // For whoever ends TLS to say, of a name that is theirs.
      strictTransportSecurity: false,
    }),
  );
  app.use(healthRoutes(pool));

  const routes: RouteContext = { pool, requireFeature: (feature) => features.require(feature) };
  app.use('/api/v2', identify(verify, 'rest'), requireSignedIn);
  app.use('/api/v2', budgetRoutes(routes), spendRoutes(routes));
  app.use('/api', noSuchRoute);
  app.use('/api', toKnownCallers(pool), answerError);

  app.use('/graphql', identify(verify, 'graphql'), answerUnidentified);
  return app;
}

/** Answers are data: a browser that is made to show one runs nothing of it, and puts it in no frame. */
const NOTHING_TO_SHOW = {
  useDefaults: false,
  directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
};

/** A bad token ends a GraphQL request before GraphQL begins; the answer has GraphQL's form all the same. */
const answerUnidentified: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  const { status, headers, body } = answerOf(error);
  response.status(status).set(headers).json(body);
};
