import { PgAggregatesPreset } from '@graphile/pg-aggregates';
import { PgSimplifyInflectionPreset } from '@graphile/simplify-inflection';
import type { Pool } from 'pg';
import { makePgService } from 'postgraphile/adaptors/pg';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';
import { PostGraphileConnectionFilterPreset } from 'postgraphile-plugin-connection-filter';
import 'postgraphile/grafserv/express/v4';
import { settingsOf } from '../src/database.ts';
import type { FeatureState } from '../src/features.ts';
import { createErrorsPlugin, createMaskError, type ErrorLog } from './errors.ts';
import { ExactNumbersPlugin } from './exact-numbers.ts';
import { createFeatureGatePlugin } from './feature-gate.ts';
import { NamesPlugin } from './names.ts';
import { SignedInMutationsPlugin } from './signed-in-mutations.ts';

/** How PostGraphile makes the GraphQL API out of the schema app_public. */
export function createPreset(options: {
  pool: Pool;
  requireFeature: (feature: string) => Promise<FeatureState>;
  log: ErrorLog;
  graphiql: boolean;
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
      NamesPlugin,
      ExactNumbersPlugin,
      SignedInMutationsPlugin,
      createFeatureGatePlugin(options.requireFeature),
      createErrorsPlugin(maskError),
    ],
    pgServices: [makePgService({ pool: options.pool, schemas: ['app_public'], pubsub: false })],
    gather: {
      // What has no default must be given.
      pgStrictFunctions: true,
    },
    schema: {
      // Each table that can be summed up says so itself.
      defaultBehavior: '-aggregates -groupedAggregates',
    },
    grafast: {
      context: ({ expressv4 }) => ({ pgSettings: settingsOf(expressv4?.req.bursarUserId ?? null) }),
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
