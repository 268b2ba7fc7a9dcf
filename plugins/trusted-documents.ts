import { SafeError } from 'postgraphile/grafast';
import type { TrustedDocuments } from '../src/configuration.ts';
import 'postgraphile/grafserv';

/** How Apollo, Relay and others send the id of a document. */
type Body = {
  query?: unknown;
  documentId?: unknown;
  id?: unknown;
  extensions?: { persistedQuery?: { sha256Hash?: unknown } | null } | null;
};

/**
 * Runs the documents alone that were registered: whatever else a client sends is not even read. The id of one is
 * `documentId`, `id` or `extensions.persistedQuery.sha256Hash`.
 */
export function createTrustedDocumentsPlugin(documents: TrustedDocuments): GraphileConfig.Plugin {
  const known = new Map(Object.entries(documents));
  return {
    name: 'BursarTrustedDocumentsPlugin',
    description: 'Runs registered documents alone',
    version: '1.0.0',
    grafserv: {
      middleware: {
        processGraphQLRequestBody(next, { body }) {
          const sent = body as Body;
          const id = sent.documentId ?? sent.id ?? sent.extensions?.persistedQuery?.sha256Hash;
          const document = typeof id === 'string' ? known.get(id) : undefined;
          if (document === undefined) {
            const problem =
              typeof id === 'string'
                ? `There is no document ${JSON.stringify(id.slice(0, 100))} among them.`
                : 'Send the id of one as documentId.';
            throw new SafeError(`Registered documents alone are run here. ${problem}`, {
              statusCode: 400,
            });
          }
          sent.query = document;
          return next();
        },
      },
    },
  };
}
