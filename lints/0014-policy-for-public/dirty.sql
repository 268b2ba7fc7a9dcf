create policy open on app_public.users for select using (id is null);
create policy open_too on app_public.users for select to public using (id is null);
-- not found
create policy for_one on app_public.users for select to bursar_user using (id is null);
create policy limits on app_public.users as restrictive for select using (id is not null);
