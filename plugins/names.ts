import 'postgraphile';

/**
 * Names as callers expect them: a column `id` is `id`, and the opaque id that works for every type is
 * `nodeId`.
 */
export const NamesPlugin: GraphileConfig.Plugin = {
  name: 'BursarNamesPlugin',
  description: 'Raw ids are called id, global ones nodeId',
  version: '1.0.0',
  inflection: {
    replace: {
      nodeIdFieldName() {
        return 'nodeId';
      },
      // The preset calls a column `id` `row_id`, to make room for a global `id`.
      _attributeName(previous, _options, details) {
        const { codec, attributeName } = details;
        const attribute = codec.attributes[attributeName];
        const name = attribute?.extensions?.tags?.name ?? attributeName;
        return name === 'id' ? 'id' : (previous?.(details) ?? String(name));
      },
    },
  },
};
