import type { Contender } from '../caller.ts';
import { CASES } from './all.ts';

/** A contender by the names that a job gives, in whatever process. */
export function callersOf(caseName: string, contender: string): Contender {
  const found = CASES.find(({ name }) => name === caseName)?.contenders.find(
    ({ name }) => name === contender,
  );
  if (found === undefined) throw new Error(`There is no ${contender} in the case ${caseName}.`);
  return found;
}
