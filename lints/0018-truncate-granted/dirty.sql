grant truncate on app_public.groups to bursar_user;
grant truncate on app_public.users to public;
-- not found
grant select, insert, update, delete on app_public.features to bursar_user;
create view app_public.people with (security_invoker = true) as select 1 as one;
grant all on app_public.people to bursar_user;
