import express, { type ErrorRequestHandler, type Express } from 'express';
import type { Pool } from 'pg';
import { answerOf } from '../plugins/known-callers.ts';
import type { FeatureWatch } from './features.ts';
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
}: {
  pool: Pool;
  verify: TokenVerifier;
  features: FeatureWatch;
}): Express {
  const app = express().disable('x-powered-by');
  const routes: RouteContext = { pool, requireFeature: (feature) => features.require(feature) };
  app.use('/api/v2', identify(verify, 'rest'), requireSignedIn);
  app.use('/api/v2', budgetRoutes(routes), spendRoutes(routes));
  app.use('/api', noSuchRoute);
  app.use('/api', toKnownCallers(pool), answerError);

  app.use('/graphql', identify(verify, 'graphql'), answerUnidentified);
  return app;
}

/** A bad token ends a GraphQL request before GraphQL begins; the answer has GraphQL's form all the same. */
const answerUnidentified: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  const { status, headers, body } = answerOf(error);
  response.status(status).set(headers).json(body);
};
