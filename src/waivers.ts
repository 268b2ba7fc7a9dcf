import { readFile } from 'node:fs/promises';

/** What a lint finds and is meant to be so. Both parts are needed: which finding, and why. */
export type Waiver = {
  /** The key of a finding; `*` stands for anything. */
  readonly key: string;
  readonly reason: string;
};

/** Reads a file of waivers: a JSON array of `{"key", "reason"}`. Whatever is wrong with it is said at once. */
export async function readWaivers(file: string): Promise<Waiver[]> {
  let entries: unknown;
  try {
    entries = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    const why = error instanceof SyntaxError ? 'it is no JSON' : 'it can’t be read';
    throw new Error(`The waivers in ${file}: ${why}.`);
  }
  if (!Array.isArray(entries)) {
    throw new Error(`The waivers in ${file} must be an array of {"key", "reason"}.`);
  }
  const mistakes = [...entries.flatMap(mistakesOf), ...repeated(entries)];
  if (mistakes.length > 0) {
    throw new Error([`The waivers in ${file} have mistakes:`, ...mistakes].join('\n  '));
  }
  return entries;
}

function mistakesOf(entry: unknown, index: number): string[] {
  const number = `number ${index + 1}`;
  if (typeof entry !== 'object' || entry === null) return [`${number} is no {"key", "reason"}.`];
  const { key, reason, ...others } = entry as Record<string, unknown>;
  const mistakes: string[] = [];
  if (typeof key !== 'string' || !/^\d{4}:./.test(key)) {
    mistakes.push(`${number} needs a key such as "0003:reporting.visits".`);
  }
  if (typeof reason !== 'string' || reason.trim() === '') {
    mistakes.push(`${number} needs a reason: why it is meant to be so.`);
  }
  for (const other of Object.keys(others)) {
    mistakes.push(`${number} has "${other}"; a waiver has "key" and "reason".`);
  }
  return mistakes;
}

function repeated(entries: readonly { key?: unknown }[]): string[] {
  const keys = entries.map((entry) => entry?.key);
  return [
    ...new Set(keys.filter((key, i) => typeof key === 'string' && keys.indexOf(key) !== i)),
  ].map((key) => `"${key}" stands there more than once.`);
}

/** Whether a waiver is for the finding with this key. */
export function waives(waiver: Waiver, key: string): boolean {
  const pattern = waiver.key.replace(/[^\w\s]/g, (sign) => (sign === '*' ? '.*' : `\\${sign}`));
  return new RegExp(`^${pattern}$`, 's').test(key);
}
