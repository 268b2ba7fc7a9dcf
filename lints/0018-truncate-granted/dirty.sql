grant truncate on app_public.groups to bursar_user;
grant truncate on app_public.users to public;
-- not found
grant select, insert, update, delete on app_public.features to bursar_user;
