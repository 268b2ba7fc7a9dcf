import type { Client } from 'pg';
import { withClient } from './database.ts';
import type { DatabaseUrls } from './database-urls.ts';
import { MIGRATIONS_FOLDER } from './folders.ts';
import { appliedOf, readHistory } from './history.ts';
import { lint } from './lint.ts';
import { loginOf } from './migrate.ts';
import { POWERS } from './role-powers.ts';

/** One thing that the database must have: empty `missing` when it does. */
export type Finding = { readonly what: string; readonly missing: readonly string[] };

/**
 * Whether a database has what this code needs. Each finding says what was looked at and, where something
 * is missing, what and how to mend it.
 */
export function check(urls: DatabaseUrls, folder = MIGRATIONS_FOLDER): Promise<Finding[]> {
  const authenticator = loginOf(urls.authenticator).name;
  return withClient(urls.owner, async (client) => {
    const findings = [
      await version(client),
      await roles(client, authenticator),
      await migrations(client, folder),
    ];
    // The rest looks into the schema; without one there is nothing to look at.
    if (findings.every((finding) => finding.missing.length === 0)) {
      findings.push(
        await trust(client, authenticator),
        await grants(client, authenticator),
        await policies(client),
        await partitions(client),
        await auditTrail(client),
        await logins(client),
        await catalogue(client),
      );
    }
    return findings;
  });
}

async function lines(client: Client, sql: string, values: unknown[] = []): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(sql, values);
  return rows.map((row) => row.line);
}

async function version(client: Client): Promise<Finding> {
  return {
    what: 'PostgreSQL 15 or newer',
    missing: await lines(
      client,
      `select format('this is %s', current_setting('server_version')) as line
       where current_setting('server_version_num')::int < 150000`,
    ),
  };
}

async function roles(client: Client, authenticator: string): Promise<Finding> {
  return {
    what: `the roles bursar_user and ${authenticator}, without powers of their own`,
    missing: await lines(
      client,
      `with needed (name, is_server) as (values ('bursar_user', false), ($1, true))
       select format('the role %s is missing: run bursar migrate', name) as line
       from needed where not exists (select from pg_roles where rolname = name)
       union all
       select format('the role %s has %s: alter role %I %s', rolname, flag, rolname, mend)
       from needed join pg_roles on rolname = name
         cross join lateral (values
           (rolsuper, 'superuser', 'nosuperuser'),
           (rolbypassrls, 'bypassrls', 'nobypassrls'),
           (rolcreaterole, 'createrole', 'nocreaterole'),
           (is_server and rolinherit, 'inherit', 'noinherit'),
           (is_server and not rolcanlogin, 'no login', 'login'),
           (not is_server and rolcanlogin, 'login', 'nologin')
         ) as flags (is_set, flag, mend)
       where is_set
       union all
       -- From PostgreSQL 16 on each membership says for itself whether it inherits.
       select format('%s inherits the rights of bursar_user: grant bursar_user to %I with inherit false', $1, $1)
       from pg_auth_members m
         join pg_roles u on u.oid = m.roleid and u.rolname = 'bursar_user'
         join pg_roles r on r.oid = m.member and r.rolname = $1
       where to_jsonb(m) ->> 'inherit_option' = 'true'
       union all
       select format('the role %s is no member of bursar_user: grant bursar_user to %I', rolname, rolname)
       from pg_roles
       where rolname = $1 and not exists (
         select from pg_auth_members m join pg_roles u on u.oid = m.roleid
         where u.rolname = 'bursar_user' and m.member = pg_roles.oid
       )
       union all
       select format('%s owns %s %s: the server''s role must own nothing', $1, 'the relation', c.oid::regclass)
       from pg_class c join pg_roles r on r.oid = c.relowner
       where r.rolname = $1`,
      [authenticator],
    ),
  };
}

async function migrations(client: Client, folder: string): Promise<Finding> {
  const { nothing, pending, unknown, differing } = await appliedOf(
    client,
    await readHistory(folder),
  );
  return {
    what: 'every committed migration, and none that this code does not know',
    missing: nothing
      ? ['none has run: run bursar migrate']
      : [
          ...pending.map((file) => `${file} has not run: run bursar migrate`),
          ...unknown.map(
            (file) => `${file} has run, and this code does not know it: upgrade Bursar`,
          ),
          ...differing.map((file) => `${file} ran in another form than it has here`),
          ...(await halfMadeIndexes(client)),
        ],
  };
}

/** What `create index concurrently` leaves behind when it is interrupted: written by all, read by nobody. */
function halfMadeIndexes(client: Client): Promise<string[]> {
  return lines(
    client,
    `select format('the index %s is half made: drop index concurrently %s, and make it again', i.indexrelid::regclass, i.indexrelid::regclass) as line
     from pg_index i join pg_class c on c.oid = i.indexrelid
     where not i.indisvalid and c.relkind = 'i'
       and c.relnamespace in (to_regnamespace('app_public'), to_regnamespace('app_private'))`,
  );
}

async function trust(client: Client, authenticator: string): Promise<Finding> {
  return {
    what: `${authenticator} may say on whose behalf it speaks`,
    missing: await lines(
      client,
      `select 'it is not registered in this database: run bursar migrate' as line
       where not exists (select from app_private.authenticators where role_name = $1)
       union all
       select format('%s may so too: delete it from app_private.authenticators unless another server uses it', role_name)
       from app_private.authenticators
       where role_name <> $1`,
      [authenticator],
    ),
  };
}

async function grants(client: Client, authenticator: string): Promise<Finding> {
  return {
    what: 'grants: what the API needs',
    missing: await lines(
      client,
      `select format('bursar_user may not use the schema %s', nspname) as line
       from pg_namespace
       where nspname in ('app_public', 'app_hidden')
         and not has_schema_privilege('bursar_user', oid, 'usage')
       union all
       select format('bursar_user may not select from %s', oid::regclass)
       from pg_class
       where relnamespace = to_regnamespace('app_public') and relkind in ('r', 'p')
         and not has_table_privilege('bursar_user', oid, 'select')
       union all
       select format('bursar_user may not execute %s', oid::regprocedure)
       from pg_proc
       where pronamespace = to_regnamespace('app_public')
         and not has_function_privilege('bursar_user', oid, 'execute')
       union all
       select format('the function %s is missing', f)
       from unnest(array[
         'app_public.group_ai_budget(uuid)', 'app_public.upsert_group_ai_budget(uuid, bigint)',
         'app_public.delete_group_ai_budget(uuid)', 'app_public.ai_model_price(text, text)',
         'app_public.upsert_ai_model_prices(jsonb)',
         'app_public.set_feature(text, app_public.feature_entitlement, boolean)',
         'app_public.set_group_ai_budget_terms(uuid, app_public.budget_scope, app_public.budget_period)',
         'app_public.authorize_ai_spend(uuid, uuid, text, text, bigint, bigint, bigint, bigint, uuid, uuid)',
         'app_public.settle_ai_spend(uuid, bigint, bigint, bigint, bigint, timestamptz, uuid)',
         'app_public.release_ai_spend(uuid, uuid)', 'app_public.record_ai_usage(jsonb)',
         'app_public.price_unpriced_ai_usage(integer)', 'app_public.ai_budget_status(uuid)'
       ]) as f
       where to_regprocedure(f) is null
       union all
       select format('%s may not use the schema app_hidden: run bursar migrate', $1::text)
       where not has_schema_privilege($1, 'app_hidden', 'usage')
       union all
       select format('%s may not execute %s: run bursar migrate', $1::text, f::regprocedure)
       from unnest(array['app_hidden.require_user(uuid)', 'app_hidden.feature_states()']) as f
       where not has_function_privilege($1, f, 'execute')`,
      [authenticator],
    ),
  };
}

async function policies(client: Client): Promise<Finding> {
  return {
    what: 'policies: each for bursar_user alone',
    missing: await lines(
      client,
      `select format('the policy %s on %s is for others than bursar_user', polname, polrelid::regclass) as line
       from pg_policy p join pg_class c on c.oid = p.polrelid
       where c.relnamespace = to_regnamespace('app_public')
         and polroles <> array['bursar_user'::regrole::oid]`,
    ),
  };
}

async function partitions(client: Client): Promise<Finding> {
  return {
    what: 'partitions: each partitioned table has one',
    missing: await lines(
      client,
      `select format('%s has no partition', c.oid::regclass) as line
       from pg_class c
       where c.relnamespace = to_regnamespace('app_public') and c.relkind = 'p'
         and not exists (select from pg_inherits i where i.inhparent = c.oid)`,
    ),
  };
}

async function auditTrail(client: Client): Promise<Finding> {
  return {
    what: 'the audit trail: whatever may be written is written down, and stays',
    missing: await lines(
      client,
      `with written as (
         select c.oid from pg_class c
         where c.relnamespace = to_regnamespace('app_public') and c.relkind in ('r', 'p')
           and (
             has_any_column_privilege('bursar_user', c.oid, 'insert, update')
             or has_table_privilege('bursar_user', c.oid, 'delete')
           )
         union
         select to_regclass('app_private.authenticators')
       ),
       needed (oid, event, bit, functions) as (
         select w.oid, e.event, e.bit, array['app_private.audit()', 'app_private.audit_departure()']
         from written w
           cross join (values ('insert', 4), ('delete', 8), ('update', 16), ('truncate', 32)) as e (event, bit)
         union all
         select to_regclass('app_public.audit_events'), e.event, e.bit, array['app_private.keep_audit_events()']
         from (values ('insert', 4), ('delete', 8), ('update', 16), ('truncate', 32)) as e (event, bit)
       )
       select format('%s has no enabled trigger for %s: select app_private.keep_audit_trail(%L)', n.oid::regclass, n.event, n.oid::regclass) as line
       from needed n
       where not exists (
         select from pg_trigger t
         where t.tgrelid = n.oid and t.tgtype & n.bit <> 0 and t.tgenabled in ('O', 'A')
           -- for every row and column
           and t.tgqual is null and t.tgattr = ''::int2vector
           and t.tgfoid in (select to_regprocedure(f) from unnest(n.functions) as f)
       )`,
    ),
  };
}

async function logins(client: Client): Promise<Finding> {
  return {
    what: 'login roles of people: there, and without powers of their own',
    missing: await lines(
      client,
      `select format('%s, which speaks for %s, does not exist: bursar dba remove %I', u.pg_role, u.username, u.pg_role) as line
       from app_public.users u
       where u.pg_role is not null and not exists (select from pg_roles where rolname = u.pg_role)
       union all
       select format('%s, which speaks for %s, %s: no policy binds it', u.pg_role, u.username, powers.power)
       from app_public.users u join pg_roles r on r.rolname = u.pg_role
         cross join lateral ${POWERS} as powers
       union all
       select format('%s, which speaks for %s, can''t log in: bursar dba remove %I', u.pg_role, u.username, u.pg_role)
       from app_public.users u join pg_roles r on r.rolname = u.pg_role
       where not r.rolcanlogin`,
    ),
  };
}

/** Rules that hold for every schema, and not for what this code needs alone, are lints. */
async function catalogue(client: Client): Promise<Finding> {
  const { findings } = await lint(client);
  return {
    what: 'row security, policies, nothing for everybody: what bursar lint looks at',
    missing: findings
      .filter(({ level }) => level !== 'notice')
      .map(({ key, detail, remedy }) => `${key}: ${detail} Remedy: ${remedy}`),
  };
}
