import { GraphQLError, Kind } from 'postgraphile/graphql';
import 'postgraphile';

const SMALLEST = -(2n ** 63n);
const LARGEST = 2n ** 63n - 1n;

function exactInteger(text: string): string {
  if (/^-?\d{1,19}$/.test(text)) {
    const value = BigInt(text);
    if (value >= SMALLEST && value <= LARGEST) return text;
  }
  throw new GraphQLError(`"${shortened(text)}" is no whole number from ${SMALLEST} to ${LARGEST}.`);
}

function decimal(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text === 'string' && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i.test(text))
    return text;
  throw new GraphQLError(`${shownJson(value)} is no number.`);
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** A value that was sent, as an error shows it. */
export const shownJson = (value: unknown): string =>
  shortened(JSON.stringify(value) ?? 'undefined');

/**
 * A BigInt goes in and out as a string of digits. A JSON number is taken only where it is exact: over 2^53
 * the reader of the JSON has already rounded it, and another amount than the caller meant would be stored.
 */
export const ExactNumbersPlugin: GraphileConfig.Plugin = {
  name: 'BursarExactNumbersPlugin',
  description:
    'Refuses BigInt values that are not exact integers of 64 bits, and BigFloat values that are no numbers',
  version: '1.0.0',
  schema: {
    hooks: {
      GraphQLScalarType(config) {
        if (config.name === 'BigFloat') {
          return {
            ...config,
            parseValue: decimal,
            parseLiteral: (node) =>
              decimal(
                node.kind === Kind.INT || node.kind === Kind.FLOAT || node.kind === Kind.STRING
                  ? node.value
                  : node.kind,
              ),
          };
        }
        if (config.name !== 'BigInt') return config;
        return {
          ...config,
          description:
            'A whole number of 64 bits, written as a string of digits, since JSON readers round numbers over 2^53. A JSON number up to 2^53 is accepted, and an integer literal of any size.',
          parseValue(value) {
            if (typeof value === 'string') return exactInteger(value);
            if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
            const reason =
              typeof value === 'number' && Number.isInteger(value)
                ? 'is over 2^53 and may have been rounded on its way: send it as a string'
                : 'is no whole number';
            throw new GraphQLError(`${shownJson(value)} ${reason}.`);
          },
          parseLiteral(node) {
            if (node.kind === Kind.INT || node.kind === Kind.STRING)
              return exactInteger(node.value);
            throw new GraphQLError(
              'A whole number was expected, as digits or as a string of digits.',
            );
          },
        };
      },
    },
  },
};
