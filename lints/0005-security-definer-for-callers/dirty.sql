create function app_hidden.open() returns int
language sql security definer set search_path to pg_catalog, pg_temp as 'select 1';
grant execute on function app_hidden.open() to bursar_user, bursar_authenticator;
create procedure app_public.open()
language sql security definer set search_path to pg_catalog, pg_temp as 'select 1';
grant execute on procedure app_public.open() to public;
-- not found: nobody may call it; it runs with the caller's rights
create function app_hidden.closed() returns int
language sql security definer set search_path to pg_catalog, pg_temp as 'select 1';
create function app_hidden.harmless() returns int
language sql security invoker set search_path to pg_catalog, pg_temp as 'select 1';
grant execute on function app_hidden.harmless() to bursar_user;
