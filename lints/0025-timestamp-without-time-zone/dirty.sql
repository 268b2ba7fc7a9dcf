alter table app_public.users add column seen_at timestamp;
alter table app_public.users add column seen_at_before timestamp[];
create domain app_public.moment as timestamp;
alter table app_public.users add column born_at app_public.moment;
create type app_public.visit as (came_at timestamp, left_at timestamptz);
-- not found
alter table app_public.users add column left_at timestamptz;
alter table app_public.users add column birthday date;
