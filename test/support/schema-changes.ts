/**
 * One change of each kind to the schema of everything, each of which the dump must show. They are made one after
 * another; `as superuser` where the owner may not.
 */
const odd = 'app_public."Odd ""Table"""';

export const CHANGES: readonly (readonly [what: string, sql: string])[] = [
  // Schemas
  ['a grant on a schema', 'grant usage on schema app_private to bursar_user'],
  ['a comment on a schema', `comment on schema app_hidden is 'Hidden.'`],
  ['an extension', 'create extension citext with schema app_hidden'],
  ['default privileges', 'alter default privileges revoke select on tables from bursar_user'],
  [
    'default privileges in a schema',
    'alter default privileges in schema app_hidden grant usage on sequences to public',
  ],

  // Types
  ['a label of an enum', `alter type app_public."Mood" add value 'last'`],
  ['the name of a label', `alter type app_public."Mood" rename value 'last' to 'very last'`],
  ['an attribute of a composite type', 'alter type app_public.pair add attribute third uuid'],
  ['a composite type', 'create type app_hidden.lone as (note text)'],
  ['the type of an attribute', 'alter type app_hidden.lone alter attribute note type varchar'],
  [
    'the collation of an attribute',
    'alter type app_hidden.lone alter attribute note type varchar collate "C"',
  ],
  ['a comment on an attribute', `comment on column app_public.pair.first is 'One.'`],
  ['a grant on a type', 'grant usage on type app_public.pair to bursar_user'],
  ['a comment on a type', `comment on type app_public.words is 'Words.'`],
  ['the default of a domain', 'alter domain app_public.positive set default 2'],
  [
    'a constraint of a domain',
    'alter domain app_public.positive add constraint small check (value < 2000)',
  ],
  ['whether a domain is not null', 'alter domain app_public.even set not null'],
  [
    'the validity of a constraint of a domain',
    'alter domain app_public.code validate constraint code_is_short',
  ],
  [
    'a comment on a constraint of a domain',
    `comment on constraint small on domain app_public.positive is 'Small.'`,
  ],
  ['the name of a type', 'alter type app_public.stretch rename to distance'],
  ['the schema of a type', 'alter type app_public.words set schema app_hidden'],
  ['the name of a multirange', 'alter type app_public.many_words rename to lots_of_words'],

  // Functions
  [
    'the body of a function',
    `create or replace function app_hidden.joined(state text, next text) returns text
     language sql immutable as $$ select next || state $$`,
  ],
  [
    'the name of an argument',
    `drop function app_hidden.as_table; create function app_hidden.as_table(m integer)
     returns table (number integer, "The Word" text) language sql as $$ select m, 'x' $$`,
  ],
  [
    'a default of an argument',
    `create or replace function app_public.twice(words text, times integer default 3, "And So" text default '')
     returns text language sql stable cost 7 as 'select repeat(words, times)'`,
  ],
  ['the volatility of a function', 'alter function app_hidden.trigger_of_all() stable'],
  ['the security of a function', 'alter function app_hidden.trigger_of_all() security definer'],
  ['the strictness of a function', 'alter function app_hidden.trigger_of_all() strict'],
  ['the parallel safety of a function', 'alter function app_hidden.trigger_of_all() parallel safe'],
  ['the cost of a function', 'alter function app_hidden.trigger_of_all() cost 3'],
  ['the rows of a function', 'alter function app_hidden.nowhere(text[]) rows 8'],
  [
    'the search path of a function',
    'alter function app_hidden.trigger_of_all() set search_path to pg_catalog, pg_temp',
  ],
  [
    'the order in a search path',
    'alter function app_hidden.trigger_of_all() set search_path to pg_temp, pg_catalog',
  ],
  [
    'a setting of a function',
    `alter function app_hidden.trigger_of_all() set statement_timeout to '9s'`,
  ],
  [
    'a setting of a procedure',
    `alter procedure app_private.do_it(integer) set statement_timeout to '9s'`,
  ],
  ['a grant on a function', 'grant execute on function app_hidden.trigger_of_all() to bursar_user'],
  [
    'a grant option',
    'grant execute on function app_hidden.trigger_of_all() to bursar_user with grant option',
  ],
  ['a grant to everybody', 'grant execute on function app_hidden.trigger_of_all() to public'],
  [
    'a revocation from the owner',
    'revoke execute on function app_hidden.trigger_of_all() from current_user',
  ],
  ['a comment on a function', `comment on function app_hidden.trigger_of_all() is 'Trigger.'`],
  [
    'the body of a procedure',
    `create or replace procedure app_private.do_it(inout n integer default 3)
     language plpgsql as $$ begin n := n + 2; end $$`,
  ],
  [
    'an SQL body',
    'create or replace function app_public.twice(n integer) returns integer language sql immutable strict parallel safe return n + n',
  ],
  [
    'an aggregate',
    'create aggregate app_public.total (numeric) (sfunc = numeric_add, stype = numeric)',
  ],
  [
    'the start of an aggregate',
    `create or replace aggregate app_public.total (numeric) (
     sfunc = numeric_add, stype = numeric, initcond = '1')`,
  ],
  ['a comment on an aggregate', `comment on aggregate app_public.total(numeric) is 'Adds.'`],

  // Sequences
  ['the increment of a sequence', 'alter sequence app_public.numbers increment by -3'],
  ['the cycle of a sequence', 'alter sequence app_public.numbers no cycle'],
  ['the type of a sequence', 'alter sequence app_private.lost_at_a_crash as integer'],
  ['whether a sequence is logged', 'alter sequence app_private.lost_at_a_crash set logged'],
  ['to which column a sequence goes', 'alter sequence app_private.owned owned by none'],
  ['a grant on a sequence', 'grant select on sequence app_private.owned to bursar_user'],
  ['a comment on a sequence', `comment on sequence app_private.owned is 'Owned.'`],
  ['an option of an identity', `alter table ${odd} alter column "Select" set maxvalue 99999`],
  ['the kind of an identity', `alter table ${odd} alter column "Select" set generated by default`],
  [
    'a comment on the sequence of an identity',
    `comment on sequence app_private.scratch_numbers is 'Made along.'`,
  ],

  // Columns
  ['a column', 'alter table app_private.left_side add column extra integer'],
  ['the type of a column', 'alter table app_private.left_side alter column extra type bigint'],
  ['the name of a column', 'alter table app_private.left_side rename column extra to "Extra"'],
  ['a default', 'alter table app_private.left_side alter column "Extra" set default 3'],
  ['not null', 'alter table app_private.left_side alter column "Extra" set not null'],
  [
    'the name of not null',
    'alter table app_private.left_side rename constraint "left_side_Extra_not_null" to extra_is_given',
  ],
  [
    'the collation of a column',
    'alter table app_private.left_side alter column "Extra" type text collate "POSIX"',
  ],
  ['the storage of a column', `alter table ${odd} alter column "naïve ’ column" set storage main`],
  [
    'the compression of a column',
    `alter table ${odd} alter column "naïve ’ column" set compression default`,
  ],
  ['the statistics of a column', `alter table ${odd} alter column at set statistics 12`],
  ['an option of a column', `alter table ${odd} alter column at set (n_distinct = 5)`],
  ['a generated column', `alter table ${odd} alter column doubled set expression as (amount * 3)`],
  ['whether it is generated', `alter table ${odd} alter column doubled drop expression`],
  ['a grant on a column', `grant references (at) on ${odd} to bursar_user`],
  ['a comment on a column', `comment on column ${odd}.at is 'When.'`],
  [
    'the default of a partition',
    'alter table app_private.whole_rest alter column amount set default 8',
  ],
  [
    'not null of a partition',
    'alter table app_private.whole_rest alter column amount set not null',
  ],

  // Tables
  ['a table', 'create table app_hidden.one_more ()'],
  ['the name of a table', 'alter table app_hidden.one_more rename to yet_one_more'],
  ['the schema of a table', 'alter table app_hidden.yet_one_more set schema app_private'],
  ['whether a table is logged', 'alter table app_private.scratch set logged'],
  ['a storage parameter', `alter table ${odd} set (fillfactor = 71)`],
  [
    'a storage parameter of its TOAST table',
    `alter table ${odd} set (toast.vacuum_truncate = false)`,
  ],
  ['replica identity', `alter table ${odd} replica identity using index "odd key"`],
  ['clustering', `alter table ${odd} set without cluster`],
  ['inheritance', 'alter table app_private.daughter no inherit app_private.mother'],
  ['a partition', 'alter table app_public.whole detach partition app_private.whole_old'],
  [
    'the bounds of a partition',
    `alter table app_public.whole attach partition app_private.whole_old
     for values from (minvalue) to ('2021-01-01')`,
  ],
  ['row security', `alter table ${odd} disable row level security`],
  ['forced row security', `alter table ${odd} no force row level security`],
  ['row security of a partition', 'alter table app_private.whole_rest enable row level security'],
  ['a grant on a table', `grant truncate on ${odd} to bursar_user`],
  ['a revocation', `revoke select on ${odd} from bursar_user`],
  ['a comment on a table', `comment on table app_public.whole is 'The whole.'`],

  // Constraints
  ['a check', 'alter table app_private.left_side add constraint is_small check (id < 9)'],
  [
    'the name of a constraint',
    'alter table app_private.left_side rename constraint is_small to id_is_small',
  ],
  [
    'the validity of a constraint',
    'alter table app_private.left_side validate constraint right_id_is_positive',
  ],
  [
    'whether a constraint is deferred',
    'alter table app_private.left_side alter constraint right_is_there initially deferred',
  ],
  [
    'whether a constraint is enforced',
    'alter table app_private.left_side alter constraint right_is_there not enforced',
  ],
  [
    'what a foreign key does',
    `alter table app_private.right_side drop constraint left_is_there,
     add constraint left_is_there foreign key (left_id) references app_private.left_side on delete set default`,
  ],
  [
    'a unique constraint',
    `alter table app_private.left_side add constraint right_once unique (right_id)`,
  ],
  [
    'nulls not distinct',
    `alter table app_private.left_side drop constraint right_once,
     add constraint right_once unique nulls not distinct (right_id)`,
  ],
  [
    'included columns',
    `alter table app_private.left_side drop constraint right_once,
     add constraint right_once unique nulls not distinct (right_id) include (id)`,
  ],
  [
    "a parameter of a constraint's index",
    'alter index app_private.right_once set (fillfactor = 50)',
  ],
  [
    'an exclusion constraint',
    `alter table app_private.left_side add constraint not_the_same exclude using gist (id with =, right_id with <>)`,
  ],
  [
    'a comment on a constraint',
    `comment on constraint right_once on app_private.left_side is 'Once.'`,
  ],
  [
    'a check of a partition',
    'alter table app_private.whole_rest add constraint rest_is_small check (id < 99)',
  ],

  // Indexes and statistics
  ['an index', `create index by_parent on ${odd} (parent)`],
  [
    'the order of an index',
    `drop index app_public.by_parent; create index by_parent on ${odd} (parent desc)`.replaceAll(
      ' by_parent on',
      ' by_parent on',
    ),
  ],
  [
    'the predicate of an index',
    `drop index app_public.by_parent; create index by_parent on ${odd} (parent desc) where mood = 'fine'`,
  ],
  [
    'the method of an index',
    `drop index app_public.by_parent; create index by_parent on ${odd} using hash (parent)`,
  ],
  ['a parameter of an index', `alter index app_public.by_parent set (fillfactor = 51)`],
  ['a comment on an index', `comment on index app_public.by_parent is 'By parent.'`],
  [
    'the statistics of an index',
    'alter index app_public.odd_ones_by_mood alter column 2 set statistics 45',
  ],
  ['an index of a partition alone', 'create index rest_alone on app_private.whole_rest (region)'],
  ['extended statistics', `create statistics app_public.more on amount, at from ${odd}`],
  ['the target of statistics', 'alter statistics app_public.more set statistics 7'],
  ['a comment on statistics', `comment on statistics app_public.more is 'More.'`],

  // Policies
  ['the condition of a policy', `alter policy but_not_these on ${odd} using (amount > 2)`],
  ['what a policy checks', `alter policy but_not_these on ${odd} with check (amount > 3)`],
  [
    'the roles of a policy',
    `alter policy but_not_these on ${odd} to bursar_user, bursar_authenticator`,
  ],
  ['the name of a policy', `alter policy but_not_these on ${odd} rename to "But not these"`],
  [
    'the command of a policy',
    `drop policy "But not these" on ${odd}; create policy "But not these" on ${odd} as restrictive
     for update to bursar_user, bursar_authenticator using (amount > 2) with check (amount > 3)`,
  ],
  [
    'whether a policy restricts',
    `drop policy "But not these" on ${odd}; create policy "But not these" on ${odd}
     for update to bursar_user, bursar_authenticator using (amount > 2) with check (amount > 3)`,
  ],
  ['a comment on a policy', `comment on policy "But not these" on ${odd} is 'Not these.'`],

  // Triggers and rules
  [
    'a trigger',
    `create trigger z after insert on ${odd} execute function app_hidden.trigger_of_all()`,
  ],
  [
    'when a trigger fires',
    `create or replace trigger z before insert on ${odd} execute function app_hidden.trigger_of_all()`,
  ],
  [
    'an argument of a trigger',
    `create or replace trigger z before insert on ${odd} execute function app_hidden.trigger_of_all('Z')`,
  ],
  ['whether a trigger is enabled', `alter table ${odd} disable trigger z`],
  ['whether a trigger is always enabled', `alter table ${odd} enable always trigger z`],
  ['the name of a trigger', `alter trigger z on ${odd} rename to zz`],
  ['a comment on a trigger', `comment on trigger zz on ${odd} is 'Last.'`],
  ['a trigger of a partition', 'alter table app_private.whole_new disable trigger of_parts'],
  [
    'a rule',
    'create or replace rule "No deletes" as on delete to app_private.scratch where old.number > 3 do instead nothing',
  ],
  ['whether a rule is enabled', 'alter table app_private.scratch enable always rule also_note'],
  ['a comment on a rule', `comment on rule also_note on app_private.scratch is 'Notes.'`],

  // Views
  [
    'the query of a view',
    `create or replace view app_public.fewer as select * from app_public.few where name <> 'x'`,
  ],
  ['an option of a view', 'alter view app_public.fewer set (security_invoker = true)'],
  ['the check option of a view', 'alter view app_public.few set (check_option = local)'],
  ['a column of a view', 'alter view app_public.fewer rename column name to "Name"'],
  ['a default of a view', `alter view app_public.few alter column name set default 'x'`],
  ['a grant on a view', 'grant insert on app_public.few to bursar_user'],
  ['a comment on a view', `comment on view app_public.fewer is 'Fewer.'`],
  ['a comment on a column of a view', `comment on column app_public.fewer."Name" is 'Name.'`],
  ['an index of a materialized view', 'create index kept_by_amount on app_private.kept (amount)'],
  [
    'the statistics of a materialized view',
    'alter materialized view app_private.kept alter column amount set statistics 5',
  ],
  ['whether a materialized view is filled', 'refresh materialized view app_private.unfilled'],
];

/** What only a superuser may do, so that the owner can't run the dump. */
export const CHANGES_OF_SUPERUSER: readonly (readonly [what: string, sql: string])[] = [
  ['whether a function is leakproof', 'alter function app_hidden.trigger_of_all() leakproof'],
  ['the owner of a schema', 'alter schema app_hidden owner to bursar_user'],
  ['the owner of a table', `alter table ${odd} owner to bursar_user`],
  ['the owner of a view', 'alter view app_public.fewer owner to bursar_user'],
  ['the owner of a function', 'alter function app_hidden.trigger_of_all() owner to bursar_user'],
  ['the owner of a type', 'alter type app_public."Mood" owner to bursar_user'],
  ['the owner of a sequence', 'alter sequence app_public.numbers owner to bursar_user'],
  [
    'who granted',
    'set role bursar_authenticator; grant select (id) on app_public."Odd ""Table""" to bursar_user; reset role',
  ],
  [
    'the support of a function',
    'alter function app_hidden.nowhere(text[]) support array_unnest_support',
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
