/**
 * A schema with one of everything that the dump can write. The statements of one step do not need each other, so
 * they can run in any order.
 */
export const STEPS: readonly (readonly string[])[] = [
  [
    'create schema app_public',
    'create schema app_hidden',
    'create schema app_private',
    'create extension btree_gist with schema public',
    'alter default privileges revoke execute on functions from public',
    'alter default privileges grant select on tables to bursar_user',
    'alter default privileges revoke usage on types from public',
  ],

  // Types, sequences, and functions that need no table
  [
    `create type app_public."Mood" as enum ('fine', 'it''s "so-so"', 'back\\slash')`,
    `create type app_public.pair as (first integer, "Second" text collate "C")`,
    `create domain app_public.positive as bigint default 1 constraint positive_is_positive check (value > 0)`,
    `create domain app_public.code as varchar(8) collate "C" not null`,
    `create type app_public.stretch as range (subtype = float8, subtype_diff = float8mi)`,
    `create type app_public.words as range (
       subtype = text, collation = "C", subtype_opclass = text_pattern_ops, multirange_type_name = app_public.many_words
     )`,
    `create sequence app_public.numbers as smallint increment by -2 minvalue -100 maxvalue 7 start with 5 cache 3 cycle`,
    `create unlogged sequence app_private.lost_at_a_crash`,
    `create function app_public.twice(n integer) returns integer language sql immutable strict parallel safe return n * 2`,
    `create function app_public.twice(words text, times integer default 2, "And So" text default E'it''s\\n')
     returns text language sql stable cost 7 as 'select repeat(words, times)'`,
    `create function app_hidden.parts(in whole bigint, out half bigint, inout other bigint)
     language plpgsql volatile security definer
     set search_path to pg_catalog, "Odd, ""one""", pg_temp
     set work_mem to '5MB' set application_name to 'it''s' set datestyle to iso, dmy
     as $f$ begin half := whole / 2; raise log '$$ and $body$'; end $f$`,
    `create function app_hidden.nowhere(variadic all_of_them text[]) returns setof text
     language sql rows 7 parallel restricted set search_path to '' as $$ select unnest(all_of_them) $$`,
    `create function app_hidden.as_table(n integer) returns table (number integer, "The Word" text)
     language sql as $$ select n, 'x' $$`,
    `create function app_hidden.joined(state text, next text) returns text language sql immutable as $$ select state || next $$`,
    `create function app_hidden.final(state text, n integer) returns text language sql immutable as $$ select left(state, n) $$`,
    `create function app_hidden.trigger_of_all() returns trigger language plpgsql as $$ begin return coalesce(new, old); end $$`,
    `create procedure app_private.do_it(inout n integer default 3) language plpgsql
     set lock_timeout to '3s' as $$ begin n := n + 1; end $$`,
  ],

  [
    `alter type app_public."Mood" add value 'between' before 'back\\slash'`,
    `alter domain app_public.code add constraint code_is_short check (length(value) < 8) not valid`,
    `create domain app_public.even as integer constraint even_is_even check (app_public.twice(value) % 4 = 0)`,
    `create aggregate app_public.total (bigint) (
       sfunc = int8pl, stype = bigint, combinefunc = int8pl, initcond = '0', parallel = safe,
       msfunc = int8pl, minvfunc = int8mi, mstype = bigint, minitcond = '0'
     )`,
    `create aggregate app_public.start_of(n integer order by one text) (
       sfunc = app_hidden.joined, stype = text, finalfunc = app_hidden.final, initcond = 'it''s '
     )`,
    `create aggregate app_public.least_of(numeric) (sfunc = numeric_smaller, stype = numeric, sortop = <)`,
  ],

  // Tables
  [
    `create table app_public."Odd ""Table""" (
       "Select" integer generated always as identity (start with 10 increment by 5),
       id uuid not null default gen_random_uuid(),
       "naïve ’ column" text collate "C" not null default E'two\\nlines, it''s',
       mood app_public."Mood" not null default 'fine',
       amount app_public.positive,
       pairs app_public.pair[],
       at timestamptz(3) default '2026-01-01 00:00Z',
       doubled bigint generated always as (amount * 2) stored,
       during tstzrange,
       parent uuid,
       next_number smallint default nextval('app_public.numbers'),
       constraint "odd key" primary key (id) include (mood) with (fillfactor = 80),
       constraint amount_once unique nulls not distinct (amount, at) deferrable initially deferred,
       constraint "no two at once" exclude using gist (mood with =, during with &&) where (amount > 0) deferrable,
       constraint amount_fits check (amount between 1 and 1000 and mood <> 'it''s "so-so"') no inherit,
       constraint parent_is_one foreign key (parent) references app_public."Odd ""Table""" on delete set null (parent)
     ) with (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false)`,
    `create unlogged table app_private.scratch (
       number bigint generated by default as identity (sequence name app_private.scratch_numbers),
       note text,
       primary key (number) deferrable
     )`,
    `create table app_private.mother (id integer, kind text default 'mother' constraint kind_is_known check (kind <> ''))`,
    `create table app_private.left_side (id integer primary key, right_id integer)`,
    `create table app_private.right_side (id integer primary key, left_id integer, unique (id, left_id))`,
    `create table app_public.whole (
       happened timestamptz not null, region text not null, id bigint not null, amount numeric(44, 6) default 0,
       primary key (happened, region, id), constraint amount_is_known check (amount is not null)
     ) partition by range (happened)`,
    'create table app_public.empty ()',
    `create table app_private.constants (
       span interval default '1 month 2 days', fraction float8 default float8 '0.1234567890123456', bytes bytea default '\\x00ff',
       day date default '2026-02-03', moment timestamptz default '2026-02-03 04:05Z', price money default 5
     )`,
  ],

  [
    `create table app_private.daughter (age integer, kind text default 'daughter') inherits (app_private.mother)`,
    `create table app_private.whole_rest partition of app_public.whole default`,
    `create table app_private.whole_2026_01 partition of app_public.whole for values from ('2026-01-01') to ('2026-02-01')`,
    `create table app_private.whole_old (
       id bigint not null, amount numeric(44, 6) default 7 constraint amount_is_known check (amount is not null),
       region text not null, happened timestamptz not null, constraint old_ids check (id > 0)
     )`,
    `create table app_private.whole_new
     partition of app_public.whole (amount default 5, constraint new_ids check (id > 5))
     for values from ('2030-01-01') to (maxvalue) partition by list (region)`,
    `alter table app_private.left_side add constraint right_is_there foreign key (right_id, id)
     references app_private.right_side (id, left_id) match full on update cascade deferrable`,
    `alter table app_private.right_side add constraint left_is_there foreign key (left_id)
     references app_private.left_side on delete cascade`,
    `create sequence app_private.owned owned by app_private.mother.id`,
    `create function app_public.odd_ones(low integer default 0) returns setof app_public."Odd ""Table"""
     language sql stable security definer begin atomic
       select * from app_public."Odd ""Table""" where "Select" > low;
       select * from app_public."Odd ""Table""" where amount > 0 order by 1;
     end`,
    `create function app_private.mothers() returns bigint language sql stable return (select count(*) from app_private.mother)`,
    `alter table app_public."Odd ""Table""" alter column "naïve ’ column" set storage external,
       alter column "naïve ’ column" set compression pglz, alter column mood set statistics 33,
       alter column amount set (n_distinct = -0.5)`,
    `create index odd_ones_by_mood on app_public."Odd ""Table""" using btree (mood desc nulls last, lower("naïve ’ column") text_pattern_ops)
       include (amount) where amount > 5 and "naïve ’ column" <> 'a  (b) or ''c'''`,
    `create unique index "Odd Index" on app_public."Odd ""Table""" (id, "Select" asc) with (fillfactor = 60)`,
    `create index whole_by_amount on app_public.whole (amount)`,
    `create statistics app_public.odd_statistics (ndistinct, mcv) on mood, amount from app_public."Odd ""Table"""`,
    `alter table app_private.left_side add constraint right_id_is_positive check (right_id > 0) not valid`,
  ],

  [
    `alter table only app_private.mother alter column id set default nextval('app_private.owned')`,
    `alter table app_private.mother add constraint mothers_are_few check (app_private.mothers() < 9) not valid`,
    `alter table app_private.daughter alter column id set default app_private.mothers()`,
    `alter table app_public.whole attach partition app_private.whole_old for values from (minvalue) to ('2020-01-01')`,
    `create table app_private.whole_new_here partition of app_private.whole_new for values in ('here', 'it''s')`,
    `alter table app_public."Odd ""Table""" cluster on "Odd Index", replica identity full`,
    `alter index app_public.odd_ones_by_mood alter column 2 set statistics 44`,
    `alter statistics app_public.odd_statistics set statistics 55`,
    `alter table app_public."Odd ""Table""" enable row level security, force row level security`,
    `alter table app_public.whole enable row level security`,
    `create policy "Everybody reads" on app_public."Odd ""Table""" for select using (
       id in (select o.id from app_public.odd_ones() o) or mood = 'fine' and amount > 5 and "naïve ’ column" <> 'a  (b) or ''c''')`,
    `create policy but_not_these on app_public."Odd ""Table""" as restrictive for all to bursar_user
     using (exists (select from app_private.mother m where m.id = "Select")) with check (amount > 1)`,
    `create policy insert_is_for_the_owner on app_public.whole for insert to current_user, bursar_user with check (true)`,
    `create trigger "A row" before insert or update of mood, amount on app_public."Odd ""Table"""
     for each row when (new.mood = 'it''s "so-so"') execute function app_hidden.trigger_of_all('one', 'it''s')`,
    `create trigger b_statement after update on app_public."Odd ""Table"""
     referencing old table as "Old" new table as newer for each statement execute function app_hidden.trigger_of_all()`,
    `create constraint trigger c_constraint after delete on app_public."Odd ""Table""" deferrable initially deferred
     for each row execute function app_hidden.trigger_of_all()`,
    `create trigger d_truncate before truncate on app_public."Odd ""Table""" execute function app_hidden.trigger_of_all()`,
    `create trigger of_parts after insert on app_public.whole for each row execute function app_hidden.trigger_of_all()`,
    `create rule "No deletes" as on delete to app_private.scratch do instead nothing`,
    `create rule also_note as on insert to app_private.scratch where new.number > 5
     do also (insert into app_private.mother (id) values (new.number); update app_private.mother set kind = 'it''s')`,
    `create view app_public.few with (security_barrier, check_option = cascaded) as
     select "Select", lower(o."naïve ’ column") as name, amount from app_public."Odd ""Table""" o where amount > 5`,
    `create view app_public.sums with (security_invoker = true) as
     select mood, sum(amount) as total, (select count(*) from app_public.whole w where w.amount > max(o.amount)) as many
     from app_public."Odd ""Table""" o group by mood having count(*) > 1 order by mood desc`,
    `create recursive view app_public.steps (n) as values (1) union all select n + 1 from steps where n < 5`,
    `create materialized view app_private.kept with (fillfactor = 90) as select region, amount from app_public.whole`,
    `create function app_public."Odd ""Table""_label"(o app_public."Odd ""Table""") returns text
     language sql stable as $$ select o.id::text $$`,
  ],

  [
    `alter table app_public."Odd ""Table""" disable trigger d_truncate, enable always trigger b_statement,
       enable replica trigger c_constraint`,
    `alter table app_private.whole_rest disable trigger of_parts`,
    `alter table app_private.scratch disable rule also_note`,
    `create view app_public.fewer as select * from app_public.few where name <> ''`,
    `alter view app_public.few alter column amount set default 6`,
    `create trigger instead_of_it instead of insert on app_public.sums for each row execute function app_hidden.trigger_of_all()`,
    `create unique index kept_once on app_private.kept (region)`,
    `create materialized view app_private.unfilled as select * from app_private.kept with no data`,
    `create function app_public.few_of_them() returns setof app_public.few language sql as $$ select * from app_public.few $$`,

    'grant usage on schema app_public, app_hidden to bursar_user',
    'grant usage, create on schema app_public to bursar_authenticator with grant option',
    'grant select, delete, update (mood, amount), insert (amount) on app_public."Odd ""Table""" to bursar_user',
    'grant all on app_public."Odd ""Table""" to bursar_authenticator',
    'grant select ("Select", id) on app_public."Odd ""Table""" to bursar_authenticator with grant option',
    'grant select (mood) on app_public."Odd ""Table""" to public',
    'revoke delete, truncate on app_private.scratch from current_user',
    'grant select on app_public.few, app_private.kept to bursar_user',
    'grant select (total) on app_public.sums to bursar_user',
    'grant usage on sequence app_public.numbers to bursar_user',
    'grant select on sequence app_private.scratch_numbers to bursar_user',
    'grant execute on function app_public.twice(integer) to public',
    'grant execute on function app_public.twice(text, integer, text) to bursar_user with grant option',
    'revoke execute on function app_private.mothers() from current_user',
    'grant execute on function app_public.start_of(integer, text) to bursar_user',
    'grant execute on procedure app_private.do_it(integer) to bursar_user',
    'grant usage on type app_public."Mood" to bursar_user',
    'revoke usage on type app_public.whole from public',
    'grant usage on domain app_public.positive to public',
  ],

  [
    'alter default privileges in schema app_public grant execute on functions to bursar_user',
    'alter default privileges in schema app_private grant insert, select on tables to bursar_user with grant option',
    `comment on schema app_public is E'It''s\\nthe "API" \\\\ door'`,
    `comment on type app_public."Mood" is 'How it is.'`,
    `comment on type app_public.pair is 'Two.'`,
    `comment on column app_public.pair."Second" is 'The other.'`,
    `comment on domain app_public.positive is 'Above zero.'`,
    `comment on constraint positive_is_positive on domain app_public.positive is 'Zero is nothing.'`,
    `comment on type app_public.stretch is 'From here to there.'`,
    `comment on sequence app_public.numbers is 'Downwards.'`,
    `comment on table app_public."Odd ""Table""" is E'@behavior -*\\nOdd; it''s quoted.'`,
    `comment on column app_public."Odd ""Table"""."naïve ’ column" is E'\\ttabs'`,
    `comment on constraint "no two at once" on app_public."Odd ""Table""" is 'Once.'`,
    `comment on constraint parent_is_one on app_public."Odd ""Table""" is 'Its parent.'`,
    `comment on index app_public."Odd Index" is 'Fast.'`,
    `comment on index app_public.amount_once is 'Fast as well.'`,
    `comment on policy "Everybody reads" on app_public."Odd ""Table""" is 'Even you.'`,
    `comment on trigger "A row" on app_public."Odd ""Table""" is 'Each.'`,
    `comment on rule "No deletes" on app_private.scratch is 'None.'`,
    `comment on statistics app_public.odd_statistics is 'For the planner.'`,
    `comment on view app_public.few is 'Few of them.'`,
    `comment on column app_public.few.name is 'In small letters.'`,
    `comment on materialized view app_private.kept is 'Kept.'`,
    `comment on function app_public.twice(integer) is 'Doubles.'`,
    `comment on function app_public.twice(text, integer, text) is 'Says it again.'`,
    `comment on procedure app_private.do_it(integer) is 'Does it.'`,
    `comment on aggregate app_public.total(bigint) is 'Adds up.'`,
    `comment on aggregate app_public.start_of(integer order by text) is 'How it begins.'`,
  ],
];

/** What PostgreSQL 18 has and 15 has not. */
export const NEWEST_STEPS: readonly (readonly string[])[] = [
  [
    `create table app_public.newest (
       id integer constraint id_is_given not null, note text not null, valid tstzrange, maybe text,
       longer text generated always as (note || '!') virtual,
       constraint one_at_a_time primary key (id, valid without overlaps),
       constraint note_is_short check (length(note) < 9) not enforced
     )`,
  ],
  [
    `alter table app_public.newest add constraint maybe_is_given not null maybe not valid`,
    `comment on constraint id_is_given on app_public.newest is 'Always.'`,
    `grant maintain on app_public.newest to bursar_user`,
  ],
];
