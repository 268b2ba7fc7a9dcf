/** What graphql-codegen needs to know of Bursar; its command line takes this file as `--config`. */
export default {
  schema: 'schema.graphql',
  documents: 'examples/client/operations.graphql',
  generates: {
    'examples/client/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        // Documents are strings: the client needs fetch, and no GraphQL library.
        documentMode: 'string',
        // A scalar that is not listed here fails the generation, instead of becoming `any`.
        strictScalars: true,
        scalars: {
          BigInt: 'string', // digits: a number would round what is over 2^53
          BigFloat: 'string', // decimals, exact
          UUID: 'string',
          Datetime: 'string', // ISO 8601
          Date: 'string', // YYYY-MM-DD
          Cursor: 'string',
          JSON: 'unknown',
        },
        enumType: 'string-literal',
        useTypeImports: true,
      },
    },
  },
} as const;
