create table app_public.desks (
  id uuid constraint desk_is_named_once primary key,
  name text constraint name_is_taken_once unique,
  place int
);
-- found: what a unique index does already, one of two alike, a second constraint
create index desks_by_name on app_public.desks (name);
create index desks_by_place on app_public.desks (place) where place > 0;
create index desks_by_place_again on app_public.desks (place) where place > 0;
alter table app_public.desks add constraint desk_is_named_once_more unique (id);
-- not found: another order, predicate, operator class, expression, included column
create index on app_public.desks (place desc) where place > 0;
create index on app_public.desks (place);
create index on app_public.desks (name text_pattern_ops);
create index on app_public.desks (lower(name));
create index on app_public.desks (name) include (place);

-- found once, and not for each partition
create table app_public.lamps (day date primary key, name text, place text) partition by range (day);
create table app_private.lamps_of_2026 partition of app_public.lamps for values from ('2026-01-01') to ('2027-01-01');
create index lamps_by_name on app_public.lamps (name);
create index lamps_by_name_again on app_public.lamps (name);
-- not found: one that is not whole; one that keeps apart; a constraint that names rows for replicas
create index on only app_public.lamps (place);
create index on app_public.lamps (place);
create table app_public.chairs (
  id uuid constraint chair_is_named_once primary key,
  at daterange,
  constraint chair_is_taken_once exclude using gist (at with &&)
);
create index on app_public.chairs using gist (at);
alter table app_public.chairs add constraint chair_is_named_once_more unique (id);
alter table app_public.chairs replica identity using index chair_is_named_once_more;
-- found, beside those two
create unique index chair_by_id on app_public.chairs (id);
