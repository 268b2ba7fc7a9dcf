import type { ClientBase } from 'pg';
import { inTransaction } from './database.ts';

/** Someone to try Bursar as: one for each row of the table of rights. */
export type DemoPerson = { readonly username: string; readonly id: string; readonly is: string };

export type Demo = { readonly people: readonly DemoPerson[]; readonly groupId: string };

const PEOPLE: readonly {
  username: string;
  is: string;
  siteRole?: string;
  role?: string;
  group?: string;
}[] = [
  { username: 'olivia', is: 'owner of the site', siteRole: 'owner' },
  { username: 'uma', is: 'user_admin of the site', siteRole: 'user_admin' },
  { username: 'audrey', is: 'auditor of the site', siteRole: 'auditor' },
  { username: 'gateway', is: 'ai_gateway, a program', siteRole: 'ai_gateway' },
  { username: 'adam', is: 'organization_admin of Acme', role: 'organization_admin' },
  {
    username: 'ursula',
    is: 'organization_user_admin of Acme',
    role: 'organization_user_admin',
    group: 'Marketing',
  },
  { username: 'oscar', is: 'organization_auditor of Acme', role: 'organization_auditor' },
  { username: 'mia', is: 'member of the group Engineering', group: 'Engineering' },
  { username: 'ned', is: 'member of the group Research', group: 'Research' },
  { username: 'sam', is: 'signed in, and in no organization' },
];

const GROUPS = [
  { name: 'Engineering', limit: '500000000', period: 'month' },
  { name: 'Research', limit: '0', period: 'month' },
  // So little that the day of `npm run demo:gateway` comes up against it.
  { name: 'Marketing', limit: '8000000', period: 'day' },
  { name: 'Sales', limit: null, period: null },
] as const;

/**
 * A small organization to try things with, made once, in a database without any.
 *
 * @param client The owner's connection: there is nobody yet who could give the first role.
 */
export async function makeDemo(client: ClientBase): Promise<void> {
  await inTransaction(client, async () => {
    const { rowCount } = await client.query('select from app_public.organizations limit 1');
    if (rowCount === 0) await fill(client);
  });
}

async function fill(client: ClientBase): Promise<void> {
  await client.query(`insert into app_public.organizations (name) values ('Acme')`);
  await client.query(
    `insert into app_public.groups (organization_id, name)
     select o.id, g.name
     from app_public.organizations o, jsonb_to_recordset($1) as g (name text)
     where o.name = 'Acme'`,
    [JSON.stringify(GROUPS)],
  );
  await client.query(
    `insert into app_public.group_ai_budgets (group_id, spend_limit_micros, period)
     select g.id, b."limit", b.period
     from jsonb_to_recordset($1) as b (name text, "limit" bigint, period app_public.budget_period)
       join app_public.groups g on g.name = b.name
     where b."limit" is not null`,
    [JSON.stringify(GROUPS)],
  );
  await client.query(
    `with people as (
       select * from jsonb_to_recordset($1) as p (username text, "siteRole" app_public.site_role,
         role app_public.organization_role, "group" text)
     ), users as (
       insert into app_public.users (username) select username from people returning id, username
     ), site_roles as (
       insert into app_public.user_site_roles (user_id, role)
       select u.id, p."siteRole" from users u join people p using (username)
       where p."siteRole" is not null
     )
     select from users`,
    [JSON.stringify(PEOPLE)],
  );
  await client.query(
    `with people as (
       select u.id, p.role, p."group"
       from jsonb_to_recordset($1) as p (username text, role app_public.organization_role, "group" text)
         join app_public.users u using (username)
       where p.role is not null or p."group" is not null
     ), members as (
       insert into app_public.organization_members (organization_id, user_id)
       select o.id, p.id from people p, app_public.organizations o where o.name = 'Acme'
       returning organization_id, user_id
     ), roles as (
       insert into app_public.organization_member_roles (organization_id, user_id, role)
       select m.organization_id, m.user_id, p.role
       from members m join people p on p.id = m.user_id where p.role is not null
     )
     select from members`,
    [JSON.stringify(PEOPLE)],
  );
  await client.query(
    `insert into app_public.group_members (group_id, user_id)
     select g.id, u.id
     from jsonb_to_recordset($1) as p (username text, "group" text)
       join app_public.users u using (username)
       join app_public.groups g on g.name = p."group"`,
    [JSON.stringify(PEOPLE)],
  );
}

/** The demo people who are still there, and the group for the examples; undefined when it was all removed. */
export async function readDemo(client: ClientBase): Promise<Demo | undefined> {
  const users = await client.query<{ id: string; username: string }>(
    'select id, username from app_public.users where username = any ($1)',
    [PEOPLE.map((person) => person.username)],
  );
  const groups = await client.query<{ id: string }>(
    `select id from app_public.groups where name = 'Engineering' limit 1`,
  );
  const groupId = groups.rows[0]?.id;
  if (groupId === undefined || users.rowCount === 0) return undefined;
  const ids = new Map(users.rows.map((user) => [user.username, user.id]));
  return {
    groupId,
    people: PEOPLE.flatMap(({ username, is }) => {
      const id = ids.get(username);
      return id === undefined ? [] : [{ username, id, is }];
    }),
  };
}
