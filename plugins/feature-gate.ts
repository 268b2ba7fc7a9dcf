import type { GrafastExecutionArgs } from 'postgraphile/grafast';
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isListType,
  Kind,
  type OperationDefinitionNode,
  TypeInfo,
  typeFromAST,
  type ValueNode,
  visit,
  visitWithTypeInfo,
} from 'postgraphile/graphql';
import { CallerError } from '../src/errors.ts';
import { type FeatureState, graceWarning } from '../src/features.ts';
import 'postgraphile/grafserv/express/v4';

/**
 * The feature gate: a table or function whose comment says `@feature NAME` is out of reach while that
 * feature is off, on whatever way an operation takes to it.
 *
 * 1. While the schema is built, everything that comes from a tagged thing is marked: types, fields,
 *    arguments' fields, enum values.
 * 2. Before an operation runs, the whole of it is walked with its types, fragments and variables included,
 *    and whatever is marked must be on. What the operation then makes of @skip and @include plays no part.
 */
export function createFeatureGatePlugin(
  requireFeature: (feature: string) => Promise<FeatureState>,
): GraphileConfig.Plugin {
  const gate = async (args: GrafastExecutionArgs) => {
    const inGrace: string[] = [];
    for (const feature of featuresOfOperation(args)) {
      const state = await requireFeature(feature);
      if (state.isInGracePeriod) inGrace.push(feature);
    }
    const response = args.requestContext?.expressv4?.res;
    if (inGrace.length > 0) response?.setHeader('Warning', graceWarning(inGrace));
  };

  return {
    name: 'BursarFeatureGatePlugin',
    description: 'Refuses operations that touch a feature which is off',
    version: '1.0.0',
    schema: {
      hooks: {
        GraphQLObjectType: (config, _build, { scope }) => marked(config, scope),
        GraphQLObjectType_fields_field: (config, _build, { scope }) => marked(config, scope),
        GraphQLInterfaceType: (config, _build, { scope }) => marked(config, scope),
        GraphQLUnionType: (config, _build, { scope }) => marked(config, scope),
        GraphQLInputObjectType: (config, _build, { scope }) => marked(config, scope),
        GraphQLInputObjectType_fields_field: (config, _build, { scope }) => marked(config, scope),
        GraphQLEnumType: (config, _build, { scope }) => marked(config, scope),
        GraphQLEnumType_values_value: (config, _build, { scope }) => marked(config, scope),
        finalize(schema, build) {
          rememberNodeIds(schema, build);
          return schema;
        },
      },
    },
    grafast: {
      middleware: {
        async execute(next, { args }) {
          try {
            await gate(args);
          } catch (error) {
            return { errors: [refusal(error)] };
          }
          return next();
        },
        async subscribe(next, { args }) {
          try {
            await gate(args);
          } catch (error) {
            return { errors: [refusal(error)] };
          }
          return next();
        },
      },
    },
  };
}

/** A gate that can't find out stays shut: the error that stopped it is the answer, masked like any other. */
function refusal(error: unknown): GraphQLError {
  const original = error instanceof Error ? error : new Error(String(error));
  return new GraphQLError(original.message, {
    originalError: original,
    path: original instanceof CallerError ? undefined : [],
  });
}

//------------------------------------------------------------------------------
// 1. Marks
//------------------------------------------------------------------------------

/** GraphQL.js keeps no symbols among extensions. */
const FEATURES = 'bursarFeatures';

type Marked = { [FEATURES]?: readonly string[] };

/** Puts the features of whatever the scope names (a table, a function, a column, a relation) on a part of the schema. */
function marked<T extends { extensions?: unknown }>(config: T, scope: object): T {
  const features = new Set<string>();
  for (const about of Object.values(scope)) collectTags(about, features);
  if (features.size === 0) return config;
  return {
    ...config,
    extensions: { ...(config.extensions as object | undefined), [FEATURES]: [...features] },
  };
}

type TaggedThing = {
  extensions?: { tags?: { feature?: string | readonly string[] | true } };
  codec?: unknown;
  relation?: unknown;
  remoteResource?: unknown;
  arrayOfCodec?: unknown;
};

function collectTags(about: unknown, features: Set<string>): void {
  if (about === null || (typeof about !== 'object' && typeof about !== 'function')) return;
  const thing = about as TaggedThing;
  const tag = thing.extensions?.tags?.feature;
  // A bare `@feature` names no feature: no feature of that name is ever on.
  for (const name of tag === undefined ? [] : [tag].flat()) features.add(String(name));
  for (const inner of [thing.codec, thing.relation, thing.remoteResource, thing.arrayOfCodec]) {
    if (inner !== undefined && inner !== about) collectTags(inner, features);
  }
}

function featuresOf(part: { extensions?: unknown } | null | undefined): readonly string[] {
  return (part?.extensions as Marked | undefined)?.[FEATURES] ?? [];
}

//------------------------------------------------------------------------------
// 2. The walk
//------------------------------------------------------------------------------

/** What an operation needs whatever its variables say: worked out once a document. */
const knownDocuments = new WeakMap<DocumentNode, Map<string, readonly string[]>>();

function featuresOfOperation(args: GrafastExecutionArgs): ReadonlySet<string> {
  const { schema, document, variableValues } = args;
  const operation = operationOf(document, args.operationName);
  if (operation === undefined) return new Set();

  let byOperation = knownDocuments.get(document);
  if (byOperation === undefined) {
    byOperation = new Map();
    knownDocuments.set(document, byOperation);
  }
  const key = operation.name?.value ?? '';
  let features = byOperation.get(key);
  if (features === undefined) {
    features = [...featuresOfDocument(schema, document, operation)];
    byOperation.set(key, features);
  }
  const all = new Set(features);
  for (const definition of operation.variableDefinitions ?? []) {
    const type = typeFromAST(schema, definition.type) as GraphQLInputType | undefined;
    const value = variableValues?.[definition.variable.name.value];
    if (type !== undefined) collectFromValue(type, value, all);
  }
  for (const feature of featuresOfNodeIds(schema, document, operation, variableValues ?? {})) {
    all.add(feature);
  }
  return all;
}

function operationOf(
  document: DocumentNode,
  name: string | null | undefined,
): OperationDefinitionNode | undefined {
  const operations = document.definitions.filter((d) => d.kind === Kind.OPERATION_DEFINITION);
  if (name === null || name === undefined)
    return operations.length === 1 ? operations[0] : undefined;
  return operations.find((operation) => operation.name?.value === name);
}

/** The operation and each fragment that it reaches, once each however often they are spread. */
function reachedDefinitions(
  document: DocumentNode,
  operation: OperationDefinitionNode,
): (OperationDefinitionNode | FragmentDefinitionNode)[] {
  const fragments = new Map(
    document.definitions
      .filter((d) => d.kind === Kind.FRAGMENT_DEFINITION)
      .map((fragment) => [fragment.name.value, fragment]),
  );
  const reached = new Set<OperationDefinitionNode | FragmentDefinitionNode>([operation]);
  for (const definition of reached) {
    visit(definition, {
      FragmentSpread(node) {
        const fragment = fragments.get(node.name.value);
        if (fragment !== undefined) reached.add(fragment);
      },
    });
  }
  return [...reached];
}

function featuresOfDocument(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): Set<string> {
  const features = new Set<string>();
  const need = (part: { extensions?: unknown } | null | undefined) => {
    for (const feature of featuresOf(part)) features.add(feature);
  };
  for (const definition of reachedDefinitions(document, operation)) {
    const info = new TypeInfo(schema);
    visit(
      definition,
      visitWithTypeInfo(info, {
        enter(node) {
          switch (node.kind) {
            case Kind.FIELD: {
              need(info.getParentType());
              need(info.getFieldDef());
              need(namedType(info.getType()));
              break;
            }
            case Kind.FRAGMENT_DEFINITION:
            case Kind.INLINE_FRAGMENT:
              need(namedType(info.getType()));
              break;
            case Kind.ARGUMENT:
              need(info.getArgument());
              need(namedType(info.getInputType()));
              break;
            case Kind.VARIABLE_DEFINITION:
              need(namedType(info.getInputType()));
              break;
            case Kind.OBJECT_FIELD: {
              const parent = getNullableType(info.getParentInputType());
              need(isInputObjectType(parent) ? parent.getFields()[node.name.value] : undefined);
              need(namedType(info.getInputType()));
              break;
            }
            case Kind.ENUM:
              need(info.getEnumValue());
              break;
          }
        },
      }),
    );
  }
  return features;
}

function namedType(type: Parameters<typeof getNamedType>[0]): GraphQLNamedType | undefined {
  return getNamedType(type) ?? undefined;
}

function collectFromValue(type: GraphQLInputType, value: unknown, features: Set<string>): void {
  if (value === null || value === undefined) return;
  const inner = getNullableType(type);
  if (isListType(inner)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      collectFromValue(inner.ofType, item, features);
    }
    return;
  }
  for (const feature of featuresOf(inner)) features.add(feature);
  if (isEnumType(inner)) {
    for (const feature of featuresOf(inner.getValue(String(value)))) features.add(feature);
  } else if (isInputObjectType(inner) && typeof value === 'object') {
    const fields = inner.getFields();
    for (const [name, fieldValue] of Object.entries(value)) {
      const field = fields[name];
      if (field === undefined) continue;
      for (const feature of featuresOf(field)) features.add(feature);
      collectFromValue(field.type, fieldValue, features);
    }
  }
}

//------------------------------------------------------------------------------
// `node(nodeId)` says nothing about the type that it will find: its id does.
//------------------------------------------------------------------------------

type NodeIdReader = { features: readonly string[]; matches: (nodeId: string) => boolean };

const nodeIdReaders = new WeakMap<GraphQLSchema, readonly NodeIdReader[]>();

function rememberNodeIds(schema: GraphQLSchema, build: GraphileBuild.Build): void {
  const readers: NodeIdReader[] = [];
  for (const [typeName, handler] of Object.entries(build.getNodeIdHandlerByTypeName?.() ?? {})) {
    const features = featuresOf(schema.getType(typeName));
    if (features.length === 0) continue;
    readers.push({
      features,
      matches(nodeId) {
        try {
          return handler.match(handler.codec.decode(nodeId));
        } catch {
          return false;
        }
      },
    });
  }
  nodeIdReaders.set(schema, readers);
}

function featuresOfNodeIds(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): Set<string> {
  const features = new Set<string>();
  const readers = nodeIdReaders.get(schema) ?? [];
  const collect = (value: unknown) => {
    if (typeof value !== 'string') return;
    for (const reader of readers) {
      if (reader.matches(value)) for (const feature of reader.features) features.add(feature);
    }
  };
  const defaults = new Map(
    operation.variableDefinitions?.map((d) => [d.variable.name.value, d.defaultValue]),
  );
  const textOfNode = (node: ValueNode): unknown => {
    if (node.kind === Kind.STRING) return node.value;
    if (node.kind !== Kind.VARIABLE) return undefined;
    const standard = defaults.get(node.name.value);
    return (
      variables[node.name.value] ?? (standard?.kind === Kind.STRING ? standard.value : undefined)
    );
  };
  for (const definition of reachedDefinitions(document, operation)) {
    const info = new TypeInfo(schema);
    visit(
      definition,
      visitWithTypeInfo(info, {
        Field(node) {
          if (!isAbstractType(namedType(info.getType()))) return;
          for (const argument of node.arguments ?? []) collect(textOfNode(argument.value));
        },
      }),
    );
  }
  return features;
}
