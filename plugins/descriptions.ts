import type { PgCodec, PgResource, PgResourceParameter } from 'postgraphile/@dataplan/pg';
import {
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
} from 'postgraphile/graphql';
import { ERROR_TABLE } from '../src/errors.ts';
import { inGraphQLCase } from './errors.ts';
import 'postgraphile';

/** Anything of a schema that can say what it is. */
type Thing = { readonly name: string; description?: string | null | undefined };

/**
 * Clients are generated with the descriptions of the schema, and most of those are the comments of the database.
 * SQL has no comments for some things. The comment of a function describes its arguments and the columns that it
 * returns with tags, `@param request_id …`; the comment of an enum its values, `owner: everything. auditor: …`.
 * What is generated without a description gets one from where it stands.
 */
export const DescriptionsPlugin: GraphileConfig.Plugin = {
  name: 'BursarDescriptionsPlugin',
  description: 'Everything in the schema says what it is',
  version: '1.0.0',
  schema: {
    hooks: {
      finalize(schema, build) {
        describeByComments(schema, build);
        describeByPlace(schema);
        translate(schema);
        return schema;
      },
    },
  },
};

/** Every type, field, argument and value, by a name that says where it is. */
export function thingsOf(schema: GraphQLSchema): Map<string, Thing> {
  const things = new Map<string, Thing>();
  for (const type of typesOf(schema)) {
    things.set(type.name, type);
    for (const part of partsOf(type)) {
      things.set(`${type.name}.${part.name}`, part);
      for (const argument of argumentsOf(part)) {
        things.set(`${type.name}.${part.name}(${argument.name})`, argument);
      }
    }
  }
  return things;
}

function typesOf(schema: GraphQLSchema): GraphQLNamedType[] {
  return Object.values(schema.getTypeMap()).filter((type) => !type.name.startsWith('__'));
}

function partsOf(type: GraphQLNamedType | null | undefined): readonly Thing[] {
  if (isEnumType(type)) return type.getValues();
  if (isObjectType(type) || isInterfaceType(type) || isInputObjectType(type)) {
    return Object.values(type.getFields());
  }
  return [];
}

function argumentsOf(part: Thing): readonly Thing[] {
  return 'args' in part ? (part.args as Thing[]) : [];
}

function typeOf(part: Thing): GraphQLNamedType {
  return getNamedType((part as Thing & { type: GraphQLNamedType }).type);
}

//------------------------------------------------------------------------------
// What comments say of more than their own thing
//------------------------------------------------------------------------------

function describeByComments(schema: GraphQLSchema, build: GraphileBuild.Build): void {
  const { inflection } = build;
  for (const anyResource of Object.values(build.input.pgRegistry.pgResources)) {
    if (anyResource.parameters === undefined) continue;
    const resource = anyResource as PgResource<
      string,
      PgCodec,
      never,
      readonly PgResourceParameter[]
    >;
    const texts = textsOf(resource.extensions?.tags?.param);
    const input = schema.getType(inflection.customMutationInput({ resource }));
    const query = schema.getQueryType()?.getFields()[inflection.customQueryField({ resource })];
    const parts = [...partsOf(input), ...(query?.args ?? [])];
    if (resource.codec.isAnonymous) {
      const row = schema.getType(inflection.tableType(resource.codec as never));
      if (row) row.description ||= resource.description;
      parts.push(...partsOf(row));
    }
    for (const part of parts) part.description ||= texts.get(part.name);
  }
  for (const type of typesOf(schema)) {
    if (!isEnumType(type) || !type.description) continue;
    for (const value of type.getValues()) {
      const text = new RegExp(`\\b${value.name}:\\s+([^.]+\\.)`).exec(type.description)?.[1];
      value.description ||=
        text && `${text[0]?.toUpperCase()}${text.slice(1).replace(/\s+/g, ' ')}`;
    }
  }
}

/** Of `@param request_id The caller’s id.`, by name as GraphQL spells it. */
function textsOf(tag: unknown): Map<string, string> {
  const texts = new Map<string, string>();
  for (const line of [tag ?? []].flat()) {
    const [, name = '', text = ''] = /^(\w+)\s+(.+)$/s.exec(String(line)) ?? [];
    texts.set(inGraphQLCase(name), text);
  }
  return texts;
}

//------------------------------------------------------------------------------
// What the place says
//------------------------------------------------------------------------------

function describeByPlace(schema: GraphQLSchema): void {
  const types = typesOf(schema);
  for (const type of types) {
    for (const part of partsOf(type)) {
      const found = 'type' in part ? typeOf(part) : undefined;
      // What one looks something up by is what the thing found has under that name.
      describeAlike(argumentsOf(part), partsOf(found));
      // So is what a mutation takes, where its result has it.
      const input = argumentsOf(part).find(({ name }) => name === 'input');
      for (const result of partsOf(input && found))
        describeAlike(partsOf(typeOf(input as Thing)), partsOf(typeOf(result)));
    }
  }
  for (const type of types) {
    if (isComparison(type)) type.description ||= 'What a number of a group is compared with.';
  }
  // From the outside in: a type that has no words of its own has those of the field that leads to it.
  for (const type of types) {
    for (const part of partsOf(type)) {
      part.description ||= wordsFor(part, type);
      if ('type' in part) typeOf(part).description ||= part.description;
    }
  }
}

function describeAlike(parts: readonly Thing[], models: readonly Thing[]): void {
  for (const part of parts) {
    part.description ||= models.find(({ name }) => name === part.name)?.description;
  }
}

const COMPARISONS: Readonly<Record<string, string>> = {
  equalTo: 'Equal to this.',
  notEqualTo: 'Not equal to this.',
  lessThan: 'Less than this.',
  lessThanOrEqualTo: 'Less than or equal to this.',
  greaterThan: 'Greater than this.',
  greaterThanOrEqualTo: 'Greater than or equal to this.',
};

function isComparison(type: GraphQLNamedType): boolean {
  return /^Having\w+Filter$/.test(type.name);
}

function wordsFor({ name, ...part }: Thing, type: GraphQLNamedType): string | undefined {
  if (type.name.endsWith('OrderBy')) {
    if (name === 'NATURAL') return 'In no particular order.';
    const [, by = '', direction] = /^(.+)_(ASC|DESC)$/.exec(name) ?? [];
    return `By ${spelt(by)}, ${direction === 'ASC' ? 'ascending' : 'descending'}.`;
  }
  if (type.name.endsWith('GroupBy')) return `The rows with the same ${spelt(name)} are one group.`;
  if (type.name.endsWith('DistinctCountAggregateFilter')) {
    return `How many different values of ${name} there are.`;
  }
  if (type.name.endsWith('Aggregates') && name === 'keys') {
    return 'What the rows of this group have in common, in the order of `groupBy`.';
  }
  if (isComparison(type)) return COMPARISONS[name];
  if (type.name.endsWith('HavingInput')) {
    if (name === 'AND') return 'All of these.';
    if (name === 'OR') return 'One of these at least.';
    return `What the ${spelt(name)} of a group must be.`;
  }
  const having = /Having(\w+)Input$/.exec(type.name)?.[1];
  if (having !== undefined) return `What the ${spelt(having)} of ${name} must be.`;
  const deleted = /^deleted(\w+)NodeId$/.exec(name)?.[1];
  if (deleted !== undefined) return `The node id of the \`${deleted}\` that is gone.`;
  if (type.name.endsWith('Payload')) {
    const found = typeOf({ name, ...part });
    return isObjectType(found) ? (found.description ?? undefined) : 'What the mutation found.';
  }
  return undefined;
}

/** `CREATED_AT` and `distinctCount` as words. */
function spelt(name: string): string {
  return name
    .replaceAll('_', ' ')
    .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toLowerCase();
}

//------------------------------------------------------------------------------

const codeOf = new Map(ERROR_TABLE.map(({ sqlstate, code }) => [sqlstate, code as string]));

/**
 * Comments speak of SQLSTATEs and of names in SQL's case. Whoever reads them here meets `extensions.code`, and names in
 * GraphQL's case, but for what stands in braces: the keys of JSON.
 */
function translate(schema: GraphQLSchema): void {
  const things = [...thingsOf(schema).values()];
  const names = new Set(things.map(({ name }) => name));
  for (const thing of things) {
    if (!thing.description) continue;
    thing.description = thing.description.replace(
      /\{[^}]*\}|\b(?:BU\d{3}|\d[0-9A-Z]{4}|[a-z]+(?:_[a-z]+)+)\b/g,
      (word) => {
        const name = inGraphQLCase(word);
        return codeOf.get(word) ?? (names.has(name) ? name : word);
      },
    );
  }
}
