create view app_public.people as select * from app_public.users;
create view app_public.names with (security_invoker = off) as select username from app_public.users;
create materialized view app_public.copies as select * from app_public.users;
grant select on app_public.copies to bursar_user;
-- not found
create view app_public.faces with (security_invoker = on) as select * from app_public.users;
create materialized view app_private.copies as select * from app_public.users;
