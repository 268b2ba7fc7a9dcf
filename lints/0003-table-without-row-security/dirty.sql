create table app_public.desks (id uuid primary key);
create table app_private.chairs (id uuid primary key);
create table app_public.lamps (day date primary key) partition by range (day);
-- not found
create table app_public.tables (id uuid primary key);
alter table app_public.tables enable row level security;
