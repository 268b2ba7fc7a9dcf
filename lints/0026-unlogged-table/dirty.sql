create unlogged table app_public.desks (id uuid primary key);
-- not found
create table app_public.chairs (id uuid primary key);
