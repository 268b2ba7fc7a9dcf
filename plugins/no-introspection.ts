import { type DocumentNode, GraphQLError, visit } from 'postgraphile/graphql';
import { afterValidation } from './after-validation.ts';
import { reworded } from './errors.ts';

/** Tells nobody what there is by `__schema` and `__type`. `__typename` stays, which clients need. */
export const NoIntrospectionPlugin: GraphileConfig.Plugin = {
  name: 'BursarNoIntrospectionPlugin',
  description: 'Refuses to describe the schema',
  version: '1.0.0',
  grafserv: {
    middleware: {
      setPreset: afterValidation((validated) => {
        if (validated.errors !== undefined) return validated;
        return asksForSchema(validated.document) ? { errors: [REFUSED] } : validated;
      }),
    },
  },
};

const REFUSED = new GraphQLError('This server does not describe its schema.', {
  extensions: { code: 'VALIDATION_FAILED' },
});

/** By document, which grafserv keeps when it comes again. */
const answers = new WeakMap<DocumentNode, boolean>();

function asksForSchema(document: DocumentNode): boolean {
  const known = answers.get(document);
  if (known !== undefined) return known;
  let asks = false;
  visit(document, {
    Field({ name }) {
      asks ||= name.value === '__schema' || name.value === '__type';
    },
  });
  answers.set(document, asks);
  return asks;
}

/** Without what GraphQL.js would have liked better than a name that there is not. */
export function withoutSuggestion(error: GraphQLError): GraphQLError {
  const at = error.message.indexOf(' Did you mean ');
  return at < 0 ? error : reworded(error, error.message.slice(0, at), error.extensions);
}
