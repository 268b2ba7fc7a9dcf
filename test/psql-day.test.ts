import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withClient } from '../src/database.ts';
import { addDba, psqlCommand } from '../src/dba.ts';
import { makeDemo } from '../src/demo.ts';
import { asSuperuser, createTestDatabase, type TestDatabase } from './support/database.ts';
import { psqlIsHere, runPsql } from './support/psql.ts';

// A DBA's day, through the real psql: what is allowed, what is refused, and what psql says of it. Adam administers
// Acme; Audrey audits the site; Mia is a member of Engineering.

let database: TestDatabase;
const LOGINS = ['adam', 'audrey', 'mia'] as const;
type Login = (typeof LOGINS)[number];
const urls = new Map<Login, string>();

beforeAll(async () => {
  if (!psqlIsHere) return;
  database = await createTestDatabase();
  await withClient(database.urls.owner, async (client) => {
    await makeDemo(client);
    await client.query(
      `select app_public.upsert_ai_model_prices('[{"provider": "anthropic", "model": "claude-sonnet-4-5", "input_price": 3000000}]')`,
    );
    for (const user of LOGINS) {
      const name = `${user} of the day`;
      await addDba(client, name, user, async () => 'a good password');
      const url = new URL((await psqlCommand(client, name)).slice('psql '.length));
      url.password = 'a good password';
      urls.set(user, url.href);
    }
  });
});

afterAll(async () => {
  await database?.drop();
  await asSuperuser('postgres', async (client) => {
    for (const user of LOGINS) await client.query(`drop role if exists "${user} of the day"`);
  });
});

const psql = (login: Login, sql: string, args: string[] = []) =>
  runPsql({ url: urls.get(login) ?? '', sql, args });

type Step = [
  who: Login,
  sql: string,
  /** What psql prints, or what it says of the refusal. */
  answer: { prints?: RegExp; says?: RegExp; code?: number },
];

const budgetOf = (group: string) => `(select id from groups where name = '${group}')`;
const REFUSED = (message: string, detail: string, hint: string) =>
  new RegExp(`ERROR:  ${message}\nDETAIL:  ${detail}\nHINT:  ${hint}`);

describe.skipIf(!psqlIsHere)('a day in psql', () => {
  const MORNING: Step[] = [
    // Who am I, and what is there?
    [
      'adam',
      'select username, session_user from users where id = app_hidden.current_user_id();',
      { prints: /adam +\| adam of the day/ },
    ],
    ['adam', '\\dt', { prints: /app_public \| group_ai_budgets +\| table/ }],
    [
      'adam',
      '\\d groups',
      { prints: /POLICY "group_is_changed_by_whoever_manages_the_organization" FOR UPDATE/ },
    ],
    [
      'adam',
      '\\d+ group_ai_budgets',
      { prints: /Micros \(millionths of a US dollar\), 0 to 10\^15/ },
    ],
    [
      'adam',
      '\\df+ upsert_group_ai_budget',
      { prints: /Gives a group its budget, or replaces it: micros/ },
    ],
    [
      'adam',
      '\\dT+ site_role',
      { prints: /owner: everything\. user_admin: users, members, groups, budgets/ },
    ],
    ['adam', '\\dp features', { prints: /feature_is_set_by_owners \(w\)/ }],
    // A group is added, gets a member and a budget.
    [
      'adam',
      `insert into groups (organization_id, name) select organization_id, 'Design' from groups where name = 'Sales';`,
      { prints: /^INSERT 0 1$/m },
    ],
    [
      'adam',
      `insert into group_members (group_id, user_id) select ${budgetOf('Design')}, id from users where username = 'ned';`,
      { prints: /^INSERT 0 1$/m },
    ],
    [
      'adam',
      `select spend_limit_micros from upsert_group_ai_budget(${budgetOf('Design')}, 0);`,
      { prints: /^ +0$/m },
    ],
    [
      'adam',
      `select spend_limit_micros from upsert_group_ai_budget(${budgetOf('Design')}, 500000000);`,
      { prints: /^ +500000000$/m },
    ],
    [
      'adam',
      `select period from set_group_ai_budget_terms(${budgetOf('Design')}, period => 'week');`,
      { prints: /week/ },
    ],
    // A slip, and what is said of it.
    [
      'adam',
      `select upsert_group_ai_budget(${budgetOf('Design')}, -5);`,
      {
        code: 3,
        says: /ERROR: {2}spend_limit_micros must be between 0 and 1000000000000000 \(\$1 billion\), not -5\./,
      },
    ],
    [
      'adam',
      `delete from groups where name = 'Everyone';`,
      {
        code: 3,
        says: /ERROR: {2}The group Everyone can't be deleted\.\nHINT: {2}It goes with its organization\./,
      },
    ],
    // What an admin of an organization may not do.
    [
      'adam',
      `select set_feature('ai_bridge', enabled => false);`,
      {
        code: 3,
        says: REFUSED(
          "Features are set by the site's owners\\.",
          'The session speaks for adam\\.',
          'Features are set by owner\\.',
        ),
      },
    ],
    [
      'adam',
      `insert into ai_model_prices (provider, model) values ('acme', 'free');`,
      {
        code: 3,
        says: REFUSED(
          'This row is not yours to add to ai_model_prices\\.',
          'The session speaks for adam\\.',
          'Prices are written by owner\\.',
        ),
      },
    ],
    [
      'adam',
      `update users set username = 'boss' where username = 'mia';`,
      {
        prints: /^UPDATE 0$/m,
        says: /NOTICE: {2}No row of users was changed: .*\nDETAIL: {2}.*adam\.\nHINT: {2}Users are written by owner/,
      },
    ],
    [
      'adam',
      `update users set pg_role = 'adam of the day';`,
      { code: 3, says: /ERROR: {2}permission denied for table users/ },
    ],
    [
      'adam',
      'delete from ai_usage_events;',
      { code: 3, says: /ERROR: {2}permission denied for table ai_usage_events/ },
    ],
    [
      'adam',
      'set role bursar_owner;',
      { code: 3, says: /ERROR: {2}permission denied to set role/ },
    ],
    [
      'adam',
      'select * from app_private.authenticators;',
      { code: 3, says: /ERROR: {2}permission denied for schema app_private/ },
    ],
  ];
  const MIA: Step[] = [
    // A member reads her group, and no more.
    [
      'mia',
      'select string_agg(name, $$,$$ order by name) from groups;',
      { prints: /^ Engineering,Everyone$/m },
    ],
    [
      'mia',
      `select limit_micros from ai_budget_status(${budgetOf('Engineering')});`,
      { prints: /500000000/ },
    ],
    ['mia', 'select count(*) from audit_trail;', { prints: /^ +0$/m }],
    [
      'mia',
      `select upsert_group_ai_budget(${budgetOf('Engineering')}, 1);`,
      {
        code: 3,
        says: REFUSED(
          'Not found, or not yours to read or change\\.',
          'The session speaks for mia\\.',
          "Budgets are set by owner, user_admin, and the organization's organization_admin and organization_user_admin\\.",
        ),
      },
    ],
    [
      'mia',
      `set bursar.user_id = '00000000-0000-4000-8000-000000000000'; select username from users where id = app_hidden.current_user_id();`,
      { prints: /mia/ },
    ],
    [
      'mia',
      `update group_members set user_id = user_id;`,
      { code: 3, says: /ERROR: {2}permission denied for table group_members/ },
    ],
    [
      'mia',
      `begin; delete from group_members; rollback;`,
      { prints: /^DELETE 0$/m, says: /NOTICE: {2}No row of group_members was deleted/ },
    ],
  ];
  const EVENING: Step[] = [
    // The auditor reads what was done, and changes nothing.
    [
      'audrey',
      `select who, door, change from audit_trail where what = 'budget of group Design' order by changed_at;`,
      {
        prints:
          /adam +\| sql +\| limit none → \$0\.00[\s\S]*limit \$0\.00 → \$500\.00[\s\S]*period month → week/,
      },
    ],
    [
      'audrey',
      `select login_role, what from audit_trail where who = 'adam' and what like 'member ned of%';`,
      {
        prints: /adam of the day \| member ned of group Design/,
      },
    ],
    ['audrey', 'select * from ai_ledger_discrepancies;', { prints: /^\(0 rows\)$/m }],
    [
      'audrey',
      `select upsert_group_ai_budget(${budgetOf('Design')}, 1);`,
      { code: 3, says: /Not found[\s\S]*DETAIL: {2}The session speaks for audrey/ },
    ],
    [
      'audrey',
      'delete from audit_events;',
      { code: 3, says: /ERROR: {2}permission denied for table audit_events/ },
    ],
    // Whoever asks too much is stopped, with PostgreSQL's own word for it.
    [
      'audrey',
      `set statement_timeout = '50ms'; select count(*) from generate_series(1, 1000000000);`,
      { code: 3, says: /ERROR: {2}canceling statement due to statement timeout/ },
    ],
    ['audrey', 'show statement_timeout;', { prints: /1min/ }],
  ];

  test.each([...MORNING, ...MIA, ...EVENING])('%s: %s', async (who, sql, answer) => {
    const { code, stdout, stderr } = await psql(who, sql);
    const { prints, says } = answer;
    if (says) expect(stderr).toMatch(says);
    else expect(stderr).toBe('');
    if (prints) expect(stdout).toMatch(prints);
    expect(code).toBe(answer.code ?? 0);
  });

  test('every table, view and function is listed with a comment', async () => {
    const { stdout } = await psql(
      'adam',
      `select c.relname from pg_class c where pg_table_is_visible(oid) and relnamespace = 'app_public'::regnamespace
         and relkind in ('r', 'p', 'v') and obj_description(oid, 'pg_class') is null
       union all
       select p.proname from pg_proc p where pg_function_is_visible(oid) and pronamespace = 'app_public'::regnamespace
         and obj_description(oid, 'pg_proc') is null
       union all
       select polname from pg_policy where obj_description(oid, 'pg_policy') is null;`,
      ['--tuples-only', '--no-align'],
    );
    expect(stdout).toBe('');
  });
});
