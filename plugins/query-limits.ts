import {
  type DefinitionNode,
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  OperationTypeNode,
  type SelectionSetNode,
} from 'postgraphile/graphql';
import { afterValidation } from './after-validation.ts';

/** How large an operation may be, with its fragments put in place. */
export type QueryLimits = {
  /** Fields within fields. */
  readonly depth: number;
  /** Fields in all, aliases and what fragments repeat included. */
  readonly fields: number;
};

/** `nesting` counts fragments as well, which are no fields, and are walked all the same. */
type Weight = { readonly depth: number; readonly fields: number; readonly nesting: number };

const MOST_NESTED = 200;

/**
 * Refuses documents that would take long to plan, or can't be planned, before anybody tries: a few hundred bytes of fragments that
 * spread each other stand for millions of fields. Each fragment is weighed once, however often it is spread.
 */
export function createQueryLimitsPlugin(limits: QueryLimits): GraphileConfig.Plugin {
  const problems = new WeakMap<DocumentNode, GraphQLError | undefined>();
  return {
    name: 'BursarQueryLimitsPlugin',
    description: 'Refuses operations that are too deep, have too many fields or subscribe',
    version: '1.0.0',
    grafserv: {
      middleware: {
        setPreset: afterValidation((validated) => {
          const { document } = validated;
          if (document === undefined) return validated;
          // Documents that come again are kept by grafserv.
          if (!problems.has(document)) problems.set(document, problemOf(document, limits));
          const problem = problems.get(document);
          return problem === undefined ? validated : { errors: [problem] };
        }),
      },
    },
  };
}

function problemOf(document: DocumentNode, limits: QueryLimits): GraphQLError | undefined {
  // Validation lets them pass where the schema has none, and planning takes them for a fault of the server's.
  if (document.definitions.some(isSubscription)) return refusal('There are no subscriptions.');
  const { depth, fields, nesting } = weightOrNothing(document) ?? TOO_HEAVY;
  if (nesting > MOST_NESTED) {
    return refusal(`Fragments are nested too deep; at most ${MOST_NESTED} are answered.`);
  }
  if (depth > limits.depth) {
    return refusal(`This is ${depth} fields deep; at most ${limits.depth} are answered.`);
  }
  if (fields > limits.fields) {
    const many = fields > 1e9 ? 'more than a billion' : String(fields);
    return refusal(
      `This asks for ${many} fields, with fragments put in place; at most ${limits.fields} are answered.`,
    );
  }
  return undefined;
}

const isSubscription = (definition: DefinitionNode) =>
  definition.kind === Kind.OPERATION_DEFINITION &&
  definition.operation === OperationTypeNode.SUBSCRIPTION;

/** Nothing of a document that is nested so deep that it can't even be walked. */
function weightOrNothing(document: DocumentNode): Weight | undefined {
  try {
    return weightOf(document);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const TOO_HEAVY: Weight = { depth: 0, fields: 0, nesting: Number.POSITIVE_INFINITY };

const refusal = (message: string) =>
  new GraphQLError(message, { extensions: { code: 'VALIDATION_FAILED' } });

/** That of the heaviest operation. The document is valid: no fragment spreads itself. */
export function weightOf(document: DocumentNode): Weight {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const one of document.definitions) {
    if (one.kind === Kind.FRAGMENT_DEFINITION) fragments.set(one.name.value, one);
  }
  const known = new Map<string, Weight>();
  const ofFragment = (name: string): Weight => {
    const found = known.get(name);
    if (found !== undefined) return found;
    const fragment = fragments.get(name);
    const weight = fragment === undefined ? NOTHING : ofSelections(fragment.selectionSet);
    known.set(name, weight);
    return weight;
  };
  const ofSelections = ({ selections }: SelectionSetNode): Weight => {
    let depth = 0;
    let fields = 0;
    let nesting = 0;
    for (const one of selections) {
      const isField = one.kind === Kind.FIELD;
      const within =
        one.kind === Kind.FRAGMENT_SPREAD
          ? ofFragment(one.name.value)
          : one.selectionSet === undefined
            ? NOTHING
            : ofSelections(one.selectionSet);
      depth = Math.max(depth, within.depth + (isField ? 1 : 0));
      fields += within.fields + (isField ? 1 : 0);
      nesting = Math.max(nesting, within.nesting + 1);
    }
    return { depth, fields, nesting };
  };
  const operations = document.definitions.flatMap((one) =>
    one.kind === Kind.OPERATION_DEFINITION ? [ofSelections(one.selectionSet)] : [],
  );
  return {
    depth: Math.max(...operations.map(({ depth }) => depth)),
    fields: Math.max(...operations.map(({ fields }) => fields)),
    nesting: Math.max(...operations.map(({ nesting }) => nesting)),
  };
}

const NOTHING: Weight = { depth: 0, fields: 0, nesting: 0 };
