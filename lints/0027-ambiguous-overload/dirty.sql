create function app_public.group_ai_budget(group_id uuid, is_long boolean default false) returns int
language sql set search_path to pg_catalog, pg_temp as 'select 1';
create function app_public.desk(id uuid default null) returns int
language sql set search_path to pg_catalog, pg_temp as 'select 1';
create function app_public.desk(place int default null) returns int
language sql set search_path to pg_catalog, pg_temp as 'select 1';
-- not found: the types, or the number of arguments, tell them apart
create function app_public.ai_model_price(id uuid, is_long boolean default false) returns int
language sql set search_path to pg_catalog, pg_temp as 'select 1';
create function app_public.ai_budget_status(group_id uuid, is_long boolean) returns int
language sql set search_path to pg_catalog, pg_temp as 'select 1';
create function app_public.many(variadic ids uuid[]) returns int
language sql set search_path to pg_catalog, pg_temp as 'select 1';
create function app_public.many(ids uuid[], is_long boolean default false) returns int
language sql set search_path to pg_catalog, pg_temp as 'select 1';
