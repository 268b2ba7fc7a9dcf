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
