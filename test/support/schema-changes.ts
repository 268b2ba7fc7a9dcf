const odd = 'app_public."Odd ""Table"""';

/** What changes, how, and a line of the dump that comes (+) or goes (-) with it. */
export type Change = readonly [what: string, sql: string, shows: string];

/**
 * A change of every kind to the schema of everything. Those under one heading are made one after another; those under
 * different headings do not meet.
 */
export const CHANGES: Readonly<Record<string, readonly Change[]>> = {
  schemas: [
    [
      'a grant on a schema',
      'grant usage on schema app_private to bursar_user',
      '+ grant usage on schema app_private to bursar_user;',
    ],
    [
      'a comment on a schema',
      `comment on schema app_hidden is 'Hidden.'`,
      `+ comment on schema app_hidden is 'Hidden.';`,
    ],
    [
      'an extension',
      'create extension citext with schema app_hidden',
      '+ create extension if not exists citext with schema app_hidden;',
    ],
    [
      'default privileges',
      'alter default privileges revoke select on tables from bursar_user',
      '- alter default privileges grant select on tables to bursar_user;',
    ],
    [
      'default privileges in a schema',
      'alter default privileges in schema app_hidden grant usage on sequences to public',
      '+ alter default privileges in schema app_hidden grant usage on sequences to public;',
    ],
    [
      'default privileges of everybody in a schema',
      'alter default privileges in schema app_hidden grant execute on functions to public',
      '+ alter default privileges in schema app_hidden grant execute on functions to public;',
    ],
  ],
  types: [
    [
      'a label of an enum',
      `alter type app_public."Mood" add value 'last'`,
      `+ create type app_public."Mood" as enum ('fine', 'it''s "so-so"', 'between', E'back\\\\slash', 'last');`,
    ],
    [
      'the name of a label',
      `alter type app_public."Mood" rename value 'last' to 'very last'`,
      `+ create type app_public."Mood" as enum ('fine', 'it''s "so-so"', 'between', E'back\\\\slash', 'very last');`,
    ],
    [
      'an attribute of a composite type',
      'alter type app_public.pair add attribute third uuid',
      '+ create type app_public.pair as (first integer, "Second" text collate pg_catalog."C", third uuid);',
    ],
    [
      'a composite type',
      'create type app_hidden.lone as (note text)',
      '+ create type app_hidden.lone as (note text);',
    ],
    [
      'the type of an attribute',
      'alter type app_hidden.lone alter attribute note type varchar',
      '+ create type app_hidden.lone as (note varchar);',
    ],
    [
      'the collation of an attribute',
      'alter type app_hidden.lone alter attribute note type varchar collate "C"',
      '+ create type app_hidden.lone as (note varchar collate pg_catalog."C");',
    ],
    [
      'a comment on an attribute',
      `comment on column app_public.pair.first is 'One.'`,
      `+ comment on column app_public.pair.first is 'One.';`,
    ],
    [
      'a grant on a type',
      'grant usage on type app_public.pair to bursar_user',
      '+ grant usage on type app_public.pair to bursar_user;',
    ],
    [
      'a comment on a type',
      `comment on type app_public.words is 'Words.'`,
      `+ comment on type app_public.words is 'Words.';`,
    ],
    ['the default of a domain', 'alter domain app_public.positive set default 2', '+ default 2'],
    [
      'a constraint of a domain',
      'alter domain app_public.positive add constraint small check (value < 2000)',
      '+ constraint positive_is_positive check (value > 0)',
    ],
    [
      'whether a domain is not null',
      'alter domain app_public.even set not null',
      '+ create domain app_public.even as integer',
    ],
    [
      'the validity of a constraint of a domain',
      'alter domain app_public.code validate constraint code_is_short',
      '+ create domain app_public.code as varchar(8) collate pg_catalog."C"',
    ],
    [
      'a comment on a constraint of a domain',
      `comment on constraint small on domain app_public.positive is 'Small.'`,
      `+ comment on constraint small on domain app_public.positive is 'Small.';`,
    ],
    [
      'the name of a type',
      'alter type app_public.stretch rename to distance',
      '+ create type app_public.distance as range (',
    ],
    [
      'the schema of a type',
      'alter type app_public.words set schema app_hidden',
      '+ create type app_hidden.words as range (',
    ],
    [
      'the name of a multirange',
      'alter type app_public.many_words rename to lots_of_words',
      '+ multirange_type_name = app_public.lots_of_words',
    ],
  ],
  functions: [
    [
      'the body of a function',
      `create or replace function app_hidden.joined(state text, next text) returns text
     language sql immutable as $$ select next || state $$`,
      '+ as $$ select next || state $$;',
    ],
    [
      'the name of an argument',
      `drop function app_hidden.as_table; create function app_hidden.as_table(m integer)
     returns table (number integer, "The Word" text) language sql as $$ select m, 'x' $$`,
      '+ create function app_hidden.as_table(m integer) returns table (number integer, "The Word" text)',
    ],
    [
      'a default of an argument',
      `create or replace function app_public.twice(words text, times integer default 3, "And So" text default '')
     returns text language sql stable cost 7 as 'select repeat(words, times)'`,
      `+ create function app_public.twice(words text, times integer default 3, "And So" text default ''::text)`,
    ],
    [
      'the volatility of a function',
      'alter function app_hidden.trigger_of_all() stable',
      '+ language plpgsql stable security invoker',
    ],
    [
      'the security of a function',
      'alter function app_hidden.trigger_of_all() security definer',
      '+ language plpgsql stable security definer',
    ],
    [
      'the strictness of a function',
      'alter function app_hidden.trigger_of_all() strict',
      '+ language plpgsql stable strict security definer',
    ],
    [
      'the parallel safety of a function',
      'alter function app_hidden.trigger_of_all() parallel safe',
      '+ language plpgsql stable strict security definer parallel safe',
    ],
    [
      'the cost of a function',
      'alter function app_hidden.trigger_of_all() cost 3',
      '+ language plpgsql stable strict security definer parallel safe cost 3',
    ],
    [
      'the rows of a function',
      'alter function app_hidden.nowhere(text[]) rows 8',
      '+ language sql volatile security invoker parallel restricted rows 8',
    ],
    [
      'the search path of a function',
      'alter function app_hidden.trigger_of_all() set search_path to pg_catalog, pg_temp',
      '+ set search_path to pg_catalog, pg_temp',
    ],
    [
      'the order in a search path',
      'alter function app_hidden.trigger_of_all() set search_path to pg_temp, pg_catalog',
      '+ set search_path to pg_temp, pg_catalog',
    ],
    [
      'a setting of a function',
      `alter function app_hidden.trigger_of_all() set statement_timeout to '9s'`,
      `+ set statement_timeout to '9s'`,
    ],
    [
      'a setting of a procedure',
      `alter procedure app_private.do_it(integer) set statement_timeout to '8s'`,
      `+ set statement_timeout to '8s'`,
    ],
    [
      'a grant on a function',
      'grant execute on function app_hidden.trigger_of_all() to bursar_user',
      '+ grant execute on function app_hidden.trigger_of_all() to bursar_user;',
    ],
    [
      'a grant option',
      'grant execute on function app_hidden.trigger_of_all() to bursar_user with grant option',
      '+ grant execute on function app_hidden.trigger_of_all() to bursar_user with grant option;',
    ],
    [
      'a grant to everybody',
      'grant execute on function app_hidden.trigger_of_all() to public',
      '- revoke all on function app_hidden.trigger_of_all() from public;',
    ],
    [
      'a revocation from the owner',
      'revoke execute on function app_hidden.trigger_of_all() from current_user',
      '+ revoke all on function app_hidden.trigger_of_all() from current_user;',
    ],
    [
      'a comment on a function',
      `comment on function app_hidden.trigger_of_all() is 'Trigger.'`,
      `+ comment on function app_hidden.trigger_of_all() is 'Trigger.';`,
    ],
    [
      'the body of a procedure',
      `create or replace procedure app_private.do_it(inout n integer default 3)
     language plpgsql as $$ begin n := n + 2; end $$`,
      '+ as $$ begin n := n + 2; end $$;',
    ],
    [
      'an SQL body',
      'create or replace function app_public.twice(n integer) returns integer language sql immutable strict parallel safe return n + n',
      '+ return (n + n);',
    ],
    [
      'an aggregate',
      'create aggregate app_public.total (numeric) (sfunc = numeric_add, stype = numeric)',
      '+ create aggregate app_public.total(numeric) (sfunc = numeric_add, stype = numeric);',
    ],
    [
      'the start of an aggregate',
      `create or replace aggregate app_public.total (numeric) (
     sfunc = numeric_add, stype = numeric, initcond = '1')`,
      `+ create aggregate app_public.total(numeric) (sfunc = numeric_add, stype = numeric, initcond = '1');`,
    ],
    [
      'a comment on an aggregate',
      `comment on aggregate app_public.total(numeric) is 'Adds.'`,
      `+ comment on aggregate app_public.total(numeric) is 'Adds.';`,
    ],
  ],
  sequences: [
    [
      'the increment of a sequence',
      'alter sequence app_public.numbers increment by -3',
      '+ create sequence app_public.numbers as smallint increment by -3 minvalue -100 maxvalue 7 start with 5 cache 3 cycle;',
    ],
    [
      'the cycle of a sequence',
      'alter sequence app_public.numbers no cycle',
      '+ create sequence app_public.numbers as smallint increment by -3 minvalue -100 maxvalue 7 start with 5 cache 3;',
    ],
    [
      'the type of a sequence',
      'alter sequence app_private.lost_at_a_crash as integer',
      '+ create unlogged sequence app_private.lost_at_a_crash as integer;',
    ],
    [
      'whether a sequence is logged',
      'alter sequence app_private.lost_at_a_crash set logged',
      '+ create sequence app_private.lost_at_a_crash as integer;',
    ],
    [
      'to which column a sequence goes',
      'alter sequence app_private.owned owned by none',
      '- alter sequence app_private.owned owned by app_private.mother.id;',
    ],
    [
      'a grant on a sequence',
      'grant select on sequence app_private.owned to bursar_user',
      '+ grant select on sequence app_private.owned to bursar_user;',
    ],
    [
      'a comment on a sequence',
      `comment on sequence app_private.owned is 'Owned.'`,
      `+ comment on sequence app_private.owned is 'Owned.';`,
    ],
    [
      'an option of an identity',
      `alter table ${odd} alter column "Select" set maxvalue 99999`,
      '+ "Select" integer not null generated always as identity (increment by 5 maxvalue 99999 start with 10),',
    ],
    [
      'the kind of an identity',
      `alter table ${odd} alter column "Select" set generated by default`,
      '+ "Select" integer not null generated by default as identity (increment by 5 maxvalue 99999 start with 10),',
    ],
    [
      'a comment on the sequence of an identity',
      `comment on sequence app_private.scratch_numbers is 'Made along.'`,
      `+ comment on sequence app_private.scratch_numbers is 'Made along.';`,
    ],
  ],
  columns: [
    ['a column', 'alter table app_private.left_side add column extra integer', '+ extra integer,'],
    [
      'the type of a column',
      'alter table app_private.left_side alter column extra type bigint',
      '+ extra bigint,',
    ],
    [
      'the name of a column',
      'alter table app_private.left_side rename column extra to "Extra"',
      '+ "Extra" bigint,',
    ],
    [
      'a default',
      'alter table app_private.left_side alter column "Extra" set default 3',
      '+ "Extra" bigint default 3,',
    ],
    [
      'not null',
      'alter table app_private.left_side alter column "Extra" set not null',
      '+ "Extra" bigint not null default 3,',
    ],
    [
      'the name of not null',
      'alter table app_private.left_side rename constraint "left_side_Extra_not_null" to extra_is_given',
      '+ "Extra" bigint constraint extra_is_given not null default 3,',
    ],
    [
      'the collation of a column',
      'alter table app_private.left_side alter column "Extra" type text collate "POSIX"',
      '+ "Extra" text collate pg_catalog."POSIX" constraint extra_is_given not null default 3,',
    ],
    [
      'the storage of a column',
      `alter table ${odd} alter column "naïve ’ column" set storage main`,
      '+ alter table app_public."Odd ""Table""" alter column "naïve ’ column" set storage main;',
    ],
    [
      'the compression of a column',
      `alter table ${odd} alter column "naïve ’ column" set compression default`,
      '- alter table app_public."Odd ""Table""" alter column "naïve ’ column" set compression pglz;',
    ],
    [
      'the statistics of a column',
      `alter table ${odd} alter column at set statistics 12`,
      '+ alter table app_public."Odd ""Table""" alter column at set statistics 12;',
    ],
    [
      'an option of a column',
      `alter table ${odd} alter column at set (n_distinct = 5)`,
      '+ alter table app_public."Odd ""Table""" alter column at set (n_distinct = 5);',
    ],
    [
      'a generated column',
      `alter table ${odd} alter column doubled set expression as (amount * 3)`,
      '+ doubled bigint generated always as (amount::bigint * 3) stored,',
    ],
    [
      'whether it is generated',
      `alter table ${odd} alter column doubled drop expression`,
      '+ doubled bigint,',
    ],
    ['a grant on a column', `grant references (at) on ${odd} to bursar_user`, '+ grant'],
    [
      'a comment on a column',
      `comment on column ${odd}.at is 'When.'`,
      `+ comment on column app_public."Odd ""Table""".at is 'When.';`,
    ],
    [
      'the default of a partition',
      'alter table app_private.whole_rest alter column amount set default 8',
      '+ alter table app_private.whole_rest alter column amount set default 8;',
    ],
    [
      'not null of a partition',
      'alter table app_private.whole_rest alter column amount set not null',
      '+ alter table app_private.whole_rest alter column amount set not null;',
    ],
  ],
  tables: [
    [
      'a table',
      'create table app_hidden.one_more ()',
      '+ -- app_hidden.one_more -----------------------------------------------------------------------------',
    ],
    [
      'the name of a table',
      'alter table app_hidden.one_more rename to yet_one_more',
      '+ -- app_hidden.yet_one_more -------------------------------------------------------------------------',
    ],
    [
      'the schema of a table',
      'alter table app_hidden.yet_one_more set schema app_private',
      '+ -- app_private.yet_one_more ------------------------------------------------------------------------',
    ],
    [
      'whether a table is logged',
      'alter table app_private.scratch set logged',
      '+ create table app_private.scratch (',
    ],
    [
      'a storage parameter',
      `alter table ${odd} set (fillfactor = 71)`,
      '+ ) with (autovacuum_enabled = false, fillfactor = 71);',
    ],
    [
      'a storage parameter of its TOAST table',
      `alter table ${odd} set (toast.vacuum_truncate = false)`,
      '+ alter table app_public."Odd ""Table""" set (toast.autovacuum_enabled = false, toast.vacuum_truncate = false);',
    ],
    [
      'replica identity',
      `alter table ${odd} replica identity using index "odd key"`,
      '+ alter table app_public."Odd ""Table""" replica identity using index "odd key";',
    ],
    [
      'clustering',
      `alter table ${odd} set without cluster`,
      '- alter table app_public."Odd ""Table""" cluster on "Odd Index";',
    ],
    [
      'inheritance',
      'alter table app_private.daughter no inherit app_private.mother',
      '+ id integer default app_private.mothers(),',
    ],
    [
      'a partition',
      'alter table app_public.whole detach partition app_private.whole_old',
      '+ constraint whole_old_pkey primary key (happened, region, id),',
    ],
    [
      'the bounds of a partition',
      `alter table app_public.whole attach partition app_private.whole_old
     for values from (minvalue) to ('2021-01-01')`,
      '+ alter table app_public.whole attach partition app_private.whole_old',
    ],
    [
      'row security',
      `alter table ${odd} disable row level security`,
      '- alter table app_public."Odd ""Table""" enable row level security;',
    ],
    [
      'forced row security',
      `alter table ${odd} no force row level security`,
      '- alter table app_public."Odd ""Table""" force row level security;',
    ],
    [
      'row security of a partition',
      'alter table app_private.whole_rest enable row level security',
      '+ alter table app_private.whole_rest enable row level security;',
    ],
    [
      'a grant on a table',
      `grant truncate on ${odd} to bursar_user`,
      '+ grant select, delete, truncate on app_public."Odd ""Table""" to bursar_user;',
    ],
    [
      'a revocation',
      `revoke select on ${odd} from bursar_user`,
      '+ grant delete, truncate on app_public."Odd ""Table""" to bursar_user;',
    ],
    [
      'a comment on a table',
      `comment on table app_public.whole is 'The whole.'`,
      `+ comment on table app_public.whole is 'The whole.';`,
    ],
  ],
  constraints: [
    [
      'a check',
      'alter table app_private.left_side add constraint is_small check (id < 9)',
      '+ constraint left_side_pkey primary key (id),',
    ],
    [
      'the name of a constraint',
      'alter table app_private.left_side rename constraint is_small to id_is_small',
      '+ constraint id_is_small check (id < 9)',
    ],
    [
      'the validity of a constraint',
      'alter table app_private.left_side validate constraint right_id_is_positive',
      '+ constraint id_is_small check (id < 9),',
    ],
    [
      'whether a constraint is deferred',
      'alter table app_private.left_side alter constraint right_is_there initially deferred',
      '+ references app_private.right_side (id, left_id) match full on update cascade deferrable initially deferred;',
    ],
    [
      'whether a constraint is enforced',
      'alter table app_private.left_side alter constraint right_is_there not enforced',
      '+ references app_private.right_side (id, left_id) match full on update cascade deferrable initially deferred not enforced;',
    ],
    [
      'what a foreign key does',
      `alter table app_private.right_side drop constraint left_is_there,
     add constraint left_is_there foreign key (left_id) references app_private.left_side on delete set default`,
      '+ add constraint left_is_there foreign key (left_id) references app_private.left_side (id) on delete set default;',
    ],
    [
      'a unique constraint',
      'alter table app_private.left_side add constraint right_once unique (right_id)',
      '+ constraint right_once unique (right_id),',
    ],
    [
      'nulls not distinct',
      `alter table app_private.left_side drop constraint right_once,
     add constraint right_once unique nulls not distinct (right_id)`,
      '+ constraint right_once unique nulls not distinct (right_id),',
    ],
    [
      'included columns',
      `alter table app_private.left_side drop constraint right_once,
     add constraint right_once unique nulls not distinct (right_id) include (id)`,
      '+ constraint right_once unique nulls not distinct (right_id) include (id),',
    ],
    [
      `a parameter of a constraint's index`,
      'alter index app_private.right_once set (fillfactor = 50)',
      '+ alter index app_private.right_once set (fillfactor = 50);',
    ],
    [
      'an exclusion constraint',
      'alter table app_private.left_side add constraint not_the_same exclude using gist (id with =, right_id with <>)',
      '+ constraint not_the_same exclude using gist (id with =, right_id with <>),',
    ],
    [
      'a comment on a constraint',
      `comment on constraint right_once on app_private.left_side is 'Once.'`,
      `+ comment on constraint right_once on app_private.left_side is 'Once.';`,
    ],
    [
      'a check of a partition',
      'alter table app_private.whole_rest add constraint rest_is_small check (id < 99)',
      '+ constraint rest_is_small check (id < 99)',
    ],
  ],
  'indexes and statistics': [
    [
      'an index',
      `create index by_parent on ${odd} (parent)`,
      '+ create index by_parent on app_public."Odd ""Table""" (parent);',
    ],
    [
      'the order of an index',
      `drop index app_public.by_parent; create index by_parent on ${odd} (parent desc)`,
      '+ create index by_parent on app_public."Odd ""Table""" (parent desc);',
    ],
    [
      'the predicate of an index',
      `drop index app_public.by_parent; create index by_parent on ${odd} (parent desc) where mood = 'fine'`,
      `+ create index by_parent on app_public."Odd ""Table""" (parent desc) where mood = 'fine'::app_public."Mood";`,
    ],
    [
      'the method of an index',
      `drop index app_public.by_parent; create index by_parent on ${odd} using hash (parent)`,
      '+ create index by_parent on app_public."Odd ""Table""" using hash (parent);',
    ],
    [
      'a parameter of an index',
      'alter index app_public.by_parent set (fillfactor = 51)',
      `+ create index by_parent on app_public."Odd ""Table""" using hash (parent) with (fillfactor='51');`,
    ],
    [
      'a comment on an index',
      `comment on index app_public.by_parent is 'By parent.'`,
      `+ comment on index app_public.by_parent is 'By parent.';`,
    ],
    [
      'the statistics of an index',
      'alter index app_public.odd_ones_by_mood alter column 2 set statistics 45',
      '+ alter index app_public.odd_ones_by_mood alter column 2 set statistics 45;',
    ],
    [
      'an index of a partition alone',
      'create index rest_alone on app_private.whole_rest (region)',
      '+ create index rest_alone on app_private.whole_rest (region);',
    ],
    [
      'extended statistics',
      `create statistics app_public.more on amount, at from ${odd}`,
      '+ create statistics app_public.more on amount, at from app_public."Odd ""Table""";',
    ],
    [
      'the target of statistics',
      'alter statistics app_public.more set statistics 7',
      '+ alter statistics app_public.more set statistics 7;',
    ],
    [
      'a comment on statistics',
      `comment on statistics app_public.more is 'More.'`,
      `+ comment on statistics app_public.more is 'More.';`,
    ],
  ],
  policies: [
    [
      'the condition of a policy',
      `alter policy but_not_these on ${odd} using (amount > 2)`,
      '+ using (amount::bigint > 2)',
    ],
    [
      'what a policy checks',
      `alter policy but_not_these on ${odd} with check (amount > 3)`,
      '+ with check (amount::bigint > 3);',
    ],
    [
      'the roles of a policy',
      `alter policy but_not_these on ${odd} to bursar_user, bursar_authenticator`,
      '+ for all to bursar_authenticator, bursar_user',
    ],
    [
      'the name of a policy',
      `alter policy but_not_these on ${odd} rename to "But not these"`,
      '+ create policy "But not these" on app_public."Odd ""Table"""',
    ],
    [
      'the command of a policy',
      `drop policy "But not these" on ${odd}; create policy "But not these" on ${odd} as restrictive
     for update to bursar_user, bursar_authenticator using (amount > 2) with check (amount > 3)`,
      '+ for update to bursar_authenticator, bursar_user',
    ],
    [
      'whether a policy restricts',
      `drop policy "But not these" on ${odd}; create policy "But not these" on ${odd}
     for update to bursar_user, bursar_authenticator using (amount > 2) with check (amount > 3)`,
      '- as restrictive',
    ],
    [
      'a comment on a policy',
      `comment on policy "But not these" on ${odd} is 'Not these.'`,
      `+ comment on policy "But not these" on app_public."Odd ""Table""" is 'Not these.';`,
    ],
  ],
  'triggers and rules': [
    [
      'a trigger',
      `create trigger z after insert on ${odd} execute function app_hidden.trigger_of_all()`,
      '+ create trigger z after insert on app_public."Odd ""Table"""',
    ],
    [
      'when a trigger fires',
      `create or replace trigger z before insert on ${odd} execute function app_hidden.trigger_of_all()`,
      '+ create trigger z before insert on app_public."Odd ""Table"""',
    ],
    [
      'an argument of a trigger',
      `create or replace trigger z before insert on ${odd} execute function app_hidden.trigger_of_all('Z')`,
      `+ for each statement execute function app_hidden.trigger_of_all('Z');`,
    ],
    [
      'whether a trigger is enabled',
      `alter table ${odd} disable trigger z`,
      '+ alter table app_public."Odd ""Table""" disable trigger z;',
    ],
    [
      'whether a trigger is always enabled',
      `alter table ${odd} enable always trigger z`,
      '+ alter table app_public."Odd ""Table""" enable always trigger z;',
    ],
    [
      'the name of a trigger',
      `alter trigger z on ${odd} rename to zz`,
      '+ create trigger zz before insert on app_public."Odd ""Table"""',
    ],
    [
      'a comment on a trigger',
      `comment on trigger zz on ${odd} is 'Last.'`,
      `+ comment on trigger zz on app_public."Odd ""Table""" is 'Last.';`,
    ],
    [
      'a trigger of a partition',
      'alter table app_private.whole_new disable trigger of_parts',
      '+ alter table app_private.whole_new disable trigger of_parts;',
    ],
    [
      'a rule',
      'create or replace rule "No deletes" as on delete to app_private.scratch where old.number > 3 do instead nothing',
      '+ on delete to app_private.scratch',
    ],
    [
      'whether a rule is enabled',
      'alter table app_private.scratch enable always rule also_note',
      '+ alter table app_private.scratch enable always rule also_note;',
    ],
    [
      'a comment on a rule',
      `comment on rule also_note on app_private.scratch is 'Notes.'`,
      `+ comment on rule also_note on app_private.scratch is 'Notes.';`,
    ],
  ],
  views: [
    [
      'the query of a view',
      `create or replace view app_public.fewer as select * from app_public.few where name <> 'x'`,
      `+ where name <> 'x'::text;`,
    ],
    [
      'an option of a view',
      'alter view app_public.fewer set (security_invoker = true)',
      '+ create view app_public.fewer with (security_invoker = true) as',
    ],
    [
      'the check option of a view',
      'alter view app_public.few set (check_option = local)',
      '+ create view app_public.few with (check_option = local, security_barrier = true) as',
    ],
    [
      'a column of a view',
      'alter view app_public.fewer rename column name to "Name"',
      '+ name as "Name",',
    ],
    [
      'a default of a view',
      `alter view app_public.few alter column name set default 'x'`,
      `+ alter table app_public.few alter column name set default 'x'::text;`,
    ],
    [
      'a grant on a view',
      'grant insert on app_public.few to bursar_user',
      '+ grant select, insert on app_public.few to bursar_user;',
    ],
    [
      'a comment on a view',
      `comment on view app_public.fewer is 'Fewer.'`,
      `+ comment on view app_public.fewer is 'Fewer.';`,
    ],
    [
      'a comment on a column of a view',
      `comment on column app_public.fewer."Name" is 'Name.'`,
      `+ comment on column app_public.fewer."Name" is 'Name.';`,
    ],
    [
      'an index of a materialized view',
      'create index kept_by_amount on app_private.kept (amount)',
      '+ create index kept_by_amount on app_private.kept (amount);',
    ],
    [
      'the statistics of a materialized view',
      'alter materialized view app_private.kept alter column amount set statistics 5',
      '+ alter table app_private.kept alter column amount set statistics 5;',
    ],
    [
      'whether a materialized view is filled',
      'refresh materialized view app_private.unfilled',
      '+ from app_private.kept;',
    ],
  ],
};

/** What only a superuser may do, so that the owner can't run the dump. */
export const CHANGES_OF_SUPERUSER: readonly Change[] = [
  [
    'whether a function is leakproof',
    'alter function app_hidden.trigger_of_all() leakproof',
    '+ language plpgsql stable leakproof strict security definer parallel safe cost 3',
  ],
  [
    'the owner of a schema',
    'alter schema app_hidden owner to bursar_user',
    '+ alter schema app_hidden owner to bursar_user;',
  ],
  [
    'the owner of a table',
    `alter table ${odd} owner to bursar_user`,
    '+ alter table app_public."Odd ""Table""" owner to bursar_user;',
  ],
  [
    'the owner of a view',
    'alter view app_public.fewer owner to bursar_user',
    '+ alter view app_public.fewer owner to bursar_user;',
  ],
  [
    'the owner of a function',
    'alter function app_hidden.trigger_of_all() owner to bursar_user',
    '+ alter function app_hidden.trigger_of_all() owner to bursar_user;',
  ],
  [
    'the owner of a type',
    'alter type app_public."Mood" owner to bursar_user',
    '+ alter type app_public."Mood" owner to bursar_user;',
  ],
  [
    'the owner of a sequence',
    'alter sequence app_public.numbers owner to bursar_user',
    '+ alter sequence app_public.numbers owner to bursar_user;',
  ],
  [
    'who granted',
    `set role bursar_authenticator; grant select (id) on ${odd} to bursar_user; reset role`,
    '+ set role bursar_authenticator;',
  ],
  [
    'the support of a function',
    'alter function app_hidden.nowhere(text[]) support array_unnest_support',
    '+ language sql volatile security invoker parallel restricted rows 8 support array_unnest_support',
  ],
];

/** What the dump can't write, and refuses. */
export const UNWRITTEN: readonly (readonly [what: string, sql: string])[] = [
  [
    'operator app_public.===(integer,integer)',
    'create operator app_public.=== (function = int4eq, leftarg = integer, rightarg = integer)',
  ],
  ['collation app_public.mine', 'create collation app_public.mine from "C"'],
  [
    'text search configuration app_public.mine',
    'create text search configuration app_public.mine (copy = simple)',
  ],
  ['cast from app_public.pair to text', 'create cast (app_public.pair as text) with inout'],
  ['table app_public.typed', 'create table app_public.typed of app_public.pair'],
  ['type app_public.shell', 'create type app_public.shell'],
];
