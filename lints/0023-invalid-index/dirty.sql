create table app_public.lamps (day date primary key, name text) partition by range (day);
create table app_private.lamps_of_2026 partition of app_public.lamps for values from ('2026-01-01') to ('2027-01-01');
create index lamps_by_name on only app_public.lamps (name);
-- not found
create index lamps_by_name_and_day on app_public.lamps (name, day);
