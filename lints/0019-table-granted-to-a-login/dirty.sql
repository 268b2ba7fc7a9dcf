grant select, insert on app_public.groups to bursar_authenticator;
grant update (name) on app_public.groups to bursar_authenticator;
grant select on app_public.ai_ledger_discrepancies to bursar_authenticator;
-- not found: a role that only stands for others
grant select on app_public.groups to bursar_user;
