import {
  type GraphQLInputType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
} from 'postgraphile/graphql';

/** A place where clients put a value: an argument of a root field, or a field of its input, however deep. */
export type Place = {
  readonly kind: 'query' | 'mutation';
  readonly root: string;
  readonly argument: string;
  /** From the argument's own value to the place, by fields of input objects; empty for the argument itself. */
  readonly path: readonly string[];
  /** The scalar or enum that belongs there. */
  readonly type: string;
  readonly operation: string;
  /** The variables with a hostile value in this place, and otherwise what the schema asks for. */
  variables(value: string): string;
};

/** Filters lead into filters without end; what is within three of them is found nearer. */
const DEEPEST = 4;

/** Every place of a schema. */
export function placesOf(
  schema: GraphQLSchema,
  sample: (type: string, name: string) => string,
): Place[] {
  const places: Place[] = [];
  for (const kind of ['query', 'mutation'] as const) {
    const type = kind === 'query' ? schema.getQueryType() : schema.getMutationType();
    for (const field of Object.values(type?.getFields() ?? {})) {
      for (const argument of field.args) {
        const others = field.args.filter(
          (other) => other !== argument && isRequiredArgument(other),
        );
        const given = [argument, ...others];
        const operation = `${kind} (${given.map((one) => `$${one.name}: ${one.type}`).join(', ')}) { ${field.name}(${given.map((one) => `${one.name}: $${one.name}`).join(', ')})${selectionOf(field.type)} }`;
        for (const { path, leaf } of leavesOf(argument.type, [])) {
          places.push({
            kind,
            root: field.name,
            argument: argument.name,
            path,
            type: leaf,
            operation,
            variables(value) {
              const members = [
                `${JSON.stringify(argument.name)}: ${jsonWith(argument.type, path, value, sample)}`,
                ...others.map(
                  (one) => `${JSON.stringify(one.name)}: ${sampleOf(one.type, one.name, sample)}`,
                ),
              ];
              return `{${members.join(', ')}}`;
            },
          });
        }
      }
    }
  }
  return places;
}

function leavesOf(
  type: GraphQLInputType,
  path: readonly string[],
): { path: readonly string[]; leaf: string }[] {
  const named = getNamedType(type);
  if (!isInputObjectType(named)) return [{ path, leaf: named.name }];
  if (path.length >= DEEPEST) return [];
  return Object.values(named.getFields()).flatMap((field) =>
    leavesOf(field.type, [...path, field.name]),
  );
}

/** The JSON of an input with `value` at `path`, and what is required beside it. */
function jsonWith(
  type: GraphQLInputType,
  path: readonly string[],
  value: string,
  sample: (type: string, name: string) => string,
): string {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  const inner = isNonNullType(type) ? type.ofType : type;
  if (isListType(inner))
    return `[${jsonWith(inner.ofType as GraphQLInputType, path, value, sample)}]`;
  if (!isInputObjectType(inner)) return value;
  const members = Object.values(inner.getFields()).flatMap((field) =>
    field.name === step
      ? [`${JSON.stringify(field.name)}: ${jsonWith(field.type, rest, value, sample)}`]
      : isRequiredInputField(field)
        ? [`${JSON.stringify(field.name)}: ${sampleOf(field.type, field.name, sample)}`]
        : [],
  );
  return `{${members.join(', ')}}`;
}

function sampleOf(
  type: GraphQLInputType,
  name: string,
  sample: (type: string, name: string) => string,
): string {
  const inner = isNonNullType(type) ? type.ofType : type;
  if (isListType(inner)) return '[]';
  if (isInputObjectType(inner)) {
    const members = Object.values(inner.getFields())
      .filter(isRequiredInputField)
      .map((field) => `${JSON.stringify(field.name)}: ${sampleOf(field.type, field.name, sample)}`);
    return `{${members.join(', ')}}`;
  }
  if (isEnumType(inner)) return JSON.stringify(inner.getValues()[0]?.name);
  return sample(getNamedType(inner).name, name);
}

/** Enough of a field to make the database work for it. */
function selectionOf(type: GraphQLOutputType, depth = 0): string {
  const named = getNamedType(type);
  if (!isObjectType(named)) return isLeafType(named) ? '' : ' { __typename }';
  const fields = Object.values(named.getFields()).filter(
    (field) => !field.args.some(isRequiredArgument),
  );
  const leaves = fields.filter((field) => isLeafType(getNamedType(field.type))).slice(0, 3);
  const nodes =
    depth < 2
      ? fields.filter(({ name }) => ['nodes', 'group', 'groupAiBudget', 'user'].includes(name))
      : [];
  return ` { __typename ${[...leaves.map(({ name }) => name), ...nodes.map((field) => `${field.name}${selectionOf(field.type, depth + 1)}`)].join(' ')} }`;
}
