import { globSync } from 'node:fs';
import { join } from 'node:path';

const TESTS = join(import.meta.dirname, '..');

/** What PostgreSQL itself decides, and so each supported version has to show: migrations, policies, the catalogue. */
const LISTED = [
  'each-postgres.test.ts',
  'migrations.test.ts',
  'rights.test.ts',
  'rights-taken-away.test.ts',
  'roles.test.ts',
  'identity-psql.test.ts',
  'absent-or-forbidden.test.ts',
  'functions-catalogue.test.ts',
  'lints.test.ts',
  'ledger-rights.test.ts',
  'ledger-status.test.ts',
  'audit-trail.test.ts',
  'refusals.test.ts',
  'dba.test.ts',
  'psql-day.test.ts',
  'upgrades.test.ts',
  'schema-dump.test.ts',
  'present-rights.test.ts',
  'backup-page.test.ts',
  'on-behalf.test.ts',
];

/** The test files to run on each version, below the project's folder. */
export function filesForEachVersion(listed: readonly string[] = LISTED): string[] {
  return listed.flatMap((pattern) => {
    const found = globSync(pattern, { cwd: TESTS }).map((file) => `test/${file}`);
    // Vitest runs what it finds, and would say nothing of a file that was renamed.
    if (found.length === 0)
      throw new Error(
        `test/postgres-versions/files.ts lists ${pattern}, and there is no such test.`,
      );
    return found.sort();
  });
}
