import 'postgraphile';

/**
 * A function whose comment says `@oneRow` returns a set, so that PostgreSQL puts it into the query that calls it and
 * plans both as one, and that set has a row at most: in GraphQL it is an object, not a connection.
 */
export const OneRowPlugin: GraphileConfig.Plugin = {
  name: 'BursarOneRowPlugin',
  description: 'Functions with the tag @oneRow are objects, not connections',
  version: '1.0.0',
  gather: {
    hooks: {
      pgProcedures_functionResourceOptions(_info, { functionResourceOptions }) {
        if (functionResourceOptions.extensions?.tags?.oneRow !== true) return;
        functionResourceOptions.returnsSetof = false;
        functionResourceOptions.hasImplicitOrder = false;
      },
    },
  },
};
