import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asSuperuser, createTestDatabase, type TestDatabase } from './support/database.ts';

// Rules that every table, policy and function of the schema keeps, those to come included. Each is a query
// for what breaks the rule: it finds nothing, and finds the offender that is made for it.

type Rule = { rule: string; query: string; offence: string; offender: string };

const RULES: Rule[] = [
  {
    rule: 'every table has row security on',
    query: `select oid::regclass::text as offender from pg_class
            where relnamespace in ('app_public'::regnamespace, 'app_hidden'::regnamespace, 'app_private'::regnamespace)
              and relkind in ('r', 'p') and not relrowsecurity`,
    offence: 'create table app_public.bare (id int primary key)',
    offender: 'app_public.bare',
  },
  {
    rule: 'every table that is granted has policies for what is granted',
    query: `select c.oid::regclass || ' ' || a.privilege_type as offender
            from pg_class c
              cross join lateral (
                select privilege_type from aclexplode(c.relacl) where grantee = 'bursar_user'::regrole
                union
                select privilege_type from pg_attribute t, aclexplode(t.attacl)
                where t.attrelid = c.oid and grantee = 'bursar_user'::regrole
              ) a
            where relnamespace = 'app_public'::regnamespace and relkind in ('r', 'p')
              and not exists (
                select from pg_policy p
                where p.polrelid = c.oid
                  and p.polcmd = case a.privilege_type
                    when 'SELECT' then 'r' when 'INSERT' then 'a' when 'UPDATE' then 'w' when 'DELETE' then 'd' end
              )`,
    offence: 'grant insert (name) on app_public.features to bursar_user',
    offender: 'app_public.features INSERT',
  },
  {
    rule: 'every policy names one command, and bursar_user alone',
    query: `select polrelid::regclass || ' ' || polname as offender from pg_policy
            where polcmd = '*' or polroles <> array['bursar_user'::regrole::oid] or not polpermissive`,
    offence: 'create policy open on app_public.users for select using (true)',
    offender: 'app_public.users open',
  },
  {
    rule: 'no policy is for every command',
    query: `select polname as offender from pg_policy where polcmd = '*'`,
    offence: 'create policy all_of_it on app_public.users to bursar_user using (true)',
    offender: 'all_of_it',
  },
  {
    rule: 'every function has a fixed search_path that ends with pg_temp',
    query: `select oid::regprocedure::text as offender from pg_proc
            where pronamespace in ('app_public'::regnamespace, 'app_hidden'::regnamespace, 'app_private'::regnamespace)
              and not coalesce('search_path=pg_catalog, pg_temp' = any (proconfig), false)`,
    offence: `create function app_hidden.loose() returns int language sql as 'select 1'`,
    offender: 'app_hidden.loose()',
  },
  {
    rule: 'no function can be executed by everybody',
    query: `select p.oid::regprocedure::text as offender
            from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
            where p.pronamespace in ('app_public'::regnamespace, 'app_hidden'::regnamespace, 'app_private'::regnamespace)
              and a.grantee = 0`,
    offence: `create function app_public.open() returns int language sql as 'select 1';
              grant execute on function app_public.open() to public`,
    offender: 'app_public.open()',
  },
  {
    rule: 'nothing is granted to everybody: no schema, table or column',
    query: `select n.nspname::text as offender from pg_namespace n, aclexplode(n.nspacl) a
            where n.nspname like 'app\\_%' and a.grantee = 0
            union all
            select c.oid::regclass::text from pg_class c, aclexplode(c.relacl) a
            where c.relnamespace::regnamespace::text like 'app\\_%' and a.grantee = 0
            union all
            select c.oid::regclass || '.' || t.attname
            from pg_class c join pg_attribute t on t.attrelid = c.oid, aclexplode(t.attacl) a
            where c.relnamespace::regnamespace::text like 'app\\_%' and a.grantee = 0`,
    offence: 'grant select (email) on app_public.users to public',
    offender: 'app_public.users.email',
  },
  {
    rule: 'app_private is out of reach for every API role',
    query: `select r.rolname || ' ' || n.nspname as offender from pg_roles r, pg_namespace n
            where r.rolname in ('bursar_user', 'bursar_authenticator') and n.nspname = 'app_private'
              and has_schema_privilege(r.oid, n.oid, 'usage')`,
    offence: 'grant usage on schema app_private to bursar_user',
    offender: 'bursar_user app_private',
  },
  {
    rule: 'the functions of the API run with the rights of the caller',
    query: `select oid::regprocedure::text as offender from pg_proc
            where pronamespace = 'app_public'::regnamespace and prosecdef
              -- They write or add up rows that the caller can't reach, and ask for the right themselves.
              and proname not in (
                'authorize_ai_spend', 'settle_ai_spend', 'release_ai_spend', 'record_ai_usage',
                'price_unpriced_ai_usage', 'ai_budget_status', 'explain_ai_budget'
              )`,
    offence: 'alter function app_public.group_ai_budget(uuid) security definer',
    offender: 'app_public.group_ai_budget(uuid)',
  },
  {
    rule: 'no view goes round the policies',
    query: `select oid::regclass::text as offender from pg_class
            where relnamespace in ('app_public'::regnamespace, 'app_hidden'::regnamespace) and relkind in ('v', 'm')
              and not coalesce('security_invoker=true' = any (reloptions), false)`,
    offence: 'create view app_public.around as select * from app_public.users',
    offender: 'app_public.around',
  },
  {
    rule: 'every table, function and type has a comment',
    query: `select oid::regclass::text as offender from pg_class
            where relnamespace = 'app_public'::regnamespace and relkind in ('r', 'p', 'v', 'm')
              and obj_description(oid, 'pg_class') is null
            union all
            select oid::regprocedure::text from pg_proc
            where pronamespace in ('app_public'::regnamespace, 'app_hidden'::regnamespace, 'app_private'::regnamespace)
              and obj_description(oid, 'pg_proc') is null
            union all
            select oid::regtype::text from pg_type
            where typnamespace = 'app_public'::regnamespace and typtype in ('e', 'd')
              and obj_description(oid, 'pg_type') is null`,
    offence: 'comment on function app_public.group_ai_budget(uuid) is null',
    offender: 'app_public.group_ai_budget(uuid)',
  },
  {
    rule: 'every column has a comment',
    query: `select c.oid::regclass || '.' || a.attname as offender
            from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
              and a.attnum > 0 and not a.attisdropped and col_description(c.oid, a.attnum) is null`,
    offence: 'alter table app_public.users add column nickname text',
    offender: 'app_public.users.nickname',
  },
  {
    rule: 'every foreign key and check has a name that says the rule, not the one PostgreSQL makes up',
    query: `select conrelid::regclass || ' ' || conname as offender from pg_constraint
            where connamespace = 'app_public'::regnamespace and contype in ('f', 'c') and conname ~ '_(fkey|check)\\d*$'`,
    offence: 'alter table app_public.users add check (username is not null)',
    offender: 'app_public.users users_username_check',
  },
  {
    rule: 'every foreign key has an index that begins with its columns',
    query: `select conrelid::regclass || ' ' || conname as offender from pg_constraint k
            where connamespace = 'app_public'::regnamespace and contype = 'f'
              and not exists (
                select from pg_index i
                where i.indrelid = k.conrelid and i.indpred is null
                  and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
              )`,
    offence: `alter table app_public.groups add column boss uuid
              constraint boss_is_a_user references app_public.users`,
    offender: 'app_public.groups boss_is_a_user',
  },
];

let database: TestDatabase;

async function offenders(client: Client, query: string): Promise<string[]> {
  const { rows } = await client.query<{ offender: string }>(query);
  return rows.map((row) => row.offender);
}

const inDatabase = <T>(work: (client: Client) => Promise<T>): Promise<T> =>
  asSuperuser(new URL(database.superuserUrl).pathname.slice(1), work);

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.drop());

describe('the schema', () => {
  test.each(RULES)('$rule', async ({ query, offence, offender }) => {
    await inDatabase(async (client) => {
      expect(await offenders(client, query)).toEqual([]);
      await client.query('begin');
      await client.query(offence);
      expect(await offenders(client, query)).toContain(offender);
      await client.query('rollback');
    });
  });

  test('a function that comes next is not executed by everybody', async () => {
    await database.owner.query(
      `create function app_hidden.next() returns int language sql return 1`,
    );
    const { rows } = await database.owner.query(
      `select has_function_privilege('bursar_user', 'app_hidden.next()', 'execute') as may`,
    );
    await database.owner.query('drop function app_hidden.next()');
    expect(rows).toEqual([{ may: false }]);
  });

  test('no role of the API has powers of its own', async () => {
    const { rows } = await database.owner.query(
      `select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolinherit, rolcanlogin
       from pg_roles where rolname in ('bursar_user', 'bursar_authenticator') order by rolname`,
    );
    const none = {
      rolsuper: false,
      rolbypassrls: false,
      rolcreaterole: false,
      rolcreatedb: false,
      rolreplication: false,
      rolinherit: false,
    };
    expect(rows).toEqual([
      { rolname: 'bursar_authenticator', ...none, rolcanlogin: true },
      { rolname: 'bursar_user', ...none, rolcanlogin: false },
    ]);
  });
});
