export type Problem = {
  readonly what: string;
  readonly why: string;
  /** The command, or else what to do. */
  readonly mend: string;
};

/** One thing that was looked at: it is as it should be where there are no problems. */
export type Finding = {
  readonly asks: string;
  readonly problems: readonly Problem[];
  /** Worth knowing, and no reason to fail. */
  readonly notes?: readonly string[];
  /** Why it was not looked at. */
  readonly skipped?: string;
};

export function report(findings: readonly Finding[], say: (line: string) => void): boolean {
  for (const { asks, problems, notes = [], skipped } of findings) {
    const verdict = problems.length > 0 ? 'FAILED ' : skipped === undefined ? 'ok     ' : 'skipped';
    say(`${verdict} ${asks}${skipped === undefined ? '' : `: ${skipped}`}`);
    for (const note of notes) say(`          ${note.replaceAll('\n', '\n          ')}`);
    for (const { what, why, mend } of problems) {
      say(`        - ${what.replaceAll('\n', '\n          ')}`);
      say(`          why:  ${why}`);
      say(`          mend: ${mend}`);
    }
  }
  return findings.every((finding) => finding.problems.length === 0);
}
