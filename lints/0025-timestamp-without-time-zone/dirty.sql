alter table app_public.users add column seen_at timestamp;
alter table app_public.users add column seen_at_before timestamp[];
create domain app_public.moment as timestamp;
alter table app_public.users add column born_at app_public.moment;
create type app_public.visit as (came_at timestamp, left_at timestamptz);
-- not found
alter table app_public.users add column left_at timestamptz;
alter table app_public.users add column birthday date;
create view app_public.visits with (security_invoker = true) as select seen_at from app_public.users;
-- found once, and not for each partition
create table app_public.lamps (day timestamp primary key) partition by range (day);
create table app_private.lamps_of_2026 partition of app_public.lamps for values from ('2026-01-01') to ('2027-01-01');
