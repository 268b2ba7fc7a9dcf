import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withClient } from '../src/database.ts';
import { find, LINTS_FOLDER, lint, type Report, readLints } from '../src/lint.ts';
import { readWaivers, waives } from '../src/waivers.ts';
import { expectPlainWords, run } from './support/command-line.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';

// Each lint finds nothing in our schema but what is waived, and exactly what its dirty.sql makes.

const SCHEMAS = ['app_public', 'app_hidden', 'app_private'];
const LINTS = await readLints();

let database: TestDatabase;
let client: Client;
let clean: Report;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bursar-lints-'));
  database = await createTestDatabase();
  client = new Client({ connectionString: database.superuserUrl });
  await client.connect();
  clean = await lint(client);
});

afterAll(async () => {
  await client?.end();
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

test('our schema is clean', () => {
  expect(clean).toMatchObject({ schemas: SCHEMAS, lints: LINTS.length });
  expect(clean.findings).toEqual([]);
});

describe('the lint', () => {
  const folderOf = (page: string) => page.split('/')[1] ?? '';

  test.each(LINTS.map((rule) => [folderOf(rule.page), rule] as const))('%s', async (name, rule) => {
    const files = await readdir(join(LINTS_FOLDER, name));
    expect(files.sort()).toEqual(['dirty.sql', 'expected.json', 'page.md', 'query.sql']);
    const read = (file: string) => readFile(join(LINTS_FOLDER, name, file), 'utf8');

    const expected = JSON.parse(await read('expected.json'));
    expect(expected).not.toEqual([]);
    const waived = clean.waived.map(({ key }) => key);
    await client.query('begin; set local role bursar_owner');
    try {
      await client.query(await read('dirty.sql'));
      await client.query(`set local search_path to ''`);
      const found = await find(client, rule, SCHEMAS);
      expect(
        found
          .filter(({ key }) => !waived.includes(key))
          .map(({ key, object, detail, remedy }) => ({ key, object, detail, remedy })),
      ).toEqual(expected);
      expect(new Set(found.map(({ key }) => key)).size).toBe(found.length);
    } finally {
      await client.query('rollback');
    }

    const headings = (await read('page.md')).match(/^#+ .+$/gm);
    expect(headings).toEqual([
      `# ${rule.title}`,
      '## Why it matters',
      '## How to mend it',
      '## When to waive it',
    ]);
  });

  test('has a number of its own, and there is nothing beside them', async () => {
    expect(new Set(LINTS.map(({ number }) => number)).size).toBe(LINTS.length);
    expect((await readdir(LINTS_FOLDER)).sort()).toEqual([
      ...LINTS.map(({ page }) => folderOf(page)),
      'waivers.json',
    ]);
  });
});

describe('a waiver', () => {
  const dirty = 'create schema reporting; create table reporting.visits (id int primary key)';

  async function lintDirty(waivers: { key: string; reason: string }[]): Promise<string[]> {
    await database.owner.query(dirty);
    try {
      const { findings } = await lint(client, { schemas: ['reporting'], waivers });
      return findings.map(({ key, level, detail }) => `${level} ${key} ${detail}`);
    } finally {
      await database.owner.query('drop schema reporting cascade');
    }
  }

  test('takes away what it names, by its key or a pattern', async () => {
    expect(await lintDirty([])).toEqual([
      expect.stringMatching(/^error 0003:reporting\.visits /),
      expect.stringMatching(/^notice 0013:table reporting\.visits /),
    ]);
    const reason = 'Nobody else may look.';
    expect(
      await lintDirty([
        { key: '0003:reporting.visits', reason },
        { key: '0013:* reporting.*', reason },
      ]),
    ).toEqual([]);
  });

  test('is found itself when nothing is left that it is for', async () => {
    const reason = 'It was so once.';
    const found = await lintDirty([
      { key: '0003:reporting.visit', reason },
      { key: '0003:reporting.visits*', reason },
      { key: '0999:reporting.visits', reason },
      { key: '0013:*', reason },
    ]);
    expect(found).toEqual([
      'warning 0000:0003:reporting.visit Nothing is found any more that it is for.',
      'warning 0000:0999:reporting.visits There is no lint 0999.',
    ]);
  });

  test('of ours is found when the schema no longer needs it', async () => {
    await database.owner.query(
      'revoke execute on function app_hidden.require_user(uuid) from bursar_authenticator',
    );
    const { findings } = await lint(client);
    await database.owner.query(
      'grant execute on function app_hidden.require_user(uuid) to bursar_authenticator',
    );
    expect(findings.map(({ key }) => key)).toEqual(['0000:0005:app_hidden.require_user(uuid)']);
  });

  test.each([
    ['0005:f(uuid)', '0005:f(uuid)', true],
    ['0005:f(uuid)', '0005:f(uuid) ', false],
    ['0005:f.uuid.', '0005:f(uuid)', false],
    ['0005:f(*)', '0005:f(uuid,text)', true],
    ['0005:f(*)', '0005:g(uuid)', false],
    ['0013:* app_public."a+b"', '0013:table app_public."a+b"', true],
  ])('%s is for %s: %s', (key, found, is) => {
    expect(waives({ key, reason: 'So it is.' }, found)).toBe(is);
  });

  test.each([
    ['{', /it is no JSON/],
    ['{}', /must be an array/],
    ['[1]', /number 1 is no/],
    ['[{"key": "0003:a.b"}]', /number 1 needs a reason/],
    ['[{"key": "0003:a.b", "reason": " "}]', /number 1 needs a reason/],
    ['[{"key": "a.b", "reason": "So."}]', /number 1 needs a key/],
    ['[{"key": "0003:a.b", "reason": "So.", "until": "May"}]', /number 1 has "until"/],
    [
      '[{"key": "0003:a.b", "reason": "So."}, {"key": "0003:a.b", "reason": "Or so."}]',
      /"0003:a\.b" stands there more than once/,
    ],
  ])('in a file is checked: %s', async (text, words) => {
    const file = join(folder, 'checked.json');
    await writeFile(file, text);
    await expect(readWaivers(file)).rejects.toThrow(words);
  });
});

describe('bursar lint', () => {
  test('tells a person with a login the same as the owner, and needs no other URL', async () => {
    const url = await database.createLogin(null);
    expect(await withClient(url, (c) => lint(c))).toEqual(clean);
    const ended = await run(['lint'], { DATABASE_URL: url });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/^\d+ lints on app_public, app_hidden, app_private: 0 errors, /);
  });

  test('looks at schemas of one’s own, and ends with 1 when there is something to mend', async () => {
    await database.owner.query(
      'create schema desks; create table desks.visits (id int primary key); create schema chairs',
    );
    const waivers = join(folder, 'desks.json');
    await writeFile(waivers, '[{"key": "0013:* desks.*", "reason": "Only I read it."}]');
    const args = ['lint', '--schema', 'desks', '--schema', 'chairs', '--waivers', waivers];
    const environment = { DATABASE_URL: database.urls.owner };
    const [text, json] = await Promise.all([
      run(args, environment),
      run([...args, '--json'], environment),
    ]);
    await database.owner.query('drop schema desks cascade; drop schema chairs');
    expect(text).toMatchObject({ code: 1, stderr: '' });
    expect(text.stdout).toBe(`\
error 0003: A table without row security (lints/0003-table-without-row-security/page.md)

  desks.visits
    Row security is off on desks.visits: whoever is granted something on it has it on every row.
    Remedy: alter table desks.visits enable row level security
    Key: 0003:desks.visits

${LINTS.length} lints on desks, chairs: 1 error, 0 warnings, 0 notices; 1 waived.
`);
    expect(json).toMatchObject({ code: 1, stderr: '' });
    expect(JSON.parse(json.stdout)).toMatchObject({
      schemas: ['desks', 'chairs'],
      findings: [{ key: '0003:desks.visits', level: 'error' }],
      waived: [{ key: '0013:table desks.visits', reason: 'Only I read it.' }],
    });
  });

  test('says which schema, which file or which URL is not there', async () => {
    const environment = { DATABASE_URL: database.urls.owner };
    const [schema, file, url] = await Promise.all([
      run(['lint', '--schema', 'nowhere'], environment),
      run(['lint', '--waivers', 'nowhere.json'], environment),
      run(['lint'], { AUTH_DATABASE_URL: database.urls.authenticator }),
    ]);
    expectPlainWords(schema, /^This database has no schema nowhere\./);
    expectPlainWords(file, /^The waivers in nowhere\.json: it can’t be read\./);
    expectPlainWords(url, /DATABASE_URL is missing\.$/m);
  });

  test('reads only, qualifies every name, and does not wait for ever', async () => {
    const settings: unknown[] = [];
    const watched = new Proxy(client, {
      get: (target, name) =>
        name !== 'query'
          ? Reflect.get(target, name)
          : async (sql: string, values?: unknown[]) => {
              const answer = await target.query(sql, values);
              const { rows } = await target.query(
                `select current_setting('transaction_read_only') as read_only,
                   current_setting('search_path') as path, current_setting('statement_timeout') as patience`,
              );
              if (values !== undefined) settings.push(rows[0]);
              return answer;
            },
    });
    await lint(watched);
    expect(settings).toHaveLength(LINTS.length + 1);
    expect(new Set(settings.map((s) => JSON.stringify(s)))).toEqual(
      new Set([JSON.stringify({ read_only: 'on', path: '""', patience: '30s' })]),
    );
  });
});

test('docs/lints.md lists them all', async () => {
  const page = await readFile(join(LINTS_FOLDER, '../docs/lints.md'), 'utf8');
  const rows = LINTS.map(
    ({ number, title, level, summary, page }) =>
      `| [${number}](../${page}) | ${title} | ${level} | ${summary} |`,
  );
  await expect(
    page.replace(/(?<=^\| --- .*\n)(^\|.*\n)*/m, `${rows.join('\n')}\n`),
  ).toMatchFileSnapshot('../docs/lints.md');
});
