import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { type PsqlEnded, psqlIsHere, psqlIsIn, runPsql } from './support/psql.ts';

// That a psql of the tests is a real one, and that of nobody in particular.

const BARE = ['--tuples-only', '--no-align'];

let database: TestDatabase;
let folder: string;

beforeAll(async () => {
  database = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'bursar-psql-'));
});
afterAll(async () => {
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

describe.skipIf(!psqlIsHere)('psql', () => {
  const psql = (sql: string, more: object = {}): Promise<PsqlEnded> =>
    runPsql({ url: database.urls.owner, sql, args: BARE, ...more });

  test('runs statements, from text or from a file', async () => {
    const script = 'select 1;\nselect current_user;\n';
    const done = { code: 0, stdout: '1\nbursar_owner\n', stderr: '' };
    expect(await psql(script)).toEqual(done);
    const file = join(folder, 'script.sql');
    await writeFile(file, script);
    expect(await runPsql({ url: database.urls.owner, file, args: BARE })).toEqual(done);
  });

  test('says what an error says: message, detail, hint and SQLSTATE', async () => {
    const raise = `\\set VERBOSITY verbose
      do $$ begin
        raise exception 'Too much.' using errcode = 'BU001', detail = 'It is 7.', hint = 'Ask for 6.';
      end $$;`;
    const { code, stderr } = await psql(raise);
    expect(code).toBe(3);
    expect(stderr).toMatch(
      /ERROR: {2}BU001: Too much\.\nDETAIL: {2}It is 7\.\nHINT: {2}Ask for 6\.\n/,
    );
  });

  test('ends at the first error, unless it is told to go on', async () => {
    const script = 'select 1/0; select 2;';
    expect(await psql(script)).toMatchObject({ code: 3, stdout: '' });
    expect(await psql(script, { stopOnError: false })).toMatchObject({ code: 0, stdout: '2\n' });
  });

  test('reads nobody’s settings, and has nothing of our environment', async () => {
    const psqlrc = join(folder, 'psqlrc');
    await writeFile(psqlrc, '\\echo somebody was here\n');
    vi.stubEnv('BURSAR_SECRET', 'ours');
    const { stdout } = await psql('\\! env', { env: { PSQLRC: psqlrc } });
    vi.unstubAllEnvs();
    expect(stdout).not.toContain('somebody was here');
    const names = [...stdout.matchAll(/^(\w+)=/gm)].map(([, name]) => name);
    expect(names).toEqual(expect.arrayContaining(['PATH', 'PGPASSWORD', 'PSQLRC']));
    expect(names).not.toContain('BURSAR_SECRET');
    expect(names).not.toContain('HOME');
  });

  test.runIf(process.platform === 'linux')('shows no password among the processes', async () => {
    const url = new URL(await database.createLogin(null));
    expect(url.password).not.toBe('');
    const { code, stdout } = await psql('\\! tr "\\\\0" " " < /proc/$PPID/cmdline', {
      url: url.href,
    });
    expect(code).toBe(0);
    expect(stdout).toContain(`--dbname=postgres://${url.username}@127.0.0.1`);
    expect(stdout).not.toContain(`:${url.password}@`);
  });

  test('says that a password is wrong, and does not wait for another', async () => {
    const url = new URL(database.urls.owner);
    url.password = 'wrong';
    expect(await psql('select 1', { url: url.href })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('password authentication failed'),
    });
  });
});

test('where psql is required, its tests are not skipped without it, and fail in plain words', async () => {
  const PSQL = join(folder, 'nothing');
  expect(psqlIsIn({ PSQL })).toBe(false);
  expect(psqlIsIn({ PSQL, CI: 'true' })).toBe(true);
  expect(psqlIsIn({ PSQL, BURSAR_NEEDS_PSQL: '1' })).toBe(true);
  vi.stubEnv('PSQL', PSQL);
  const run = runPsql({ url: database.urls.owner, sql: '' });
  vi.unstubAllEnvs();
  await expect(run).rejects.toThrow(/psql could not be run: install it/);
});
