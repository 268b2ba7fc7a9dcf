import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hashOf, lastIncluded, type Migration } from '../history.ts';
import type { Base } from './base.ts';
import type { Finding, Problem } from './finding.ts';
import { isBlank, readCurrent, readFixture } from './includes.ts';
import { type Project, readIfThere } from './project.ts';

const NEVER_EDITED =
  'Databases that ran it keep what it said then; this change would never reach them, and new ones would differ.';

/** The numbers from 000001 on, without a gap and each once. */
export function numbering(history: readonly Migration[]): Finding {
  const problems: Problem[] = [];
  let expected = 1;
  for (const { file } of history) {
    const number = Number(/^(\d{6})(?:-[a-z0-9-]+)?\.sql$/.exec(file)?.[1] ?? Number.NaN);
    if (Number.isNaN(number)) {
      problems.push({
        what: `${file} is no name of a committed migration.`,
        why: 'The runner passes over a file whose name is not 000001-what-it-is-about.sql.',
        mend: `git mv it out of migrations/committed, put what it says into current.sql, then npm run db:commit -- -m "…"`,
      });
    } else if (number < expected) {
      problems.push({
        what: `There are two migrations ${file.slice(0, 6)}.`,
        why: 'Two branches each committed one; a database runs one of them and never learns of the other.',
        mend: 'Undo the merge; npm run db:uncommit on your branch, merge again, then npm run db:commit -- -m "…"',
      });
    } else {
      if (number > expected) {
        problems.push({
          what: `${String(expected).padStart(6, '0')} is missing before ${file}.`,
          why: 'A migration that other databases have run is gone, and new ones would lack it.',
          mend: 'git checkout origin/main -- migrations/committed',
        });
      }
      expected = number + 1;
    }
  }
  return { asks: 'committed migrations are numbered without gaps', problems };
}

/** Each carries the hash of what it says and what came before; what the base has stands as it was there. */
export function untouched(history: readonly Migration[], base?: Base): Finding {
  const problems: Problem[] = [];
  const onBase = new Set(base?.list('migrations/committed'));
  const mendOf = (file: string) =>
    base === undefined || onBase.has(file)
      ? `git checkout ${base?.name ?? 'origin/main'} -- migrations/committed/${file}, and write the change as a new migration in current.sql`
      : `It is yours, and new: npm run db:uncommit, change current.sql, npm run db:commit -- -m "…"`;
  let before = '-';
  for (const { file, previous, hash, body } of history) {
    if (hash === '') {
      problems.push({
        what: `${file} has no header.`,
        why: 'It was not written by npm run db:commit, or its line ends were changed to CRLF.',
        mend: mendOf(file),
      });
    } else if (hash !== hashOf(previous, body)) {
      problems.push({
        what: `${file} was edited after it was committed.`,
        why: NEVER_EDITED,
        mend: mendOf(file),
      });
    } else if (previous !== before) {
      problems.push({
        what: `${file} was committed after another migration than the one that stands before it.`,
        why: 'The one before it was exchanged, or came from another branch.',
        mend: `Is ${file} yours, and new? npm run db:uncommit, then npm run db:commit -- -m "…"`,
      });
    }
    before = hash;
  }
  for (const file of base?.list('migrations/committed') ?? []) {
    const now = history.find((migration) => migration.file === file);
    const blamed = problems.some(({ what }) => what.startsWith(`${file} `));
    if (!blamed && now?.text !== base?.read(`migrations/committed/${file}`)) {
      problems.push({
        what:
          now === undefined
            ? `${file} is on ${base?.name}, and gone here.`
            : `${file} says another thing here than on ${base?.name}.`,
        why: NEVER_EDITED,
        mend: mendOf(file),
      });
    }
  }
  return { asks: 'no committed migration was edited', problems };
}

/** A fixture says what the database has, or what current.sql is about to make of it. */
export async function fixtures(project: Project, history: readonly Migration[]): Promise<Finding> {
  const shipped = lastIncluded(history);
  const current = await readCurrent(project);
  const underway = new Set(
    [...current.text.matchAll(/^--! Included (\S+)$/gm)].map(([, name]) => name),
  );
  const files = await readdir(join(project.migrations, 'fixtures'));
  const problems: Problem[] = [];
  for (const file of files.sort()) {
    if (underway.has(file)) continue;
    const { text } = await readFixture(project, file);
    if (shipped.get(file) === text.trim()) continue;
    problems.push({
      what: shipped.has(file)
        ? `migrations/fixtures/${file} was edited, and no migration brings the change.`
        : `migrations/fixtures/${file} is included by no migration.`,
      why: 'A fixture is read when a migration includes it; otherwise no database ever learns of it.',
      mend: `Add the line "--! include ${file}" to current.sql`,
    });
  }
  for (const file of shipped.keys()) {
    if (files.includes(file)) continue;
    problems.push({
      what: `migrations/fixtures/${file} is gone.`,
      why: 'What it brought is still in every database, and nobody could look it up.',
      mend: `git checkout HEAD -- migrations/fixtures/${file}; a file whose subject went away keeps a comment that says so, and current.sql includes it`,
    });
  }
  return {
    asks: 'each file in migrations/fixtures says what was committed, or is included by current.sql',
    problems,
  };
}

/** On the main branch nothing is underway. */
export async function nothingUnderway(project: Project): Promise<Finding> {
  const problems: Problem[] = [];
  if (!isBlank(await readCurrent(project))) {
    problems.push({
      what: 'current.sql is not empty.',
      why: 'On the main branch every migration is committed: databases run nothing else. (Not the main branch? Say --branch NAME.)',
      mend: 'npm run db:commit -- -m "what it is about", then npm run db:dump',
    });
  }
  return { asks: 'current.sql is empty on the main branch', problems };
}

/** A generated file is what would be written now. */
export async function fresh(file: string, name: string, now: string): Promise<Finding> {
  const then = await readIfThere(file);
  const problems: Problem[] = [];
  if (then !== now) {
    const difference = then === undefined ? 'It is not there.' : firstDifferences(then, now);
    problems.push({
      what: `${name} is not what the migrations make:\n${difference}`,
      why: 'Reviewers and clients read this file; it must say what a database has.',
      mend: 'npm run db:dump, and commit what it writes',
    });
  }
  return { asks: `${name} is up to date`, problems };
}

function firstDifferences(then: string, now: string): string {
  const [old, young] = [then.split('\n'), now.split('\n')];
  const [oldSet, youngSet] = [new Set(old), new Set(young)];
  const lines = [
    ...old.filter((line) => !youngSet.has(line)).map((line) => `- ${line}`),
    ...young.filter((line) => !oldSet.has(line)).map((line) => `+ ${line}`),
  ];
  if (lines.length === 0) return 'The same lines stand in another order.';
  const more = lines.length - SHOWN_LINES;
  return [...lines.slice(0, SHOWN_LINES), ...(more > 0 ? [`… ${more} more`] : [])].join('\n');
}

const SHOWN_LINES = 8;
