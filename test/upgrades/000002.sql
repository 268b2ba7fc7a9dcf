-- What a database may hold after 000002: all of 000001, and usage in every state. Each part is a transaction.

--! include 000001.sql

-- next transaction
-- Terms: a budget for each member by the day, an organization in another time zone that lets unpriced usage pass.
update app_public.organizations set time_zone = 'Europe/Berlin', unpriced_usage = 'allow', hold_seconds = 3600
where id = 'b0000000-0000-4000-8000-000000000001';
select app_public.set_group_ai_budget_terms('c0000000-0000-4000-8000-000000000001', 'member', 'day');
select app_public.set_group_ai_budget_terms('b0000000-0000-4000-8000-000000000001', 'group', 'lifetime');

-- next transaction
-- A call that was made, and one that is under way: what it holds is held still.
select app_public.authorize_ai_spend(
  'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000003', 'acme', 'one', 1000, 2000, 300, 40);
select app_public.settle_ai_spend('d0000000-0000-4000-8000-000000000001', 1000, 1234, 300, 40);

-- next transaction
select app_public.authorize_ai_spend(
  'd0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000002', 'acme', 'one', 1000, 2000);

-- next transaction
-- One that was not made, one that was refused, one that cost more than it held.
select app_public.authorize_ai_spend(
  'd0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000003', 'acme', 'one', 10, 10);
select app_public.release_ai_spend('d0000000-0000-4000-8000-000000000003');
select app_public.authorize_ai_spend(
  'd0000000-0000-4000-8000-000000000004', 'a0000000-0000-4000-8000-000000000003', 'acme', 'one', 1000000000, 1000000000);
select app_public.authorize_ai_spend(
  'd0000000-0000-4000-8000-000000000005', 'a0000000-0000-4000-8000-000000000004', 'acme', 'one', 100, 100,
  organization_id => 'b0000000-0000-4000-8000-000000000002');
select app_public.settle_ai_spend('d0000000-0000-4000-8000-000000000005', 100, 100000000);

-- next transaction
-- Reported afterwards: of today and of long ago, in months that are about to go, without a price.
select app_public.record_ai_usage((
  select jsonb_agg(jsonb_build_object(
    'id', format('e0000000-0000-4000-8000-%s', lpad(months::text, 12, '0')),
    'user_id', 'a0000000-0000-4000-8000-00000000000' || (3 + months % 2),
    'organization_id', 'b0000000-0000-4000-8000-000000000001',
    'provider', 'acme', 'model', case when months % 5 = 4 then 'unheard of' else 'one' end,
    'input_tokens', 1000 + months, 'output_tokens', 7 * months,
    'occurred_at', to_char((now() - make_interval(months => months)) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
  ))
  from generate_series(0, 30) as months
));

-- next transaction
-- A price that became known, and one that changed.
select app_public.upsert_ai_model_prices('[{"provider": "acme", "model": "one", "input_price": 2500000, "output_price": 12000000}]');

-- next transaction
-- Somebody who left, and is remembered for what is reported late.
delete from app_public.organization_members
where organization_id = 'b0000000-0000-4000-8000-000000000001' and user_id = 'a0000000-0000-4000-8000-000000000004';

-- next transaction
-- Months that were taken out of the ledger: their tables stand alone, one of them dropped.
select app_private.drop_usage_before((date_trunc('month', now() at time zone 'UTC') - interval '14 months')::date);
