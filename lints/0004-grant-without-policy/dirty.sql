create table app_public.desks (id uuid primary key, name text, place text);
alter table app_public.desks enable row level security;
grant select, insert, delete on app_public.desks to bursar_user;
-- found: update, which is granted on a column
grant update (name) on app_public.desks to bursar_user;
create policy desk_is_seen on app_public.desks for select to public using (name is not null);
create policy desk_is_added on app_public.desks for insert to bursar_user with check (name is not null);
-- found: delete, for which there is nothing but a restriction
create policy desk_is_kept on app_public.desks as restrictive for delete to bursar_user using (name is null);

-- found: a policy for others does not help
create table app_public.chairs (id uuid primary key);
alter table app_public.chairs enable row level security;
grant select on app_public.chairs to public;
create policy chair_is_seen on app_public.chairs for select to bursar_user using (id is not null);

-- not found: a view, a table that is another lint's, other rights, whom no policy binds
create view app_public.seats with (security_invoker = true) as select * from app_public.chairs;
create table app_public.lamps (id uuid primary key);
create table app_public.tables (id uuid primary key);
alter table app_public.tables enable row level security;
reset role;
create role passer bypassrls;
grant select on app_public.seats, app_public.lamps to bursar_user;
grant references on app_public.tables to bursar_user;
grant select on app_public.tables to passer;
