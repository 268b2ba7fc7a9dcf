-- What a database may hold after 000001: two organizations whose people, budgets and prices are of every kind.

insert into app_public.users (id, username, email, pg_role) values
  ('a0000000-0000-4000-8000-000000000001', 'olivia', 'olivia@example.com', null),
  ('a0000000-0000-4000-8000-000000000002', 'ada', 'Ada@Example.com', 'ada_the_dba'),
  ('a0000000-0000-4000-8000-000000000003', 'ben', null, null),
  ('a0000000-0000-4000-8000-000000000004', 'zoë ☂ van der Linden', 'zoe@example.org', null),
  ('a0000000-0000-4000-8000-000000000005', 'gateway', null, null);

insert into app_public.user_site_roles (user_id, role) values
  ('a0000000-0000-4000-8000-000000000001', 'owner'),
  ('a0000000-0000-4000-8000-000000000001', 'auditor'),
  ('a0000000-0000-4000-8000-000000000002', 'user_admin'),
  ('a0000000-0000-4000-8000-000000000005', 'ai_gateway');

-- Each comes with its group Everyone.
insert into app_public.organizations (id, name, created_at) values
  ('b0000000-0000-4000-8000-000000000001', 'Acme', '2024-02-29 23:59:59.999999+00'),
  ('b0000000-0000-4000-8000-000000000002', 'Globex', '2026-01-01 00:00:00+00');

insert into app_public.organization_members (organization_id, user_id) values
  ('b0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002'),
  ('b0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000003'),
  ('b0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000004'),
  ('b0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000004');

insert into app_public.organization_member_roles (organization_id, user_id, role) values
  ('b0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002', 'organization_admin'),
  ('b0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002', 'organization_auditor'),
  ('b0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000004', 'organization_user_admin');

insert into app_public.groups (id, organization_id, name) values
  ('c0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001', 'Engineering'),
  ('c0000000-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000001', 'Research'),
  ('c0000000-0000-4000-8000-000000000003', 'b0000000-0000-4000-8000-000000000002', 'Engineering');

insert into app_public.group_members (organization_id, group_id, user_id) values
  ('b0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002'),
  ('b0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000003'),
  ('b0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000003'),
  ('b0000000-0000-4000-8000-000000000002', 'c0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000004');

-- Nothing at all, an ordinary one, the largest, and one for Everyone.
select app_public.upsert_group_ai_budget('c0000000-0000-4000-8000-000000000001', 500000000);
select app_public.upsert_group_ai_budget('c0000000-0000-4000-8000-000000000002', 0);
select app_public.upsert_group_ai_budget('c0000000-0000-4000-8000-000000000003', 1000000000000000);
select app_public.upsert_group_ai_budget('b0000000-0000-4000-8000-000000000001', 750000000);

select app_public.upsert_ai_model_prices('[
  {"provider": "acme", "model": "one", "input_price": 3000000, "output_price": 15000000, "cache_read_price": 300000, "cache_write_price": 3750000},
  {"provider": "acme", "model": "free", "input_price": 0, "output_price": 0, "cache_read_price": 0, "cache_write_price": 0},
  {"provider": "acme", "model": "half known", "input_price": 1},
  {"provider": "other", "model": "one", "input_price": 9223372036854775807}
]');

select app_public.set_feature('ai_bridge', 'grace_period', true);
insert into app_public.features (name, entitlement, enabled) values ('another', 'not_entitled', false);
