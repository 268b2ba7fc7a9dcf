grant usage, create on schema app_private to bursar_user;
grant usage on schema app_private to public;
-- not found
grant usage on schema app_hidden to bursar_user;
