import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { hashOf, type Migration, migrationOf, readHistory } from '../src/history.ts';
import { type Base, findBranch, isMain } from '../src/migrations/base.ts';
import { fixtures, numbering, untouched } from '../src/migrations/committed-files.ts';
import type { Finding } from '../src/migrations/finding.ts';
import { projectAt } from '../src/migrations/project.ts';

// What db:check asks of the files, asked by every run of the tests as well.

const project = projectAt();
const history = await readHistory(project.migrations);

test('committed migrations are numbered without gaps', () => {
  expect(history.length).toBeGreaterThan(0);
  expect(numbering(history).problems).toEqual([]);
});

test('no committed migration was edited: each carries the hash of what it says and what came before', () => {
  expect(untouched(history).problems).toEqual([]);
});

test('each file in migrations/fixtures says what the database has, or what current.sql makes of it', async () => {
  expect((await fixtures(project, history)).problems).toEqual([]);
});

describe('what was committed otherwise', () => {
  const written = (file: string, previous: string, body: string): Migration => {
    const hash = hashOf(previous, body);
    return migrationOf(file, `--! Previous: ${previous}\n--! Hash: ${hash}\n\n${body}\n`);
  };
  const one = written('000001-one.sql', '-', 'select 1;');
  const two = written('000002-two.sql', one.hash, 'select 2;');
  const three = written('000003-three.sql', two.hash, 'select 3;');
  const baseOf = (...migrations: Migration[]): Base => ({
    name: 'origin/main',
    list: () => migrations.map(({ file }) => file),
    read: (path) => migrations.find(({ file }) => path.endsWith(file))?.text,
  });
  const what = ({ problems }: Finding) => problems.map((problem) => problem.what);

  test('what is whole has no problems', () => {
    expect(what(numbering([one, two, three]))).toEqual([]);
    expect(what(untouched([one, two, three], baseOf(one, two)))).toEqual([]);
  });

  test.each<[string, Migration[], string[]]>([
    ['a gap', [one, three], ['000002 is missing before 000003-three.sql.']],
    [
      'a number that two branches took',
      [one, two, written('000002-too.sql', one.hash, 'select 22;')],
      ['There are two migrations 000002.'],
    ],
    [
      'a name that the runner passes over',
      [one, { ...two, file: 'two.sql' }],
      ['two.sql is no name of a committed migration.'],
    ],
  ])('numbering: %s', (_name, history, expected) => {
    expect(what(numbering(history))).toEqual(expected);
  });

  test.each<[string, Migration[], string[]]>([
    [
      'an edit',
      [one, migrationOf(two.file, two.text.replace('select 2', 'select 3')), three],
      ['000002-two.sql was edited after it was committed.'],
    ],
    [
      'an edit with a hash that fits',
      [one, written(two.file, one.hash, 'select 4;')],
      ['000002-two.sql says another thing here than on origin/main.'],
    ],
    [
      'another one before it',
      [one, written('000002-too.sql', one.hash, 'select 22;'), three],
      [
        '000003-three.sql was committed after another migration than the one that stands before it.',
        '000002-two.sql is on origin/main, and gone here.',
      ],
    ],
    [
      'line ends of Windows',
      [one, migrationOf(two.file, two.text.replaceAll('\n', '\r\n'))],
      ['000002-two.sql has no header.'],
    ],
  ])('hashes: %s', (_name, history, expected) => {
    expect(what(untouched(history, baseOf(one, two)))).toEqual(expected);
  });
});

test.each<[string, string | undefined, Record<string, string>, boolean]>([
  ['the one that is named', 'feature', { GITHUB_BASE_REF: 'main' }, false],
  [
    'what a pull request is for',
    undefined,
    { GITHUB_BASE_REF: 'main', GITHUB_REF_NAME: '7/merge' },
    true,
  ],
  ['what was pushed', undefined, { GITHUB_BASE_REF: '', GITHUB_REF_NAME: 'feature' }, false],
  ['the main branch, where nobody says', undefined, {}, true],
])('the branch is %s', (_name, named, environment, main) => {
  // Not in a repository.
  expect(isMain(findBranch(tmpdir(), named, environment))).toBe(main);
});
