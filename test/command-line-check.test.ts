import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { check } from '../src/check.ts';
import {
  createEmptyDatabase,
  type EmptyDatabase,
  endAllCommands,
  expectNoStackTrace,
  run,
} from './support/command-line.ts';

// `bursar check`: what it finds in a database that is whole, empty, or no longer what migrate made.

let database: EmptyDatabase;

beforeAll(async () => {
  database = await createEmptyDatabase();
  await run(['migrate'], database.environment);
});

afterAll(async () => {
  endAllCommands();
  await database?.drop();
});

/** The findings without a process of their own, as one text. */
async function missing(): Promise<string> {
  const { DATABASE_URL, AUTH_DATABASE_URL } = database.environment;
  const findings = await check({ owner: DATABASE_URL, authenticator: AUTH_DATABASE_URL });
  return findings
    .filter((finding) => finding.missing.length > 0)
    .map((finding) => `${finding.what}\n${finding.missing.join('\n')}`)
    .join('\n');
}

describe('bursar check', () => {
  test('finds nothing after migrate', async () => {
    const ended = await run(['check'], database.environment);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout.trimEnd().split('\n')).toEqual(
      Array.from({ length: 10 }, () => expect.stringMatching(/^ok {6}\S/)),
    );
  });

  test('says that an empty database has nothing', async () => {
    const empty = await createEmptyDatabase();
    const ended = await run(['check'], empty.environment);
    await empty.drop();
    expect(ended).toMatchObject({ code: 1, stderr: '' });
    expect(ended.stdout).toContain(
      `the role ${empty.authenticator} is missing: run bursar migrate`,
    );
    expect(ended.stdout).toMatch(/MISSING every committed migration.*none has run/s);
    expectNoStackTrace(ended);
  });

  test('ends with 1 after somebody changed something', async () => {
    await database.query('alter table app_public.groups disable row level security');
    const ended = await run(['check'], database.environment);
    await database.query('alter table app_public.groups enable row level security');
    expect(ended).toMatchObject({ code: 1, stderr: '' });
    expect(ended.stdout).toMatch(
      /MISSING row security.*0003:app_public\.groups: Row security is off/s,
    );
    expect(ended.stdout).toContain('ok      grants');
  });

  test.each<[change: string, back: string, words: RegExp]>(
    // What somebody does, what undoes it, and what check says in between. SERVER is the server's role.
    [
      [
        'alter table app_public.groups disable row level security',
        'alter table app_public.groups enable row level security',
        /^row security.*\n0003:app_public\.groups: /,
      ],
      [
        'grant select on app_public.ai_model_prices to public',
        'revoke select on app_public.ai_model_prices from public',
        /^row security.*\n0012:app_public\.ai_model_prices: /s,
      ],
      [
        'grant select (email) on app_public.users to public',
        'revoke select (email) on app_public.users from public',
        /^row security.*\n0012:app_public\.users\.email: /s,
      ],
      [
        'grant execute on function app_public.group_ai_budget(uuid) to public',
        'revoke execute on function app_public.group_ai_budget(uuid) from public',
        /^row security.*\n0012:app_public\.group_ai_budget\(uuid\): /,
      ],
      [
        'grant usage on schema app_private to public',
        'revoke usage on schema app_private from public',
        /^row security.*\n0012:app_private: .*\n0016:app_private to public: /,
      ],
      [
        'revoke select on app_public.groups from bursar_user',
        'grant select on app_public.groups to bursar_user',
        /grants.*may not select from app_public\.groups/s,
      ],
      [
        'revoke usage on schema app_hidden from SERVER',
        'grant usage on schema app_hidden to SERVER',
        /grants.*app_hidden/s,
      ],
      [
        'create policy seen on app_public.features for select to SERVER using (name is null)',
        'drop policy seen on app_public.features',
        /policies.*\nthe policy seen on app_public\.features is for others than bursar_user/,
      ],
      ['alter role SERVER inherit', 'alter role SERVER noinherit', /has inherit/],
      [
        // Since PostgreSQL 16 it is the grant that says whether its member inherits.
        'grant bursar_user to SERVER with inherit true',
        'grant bursar_user to SERVER with inherit false',
        /inherit/,
      ],
      ['alter role SERVER bypassrls', 'alter role SERVER nobypassrls', /has bypassrls/],
      [
        `update graphile_migrate.migrations set filename = '9' || filename`,
        `update graphile_migrate.migrations set filename = substr(filename, 2)`,
        /has not run: run bursar migrate.*this code does not know it/s,
      ],
      [
        `delete from app_private.authenticators where role_name = 'SERVER'`,
        `insert into app_private.authenticators (role_name) values ('SERVER')`,
        /not registered in this database/,
      ],
      [
        'revoke execute on function app_public.group_ai_budget(uuid) from bursar_user',
        'grant execute on function app_public.group_ai_budget(uuid) to bursar_user',
        /may not execute app_public\.group_ai_budget/,
      ],
      [
        'create table app_public.parted (id int) partition by list (id); alter table app_public.parted enable row level security; create policy p on app_public.parted for select to bursar_user using (true); grant select on app_public.parted to bursar_user',
        'drop table app_public.parted',
        /app_public\.parted has no partition/,
      ],
      [
        'create table app_public.mine (id int); alter table app_public.mine owner to SERVER',
        'drop table app_public.mine',
        /owns the relation app_public\.mine/,
      ],
    ],
  )('notices "%s"', async (change, back, words) => {
    const sql = (text: string) => text.replaceAll('SERVER', database.authenticator);
    await database.query(sql(change));
    try {
      expect(await missing()).toMatch(words);
    } finally {
      await database.query(sql(back));
    }
  });

  test('finds nothing again after all that was undone', async () => {
    expect(await missing()).toBe('');
  });
});
