import { GraphQLError, Kind } from 'postgraphile/graphql';
import { shownJson } from './exact-numbers.ts';
import 'postgraphile';

/** Years as PostgreSQL has them; what comes after the day is for PostgreSQL to read. */
const DAY = /^(\d{4,6})-(\d\d)-(\d\d)(?:[T ][^\0]{1,40})?$/i;

function isDay(text: string): boolean {
  const [, year, month, day] = DAY.exec(text) ?? [];
  const date = new Date(Date.UTC(2000, Number(month) - 1, Number(day)));
  // Of a year with the same leap day.
  date.setUTCFullYear((Number(year) % 400) + 2000, Number(month) - 1, Number(day));
  return (
    Number(year) > 0 &&
    date.getUTCMonth() === Number(month) - 1 &&
    date.getUTCDate() === Number(day)
  );
}

function dayOf(value: unknown, type: string): string {
  if (typeof value === 'string' && (isDay(value) || /^-?infinity$/.test(value))) return value;
  const kind =
    type === 'Date' ? 'date such as "2026-11-23"' : 'time such as "2026-11-23T12:00:00Z"';
  throw new GraphQLError(`${shownJson(value)} is no ${kind}.`);
}

/**
 * Dates and times are ISO 8601, with a day that the calendar has. What else PostgreSQL would read means one thing today
 * and another tomorrow ("now"), or in another country; and what it refuses, it refuses without naming the field.
 */
export const DatesAndTimesPlugin: GraphileConfig.Plugin = {
  name: 'BursarDatesAndTimesPlugin',
  description: 'Refuses dates and times that are none, by the name of their field',
  version: '1.0.0',
  schema: {
    hooks: {
      GraphQLScalarType(config) {
        const { name } = config;
        if (name !== 'Date' && name !== 'Datetime') return config;
        return {
          ...config,
          parseValue: (value) => dayOf(value, name),
          parseLiteral(node) {
            return dayOf(node.kind === Kind.STRING ? node.value : node.kind, name);
          },
        };
      },
    },
  },
};
