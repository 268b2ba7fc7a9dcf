alter table app_public.users add check (username is not null), add check (email is not null);
alter table app_public.features add column user_id uuid references app_public.users;
-- not found
alter table app_public.users add constraint username_is_given check (username is not null);
create table app_public.desks (id uuid primary key, name text unique not null);
