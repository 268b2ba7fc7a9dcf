import type { CaseResult, Check, Comparison, Measurement, Results, Target } from './results.ts';

/** Results for people: columns in a terminal, and the same as Markdown for docs/performance.md. */

export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

export function targetText(target: Target | undefined): string {
  if (target === undefined) return '';
  return 'atLeast' in target ? `at least ${target.atLeast}` : `at most ${target.atMost}`;
}

const verdict = (met: boolean | undefined) => (met === undefined ? '' : met ? 'met' : 'missed');

const milliseconds = (value: number | undefined) =>
  value === undefined ? '' : `${shortNumber(value)} ms`;

function measurementRow({ contender, value, unit, p50, p99 }: Measurement): string[] {
  return [contender, `${shortNumber(value)} ${unit}`, milliseconds(p50), milliseconds(p99)];
}

function comparisonRow({ what, against, ratio, target, met }: Comparison): string[] {
  return [`${what} / ${against}`, shortNumber(ratio), targetText(target), verdict(met)];
}

const checkRow = ({ what, is, met }: Check): string[] => [what, is, '', verdict(met)];

/** Columns of even width. */
function columns(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: string[]) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ');
  return rows.map((row) => `  ${line(row)}`.trimEnd()).join('\n');
}

function caseText(result: CaseResult): string {
  const verdicts = [...result.comparisons.map(comparisonRow), ...result.checks.map(checkRow)];
  return [
    `${result.title} (${result.name})`,
    columns(result.measurements.map(measurementRow)),
    ...(verdicts.length === 0 ? [] : [columns(verdicts)]),
    ...result.notes.map((note) => `  ${note}`),
  ].join('\n');
}

export function machineText({ machine, settings }: Results): string {
  const { processor, cores, memoryGb, node, postgres, commit, date, postgresSettings } = machine;
  const set = Object.entries(postgresSettings).map(([name, value]) => `${name} = ${value}`);
  return [
    `${date.slice(0, 10)}, commit ${commit}: ${processor}, ${cores} cores, ${memoryGb} GB of memory, ${machine.system}, Node ${node}, PostgreSQL ${postgres}.`,
    `Servers, PostgreSQL and what makes the load share this machine. Pools have ${settings.poolSize} connections; ${settings.rounds} rounds of ${settings.seconds} s each, in turn, and the median of the rounds.`,
    `PostgreSQL: ${set.join(', ')}.`,
  ].join('\n');
}

export function asText(results: Results): string {
  return [machineText(results), ...results.data, ...results.cases.map(caseText)].join('\n\n');
}

export function asMarkdown(results: Results): string {
  const table = results.cases.flatMap(({ title, comparisons, checks }) => [
    ...comparisons
      .filter(({ target }) => target !== undefined)
      .map((one) => [title, ...comparisonRow(one)]),
    ...checks.map((one) => [title, ...checkRow(one)]),
  ]);
  const details = results.cases.map((one) =>
    [
      `### ${one.title}`,
      markdownTable(['', 'median', 'p50', 'p99'], one.measurements.map(measurementRow)),
      ...one.notes,
    ].join('\n\n'),
  );
  return [
    markdownTable(['case', 'what', 'is', 'target', ''], table),
    machineText(results),
    ...results.data,
    ...details,
  ].join('\n\n');
}

export function markdownTable(head: readonly string[], rows: readonly string[][]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
