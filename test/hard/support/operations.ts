import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'postgraphile/graphql';

/** One place of the schema where a caller gives a value: the field with the argument, and the way into it. */
export type Slot = {
  readonly operation: 'query' | 'mutation';
  /** From the root to the field. */
  readonly path: readonly Field[];
  readonly argument: string;
  /** The input fields within the argument. */
  readonly inner: readonly string[];
  /** What it all leads to. */
  readonly input: Input;
};

type Field = GraphQLField<unknown, unknown>;
type Input = GraphQLArgument | GraphQLInputField;

/** A good scalar for an input of this name and type, which belongs to the field `of`, as the text of JSON. */
export type GoodValue = (name: string, type: GraphQLNamedType, of: string) => string;

/** Every argument and every input field that can be reached, each once by the shortest way. */
export function slotsOf(schema: GraphQLSchema): Slot[] {
  const slots: Slot[] = [];
  const seenInputs = new Set<string>();
  const walk = (slot: Slot) => {
    slots.push(slot);
    const named = getNamedType(slot.input.type);
    if (!isInputObjectType(named) || seenInputs.has(named.name)) return;
    seenInputs.add(named.name);
    for (const field of Object.values(named.getFields())) {
      walk({ ...slot, inner: [...slot.inner, field.name], input: field });
    }
  };
  const roots = [
    ['query', schema.getQueryType()],
    ['mutation', schema.getMutationType()],
  ] as const;
  const seenTypes = new Set<string>();
  for (const [operation, root] of roots) {
    const waiting: { type: GraphQLNamedType; path: readonly Field[] }[] = root
      ? [{ type: root, path: [] }]
      : [];
    for (const { type, path } of waiting) {
      if (!isObjectType(type) || seenTypes.has(type.name)) continue;
      seenTypes.add(type.name);
      for (const field of Object.values(type.getFields())) {
        const here = [...path, field];
        for (const argument of field.args) {
          walk({ operation, path: here, argument: argument.name, inner: [], input: argument });
        }
        if (operation === 'query') waiting.push({ type: getNamedType(field.type), path: here });
      }
    }
  }
  return slots;
}

export type Operation = { readonly query: string; readonly variables: string };

/** The operation with `value` at its slot and good values wherever else one must be. */
export function operationFor(slot: Slot, value: string, good: GoodValue): Operation {
  const declared: string[] = [];
  const given: string[] = [];
  const call = (field: Field, hostileArgument: string | undefined) => {
    const used = field.args.filter(
      (argument) => argument.name === hostileArgument || mustBe(argument),
    );
    const listed = used.map((argument) => {
      const name = `v${declared.length}`;
      declared.push(`$${name}: ${argument.type}`);
      const text =
        argument.name === hostileArgument
          ? hostileValueOf(argument, slot.inner, value, good, field.name)
          : goodValueOf(argument, good, field.name);
      given.push(`"${name}":${text}`);
      return `${argument.name}: $${name}`;
    });
    return listed.length === 0 ? field.name : `${field.name}(${listed.join(', ')})`;
  };
  const [last, ...before] = [...slot.path].reverse();
  if (last === undefined) throw new Error('A slot has a field.');
  let document = `${call(last, slot.argument)} ${leavesOf(last.type)}`;
  for (const field of before) document = `${call(field, undefined)} { ${document} }`;
  return {
    query: `${slot.operation} Fuzz(${declared.join(', ')}) { ${document} }`,
    variables: `{${given.join(',')}}`,
  };
}

/** What callers mostly give here: of a filter, its first operator. */
export function likelyValueOf({ path, input }: Slot, good: GoodValue): string {
  const of = path.at(-1)?.name ?? '';
  const named = getNamedType(input.type);
  const [first] = isInputObjectType(named) ? Object.values(named.getFields()) : [];
  if (first === undefined || getNamedType(first.type) === named) {
    return goodValueOf(input, good, of);
  }
  const value = goodValueOf(first, good, of);
  return inLists(input.type, objectOf(input, good, of, { next: first.name, rest: [], value }));
}

const mustBe = ({ type, defaultValue }: Input) => isNonNullType(type) && defaultValue === undefined;

function hostileValueOf(
  input: Input,
  inner: readonly string[],
  value: string,
  good: GoodValue,
  of: string,
): string {
  const [next, ...rest] = inner;
  if (next === undefined) return value;
  return inLists(input.type, objectOf(input, good, of, { next, rest, value }));
}

function goodValueOf(input: Input, good: GoodValue, of: string): string {
  const named = getNamedType(input.type);
  if (isInputObjectType(named)) return inLists(input.type, objectOf(input, good, of));
  if (isEnumType(named)) {
    return inLists(input.type, JSON.stringify(named.getValues()[0]?.name));
  }
  return inLists(input.type, good(input.name, named, of));
}

/** An input object with what it must have. Of a patch, where nothing must be, everything. */
function objectOf(
  input: Input,
  good: GoodValue,
  of: string,
  hostile?: { next: string; rest: readonly string[]; value: string },
): string {
  const named = getNamedType(input.type);
  if (!isInputObjectType(named)) throw new Error(`${named} has no fields.`);
  const members = Object.values(named.getFields()).flatMap((field) => {
    if (field.name === hostile?.next) {
      return [`"${field.name}":${hostileValueOf(field, hostile.rest, hostile.value, good, of)}`];
    }
    const isOptionalHere = !mustBe(field) && !/Patch$/.test(named.name);
    return isOptionalHere ? [] : [`"${field.name}":${goodValueOf(field, good, of)}`];
  });
  return `{${members.join(',')}}`;
}

function inLists(type: GraphQLInputType, text: string): string {
  const nullable = getNullableType(type);
  return isListType(nullable) ? `[${inLists(nullable.ofType, text)}]` : text;
}

/** Enough of a type that what it comes from must be read: its plain fields, and those of its nodes. */
function leavesOf(type: GraphQLOutputType): string {
  const named = getNamedType(type);
  if (!isObjectType(named)) return 'getFields' in named ? '{ __typename }' : '';
  const fields = named.getFields();
  const plain = Object.values(fields)
    .filter(({ type: t, args }) => args.length === 0 && !('getFields' in getNamedType(t)))
    .slice(0, 4)
    .map(({ name }) => name);
  const nodes = fields.nodes === undefined ? '' : `nodes ${leavesOf(fields.nodes.type)}`;
  return `{ __typename ${plain.join(' ')} ${nodes} }`;
}
