-- What a database may hold after 000003: all of 000002, each change of which has left a trail by then.

--! include 000002.sql

-- next transaction
-- A trail of things that are gone: their names are in it alone.
insert into app_public.groups (id, organization_id, name)
values ('c0000000-0000-4000-8000-00000000000f', 'b0000000-0000-4000-8000-000000000001', 'Short-lived');
select app_public.upsert_group_ai_budget('c0000000-0000-4000-8000-00000000000f', 1500001);

-- next transaction
select app_public.upsert_group_ai_budget('c0000000-0000-4000-8000-00000000000f', 1000000000000000);
delete from app_public.groups where id = 'c0000000-0000-4000-8000-00000000000f';
