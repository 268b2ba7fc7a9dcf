import { PgAggregatesPreset } from '@graphile/pg-aggregates';
import { PgSimplifyInflectionPreset } from '@graphile/simplify-inflection';
import type { Pool } from 'pg';
import { getOperationAST } from 'postgraphile/graphql';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';
import { PostGraphileConnectionFilterPreset } from 'postgraphile-plugin-connection-filter';
import 'postgraphile/grafserv/express/v4';
import type { TrustedDocuments } from '../src/configuration.ts';
import type { OnDecision } from '../src/metrics.ts';
import { Caller } from '../src/on-behalf.ts';
import { noteOperation } from '../src/request.ts';
import { createAuthorizationsCountedPlugin } from './authorizations-counted.ts';
import { BehaviorMemoryPlugin } from './behavior-memory.ts';
import { DatesAndTimesPlugin } from './dates-and-times.ts';
import { DescriptionsPlugin } from './descriptions.ts';
import { createErrorsPlugin, createMaskError, type ErrorLog } from './errors.ts';
import { ExactNumbersPlugin } from './exact-numbers.ts';
import { createKnownCallersPlugin } from './known-callers.ts';
import { NamesPlugin } from './names.ts';
import { NoIntrospectionPlugin, withoutSuggestion } from './no-introspection.ts';
import { OneRowPlugin } from './one-row.ts';
import { createPgService, pgSettingsOf } from './pg-adaptor.ts';
import { createQueryLimitsPlugin, type QueryLimits } from './query-limits.ts';
import { RefusedUpdatesPlugin } from './refused-updates.ts';
import { SignedInMutationsPlugin } from './signed-in-mutations.ts';
import { createTrustedDocumentsPlugin } from './trusted-documents.ts';

/** How PostGraphile makes the GraphQL API out of the schema app_public. */
export function createPreset(options: {
  pool: Pool;
  gate: GraphileConfig.Plugin;
  log: ErrorLog;
  graphiql: boolean;
  limits?: QueryLimits;
  trustedDocuments?: TrustedDocuments | undefined;
  introspection?: boolean;
  onDecision?: OnDecision | undefined;
}): GraphileConfig.Preset {
  const mask = createMaskError(options.log);
  const maskError: typeof mask =
    options.introspection === false ? (error) => withoutSuggestion(mask(error)) : mask;
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
      OneRowPlugin,
      DescriptionsPlugin,
      ExactNumbersPlugin,
      DatesAndTimesPlugin,
      RefusedUpdatesPlugin,
      SignedInMutationsPlugin,
      createKnownCallersPlugin(options.pool),
      options.gate,
      createErrorsPlugin(maskError),
      ...(options.limits === undefined ? [] : [createQueryLimitsPlugin(options.limits)]),
      ...(options.introspection === false ? [NoIntrospectionPlugin] : []),
      ...(options.trustedDocuments === undefined
        ? []
        : [createTrustedDocumentsPlugin(options.trustedDocuments)]),
      ...(options.onDecision === undefined
        ? []
        : [createAuthorizationsCountedPlugin(options.onDecision)]),
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
      context: ({ expressv4 }, { document, operationName }) => {
        const operation = getOperationAST(document, operationName);
        noteOperation(operation?.name?.value ?? 'anonymous', operation?.operation === 'mutation');
        return {
          pgSettings: pgSettingsOf(expressv4?.req.bursarCaller ?? new Caller(null, 'graphql')),
        };
      },
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
