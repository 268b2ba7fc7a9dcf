create table app_public.desks (
  id uuid primary key,
  user_id uuid constraint desk_is_of_a_user references app_public.users
);
create trigger desk_is_watched before update on app_public.desks
  for each row execute function suppress_redundant_updates_trigger();
create trigger desk_is_watched_still before update on app_public.desks
  for each row execute function suppress_redundant_updates_trigger();
alter table app_public.desks disable trigger desk_is_watched;
-- found too, with what a superuser can do
create table app_public.chairs (
  id uuid primary key,
  user_id uuid constraint chair_is_of_a_user references app_public.users
);
reset role;
alter table app_public.chairs disable trigger all;
