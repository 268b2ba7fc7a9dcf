import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { PROJECT_FOLDER } from './folders.ts';
import { readWaivers, type Waiver, waives } from './waivers.ts';

/** An error opens what the rules keep shut, a warning costs or surprises, a notice is worth a look. */
export const LEVELS = ['error', 'warning', 'notice'] as const;
export type Level = (typeof LEVELS)[number];

/** A rule about the catalogue: a folder with a query for what breaks it, and a page that explains it. */
export type Lint = {
  readonly number: string;
  readonly title: string;
  readonly level: Level;
  /** What it finds, in a sentence. */
  readonly summary: string;
  /** Where the page is, from the project's folder. */
  readonly page: string;
  readonly query: string;
};

/** Something that breaks a rule. */
export type Finding = {
  /** The lint's number and what was found, the same on every database: a waiver names it. */
  readonly key: string;
  readonly lint: string;
  readonly level: Level;
  readonly title: string;
  readonly object: string;
  readonly detail: string;
  readonly remedy: string;
  readonly page: string;
};

export type Report = {
  readonly schemas: readonly string[];
  readonly lints: number;
  readonly findings: readonly Finding[];
  readonly waived: readonly (Finding & { readonly reason: string })[];
};

export const LINTS_FOLDER = join(PROJECT_FOLDER, 'lints');
/** The schemas that Bursar's migrations make. */
const SCHEMAS = ['app_public', 'app_hidden', 'app_private'];

/** All lints, by their number. */
export async function readLints(folder = LINTS_FOLDER): Promise<Lint[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}-/.test(name)).sort();
  return Promise.all(names.map((name) => readLint(folder, name)));
}

async function readLint(folder: string, name: string): Promise<Lint> {
  const [query, text] = await Promise.all(
    ['query.sql', 'page.md'].map((file) => readFile(join(folder, name, file), 'utf8')),
  );
  const page = `lints/${name}/page.md`;
  const [, title = '', level = '', summary = ''] =
    /^# (.+)\n\nLevel: (\w+)\n\n(.+?)\n\n/s.exec(text ?? '') ?? [];
  if (!LEVELS.includes(level as Level)) {
    throw new Error(
      `${page} must begin with "# Title", "Level: ${LEVELS.join('|')}" and a summary.`,
    );
  }
  return {
    number: name.slice(0, 4),
    title,
    level: level as Level,
    summary: summary.replaceAll('\n', ' '),
    page,
    query: query ?? '',
  };
}

/** What a lint finds in these schemas. The client's transaction must have an empty search_path: it makes the keys. */
export async function find(
  client: Client,
  { number, title, level, page, query }: Lint,
  schemas: readonly string[],
): Promise<Finding[]> {
  const { rows } = await client.query<Pick<Finding, 'key' | 'object' | 'detail' | 'remedy'>>(
    query,
    [schemas],
  );
  return rows
    .map(({ key, object, detail, remedy }) => ({
      key: `${number}:${key}`,
      lint: number,
      level,
      title,
      object,
      detail,
      remedy,
      page,
    }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

/**
 * Runs every lint in one transaction that reads only. Any login will do: the catalogue is open to all.
 *
 * @param options.schemas Instead of Bursar's own.
 * @param options.waivers Beside the project's own.
 */
export async function lint(
  client: Client,
  options: { schemas?: readonly string[]; waivers?: readonly Waiver[] } = {},
): Promise<Report> {
  const schemas = options.schemas ?? SCHEMAS;
  const lints = await readLints();
  const findings: Finding[] = [];
  await client.query('begin isolation level repeatable read read only');
  try {
    await client.query(`set local search_path to ''; set local statement_timeout to '30s'`);
    await requireSchemas(client, schemas);
    for (const rule of lints) findings.push(...(await find(client, rule, schemas)));
  } finally {
    await client.query('rollback');
  }
  const ours = await readWaivers(join(LINTS_FOLDER, 'waivers.json'));
  const { open, waived, unused } = sift(findings, [...ours, ...(options.waivers ?? [])]);
  // What is waived in Bursar's schemas is not found where only others are looked at.
  const stale = unused.filter((w) => options.schemas === undefined || !ours.includes(w));
  return {
    schemas,
    lints: lints.length,
    findings: [...stale.map((waiver) => waivesNothing(waiver, lints)), ...open],
    waived,
  };
}

async function requireSchemas(client: Client, schemas: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    'select name from unnest($1::text[]) as name where name not in (select nspname from pg_namespace)',
    [schemas],
  );
  if (rows.length === 0) return;
  throw new Error(
    `This database has no schema ${rows.map(({ name }) => name).join(', ')}. Is it the right one, and has bursar migrate run?`,
  );
}

function sift(findings: readonly Finding[], waivers: readonly Waiver[]) {
  const unused = new Set(waivers);
  const open: Finding[] = [];
  const waived: (Finding & { reason: string })[] = [];
  for (const finding of findings) {
    const fitting = waivers.filter((waiver) => waives(waiver, finding.key));
    for (const waiver of fitting) unused.delete(waiver);
    if (fitting[0] === undefined) open.push(finding);
    else waived.push({ ...finding, reason: fitting[0].reason });
  }
  return { open, waived, unused: [...unused] };
}

/** A waiver that is left over hides what comes under its key next: it is a finding itself. */
function waivesNothing({ key }: Waiver, lints: readonly Lint[]): Finding {
  const number = key.slice(0, 4);
  return {
    key: `0000:${key}`,
    lint: '0000',
    level: 'warning',
    title: 'A waiver that waives nothing',
    object: key,
    detail: lints.some((rule) => rule.number === number)
      ? 'Nothing is found any more that it is for.'
      : `There is no lint ${number}.`,
    remedy: 'Remove it from the file of waivers.',
    page: 'docs/lints.md',
  };
}

/** Whether there is something to mend: notices alone don't fail. */
export function fails({ findings }: Report): boolean {
  return findings.some(({ level }) => level !== 'notice');
}
