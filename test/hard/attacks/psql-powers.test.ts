import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createLair,
  expectNoSecret,
  INTRUDERS,
  type Intruder,
  type Lair,
} from '../../support/intruders.ts';

// What PostgreSQL offers to whoever is logged in, beside tables: each of these is refused to each kind of session, or
// tells nothing of others.

let lair: Lair;

beforeAll(async () => {
  lair = await createLair();
});
afterAll(async () => {
  await lair?.leave();
});

/** What comes back: an SQLSTATE; or `nothing`: whatever it is, it has nothing of others. */
type Expected = string | readonly string[];
type Power = readonly [statements: string | readonly string[], expected: Expected];
const NO_RIGHT = '42501';

const SUBJECTS: Readonly<Record<string, readonly Power[]>> = {
  'another role': [
    ['set role bursar_owner', NO_RIGHT],
    ['set session authorization bursar_owner', NO_RIGHT],
    ["select set_config('role', 'bursar_owner', false)", NO_RIGHT],
    ["select set_config('session_authorization', 'bursar_owner', false)", NO_RIGHT],
    ['set role pg_read_all_data', NO_RIGHT],
    ['set role pg_monitor', NO_RIGHT],
    ['create role accomplice login', NO_RIGHT],
    ['alter role bursar_owner password null', NO_RIGHT],
    ['alter role bursar_user superuser', NO_RIGHT],
    ["alter role bursar_user set bursar.user_id = 'x'", NO_RIGHT],
    ['drop role bursar_authenticator', NO_RIGHT],
    ['reassign owned by bursar_owner to current_user', NO_RIGHT],
    ['drop owned by bursar_owner', NO_RIGHT],
  ],
  'rights that it gives itself': [
    ['grant bursar_owner to session_user', NO_RIGHT],
    ['grant bursar_user to pg_monitor', NO_RIGHT],
    ['grant pg_read_all_data to session_user', NO_RIGHT],
    ['grant usage on schema app_private to public', NO_RIGHT],
    // PostgreSQL warns that nothing was granted
    ['grant create on database template1 to public', 'nothing'],
    ['alter default privileges for role bursar_owner grant select on tables to public', NO_RIGHT],
    [
      'alter default privileges in schema app_public grant select on tables to public',
      [NO_RIGHT, 'nothing'],
    ],
    ['alter function app_hidden.current_user_id() owner to session_user', NO_RIGHT],
    ['alter function app_hidden.current_user_id() security invoker', NO_RIGHT],
    ['alter schema app_hidden owner to session_user', NO_RIGHT],
    ['create schema mine', NO_RIGHT],
    ['create table public.mine (id int)', NO_RIGHT],
    ['create function public.mine() returns int language sql return 1', NO_RIGHT],
    ['create type app_public.mine as enum ()', NO_RIGHT],
    [
      'create operator app_hidden.= (leftarg = uuid, rightarg = text, function = uuid_eq)',
      [NO_RIGHT, '42883'],
    ],
    ['create cast (text as uuid) with inout as implicit', NO_RIGHT],
    [
      'create event trigger t on ddl_command_start execute function suppress_redundant_updates_trigger()',
      NO_RIGHT,
    ],
    ['create rule r as on select to app_public.groups do also select 1', NO_RIGHT],
    ['alter table app_public.groups add constraint c check (false) not valid', NO_RIGHT],
    ['create index on app_public.groups (name)', NO_RIGHT],
    ['create statistics app_public.s on name, id from app_public.groups', NO_RIGHT],
    ['comment on table app_public.groups is null', NO_RIGHT],
    ['security label on table app_public.groups is null', [NO_RIGHT, '22023']],
    ['alter table app_public.groups no force row level security', NO_RIGHT],
    ['alter table app_public.groups disable trigger all', NO_RIGHT],
  ],
  'files, programs and other servers': [
    ["select pg_read_file('postgresql.conf')", NO_RIGHT],
    ["select pg_read_binary_file('PG_VERSION')", NO_RIGHT],
    ["select pg_ls_dir('.')", NO_RIGHT],
    ['select * from pg_ls_waldir()', NO_RIGHT],
    ['select * from pg_ls_logdir()', NO_RIGHT],
    ['select pg_current_logfile()', NO_RIGHT],
    ["select pg_stat_file('PG_VERSION')", NO_RIGHT],
    ["copy (select 1) to program 'true'", NO_RIGHT],
    ["copy (select 1) to '/dev/null'", NO_RIGHT],
    ["create temp table t (x text); copy t from program 'true'", NO_RIGHT],
    ["create temp table t (x text); copy t from '/etc/passwd'", NO_RIGHT],
    ["select lo_import('/etc/passwd')", NO_RIGHT],
    ["select lo_export(1, '/dev/null')", NO_RIGHT],
    ['create extension dblink', NO_RIGHT],
    ['create extension file_fdw', NO_RIGHT],
    ['create extension adminpack', [NO_RIGHT, '0A000']],
    ['create server s foreign data wrapper postgres_fdw', '42704'],
    ['create foreign data wrapper mine', NO_RIGHT],
    ["create subscription s connection 'host=127.0.0.1' publication p", NO_RIGHT],
    ['create publication p for table app_public.groups', NO_RIGHT],
    ["load '/tmp/nothing.so'", NO_RIGHT],
    ["create function pg_temp.c() returns int language c as '/tmp/nothing.so'", NO_RIGHT],
    ['create language plperlu', [NO_RIGHT, '0A000']],
    ['alter system set work_mem = 64', NO_RIGHT],
    ['select pg_reload_conf()', NO_RIGHT],
    ['select pg_rotate_logfile()', NO_RIGHT],
    ['set log_statement = none', NO_RIGHT],
    ["set session_preload_libraries = 'x'", NO_RIGHT],
    ["set local_preload_libraries = 'x'", ['55P02', 'nothing']],
    ['set zero_damaged_pages = on', NO_RIGHT],
    ['set ignore_system_indexes = on', '55P02'],
    ['set allow_system_table_mods = on', NO_RIGHT],
    ['show hba_file', NO_RIGHT],
    ['show data_directory', NO_RIGHT],
    ['select * from pg_hba_file_rules', NO_RIGHT],
    ['select * from pg_file_settings', NO_RIGHT],
  ],
  'replication and the log of writes': [
    ["select pg_create_logical_replication_slot('s', 'pgoutput')", NO_RIGHT],
    ["select pg_create_physical_replication_slot('s')", NO_RIGHT],
    ["select pg_logical_slot_peek_changes('s', null, null)", NO_RIGHT],
    ["select pg_logical_emit_message(true, 'x', 'y')", 'nothing'],
    ["select pg_drop_replication_slot('s')", NO_RIGHT],
    ["select pg_replication_origin_create('o')", NO_RIGHT],
    ['select pg_switch_wal()', NO_RIGHT],
    ["select pg_create_restore_point('p')", NO_RIGHT],
    ["select pg_backup_start('b')", NO_RIGHT],
    ['select pg_promote()', NO_RIGHT],
    ['select pg_export_snapshot()', 'nothing'],
  ],
  'the catalogue': [
    ['select * from pg_authid', NO_RIGHT],
    ['select * from pg_shadow', NO_RIGHT],
    ['select * from pg_statistic', NO_RIGHT],
    ['select * from pg_statistic_ext_data', NO_RIGHT],
    ['select * from pg_user_mapping', NO_RIGHT],
    ['select * from pg_largeobject', NO_RIGHT],
    ['select subconninfo from pg_subscription', NO_RIGHT],
    ['select * from pg_stats', 'nothing'],
    ['select * from pg_stats_ext', 'nothing'],
    ['select * from pg_stats_ext_exprs', 'nothing'],
    ['select * from pg_stat_activity', 'nothing'],
    ['select * from pg_stat_get_activity(null)', 'nothing'],
    ['select * from pg_prepared_xacts', 'nothing'],
    ['select * from pg_cursors', 'nothing'],
    ['select * from pg_settings', 'nothing'],
    ['select prosrc from pg_proc', 'nothing'],
    ['select * from pg_roles', 'nothing'],
    ['select * from pg_locks', 'nothing'],
    [
      "update pg_class set relrowsecurity = false where oid = 'app_public.groups'::regclass",
      NO_RIGHT,
    ],
    ['delete from pg_policy', NO_RIGHT],
    ["update pg_settings set setting = 'bursar_owner' where name = 'role'", [NO_RIGHT, 'nothing']],
    [
      "do $$ begin execute format('select * from pg_toast.%I', (select relname from pg_class where oid = (select reltoastrelid from pg_class where relname = 'groups' and relkind = 'r'))); end $$",
      NO_RIGHT,
    ],
    ['select pg_stat_reset()', NO_RIGHT],
    ['select pg_log_backend_memory_contexts(pg_backend_pid())', NO_RIGHT],
    ['select lastval()', '55000'],
  ],
  'locks and messages': [
    ['begin; lock table app_private.authenticators in access share mode', NO_RIGHT],
    ['begin; lock table app_public.ai_usage_events in row exclusive mode', NO_RIGHT],
    ['begin; lock table app_public.features in access share mode', [NO_RIGHT, 'nothing']],
    ["select pg_notify('bursar_features', 'ai_bridge on')", 'nothing'],
    ['listen bursar_features', 'nothing'],
    ["select pg_try_advisory_lock(hashtext('bursar migrate'))", 'nothing'],
  ],
  'tables, by other ways than select': [
    ['copy app_public.groups to stdout', [NO_RIGHT, 'nothing']],
    ['copy app_private.past_memberships to stdout', NO_RIGHT],
    ['truncate app_public.groups cascade', NO_RIGHT],
    ['create temp table mine (id uuid references app_public.groups)', [NO_RIGHT, '42P16']],
    ['create temp table mine () inherits (app_public.groups)', NO_RIGHT],
    ['create temp table mine (like app_public.groups including all)', [NO_RIGHT, 'nothing']],
    ['vacuum app_public.groups', [NO_RIGHT, 'nothing']],
    ['analyze verbose app_public.groups', [NO_RIGHT, 'nothing']],
    ['cluster app_public.groups using group_id_is_taken_once', NO_RIGHT],
    ['reindex table app_public.groups', NO_RIGHT],
    ['refresh materialized view app_public.groups', NO_RIGHT],
    ['set row_security = off; select * from app_public.groups', NO_RIGHT],
    [
      'create trigger t after insert on app_public.groups for each row execute function suppress_redundant_updates_trigger()',
      NO_RIGHT,
    ],
    ['set session_replication_role = replica', NO_RIGHT],
    ["select pg_relation_filepath('app_public.groups')", [NO_RIGHT, 'nothing']],
    ["select pg_prewarm('app_public.groups')", '42883'],
    ["select * from page_header(get_raw_page('app_public.groups', 0))", '42883'],
  ],
};

const tried = new Map<Intruder, number>();

describe('nobody gets anywhere by', () => {
  test.each(Object.entries(SUBJECTS))('%s', async (_subject, powers) => {
    const surprises: string[] = [];
    for (const [statements, expected] of powers) {
      for (const who of INTRUDERS) {
        const answer = await lair.attack(who, statements);
        const what = `${statements} as ${who}`;
        expectNoSecret(lair, answer, statements, what);
        const code = answer.code === 'ok' ? 'nothing' : answer.code;
        if (![expected].flat().includes(code))
          surprises.push(`${what}: ${code} ${answer.text.slice(0, 150)}`);
        tried.set(who, (tried.get(who) ?? 0) + 1);
      }
    }
    expect(surprises).toEqual([]);
  });

  test('how many attacks that was', ({ task }) => {
    const subjects = Object.entries(SUBJECTS).map(([name, powers]) => `${name} ${powers.length}`);
    task.meta.figures = [
      `${[...tried.values()].reduce((sum, n) => sum + n, 0)} attempts at what PostgreSQL offers beside tables, by ${tried.size} kinds of session (${subjects.join(', ')}, each by each): all refused, or without a value of others`,
    ];
  });
});
