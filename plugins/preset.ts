import { PgAggregatesPreset } from '@graphile/pg-aggregates';
import { PgSimplifyInflectionPreset } from '@graphile/simplify-inflection';
import type { Pool } from 'pg';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';
import { PostGraphileConnectionFilterPreset } from 'postgraphile-plugin-connection-filter';
import 'postgraphile/grafserv/express/v4';
import { Caller } from '../src/on-behalf.ts';
import { BehaviorMemoryPlugin } from './behavior-memory.ts';
import { DescriptionsPlugin } from './descriptions.ts';
import { createErrorsPlugin, createMaskError, type ErrorLog } from './errors.ts';
import { ExactNumbersPlugin } from './exact-numbers.ts';
import { createKnownCallersPlugin } from './known-callers.ts';
import { NamesPlugin } from './names.ts';
import { createPgService, pgSettingsOf } from './pg-adaptor.ts';
import { createQueryLimitsPlugin, type QueryLimits } from './query-limits.ts';
import { RefusedUpdatesPlugin } from './refused-updates.ts';
import { SignedInMutationsPlugin } from './signed-in-mutations.ts';

/** How PostGraphile makes the GraphQL API out of the schema app_public. */
export function createPreset(options: {
  pool: Pool;
  gate: GraphileConfig.Plugin;
  log: ErrorLog;
  graphiql: boolean;
  limits?: QueryLimits;
}): GraphileConfig.Preset {
  const maskError = createMaskError(options.log);
  return {
    extends: [
      PostGraphileAmberPreset,
      PgSimplifyInflectionPreset,
      PostGraphileConnectionFilterPreset,
      PgAggregatesPreset,
    ],
    plugins: [
      BehaviorMemoryPlugin,
      NamesPlugin,
      DescriptionsPlugin,
      ExactNumbersPlugin,
      RefusedUpdatesPlugin,
      SignedInMutationsPlugin,
      createKnownCallersPlugin(options.pool),
      options.gate,
      createErrorsPlugin(maskError),
      ...(options.limits === undefined ? [] : [createQueryLimitsPlugin(options.limits)]),
    ],
    pgServices: [createPgService(options.pool)],
    gather: {
      // What has no default must be given.
      pgStrictFunctions: true,
    },
    schema: {
      // Each table that can be summed up says so itself.
      defaultBehavior: '-aggregates -groupedAggregates',
      // No function here returns a set with nothing in it for a row, so clients need not look for null in lists.
      pgForbidSetofFunctionsToReturnNull: true,
    },
    grafast: {
      context: ({ expressv4 }) => ({
        pgSettings: pgSettingsOf(expressv4?.req.bursarCaller ?? new Caller(null, 'graphql')),
      }),
      explain: false,
    },
    grafserv: {
      graphqlPath: '/graphql',
      graphiql: options.graphiql,
      graphiqlPath: '/',
      graphiqlOnGraphQLGET: false,
      websockets: false,
      maskError,
    },
  };
}
