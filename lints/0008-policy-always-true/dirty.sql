create policy open on app_public.users for select to bursar_user using (true);
create policy equal on app_public.groups for update to bursar_user using (id is not null) with check (1 = 1);
create policy open_too on app_public.groups for insert to bursar_user with check (true);
create policy or_anyway on app_public.features for select to bursar_user using (name = 'one' or 'a' = 'a' or enabled);
create policy idle on app_public.features as restrictive for select to bursar_user using (true);
-- not found
create policy never on app_public.users for delete to bursar_user using (false);
create policy nobody on app_public.users for update to bursar_user using (null) with check (false);
create policy not_all on app_public.features for select to bursar_user using (name = 'one' and true);
create policy asks on app_public.features for select to bursar_user
  using ((select app_hidden.is_signed_in()) or enabled or false);
