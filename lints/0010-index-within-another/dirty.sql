create table app_public.desks (id uuid primary key, name text, place int, floor int);
-- found
create index desks_by_place on app_public.desks (place);
create index desks_by_place_and_floor on app_public.desks (place, floor) include (name);
create index desks_by_place_with_floor on app_public.desks (place) include (floor);
-- not found: it keeps rows unique; another order, predicate or operator class
create unique index on app_public.desks (place) where floor = 1;
create index on app_public.desks (place, id) where floor = 1;
create index on app_public.desks (place desc);
create index on app_public.desks (name text_pattern_ops);
create index on app_public.desks (name, floor);
create index on app_public.desks using hash (floor);
create index on app_public.desks (floor, id) include (place);
create index on app_public.desks (floor) include (name);
create index desks_in_order on app_public.desks (place);
alter table app_public.desks cluster on desks_in_order;
-- found once, and not for each partition
create table app_public.lamps (day date primary key, name text, place text) partition by range (day);
create table app_private.lamps_of_2026 partition of app_public.lamps for values from ('2026-01-01') to ('2027-01-01');
create index lamps_by_name on app_public.lamps (name);
create index lamps_by_name_and_place on app_public.lamps (name, place);
-- not found: what is not whole serves nothing
create index lamps_by_place on app_public.lamps (place);
create index lamps_by_place_and_name on only app_public.lamps (place, name);
