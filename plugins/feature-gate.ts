import { makeSchema } from 'postgraphile';
import type { GrafastExecutionArgs } from 'postgraphile/grafast';
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  type StringValueNode,
  validate,
  visit,
} from 'postgraphile/graphql';
import 'postgraphile/grafserv/express/v4';
import { CallerError } from '../src/errors.ts';
import { type FeatureState, graceWarning } from '../src/features.ts';

/**
 * The feature gate: a table or function whose comment says `@feature NAME` is out of reach while that
 * feature is off, on whatever way an operation takes to it.
 *
 * For each feature a second schema is generated, as if what is tagged with it were not in the database. An
 * operation that the second schema would not accept touches the feature. So there is no list of ways that
 * could miss one: filters, orders, aggregates, edges of payloads and whatever a plugin will add are all
 * absent there, because what they would be made of is.
 */
export type FeatureGate = {
  readonly plugin: GraphileConfig.Plugin;
  /** Generates the schemas to compare with, once the schema itself is built. Until then no operation passes. */
  prepare(preset: GraphileConfig.Preset): Promise<void>;
};

export function createFeatureGate(
  requireFeature: (feature: string) => Promise<FeatureState>,
): FeatureGate {
  let known: readonly KnownFeature[] | undefined;
  /** Learnt from the schema that is served, while it is built. */
  let served: { features: readonly string[]; nodeIds: NodeIdHandlers } | undefined;

  const check = async (args: GrafastExecutionArgs) => {
    if (known === undefined) throw new Error('The feature gate is not prepared.');
    const inGrace: string[] = [];
    for (const feature of known) {
      if (!feature.isTouchedBy(args)) continue;
      const state = await requireFeature(feature.name);
      if (state.isInGracePeriod) inGrace.push(feature.name);
    }
    if (inGrace.length === 0) return;
    args.requestContext?.expressv4?.res.setHeader('Warning', graceWarning(inGrace));
  };
  const guarded = async <T>(next: () => T | PromiseLike<T>, args: GrafastExecutionArgs) => {
    try {
      await check(args);
    } catch (error) {
      return { errors: [refusal(error)] };
    }
    return await next();
  };

  const gatePlugin: GraphileConfig.Plugin = {
    name: 'BursarFeatureGatePlugin',
    description: 'Refuses operations that touch a feature which is off',
    version: '1.0.0',
    schema: {
      hooks: {
        finalize(schema, build) {
          served = {
            features: featuresOf(Object.values(build.input.pgRegistry?.pgResources ?? {})),
            nodeIds: build.getNodeIdHandlerByTypeName?.() ?? {},
          };
          return schema;
        },
      },
    },
    grafast: {
      middleware: {
        execute: (next, { args }) => guarded(next, args),
        subscribe: (next, { args }) => guarded(next, args),
      },
    },
  };
  return {
    plugin: gatePlugin,
    async prepare(preset) {
      if (served === undefined) throw new Error('The gate is prepared after the schema is built.');
      const { features, nodeIds } = served;
      known = await Promise.all(
        features.map(async (name) => {
          // The gate's own plugin stays out: it would take these schemas for the one that is served.
          const { schema } = await makeSchema({
            ...preset,
            plugins: [
              ...(preset.plugins ?? []).filter((plugin) => plugin !== gatePlugin),
              withoutFeature(name),
            ],
          });
          return new KnownFeature(name, schema, nodeIds);
        }),
      );
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
// The schema without a feature
//------------------------------------------------------------------------------

/** A bare `@feature` names no feature: none of that name is ever on. */
function featuresOfThing(thing: object): string[] {
  const { extensions } = thing as {
    extensions?: { tags?: { feature?: string | true | (string | true)[] } };
  };
  const tag = extensions?.tags?.feature;
  return tag === undefined ? [] : [tag].flat().map(String);
}

function featuresOf(resources: readonly { codec: object }[]): readonly string[] {
  return [...new Set(resources.flatMap((r) => [r, r.codec]).flatMap(featuresOfThing))];
}

type Relations = Record<string, { localCodec: object; remoteResourceOptions: { codec: object } }>;

/** Takes tables and functions of a feature, and every relation to or from them, out of what is generated. */
function withoutFeature(feature: string): GraphileConfig.Plugin {
  return {
    name: `BursarWithout_${feature}_Plugin`,
    description: 'The schema as it would be without one feature',
    version: '1.0.0',
    gather: {
      hooks: {
        pgRegistry_PgRegistryBuilder_finalize(_info, { registryBuilder }) {
          const { pgResources, pgRelations } = registryBuilder.getRegistryConfig();
          const isTagged = (thing: object) => featuresOfThing(thing).includes(feature);
          for (const [name, resource] of Object.entries(pgResources)) {
            if (isTagged(resource) || isTagged(resource.codec)) delete pgResources[name];
          }
          for (const relations of Object.values(pgRelations)) {
            for (const [name, relation] of Object.entries(relations as Relations)) {
              const { localCodec, remoteResourceOptions: remote } = relation;
              if (isTagged(localCodec) || isTagged(remote) || isTagged(remote.codec)) {
                delete (relations as Relations)[name];
              }
            }
          }
        },
      },
    },
  };
}

//------------------------------------------------------------------------------
// Whether an operation touches a feature
//------------------------------------------------------------------------------

type NodeIdHandler = {
  codec: { decode(nodeId: string): unknown };
  match(decoded: unknown): boolean;
};

/** By the name of the type: whether a node id is one of its. */
type NodeIdHandlers = Readonly<Record<string, NodeIdHandler>>;

class KnownFeature {
  readonly name: string;
  readonly #without: GraphQLSchema;
  readonly #absentByCodec: ReadonlyMap<NodeIdHandler['codec'], readonly NodeIdHandler[]>;
  /** What can be said of a document whatever its variables: by operation name. */
  readonly #documents = new WeakMap<DocumentNode, Map<string, boolean>>();

  constructor(name: string, without: GraphQLSchema, nodeIds: NodeIdHandlers) {
    this.name = name;
    this.#without = without;
    this.#absentByCodec = absentByCodec(nodeIds, without);
  }

  isTouchedBy({ schema, document, operationName, variableValues }: GrafastExecutionArgs): boolean {
    const operation = getOperationAST(document, operationName);
    // What can't be run is left to whoever says so.
    if (operation === null || operation === undefined) return false;
    return (
      this.#isTouchedByDocument(document, operation) ||
      this.#isTouchedByVariables(schema, operation, variableValues ?? {})
    );
  }

  #isTouchedByDocument(document: DocumentNode, operation: OperationDefinitionNode): boolean {
    let answers = this.#documents.get(document);
    if (answers === undefined) {
      answers = new Map();
      this.#documents.set(document, answers);
    }
    const key = operation.name?.value ?? '';
    let answer = answers.get(key);
    if (answer === undefined) {
      const definitions = reachedDefinitions(document, operation);
      answer =
        validate(this.#without, { kind: Kind.DOCUMENT, definitions }).length > 0 ||
        stringsIn(definitions).some((text) => this.#isNodeId(text));
      answers.set(key, answer);
    }
    return answer;
  }

  #isTouchedByVariables(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>>,
  ): boolean {
    const definitions = operation.variableDefinitions ?? [];
    if (definitions.length === 0) return false;
    const isRefused = (by: GraphQLSchema) =>
      getVariableValues(by, definitions, variables, { maxErrors: 1 }).errors !== undefined;
    // What both schemas refuse is a mistake that has nothing to do with the feature.
    if (isRefused(this.#without) && !isRefused(schema)) return true;
    return stringsWithin(variables).some((text) => this.#isNodeId(text));
  }

  /** `node(nodeId)` says nothing about the type that it will find: the id does. */
  #isNodeId(text: string): boolean {
    // Most texts are no node ids, and that a codec can't read one is dear to find out: once for all of its handlers.
    return [...this.#absentByCodec].some(([codec, handlers]) => {
      const decoded = orNothing(() => [codec.decode(text)]);
      return handlers.some((handler) => orNothing(() => decoded && handler.match(decoded[0])));
    });
  }
}

function orNothing<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** The handlers of types that a schema does not have, by how their ids are written. */
function absentByCodec(nodeIds: NodeIdHandlers, without: GraphQLSchema) {
  const byCodec = new Map<NodeIdHandler['codec'], NodeIdHandler[]>();
  for (const [typeName, handler] of Object.entries(nodeIds)) {
    if (without.getType(typeName) !== undefined) continue;
    byCodec.set(handler.codec, [...(byCodec.get(handler.codec) ?? []), handler]);
  }
  return byCodec;
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

function stringsIn(definitions: readonly (OperationDefinitionNode | FragmentDefinitionNode)[]) {
  const strings: string[] = [];
  for (const definition of definitions) {
    visit(definition, { StringValue: (node: StringValueNode) => void strings.push(node.value) });
  }
  return strings;
}

/** Every text in a JSON value, without recursion: callers choose how deep it is. */
function stringsWithin(value: unknown): string[] {
  const strings: string[] = [];
  const open: unknown[] = [value];
  while (open.length > 0) {
    const inner = open.pop();
    if (typeof inner === 'string') strings.push(inner);
    else if (typeof inner === 'object' && inner !== null) open.push(...Object.values(inner));
  }
  return strings;
}
