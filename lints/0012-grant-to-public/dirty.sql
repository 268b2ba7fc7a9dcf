grant usage on schema app_private to public;
grant select, update on app_public.ai_model_prices to public;
grant select (email) on app_public.users to public;
create sequence app_public.tickets;
grant usage on sequence app_public.tickets to public;
create function app_public.open() returns int
language sql set search_path to pg_catalog, pg_temp as 'select 1';
grant execute on function app_public.open() to public;
-- not found: everybody may use types; a right of one role
create type app_public.colour as enum ('red');
grant usage on type app_public.colour to public;
grant select on app_public.users to bursar_user;
-- not found: what an extension brings
create extension citext schema app_public;
