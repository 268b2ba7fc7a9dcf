alter default privileges grant execute on functions to public;
alter default privileges in schema app_public grant select, insert on tables to bursar_user;
-- not found: a schema that is not looked at
reset role;
create schema elsewhere authorization bursar_owner;
set local role bursar_owner;
alter default privileges in schema elsewhere grant select on tables to bursar_user;
-- found: who makes something here for the first time has PostgreSQL's defaults
reset role;
create sequence app_public.tickets;
