import { halves, literal } from './sql-text.ts';

/** Reads the catalogue. */
export type Query = <Row>(sql: string) => Promise<Row[]>;

/** The order in which the parts of a thing stand. */
export const PLACE = {
  itself: 0,
  storage: 1,
  constraint: 2,
  index: 3,
  rowSecurity: 4,
  policy: 5,
  grant: 6,
  trigger: 7,
  comment: 8,
} as const;

/** The order of things that do not need each other. */
export const RANK = { schema: 0, apart: 1, type: 2, sequence: 3, function: 4, table: 5, view: 6 };

/**
 * What may leave its home when things need each other in a circle, in the order in which they are asked to: first
 * what can always be added later.
 */
export const LEAVES = { foreignKey: 1, policyOrTrigger: 2, expression: 3 } as const;

/** One thing of the catalogue, or a part of one: a table is one, and each of its constraints. */
export type Part = {
  /** As `pg_depend` knows it: the catalogue and the oid. */
  readonly id: string;
  /** The thing with which it stands; its own id for a thing that stands alone. */
  readonly home: string;
  readonly rank?: number;
  readonly place: number;
  /** Decides between parts of one place, and between things of one rank. */
  readonly name: string;
  readonly leaves?: number;
  /** What it needs beside what `pg_depend` says. */
  readonly needs?: readonly string[];
  /** @param apart Whether a part is written elsewhere, later. */
  write(apart: (id: string) => boolean): readonly string[];
  /** `comment on …`, after everything else of the thing. */
  readonly comments: readonly string[];
};

export function commentOn(what: string, text: string | null): string[] {
  return text === null ? [] : [`${halves(`comment on ${what} is`, literal(text))};`];
}
