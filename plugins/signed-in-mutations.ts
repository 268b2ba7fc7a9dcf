import type { GrafastExecutionArgs } from 'postgraphile/grafast';
import { GraphQLError, getOperationAST } from 'postgraphile/graphql';
import { Caller } from '../src/on-behalf.ts';

/**
 * Nobody writes: a mutation without a token says so at once. Row-level security would refuse it as well,
 * with an answer that does not tell the caller what is missing.
 */
export const SignedInMutationsPlugin: GraphileConfig.Plugin = {
  name: 'BursarSignedInMutationsPlugin',
  description: 'Mutations need a signed-in user',
  version: '1.0.0',
  grafast: {
    middleware: {
      execute(next, { args }) {
        return isMutation(args) && !speaksForSomebody(args)
          ? { errors: [UNAUTHENTICATED] }
          : next();
      },
    },
  },
};

const UNAUTHENTICATED = new GraphQLError('Sign in to change something: send a bearer token.', {
  extensions: { code: 'UNAUTHENTICATED' },
});

function isMutation({ document, operationName }: GrafastExecutionArgs): boolean {
  return getOperationAST(document, operationName)?.operation === 'mutation';
}

function speaksForSomebody({ contextValue }: GrafastExecutionArgs): boolean {
  const { pgSettings } = contextValue as { pgSettings?: unknown };
  return pgSettings instanceof Caller && pgSettings.userId !== null;
}
