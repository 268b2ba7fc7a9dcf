create function app_hidden.loose() returns int language sql as 'select 1';
create function app_hidden.half_fixed() returns int language sql set search_path to pg_catalog as 'select 1';
create function app_hidden.personal() returns int language sql set search_path to "$user", pg_temp as 'select 1';
create procedure app_hidden.crowded() language sql set search_path to app_public, pg_temp as 'select 1';
grant create on schema app_public to public;
-- not found
create function app_hidden.fixed() returns int language sql set search_path to pg_catalog, pg_temp as 'select 1';
create function app_hidden.named() returns int language sql set search_path to app_hidden, pg_temp as 'select 1';
create aggregate app_hidden.total(int) (sfunc = int4pl, stype = int);
-- not found: what an extension brings
create extension citext schema app_public;
