import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import type { Migration } from '../history.ts';
import { isNoTransaction } from '../run-migrations.ts';
import type { Finding, Problem } from './finding.ts';
import { isBlank, placeOf, type Source } from './includes.ts';
import type { Project } from './project.ts';

const UNREAD = 'syntax-error';

type Remark = { line: number; rule_name: string; message: string; help: string | null };

/** Whether migrations that no busy database has run yet would hold its traffic up. */
export async function lint(
  project: Project,
  unreleased: readonly Migration[],
  current: Source,
): Promise<Finding> {
  const sources = unreleased.map(({ file, text }) => ({
    text,
    placeOf: (line: number) => `migrations/committed/${file}, line ${line}`,
  }));
  if (!isBlank(current)) {
    sources.push({ text: current.text, placeOf: (line) => placeOf(current, line) });
  }
  const notes: string[] = [];
  const problems = await Promise.all(
    sources.map(async (source): Promise<Problem[]> => {
      const all = await squawk(project, source.text);
      // PostgreSQL says better what is wrong with it; or it is right, and squawk is blind there.
      const unread = all.find(({ rule_name }) => rule_name === UNREAD);
      if (unread !== undefined) {
        notes.push(`${source.placeOf(unread.line + 1)}: squawk can't read this; look yourself.`);
      }
      const remarks = all.filter(({ rule_name }) => rule_name !== UNREAD);
      return [
        ...remarks.map(({ line, rule_name, message, help }) => ({
          what: `${source.placeOf(line + 1)}: ${message}`,
          why: `${rule_name} (https://squawkhq.com/docs/${rule_name})`,
          mend: `${help ?? 'See docs/migrations.md.'} Or say above the statement why it is safe: -- squawk-ignore ${rule_name} -- REASON`,
        })),
        ...unreasoned(source.text).map((line) => ({
          what: `${source.placeOf(line)}: a waiver without a reason.`,
          why: 'Whoever reviews it, or copies it, must see why it is safe here.',
          mend: '-- squawk-ignore RULE -- REASON',
        })),
      ];
    }),
  );
  return {
    asks: 'what is not on the base yet holds no traffic up (squawk)',
    problems: problems.flat(),
    notes,
  };
}

function unreasoned(text: string): number[] {
  return text.split('\n').flatMap((line, index) => {
    const rest = /^\s*--\s*squawk-ignore(?:-file)?\b(.*)$/.exec(line)?.[1];
    return rest === undefined || / -- \S/.test(rest) ? [] : [index + 1];
  });
}

function squawk(project: Project, sql: string): Promise<Remark[]> {
  const program = createRequire(import.meta.url).resolve('squawk-cli/js/bin/squawk');
  const args = ['--config', project.lintRules, '--reporter', 'json'];
  if (!isNoTransaction(sql)) args.push('--assume-in-transaction');
  const child = spawn(process.execPath, [program, ...args, '--stdin-filepath', 'migration.sql'], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaint += text;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(sql);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => {
      try {
        resolve(JSON.parse(output) as Remark[]);
      } catch {
        reject(new Error(`squawk could not read the migrations: ${complaint.trim()}`));
      }
    });
  });
}
