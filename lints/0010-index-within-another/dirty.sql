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
