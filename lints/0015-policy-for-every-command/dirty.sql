create policy all_of_it on app_public.users to bursar_user using (id is null);
create policy all_checked on app_public.groups for all to bursar_user using (id is null) with check (id is null);
-- not found
create policy one_of_them on app_public.users for select to bursar_user using (id is null);
create policy limits on app_public.users as restrictive to bursar_user using (id is not null);
