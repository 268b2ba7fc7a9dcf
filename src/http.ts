import express, { type ErrorRequestHandler, type Express } from 'express';
import type { Pool } from 'pg';
import { GraphQLError } from 'postgraphile/graphql';
import { createMaskError } from '../plugins/errors.ts';
import { type ErrorCode, STATUS_OF_CODE } from './errors.ts';
import type { FeatureWatch } from './features.ts';
import { identify, requireSignedIn, type TokenVerifier } from './identity.ts';
import { logError } from './log.ts';
import { answerError, noSuchRoute } from './rest/answers.ts';
import { budgetRoutes } from './rest/budget.ts';
import type { RouteContext } from './rest/route.ts';
import { spendRoutes } from './rest/spend.ts';

/** The HTTP side without GraphQL, which `serve` adds behind it: who calls comes before all else. */
export function createHttp(options: {
  pool: Pool;
  verify: TokenVerifier;
  features: FeatureWatch;
}): Express {
  const app = express().disable('x-powered-by');
  const identified = identify(options.verify, options.pool);

  const routes: RouteContext = {
    pool: options.pool,
    requireFeature: (feature) => options.features.require(feature),
  };
  app.use('/api/v2', identified, requireSignedIn, budgetRoutes(routes), spendRoutes(routes));
  app.use('/api', noSuchRoute);
  app.use('/api', answerError);

  app.use('/graphql', identified, answerUnidentified);
  return app;
}

const maskError = createMaskError(logError);

/** A bad token ends a GraphQL request before GraphQL begins; the answer has GraphQL's form all the same. */
const answerUnidentified: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  const { message, extensions } = maskError(new GraphQLError('', { originalError: error }));
  const status = STATUS_OF_CODE[extensions.code as ErrorCode];
  if (status === 401) response.set('WWW-Authenticate', 'Bearer');
  response.status(status).json({ errors: [{ message, extensions }] });
};
