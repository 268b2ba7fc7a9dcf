create table app_public.lamps (day date primary key, name text) partition by range (day);
create table app_private.lamps_of_2026 partition of app_public.lamps for values from ('2026-01-01') to ('2027-01-01');
create table app_private.lamps_of_2027 partition of app_public.lamps for values from ('2027-01-01') to ('2028-01-01');
grant select, delete on app_private.lamps_of_2026 to bursar_user;
grant update (name) on app_private.lamps_of_2026 to bursar_user;
-- not found: the rights on the whole
grant select on app_public.lamps to bursar_user;
-- not found: a child that is no partition
create table app_public.chairs (id uuid primary key);
create table app_public.armchairs () inherits (app_public.chairs);
grant select on app_public.armchairs to bursar_user;
