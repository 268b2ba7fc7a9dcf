create table app_public.desks (id uuid not null unique);
create table app_public.lamps (day date) partition by range (day);
create table app_private.lamps_of_2026 partition of app_public.lamps for values from ('2026-01-01') to ('2027-01-01');
-- not found
create table app_public.chairs (id uuid primary key);
