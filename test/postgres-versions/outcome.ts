export type Outcome = {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Why the run counts as failed beside what failed in it. */
  readonly complaint: string | undefined;
};

/** What a run of Vitest came to. What did not run, or ran elsewhere, has failed. */
export function outcomeOf(version: string, output: string, code: number | null): Outcome {
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  const [, passed = 0, failed = 0, skipped = 0] = (
    /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/.exec(last) ?? []
  ).map((count) => Number(count ?? 0));
  const complaint = complaintAbout(version, output, code, passed, failed);
  return { passed, failed: failed + (complaint === undefined ? 0 : 1), skipped, complaint };
}

function complaintAbout(
  version: string,
  output: string,
  code: number | null,
  passed: number,
  failed: number,
): string | undefined {
  // As the server itself said it, not as it was asked for.
  const ran = /^Testing on PostgreSQL (\d+)\./m.exec(output)?.[1];
  if (ran === undefined) return `No PostgreSQL ${version} was started.`;
  if (ran !== version) return `These tests ran on PostgreSQL ${ran}, not on ${version}.`;
  if (passed === 0 && failed === 0) return `No test ran on PostgreSQL ${version}.`;
  if (code !== 0 && failed === 0) return `The run on PostgreSQL ${version} ended with ${code}.`;
  return undefined;
}

export function totals({ passed, failed, skipped }: Omit<Outcome, 'complaint'>): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}
