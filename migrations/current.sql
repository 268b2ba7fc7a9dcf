-- Write the next migration here.

--! include operations.sql
--! include identity.sql

-- Servers that are registered already may ask the new questions too.
select app_private.register_authenticator(a.role_name)
from app_private.authenticators a
where exists (select from pg_catalog.pg_roles r where r.rolname = a.role_name);
