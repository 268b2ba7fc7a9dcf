create table app_public.desks (id uuid primary key, name text);
create role clerk;
-- found: two for one role; one of them for every command; one of them for everybody
create policy one on app_public.desks for select to bursar_user using (id is not null);
create policy other on app_public.desks for select to bursar_user using (name is not null);
create policy every on app_public.desks for all to clerk using (name = 'clerk');
create policy everybody on app_public.desks for delete to public using (name = 'everybody');
-- not found: what restricts; another command
create policy limit_of_all on app_public.desks as restrictive for delete to public using (name <> 'limit');
create policy added on app_public.desks for insert to bursar_user with check (name is not null);
-- not found: whom no policy binds
reset role;
create role passer bypassrls;
create policy passed on app_public.desks for update to passer using (id is null);
create policy passed_too on app_public.desks for update to passer using (id is not null);
