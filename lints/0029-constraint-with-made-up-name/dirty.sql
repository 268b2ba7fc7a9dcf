alter table app_public.users add check (username is not null), add check (email is not null);
alter table app_public.features add column user_id uuid references app_public.users;
-- not found
alter table app_public.users add constraint username_is_given check (username is not null);
create table app_public.desks (id uuid primary key, name text unique not null);
create domain app_public.amount as int constraint amount_check check (value > 0);
alter table app_public.desks add constraint desks_check unique (name);
-- found once, and not for each child or partition
create table app_public.lamps (day date primary key check (day > '2000-01-01')) partition by range (day);
create table app_private.lamps_of_2026 partition of app_public.lamps for values from ('2026-01-01') to ('2027-01-01');
create table app_public.bulbs (day date constraint bulb_is_of_a_lamp references app_public.lamps);
