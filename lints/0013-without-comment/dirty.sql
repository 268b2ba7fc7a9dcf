create table app_public.desks (id uuid primary key);
create view app_public.people with (security_invoker = true) as select 1 as one;
alter table app_public.users add column nickname text;
create function app_private.quiet() returns int
language sql set search_path to pg_catalog, pg_temp as 'select 1';
create type app_public.colour as enum ('red');
create domain app_public.amount as int;
create policy quiet on app_public.users for select to bursar_user using (id is null);
-- not found: a column where nobody else may look
alter table app_private.authenticators add column nickname text;
-- not found: what an extension brings
create extension citext schema app_public;
