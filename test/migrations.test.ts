import { expect, test } from 'vitest';
import { readHistory } from '../src/history.ts';
import { fixtures, numbering, untouched } from '../src/migrations/committed-files.ts';
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
