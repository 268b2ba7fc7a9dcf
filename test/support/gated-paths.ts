import {
  astFromValue,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  print,
} from 'postgraphile/graphql';

/** One operation that goes to something gated, on one of the ways that the schema offers. */
export type GatedPath = {
  kind: 'field' | 'inside' | 'whole' | 'payload' | 'literal' | 'variable' | 'default';
  /** Where it goes, such as `Group.groupAiBudget`. */
  to: string;
  query: string;
  variables?: Record<string, unknown>;
};

export type Walk = {
  schema: GraphQLSchema;
  /** Whether the name of a type, field, input field or enum value belongs to something gated. */
  isGated: (name: string) => boolean;
  /** A value for an argument that must be given. */
  valueFor: (name: string, type: GraphQLNamedType, field: AnyField) => unknown;
};

type AnyField = GraphQLField<unknown, unknown>;
/** Puts a selection at the end of the way from the root to a type. */
type Route = (selection: string, variables?: string) => string;

/**
 * Every way to something gated: each field that leads there from a type outside, each field within, each
 * mutation's payload that leads back to `query`, each input field and enum value of each argument. What is
 * `whole` asks for everything `inside` one type at once.
 * It knows names alone, and nothing of the marks that the gate works with.
 */
export function gatedPaths(walk: Walk): GatedPath[] {
  const { schema } = walk;
  const paths: GatedPath[] = [];
  const roots = [
    ['query', schema.getQueryType()],
    ['mutation', schema.getMutationType()],
  ] as const;
  for (const [keyword, root] of roots) {
    if (!root) throw new Error(`The schema has no ${keyword}.`);
    const outside = routesFrom(walk, keyword, root, (field) => !leadsInside(walk, field));
    for (const [type, route] of outside) {
      for (const field of Object.values(type.getFields())) {
        const to = `${type.name}.${field.name}`;
        if (leadsInside(walk, field)) {
          paths.push({ kind: 'field', to, query: route(select(walk, field)) });
        } else if (keyword === 'query' || type === root) {
          // What a payload's fields take is what the same fields take below `query`.
          paths.push(...throughArguments(walk, type, field, route));
        }
      }
    }
    const everywhere = routesFrom(walk, keyword, root, () => true);
    for (const [type, route] of everywhere) {
      if (!walk.isGated(type.name)) continue;
      const selections = Object.values(type.getFields()).map((field) => select(walk, field));
      for (const [i, field] of Object.values(type.getFields()).entries()) {
        const query = route(selections[i] ?? '');
        paths.push({ kind: 'inside', to: `${type.name}.${field.name}`, query });
      }
      paths.push({ kind: 'whole', to: type.name, query: route(selections.join(' ')) });
    }
  }
  return [...paths, ...throughPayloads(walk)];
}

function leadsInside({ isGated }: Walk, field: AnyField): boolean {
  return isGated(field.name) || isGated(getNamedType(field.type).name);
}

/** The shortest way from a root to each object type. */
function routesFrom(
  walk: Walk,
  keyword: string,
  root: GraphQLObjectType,
  mayTake: (field: AnyField) => boolean,
): Map<GraphQLObjectType, Route> {
  const start: Route = (selection, variables = '') => `${keyword} ${variables} { ${selection} }`;
  const routes = new Map([[root, start]]);
  for (const [type, route] of routes) {
    for (const field of Object.values(type.getFields())) {
      const target = getNamedType(field.type);
      if (!isObjectType(target) || routes.has(target) || !mayTake(field)) continue;
      routes.set(target, (selection, variables) =>
        route(select(walk, field, selection), variables),
      );
    }
  }
  return routes;
}

/** A field with the arguments that it must have, and something of what it gives. */
function select(
  walk: Walk,
  field: AnyField,
  selection = selectionOf(getNamedType(field.type)),
  more: Record<string, string> = {},
): string {
  const given = field.args
    .filter((argument) => isRequiredArgument(argument) && !(argument.name in more))
    .map(({ name, type }) => `${name}: ${literal(sample(walk, name, type, field), type)}`);
  const all = [...given, ...Object.entries(more).map(([name, text]) => `${name}: ${text}`)];
  const call = `${field.name}${all.length === 0 ? '' : `(${all.join(', ')})`}`;
  return isLeafType(getNamedType(field.type)) ? call : `${call} { ${selection} }`;
}

/** Of a list its count, which makes PostgreSQL work out filters; `__typename` alone would not. */
function selectionOf(type: GraphQLNamedType): string {
  return isObjectType(type) && 'totalCount' in type.getFields() ? 'totalCount' : '__typename';
}

function literal(value: unknown, type: GraphQLInputType): string {
  const node = astFromValue(value, type);
  if (!node) throw new Error(`There is no literal of ${String(type)} for ${String(value)}.`);
  return print(node);
}

/** A value of an input type with no more members than it must have. */
function sample(walk: Walk, name: string, type: GraphQLInputType, field: AnyField): unknown {
  const named = getNamedType(type);
  if (isEnumType(named)) return named.getValues()[0]?.name;
  if (!isInputObjectType(named)) return walk.valueFor(name, named, field);
  return Object.fromEntries(
    Object.values(named.getFields())
      .filter(isRequiredInputField)
      .map((member) => [member.name, sample(walk, member.name, member.type, field)]),
  );
}

/** Like a sample, with one member in each object: filters refuse empty ones. */
function filledSample(walk: Walk, name: string, type: GraphQLInputType, field: AnyField): unknown {
  const named = getNamedType(type);
  if (!isInputObjectType(named)) return sample(walk, name, type, field);
  const fields = named.getFields();
  const [first] = [fields.isNull, fields.equalTo, ...Object.values(fields)].filter(Boolean);
  const filled = first && { [first.name]: filledSample(walk, first.name, first.type, field) };
  return { ...(sample(walk, name, type, field) as object), ...filled };
}

type GatedValue = { to: string; value: unknown };

/** The values of an input type that name something gated: one for each input field and enum value. */
function gatedValues(
  walk: Walk,
  type: GraphQLInputType,
  field: AnyField,
  seen = new Set<GraphQLNamedType>(),
): GatedValue[] {
  const named = getNamedType(type);
  if (seen.has(named)) return [];
  seen.add(named);
  if (isEnumType(named)) {
    return named
      .getValues()
      .filter(({ name }) => walk.isGated(name))
      .map(({ name }) => ({ to: `${named.name}.${name}`, value: name }));
  }
  if (!isInputObjectType(named)) return [];
  const required = sample(walk, '', named, field) as object;
  return Object.values(named.getFields()).flatMap((member): GatedValue[] => {
    const inner =
      walk.isGated(member.name) || walk.isGated(getNamedType(member.type).name)
        ? [
            {
              to: `${named.name}.${member.name}`,
              value: filledSample(walk, member.name, member.type, field),
            },
          ]
        : gatedValues(walk, member.type, field, seen);
    return inner.map(({ to, value }) => ({ to, value: { ...required, [member.name]: value } }));
  });
}

function throughArguments(
  walk: Walk,
  type: GraphQLObjectType,
  field: AnyField,
  route: Route,
): GatedPath[] {
  return field.args.flatMap((argument) =>
    gatedValues(walk, argument.type, field).flatMap(({ to: target, value }): GatedPath[] => {
      const to = `${type.name}.${field.name}(${argument.name}) ${target}`;
      const text = literal(value, argument.type);
      const within = (argumentText: string, variables = '') =>
        route(select(walk, field, undefined, { [argument.name]: argumentText }), variables);
      return [
        { kind: 'literal', to, query: within(text) },
        {
          kind: 'variable',
          to,
          query: within('$value', `($value: ${String(argument.type)})`),
          variables: { value },
        },
        {
          kind: 'default',
          to,
          query: within('$value', `($value: ${String(argument.type)} = ${text})`),
        },
      ];
    }),
  );
}

/** Each mutation's payload leads back to the root of all queries. */
function throughPayloads(walk: Walk): GatedPath[] {
  const query = walk.schema.getQueryType();
  const gated = Object.values(query?.getFields() ?? {}).find((field) => leadsInside(walk, field));
  if (!gated) return [];
  return Object.values(walk.schema.getMutationType()?.getFields() ?? {}).map((mutation) => ({
    kind: 'payload',
    to: `Mutation.${mutation.name} Query.${gated.name}`,
    query: `mutation { ${select(walk, mutation, `query { ${select(walk, gated)} }`)} }`,
  }));
}
