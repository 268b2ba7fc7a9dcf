import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLair, expectNoSecret, INTRUDERS, type Lair } from '../../support/intruders.ts';

// Writing at what is others', to learn whether it is there: what exists in another organization and what exists nowhere
// have the same answer.

let lair: Lair;
const before = new Map<string, string>();

beforeAll(async () => {
  lair = await createLair();
  // logins are written into users as they are made
  for (const who of INTRUDERS) await lair.attack(who, 'select');
  for (const table of TABLES) before.set(table, await contentOf(table));
});
afterAll(async () => {
  await lair?.leave();
});

const TABLES = [
  'organizations',
  'groups',
  'group_ai_budgets',
  'organization_members',
  'group_members',
  'organization_member_roles',
  'users',
  'user_site_roles',
];

async function contentOf(table: string): Promise<string> {
  const { rows } = await lair.database.owner.query<{ content: string }>(
    `select string_agg(t::text, ' ' order by t::text) as content from app_public.${table} t`,
  );
  return rows[0]?.content ?? '';
}

/** What is aimed at: in another organization, or nowhere. The attacker's own is added by each session. */
type Aim = {
  readonly organization: string;
  readonly group: string;
  readonly user: string;
  readonly username: string;
  readonly name: string;
  readonly ownOrganization: string;
  readonly ownGroup: string;
  readonly self: string;
};

const ATTACKS: Readonly<Record<string, (aim: Aim) => string>> = {
  'insert of a group into the organization': (a) =>
    `insert into app_public.groups (organization_id, name) values ('${a.organization}', 'Mine')`,
  'insert of a group of the same name into the organization': (a) =>
    `insert into app_public.groups (organization_id, name) values ('${a.organization}', '${a.name}')`,
  'insert of a group with on conflict do nothing': (a) =>
    `insert into app_public.groups (organization_id, name) values ('${a.organization}', '${a.name}')
     on conflict do nothing returning *`,
  'insert of a group with on conflict do update': (a) =>
    `insert into app_public.groups as g (id, organization_id, name) values ('${a.group}', '${a.organization}', 'x')
     on conflict (id) do update set name = g.name || '!' returning *`,
  'insert of an organization with its id': (a) =>
    `insert into app_public.organizations (id, name) values ('${a.organization}', 'x')`,
  'insert of an organization with its id, on conflict do nothing': (a) =>
    `insert into app_public.organizations (id, name) values ('${a.organization}', 'x') on conflict do nothing`,
  'insert of an organization with its id, on conflict do update': (a) =>
    `insert into app_public.organizations as o (id, name) values ('${a.organization}', 'x')
     on conflict (id) do update set name = 'x' where o.name < 'M' returning *`,
  'insert of a member into the organization': (a) =>
    `insert into app_public.organization_members (organization_id, user_id) values ('${a.organization}', '${a.self}')`,
  'insert of a member into the organization, on conflict do nothing': (a) =>
    `insert into app_public.organization_members (organization_id, user_id)
     values ('${a.organization}', '${a.user}') on conflict do nothing returning *`,
  'insert of a member into the group': (a) =>
    `insert into app_public.group_members (group_id, user_id) values ('${a.group}', '${a.self}')`,
  'insert of a member into the group, on conflict do nothing': (a) =>
    `insert into app_public.group_members (group_id, user_id) values ('${a.group}', '${a.user}') on conflict do nothing`,
  'insert of the user into a group of its own': (a) =>
    `insert into app_public.group_members (group_id, user_id) values ('${a.ownGroup}', '${a.user}')`,
  'insert of a role for the user in its own organization': (a) =>
    `insert into app_public.organization_member_roles (organization_id, user_id, role)
     values ('${a.ownOrganization}', '${a.user}', 'organization_auditor')`,
  'insert of a role for itself in the organization': (a) =>
    `insert into app_public.organization_member_roles (organization_id, user_id, role)
     values ('${a.organization}', '${a.self}', 'organization_admin')`,
  'insert of a site role for the user': (a) =>
    `insert into app_public.user_site_roles (user_id, role) values ('${a.user}', 'owner') on conflict do nothing`,
  'insert of a user with its id': (a) =>
    `insert into app_public.users (id, username) values ('${a.user}', 'new')`,
  'insert of a user with its name': (a) =>
    `insert into app_public.users (username) values ('${a.username}')`,
  'insert of a user with its name, on conflict do nothing': (a) =>
    `insert into app_public.users (username) values ('${a.username}') on conflict do nothing returning *`,
  'insert of a user with its name, on conflict do update': (a) =>
    `insert into app_public.users as u (username) values ('${a.username}')
     on conflict (username) do update set email = u.email returning *`,
  'update of its own name to a taken one': (a) =>
    `update app_public.users set username = '${a.username}' where id = '${a.self}'`,
  'insert of a budget for the group': (a) =>
    `insert into app_public.group_ai_budgets (group_id, spend_limit_micros) values ('${a.group}', 1)`,
  'insert of a budget for the group, on conflict do nothing': (a) =>
    `insert into app_public.group_ai_budgets (group_id, spend_limit_micros) values ('${a.group}', 1)
     on conflict do nothing returning *`,
  'insert of a budget for the group, on conflict do update': (a) =>
    `insert into app_public.group_ai_budgets as b (group_id, spend_limit_micros) values ('${a.group}', 1)
     on conflict (group_id) do update set spend_limit_micros = b.spend_limit_micros + 1 returning *`,
  'merge into budgets, updating': (a) =>
    `merge into app_public.group_ai_budgets b using (values ('${a.group}'::uuid)) v (id) on b.group_id = v.id
     when matched then update set spend_limit_micros = 1 returning merge_action(), b.*`,
  'merge into budgets, deleting or inserting': (a) =>
    `merge into app_public.group_ai_budgets b using (values ('${a.group}'::uuid)) v (id) on b.group_id = v.id
     when matched then delete when not matched then insert (group_id, spend_limit_micros) values (v.id, 1)`,
  'merge into groups, doing nothing when it is there': (a) =>
    `merge into app_public.groups g using (values ('${a.group}'::uuid)) v (id) on g.id = v.id
     when matched then do nothing
     when not matched then insert (id, organization_id, name) values (v.id, '${a.organization}', 'x')`,
  'update of the group': (a) =>
    `update app_public.groups set name = 'Mine' where id = '${a.group}' returning *`,
  'update of the group to a name with no room': (a) =>
    `update app_public.groups set name = '' where id = '${a.group}'`,
  'update of a budget, from its group': (a) =>
    `update app_public.group_ai_budgets b set spend_limit_micros = 1 from app_public.groups g
     where g.id = b.group_id and g.organization_id = '${a.organization}' returning b.*, g.*`,
  'update of a budget that divides by what it is': (a) =>
    `update app_public.group_ai_budgets set spend_limit_micros = 1 / (spend_limit_micros - spend_limit_micros)
     where group_id = '${a.group}'`,
  'delete of the group': (a) => `delete from app_public.groups where id = '${a.group}' returning *`,
  'delete of the organization': (a) =>
    `delete from app_public.organizations where id = '${a.organization}' returning *`,
  'delete of a budget, using its group': (a) =>
    `delete from app_public.group_ai_budgets b using app_public.groups g
     where g.id = b.group_id and g.name = '${a.name}' and g.id = '${a.group}' returning g.*`,
  'delete of the user': (a) => `delete from app_public.users where id = '${a.user}' returning *`,
  'select of the group, for update': (a) =>
    `select * from app_public.groups where id = '${a.group}' for update`,
  'select of the group, for key share nowait': (a) =>
    `select * from app_public.groups where id = '${a.group}' for key share nowait`,
  'select of the user by name, for no key update skip locked': (a) =>
    `select * from app_public.users where username = '${a.username}' for no key update skip locked`,
  'a foreign key of its own to the group': (a) =>
    `create temp table mine (id uuid default '${a.group}' references app_public.groups)`,
  'ai_budget_status()': (a) => `select * from app_public.ai_budget_status('${a.group}')`,
  'group_ai_budget()': (a) => `select * from app_public.group_ai_budget('${a.group}')`,
  'upsert_group_ai_budget()': (a) => `select app_public.upsert_group_ai_budget('${a.group}', 1)`,
  'delete_group_ai_budget()': (a) => `select app_public.delete_group_ai_budget('${a.group}')`,
  'set_group_ai_budget_terms()': (a) =>
    `select app_public.set_group_ai_budget_terms('${a.group}', period => 'day')`,
  'explain_ai_budget() of the user': (a) =>
    `select app_public.explain_ai_budget('${a.user}', 'acme', 'one')`,
  'explain_ai_budget() of itself in the group': (a) =>
    `select app_public.explain_ai_budget('${a.self}', 'acme', 'one', group_id => '${a.group}')`,
  'explain_ai_budget() of itself in the organization': (a) =>
    `select app_public.explain_ai_budget('${a.self}', 'acme', 'one', organization_id => '${a.organization}')`,
  'authorize_ai_spend() for the user': (a) =>
    `select app_public.authorize_ai_spend('${a.user}', gen_random_uuid(), 'acme', 'one', 1, 1)`,
  'reads_group()': (a) => `select app_hidden.reads_group('${a.group}')`,
  'lock_group_to_manage()': (a) => `select app_hidden.lock_group_to_manage('${a.group}')`,
  'groups_ai_budget_status() of a row that was made up': (a) =>
    `select app_public.groups_ai_budget_status(row('${a.group}', '${a.organization}', 'x', now(), now())::app_public.groups)`,
};

const absent: Record<'organization' | 'group' | 'user', string> = {
  organization: randomUUID(),
  group: randomUUID(),
  user: randomUUID(),
};
let tried = 0;

describe('what exists elsewhere and what exists nowhere have one answer to', () => {
  test.each(Object.entries(ATTACKS))('%s', async (name, attack) => {
    const { foreignOrganization, foreignGroup, foreigner, organization, group, people } =
      lair.world;
    const own = { ownOrganization: organization, ownGroup: group };
    for (const who of INTRUDERS) {
      const self = people[who === 'organization_admin' ? who : 'member'];
      const there: Aim = {
        organization: foreignOrganization,
        group: foreignGroup,
        user: foreigner,
        username: 'saffron',
        name: 'Clove growers',
        ...own,
        self,
      };
      const nowhere: Aim = { ...absent, username: 'turmeric', name: 'No such name', ...own, self };
      const answers = [];
      for (const aim of [there, nowhere]) {
        const statements = ['begin', attack(aim)];
        const answer = await lair.attack(who, statements);
        expectNoSecret(lair, answer, statements, `${name} as ${who}`);
        let text = answer.text;
        for (const said of [aim.organization, aim.group, aim.user, aim.username, aim.name]) {
          text = text.replaceAll(said, '(aim)');
        }
        answers.push({ code: answer.code, rowCount: answer.rowCount, text });
        tried += 1;
      }
      expect(answers[0], `${name} as ${who}`).toEqual(answers[1]);
    }
  });

  // An id is 122 random bits: whoever can name one has been told it.
  test('an insert of its own by an administrator, but for that the id is taken', async () => {
    const { organization, foreignGroup, foreigner } = lair.world;
    const group = (id: string) =>
      `insert into app_public.groups (id, organization_id, name) values ('${id}', '${organization}', 'x')`;
    const member = (id: string) =>
      `insert into app_public.organization_members (organization_id, user_id) values ('${organization}', '${id}')`;
    const codes: string[] = [];
    for (const statement of [
      group(foreignGroup),
      group(absent.group),
      member(foreigner),
      member(absent.user),
    ]) {
      const answer = await lair.attack('organization_admin', ['begin', statement]);
      expectNoSecret(lair, answer, statement, statement);
      codes.push(answer.code);
      const refused = await lair.attack('member', ['begin', statement]);
      expect(refused.code).toBe('42501');
    }
    expect(codes).toEqual(['23505', 'ok', 'ok', '23503']);
  });

  test('how many attacks that was, and nothing has changed', async ({ task }) => {
    for (const table of TABLES) expect(await contentOf(table), table).toBe(before.get(table));
    task.meta.figures = [
      `${tried} writes and calls aimed at another organization's rows and at rows that exist nowhere (${Object.keys(ATTACKS).length} statements by ${INTRUDERS.length} kinds of session): each pair had one answer, to the byte, and no row changed`,
    ];
  });
});
