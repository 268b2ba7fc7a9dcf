import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MIGRATIONS_FOLDER } from '../src/migrate.ts';

const committed = async () => {
  const folder = join(MIGRATIONS_FOLDER, 'committed');
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    files.map(async (name) => ({ name, text: await readFile(join(folder, name), 'utf8') })),
  );
};

test('nothing waits in current.sql: what is on the main branch is committed', async () => {
  const current = await readFile(join(MIGRATIONS_FOLDER, 'current.sql'), 'utf8');
  expect(current.replace(/^--.*$/gm, '').trim()).toBe('');
});

test('no committed migration was edited: each carries the hash of what it says and what came before', async () => {
  let previous = '-';
  for (const { name, text } of await committed()) {
    const [, head = '', body = ''] = /^((?:--! [^\n]*\n)+)\n([\s\S]*)$/.exec(text) ?? [];
    const header = (key: string) => new RegExp(`^--! ${key}: (.*)$`, 'm').exec(head)?.[1];
    expect(header('Previous'), name).toBe(previous);
    const told = `${previous === '-' ? '' : previous}\n${body.trim()}`.trim();
    const hash = createHash('sha1').update(`${told}\n`);
    expect(header('Hash'), name).toBe(`sha1:${hash.digest('hex')}`);
    previous = header('Hash') ?? '';
  }
});

test('each file in migrations/fixtures says what the database has: it was committed as it stands', async () => {
  const shipped = new Map<string, string>();
  for (const { text } of await committed()) {
    for (const [, file = '', body = ''] of text.matchAll(
      /^--! Included (\S+)\n([\s\S]*?)\n--! EndIncluded \1$/gm,
    )) {
      shipped.set(file, body);
    }
  }
  const fixtures = await readdir(join(MIGRATIONS_FOLDER, 'fixtures'));
  expect([...shipped.keys()].sort()).toEqual(fixtures.sort());
  for (const file of fixtures) {
    const text = await readFile(join(MIGRATIONS_FOLDER, 'fixtures', file), 'utf8');
    expect(shipped.get(file), file).toBe(text.trim());
  }
});
