import {
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLObjectType,
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

/** What the scalars of a query are drawn from, by type: GraphQL literals. */
export type Values = Readonly<Record<string, readonly string[]>>;

const DEEPEST = 5;
/** GraphQL refuses operations that are larger than clients' are. */
const MOST_FIELDS = 120;

/** Valid queries of a schema, each another one: any root field, relation, filter, order, aggregate and page. */
export class RandomQueries {
  readonly #query: GraphQLObjectType;
  readonly #values: Values;
  #state: number;
  #fields = 0;

  constructor(schema: GraphQLSchema, values: Values, seed: number) {
    this.#query = schema.getQueryType() as GraphQLObjectType;
    this.#values = values;
    this.#state = seed;
  }

  next(): string {
    this.#fields = 0;
    const roots = Object.values(this.#query.getFields()).filter(({ name }) => name !== 'query');
    const lists = roots.filter(({ type }) => /Connection$/.test(getNamedType(type).name));
    const chosen = Array.from({ length: 1 + this.#below(2) }, () =>
      this.#one(this.#chance(0.7) ? lists : roots),
    );
    return `{ ${chosen.map((field, n) => `r${n}: ${this.#field(field, 1)}`).join(' ')} }`;
  }

  #field(
    { name, args, type }: { name: string; args: readonly GraphQLArgument[]; type: unknown },
    depth: number,
  ): string {
    this.#fields += 1;
    const given = args.filter((one) => isRequiredArgument(one) || this.#chance(0.2));
    // A page from both ends is none.
    const names = new Set(given.map((one) => one.name));
    const sane = given.filter(
      (one) =>
        !(one.name === 'last' && names.has('first')) &&
        !(one.name === 'offset' && names.has('last')),
    );
    const list = sane.map((one) => `${one.name}: ${this.#literal(one.type, one.name, 0)}`);
    const named = getNamedType(type as GraphQLInputType);
    const selection = isObjectType(named)
      ? this.#selection(named, depth)
      : isLeafType(named)
        ? ''
        : ' { __typename }';
    return `${name}${list.length === 0 ? '' : `(${list.join(', ')})`}${selection}`;
  }

  #selection(type: GraphQLObjectType, depth: number): string {
    const fields = Object.values(type.getFields()).filter((field) => field.name !== 'query');
    const leaves = fields.filter(({ type: t }) => isLeafType(getNamedType(t)));
    const others = fields.filter((field) => !leaves.includes(field));
    const chosen = [
      ...leaves.filter(() => this.#chance(0.5)),
      ...(depth < DEEPEST
        ? others.filter(({ name }) => this.#chance(name === 'nodes' ? 0.95 : 0.2))
        : []),
    ];
    const kept = chosen.filter(() => this.#fields < MOST_FIELDS);
    // Two of one name with other arguments would be at odds.
    const parts = kept.map((field, n) => `f${depth}x${n}: ${this.#field(field, depth + 1)}`);
    return ` { __typename ${parts.join(' ')} }`;
  }

  #literal(type: GraphQLInputType, name: string, depth: number): string {
    const inner = isNonNullType(type) ? type.ofType : type;
    if (isListType(inner)) {
      const items = Array.from({ length: 1 + this.#below(2) }, () =>
        this.#literal(inner.ofType as GraphQLInputType, name, depth),
      );
      return `[${items.join(', ')}]`;
    }
    if (isEnumType(inner)) return this.#one(inner.getValues()).name;
    if (isInputObjectType(inner)) {
      const fields: GraphQLInputField[] = Object.values(inner.getFields());
      const reachable =
        depth < 3 ? fields : fields.filter(({ type: t }) => isLeafType(getNamedType(t)));
      const chosen = new Set([
        ...fields.filter(isRequiredInputField),
        this.#one(reachable.length === 0 ? fields : reachable),
      ]);
      return `{${[...chosen].map((field) => `${field.name}: ${this.#literal(field.type, field.name, depth + 1)}`).join(', ')}}`;
    }
    if (name === 'first' || name === 'last') return String(1 + this.#below(20));
    if (name === 'offset') return String(this.#below(3));
    return this.#one(this.#values[getNamedType(inner).name] ?? ['"x"']);
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }

  #chance(of: number): boolean {
    return this.#random() < of;
  }

  #below(max: number): number {
    return Math.floor(this.#random() * max);
  }

  /** Mulberry32: the same seed, the same queries. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}
