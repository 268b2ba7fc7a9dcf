reset role;
create function app_hidden.mighty() returns int
language sql security definer set search_path to pg_catalog, pg_temp as 'select 1';
create role passer bypassrls;
create procedure app_hidden.unbound()
language sql security definer set search_path to pg_catalog, pg_temp as 'select 1';
grant create on schema app_hidden to passer;
alter procedure app_hidden.unbound() owner to passer;
-- not found
create function app_hidden.plain() returns int
language sql security invoker set search_path to pg_catalog, pg_temp as 'select 1';
