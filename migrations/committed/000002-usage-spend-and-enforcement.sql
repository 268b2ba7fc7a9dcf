--! Previous: sha1:e819f4dbdb7be92674bd659f7621b545816ae79f
--! Hash: sha1:d2351972cbf2fa14c1d7546d41cc602da43f89ae
--! Message: usage, spend and enforcement

-- Ranges of validity that can't overlap, for the price history.
create extension if not exists btree_gist with schema public;

--------------------------------------------------------------------------------
-- What an organization and a budget say about spending
--------------------------------------------------------------------------------

create type app_public.unpriced_usage_policy as enum ('refuse', 'allow');

alter table app_public.organizations
  add column time_zone text not null default 'UTC',
  add column unpriced_usage app_public.unpriced_usage_policy not null default 'refuse',
  add column hold_seconds integer not null default 600,
  add constraint hold_seconds_is_between_1_second_and_1_day check (hold_seconds between 1 and 86400);

create type app_public.budget_scope as enum ('group', 'member');
create type app_public.budget_period as enum ('day', 'week', 'month', 'quarter', 'year', 'lifetime');

alter table app_public.group_ai_budgets
  add column applies_to app_public.budget_scope not null default 'group',
  add column period app_public.budget_period not null default 'month';

--------------------------------------------------------------------------------
-- Prices as they were
--------------------------------------------------------------------------------

create table app_public.ai_model_price_history (
  provider text not null,
  model text not null,
  valid tstzrange not null,
  input_price bigint,
  output_price bigint,
  cache_read_price bigint,
  cache_write_price bigint,
  primary key (provider, model, valid),
  -- One number for provider and model: an index over their texts takes several times as long to write.
  constraint one_price_holds_at_a_time
    exclude using gist (hashtextextended(model, hashtextextended(provider, 0)) with =, valid with &&),
  constraint price_held_for_some_time check (not isempty(valid))
);

--------------------------------------------------------------------------------
-- What grows with usage. organization_id comes first in every key, there are no triggers and no foreign keys
-- to the tables of configuration: these tables must be able to move elsewhere, and outlive what they name.
--
-- Amounts have room for what the largest token counts at the largest prices come to, a billion times over.
--------------------------------------------------------------------------------

-- Which events there are, apart from the ledger: a partitioned table can't keep an id unique over all of time.
create table app_private.ai_usage_event_keys (
  organization_id uuid not null,
  id uuid not null,
  occurred_at timestamptz not null,
  primary key (organization_id, id)
);

create index ai_usage_event_keys_by_id on app_private.ai_usage_event_keys (id);

create table app_public.ai_usage_events (
  organization_id uuid not null,
  id uuid not null,
  occurred_at timestamptz not null,
  recorded_at timestamptz not null default clock_timestamp(),
  group_id uuid not null,
  user_id uuid not null,
  provider text not null,
  model text not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cache_read_tokens bigint not null,
  cache_write_tokens bigint not null,
  input_price bigint,
  output_price bigint,
  cache_read_price bigint,
  cache_write_price bigint,
  cost_micros numeric(44, 6),
  overage_micros numeric(44, 6),
  primary key (organization_id, id, occurred_at),
  constraint tokens_are_between_0_and_1_trillion check (
    input_tokens between 0 and 1000000000000 and output_tokens between 0 and 1000000000000
    and cache_read_tokens between 0 and 1000000000000 and cache_write_tokens between 0 and 1000000000000
  ),
  constraint cost_is_not_negative check (cost_micros >= 0),
  constraint overage_is_positive_where_there_is_one check (overage_micros >= 0)
) partition by range (occurred_at);

create index ai_usage_events_by_group on app_public.ai_usage_events (organization_id, group_id, occurred_at);
create index ai_usage_events_by_user on app_public.ai_usage_events (organization_id, user_id, occurred_at);
create index ai_usage_events_without_price on app_public.ai_usage_events (organization_id, provider, model)
  where cost_micros is null;

-- Where a row waits whose month has no partition yet: it must never be lost for that.
create table app_private.ai_usage_events_unplaced
  partition of app_public.ai_usage_events default;

create table app_public.ai_spend_daily (
  organization_id uuid not null,
  day date not null,
  group_id uuid not null,
  user_id uuid not null,
  provider text not null,
  model text not null,
  requests bigint not null,
  input_tokens numeric not null,
  output_tokens numeric not null,
  cache_read_tokens numeric not null,
  cache_write_tokens numeric not null,
  cost_micros numeric(44, 6) not null,
  overage_micros numeric(44, 6) not null,
  unpriced_requests bigint not null,
  primary key (organization_id, day, group_id, user_id, provider, model)
);

create index ai_spend_daily_by_group on app_public.ai_spend_daily (organization_id, group_id, day);
create index ai_spend_daily_by_user on app_public.ai_spend_daily (organization_id, user_id, day);
create index ai_spend_daily_by_model on app_public.ai_spend_daily (organization_id, model, day);

create table app_private.ai_spend_counters (
  organization_id uuid not null,
  group_id uuid not null,
  -- The group's pool has the nil UUID here.
  user_id uuid not null,
  period_start timestamptz not null,
  period_end timestamptz not null,
  spent_micros numeric(44, 6) not null,
  overage_micros numeric(44, 6) not null default 0,
  primary key (organization_id, group_id, user_id, period_start, period_end),
  constraint counter_covers_some_time check (period_start < period_end)
);

create type app_private.spend_request_state as enum ('refused', 'held', 'settled', 'released');

create table app_private.ai_spend_requests (
  organization_id uuid not null,
  request_id uuid not null,
  hold_id uuid,
  state app_private.spend_request_state not null,
  group_id uuid not null,
  user_id uuid not null,
  -- What was asked, to tell a repetition from another request under the same id.
  content jsonb not null,
  -- What was answered, word for word.
  decision jsonb not null,
  estimate_micros numeric(44, 6),
  requested_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  settlement jsonb,
  primary key (organization_id, request_id),
  constraint hold_has_an_end check ((state = 'refused') = (hold_id is null) and (hold_id is null) = (expires_at is null))
);

create index ai_spend_requests_by_request on app_private.ai_spend_requests (request_id);
create index ai_spend_requests_by_hold on app_private.ai_spend_requests (hold_id) where hold_id is not null;
-- By the end of the hold: those that nobody settled stay behind where nobody looks.
create index ai_spend_requests_held_of_organization on app_private.ai_spend_requests
  (organization_id, expires_at) include (user_id, estimate_micros) where state = 'held';
create index ai_spend_requests_held_of_group on app_private.ai_spend_requests
  (organization_id, group_id, expires_at) include (user_id, estimate_micros) where state = 'held';

create type app_public.ai_spend_decision as (
  allowed boolean,
  reason text,
  hold_id uuid,
  group_id uuid,
  estimate_micros numeric,
  limit_micros bigint,
  spent_micros numeric,
  held_micros numeric,
  remaining_micros numeric,
  period_start timestamptz,
  period_end timestamptz,
  expires_at timestamptz
);

create type app_public.ai_spend_settlement as (
  event_id uuid,
  group_id uuid,
  cost_micros numeric,
  overage_micros numeric
);

create type app_private.budget_candidate as (
  organization_id uuid,
  group_id uuid,
  group_name text,
  is_everyone boolean,
  is_charged boolean,
  limit_micros bigint,
  applies_to app_public.budget_scope,
  period app_public.budget_period,
  period_start timestamptz,
  period_end timestamptz,
  -- Whose counter it is: the user's, or the nil UUID for the pool.
  counter_user_id uuid,
  rank bigint
);

create type app_public.ai_usage_receipt as (recorded bigint, duplicates bigint);

create type app_public.ai_budget_status as (
  group_id uuid,
  limit_micros bigint,
  applies_to app_public.budget_scope,
  period app_public.budget_period,
  period_start timestamptz,
  period_end timestamptz,
  spent_micros numeric,
  held_micros numeric,
  remaining_micros numeric,
  overage_micros numeric,
  my_spent_micros numeric,
  my_held_micros numeric
);

-- Prices that are known already have held for as long as anybody knows.
insert into app_public.ai_model_price_history
  (provider, model, valid, input_price, output_price, cache_read_price, cache_write_price)
select provider, model, '(,)', input_price, output_price, cache_read_price, cache_write_price
from app_public.ai_model_prices;

--! Included spending-terms.sql
-- For whom a budget counts, over which time, and what an organization says about spending.

grant update (time_zone, unpriced_usage, hold_seconds) on app_public.organizations to bursar_user;
grant update (applies_to, period) on app_public.group_ai_budgets to bursar_user;

comment on column app_public.organizations.time_zone is
  'IANA name of the time zone in which budget periods begin and end, such as `Europe/Berlin`. UTC unless set.';
comment on column app_public.organizations.unpriced_usage is
  'Whether a call to a model without a known price goes ahead where a budget applies: refuse unless set.';
comment on column app_public.organizations.hold_seconds is
  'After how many seconds a hold that nobody settles counts as nothing: 600 unless set, 86400 at most.';
comment on type app_public.unpriced_usage_policy is
  'refuse: a call that can''t be priced is refused where a budget applies. allow: it goes ahead, and holds nothing.';
comment on column app_public.group_ai_budgets.applies_to is
  'group: one pool for all. member: each member has that much.';
comment on column app_public.group_ai_budgets.period is
  'Over which time spend counts, in the time zone of the organization: month unless set.';
comment on type app_public.budget_scope is
  'group: one pool for all members. member: each member has the limit for themselves.';
comment on type app_public.budget_period is
  'Calendar periods in the organization''s time zone; weeks begin on Monday. lifetime never begins anew.';

create or replace function app_private.check_time_zone() returns trigger
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  if not exists (select from pg_timezone_names where name = new.time_zone) then
    raise exception using
      errcode = 'BU400',
      message = format('time_zone must be an IANA name such as Europe/Berlin, not %s.', quote_literal(left(new.time_zone, 60))),
      column = 'time_zone';
  end if;
  return new;
end
$$;

revoke all on function app_private.check_time_zone() from public;
comment on function app_private.check_time_zone() is
  'Trigger: refuses a time zone that PostgreSQL does not know (BU400).';

create or replace trigger check_time_zone_of_new_organizations before insert on app_public.organizations
  for each row when (new.time_zone <> 'UTC') execute function app_private.check_time_zone();
create or replace trigger check_time_zone before update on app_public.organizations
  for each row when (new.time_zone is distinct from old.time_zone)
  execute function app_private.check_time_zone();

create or replace function app_public.set_group_ai_budget_terms(
  group_id uuid,
  applies_to app_public.budget_scope default null,
  period app_public.budget_period default null
)
returns app_public.group_ai_budgets
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  budget app_public.group_ai_budgets;
begin
  perform app_hidden.lock_group_to_manage(set_group_ai_budget_terms.group_id);

  update app_public.group_ai_budgets as b set
    applies_to = coalesce(set_group_ai_budget_terms.applies_to, b.applies_to),
    period = coalesce(set_group_ai_budget_terms.period, b.period)
  where b.group_id = set_group_ai_budget_terms.group_id
  returning * into budget;
  if not found then
    raise exception using errcode = 'BU404', message = 'This group has no budget.';
  end if;
  return budget;
end
$$;

revoke all on function app_public.set_group_ai_budget_terms(uuid, app_public.budget_scope, app_public.budget_period) from public;
grant execute on function app_public.set_group_ai_budget_terms(uuid, app_public.budget_scope, app_public.budget_period) to bursar_user;
comment on function app_public.set_group_ai_budget_terms(uuid, app_public.budget_scope, app_public.budget_period) is
  E'@feature ai_bridge\n@resultFieldName groupAiBudget\nSays for whom a group''s budget counts and over which time; what is left out stays. Spend counts anew from the ledger. BU404 when there is no budget, or the group is absent or not yours to change.';

create or replace function app_hidden.budget_window(
  period app_public.budget_period, at timestamptz, time_zone text,
  out period_start timestamptz, out period_end timestamptz
)
language sql stable security invoker parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select
    case when period = 'lifetime' then '-infinity'::timestamptz else starts at time zone time_zone end,
    case when period = 'lifetime' then 'infinity'::timestamptz
      else (starts + case period when 'quarter' then interval '3 months' else ('1 ' || period)::interval end) at time zone time_zone
    end
  from (
    -- The calendar of the place, where days can have 23 or 25 hours.
    select date_trunc(case period when 'lifetime' then 'day' else period::text end, at at time zone time_zone) as starts
  ) as local
$$;

revoke all on function app_hidden.budget_window(app_public.budget_period, timestamptz, text) from public;
grant execute on function app_hidden.budget_window(app_public.budget_period, timestamptz, text) to bursar_user;
comment on function app_hidden.budget_window(app_public.budget_period, timestamptz, text) is
  'The period around a moment, as [period_start, period_end): from one local midnight to another. A lifetime is -infinity to infinity.';
--! EndIncluded spending-terms.sql
--! Included price-history.sql
-- Which price held when: usage that is reported late is priced as of its time.

alter table app_public.ai_model_price_history enable row level security;

drop policy if exists price_history_is_read_by_whoever_is_signed_in on app_public.ai_model_price_history;
create policy price_history_is_read_by_whoever_is_signed_in on app_public.ai_model_price_history
  for select to bursar_user
  using ((select app_hidden.is_signed_in()));

grant select on app_public.ai_model_price_history to bursar_user;
-- no insert, no update, no delete: it follows from ai_model_prices

comment on table app_public.ai_model_price_history is E'@feature ai_bridge\n@behavior -insert -update -delete\nWhat each model cost when, in micros per million tokens. Written by the database whenever a price changes.';
comment on column app_public.ai_model_price_history.provider is 'Who serves the model.';
comment on column app_public.ai_model_price_history.model is 'The provider''s name for the model.';
comment on column app_public.ai_model_price_history.valid is
  'From when (inclusive) to when (exclusive) these prices held (UTC). The first ones hold for all the time before.';
comment on column app_public.ai_model_price_history.input_price is 'Micros per million input tokens, or null when unknown.';
comment on column app_public.ai_model_price_history.output_price is 'Micros per million output tokens, or null when unknown.';
comment on column app_public.ai_model_price_history.cache_read_price is 'Micros per million tokens read from the cache, or null when unknown.';
comment on column app_public.ai_model_price_history.cache_write_price is 'Micros per million tokens written to the cache, or null when unknown.';

create or replace function app_private.remember_price() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  -- A model that is listed for the first time has had its prices all along.
  since timestamptz;
begin
  -- The clock, not now(): a transaction that began earlier may write later. It can go backwards, and a price
  -- can change twice in a microsecond; a range is never empty all the same.
  if tg_op <> 'INSERT' then
    update app_public.ai_model_price_history h set
      valid = tstzrange(lower(h.valid), greatest(clock_timestamp(), lower(h.valid) + interval '1 microsecond'))
    where h.provider = old.provider and h.model = old.model and upper_inf(h.valid)
    returning upper(h.valid) into since;
  end if;
  if tg_op <> 'DELETE' then
    -- Where it was listed before, and then not, there is a gap.
    if since is null then
      select greatest(max(upper(h.valid)), clock_timestamp()) into since
      from app_public.ai_model_price_history h
      where h.provider = new.provider and h.model = new.model
      having count(*) > 0;
    end if;
    insert into app_public.ai_model_price_history
      (provider, model, valid, input_price, output_price, cache_read_price, cache_write_price)
    values (
      new.provider, new.model, tstzrange(since, null),
      new.input_price, new.output_price, new.cache_read_price, new.cache_write_price
    );
  end if;
  return null;
end
$$;

revoke all on function app_private.remember_price() from public;
comment on function app_private.remember_price() is
  'Trigger: ends the range of the old prices and begins that of the new. Security definer, since nobody writes history by hand.';

create or replace trigger remember_new_price after insert on app_public.ai_model_prices
  for each row execute function app_private.remember_price();
create or replace trigger remember_changed_price after update on app_public.ai_model_prices
  for each row when (
    (old.provider, old.model, old.input_price, old.output_price, old.cache_read_price, old.cache_write_price)
    is distinct from
    (new.provider, new.model, new.input_price, new.output_price, new.cache_read_price, new.cache_write_price)
  )
  execute function app_private.remember_price();
create or replace trigger remember_removed_price after delete on app_public.ai_model_prices
  for each row execute function app_private.remember_price();

create or replace function app_hidden.price_of_usage(
  provider text, model text, at timestamptz,
  input_tokens bigint, output_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint,
  out input_price bigint, out output_price bigint, out cache_read_price bigint, out cache_write_price bigint,
  out cost_micros numeric
)
language sql stable security definer
set search_path to pg_catalog, pg_temp
as $$
  select h.input_price, h.output_price, h.cache_read_price, h.cache_write_price,
    -- times 0.000001, not divided by a million: a product of numerics keeps every digit
    (coalesce(input_tokens::numeric * h.input_price, 0)
      + coalesce(output_tokens::numeric * h.output_price, 0)
      + coalesce(cache_read_tokens::numeric * h.cache_read_price, 0)
      + coalesce(cache_write_tokens::numeric * h.cache_write_price, 0)) * 0.000001
  from app_public.ai_model_price_history h
  where h.provider = price_of_usage.provider and h.model = price_of_usage.model
    and (upper_inf(h.valid) or upper(h.valid) > at)
    -- A kind of token that is not used needs no price.
    and (input_tokens = 0 or h.input_price is not null)
    and (output_tokens = 0 or h.output_price is not null)
    and (cache_read_tokens = 0 or h.cache_read_price is not null)
    and (cache_write_tokens = 0 or h.cache_write_price is not null)
  -- What held then, or else the first that became known afterwards.
  order by h.valid
  limit 1
$$;

revoke all on function app_hidden.price_of_usage(text, text, timestamptz, bigint, bigint, bigint, bigint) from public;
comment on function app_hidden.price_of_usage(text, text, timestamptz, bigint, bigint, bigint, bigint) is
  'The prices for usage at a moment and its exact cost in micros, or nulls when a price that it needs is unknown. Where none was known at the time, the first that became known later.';
--! EndIncluded price-history.sql
--! Included usage-tables.sql
-- Who may read what was used. Nobody writes these tables but through the functions of booking.sql.

-- The one helper of all policies on tables that grow with usage; its body can change without them.
create or replace function app_hidden.organizations_whose_spend_i_read() returns setof uuid
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select id from app_public.organizations where app_hidden.reads_every_organization()
  union all
  select app_hidden.organizations_i_read()
$$;

revoke all on function app_hidden.organizations_whose_spend_i_read() from public;
grant execute on function app_hidden.organizations_whose_spend_i_read() to bursar_user;
comment on function app_hidden.organizations_whose_spend_i_read() is
  'The organizations of which the current user may read everybody''s usage.';

alter table app_public.ai_usage_events enable row level security;

drop policy if exists usage_is_read_by_its_user_and_group_readers on app_public.ai_usage_events;
create policy usage_is_read_by_its_user_and_group_readers on app_public.ai_usage_events
  for select to bursar_user
  using (
    user_id = (select app_hidden.current_user_id())
    or organization_id in (select app_hidden.organizations_whose_spend_i_read())
  );

grant select on app_public.ai_usage_events to bursar_user;
-- no insert, no update, no delete: authorize, settle and record do that

comment on table app_public.ai_usage_events is E'@feature ai_bridge\n@behavior -insert -update -delete +aggregates +groupedAggregates\nThe ledger: one row for each call that was made, with the prices used and the exact cost. Members read their own rows.';
comment on column app_public.ai_usage_events.organization_id is 'The organization that pays.';
comment on column app_public.ai_usage_events.id is 'The caller''s id of the event, or the request_id of a settled request.';
comment on column app_public.ai_usage_events.occurred_at is 'When the call was made (UTC).';
comment on column app_public.ai_usage_events.recorded_at is 'When it was booked (UTC).';
comment on column app_public.ai_usage_events.group_id is 'The group that is charged.';
comment on column app_public.ai_usage_events.user_id is 'Who made the call.';
comment on column app_public.ai_usage_events.provider is 'Who served the model.';
comment on column app_public.ai_usage_events.model is 'The model.';
comment on column app_public.ai_usage_events.input_tokens is 'Input tokens that were neither read from nor written to the cache.';
comment on column app_public.ai_usage_events.output_tokens is 'Output tokens.';
comment on column app_public.ai_usage_events.cache_read_tokens is 'Tokens read from the provider''s cache.';
comment on column app_public.ai_usage_events.cache_write_tokens is 'Tokens written to the provider''s cache.';
comment on column app_public.ai_usage_events.input_price is 'The price used: micros per million input tokens.';
comment on column app_public.ai_usage_events.output_price is 'The price used: micros per million output tokens.';
comment on column app_public.ai_usage_events.cache_read_price is 'The price used: micros per million tokens read from the cache.';
comment on column app_public.ai_usage_events.cache_write_price is 'The price used: micros per million tokens written to the cache.';
comment on column app_public.ai_usage_events.cost_micros is 'Exact cost in micros, six decimals; null while unpriced, which is not 0.';
comment on column app_public.ai_usage_events.overage_micros is 'By how much the cost exceeded the hold, in micros; null where there was none to exceed.';

alter table app_public.ai_spend_daily enable row level security;

drop policy if exists daily_spend_is_read_by_its_user_and_group_readers on app_public.ai_spend_daily;
create policy daily_spend_is_read_by_its_user_and_group_readers on app_public.ai_spend_daily
  for select to bursar_user
  using (
    user_id = (select app_hidden.current_user_id())
    or organization_id in (select app_hidden.organizations_whose_spend_i_read())
  );

grant select on app_public.ai_spend_daily to bursar_user;
-- no insert, no update, no delete: it follows from the ledger

comment on table app_public.ai_spend_daily is E'@feature ai_bridge\n@behavior -insert -update -delete +aggregates +groupedAggregates\nThe ledger by day (UTC), group, user and model, written together with it. For totals.';
comment on column app_public.ai_spend_daily.organization_id is 'The organization that pays.';
comment on column app_public.ai_spend_daily.day is 'The day in UTC.';
comment on column app_public.ai_spend_daily.group_id is 'The group that is charged.';
comment on column app_public.ai_spend_daily.user_id is 'Who made the calls.';
comment on column app_public.ai_spend_daily.provider is 'Who served the model.';
comment on column app_public.ai_spend_daily.model is 'The model.';
comment on column app_public.ai_spend_daily.requests is 'Number of calls.';
comment on column app_public.ai_spend_daily.input_tokens is 'Sum of input tokens.';
comment on column app_public.ai_spend_daily.output_tokens is 'Sum of output tokens.';
comment on column app_public.ai_spend_daily.cache_read_tokens is 'Sum of tokens read from the cache.';
comment on column app_public.ai_spend_daily.cache_write_tokens is 'Sum of tokens written to the cache.';
comment on column app_public.ai_spend_daily.cost_micros is 'Sum of the costs that are known, in micros.';
comment on column app_public.ai_spend_daily.overage_micros is 'By how much costs exceeded their holds, in micros.';
comment on column app_public.ai_spend_daily.unpriced_requests is 'Number of calls whose cost is not known yet.';

alter table app_private.ai_usage_event_keys enable row level security;
alter table app_private.ai_usage_events_unplaced enable row level security;
alter table app_private.ai_spend_counters enable row level security;
alter table app_private.ai_spend_requests enable row level security;
-- no policies and no grants on these

comment on table app_private.ai_usage_event_keys is 'Which events are in the ledger: an id is booked once, whatever its month.';
comment on table app_private.ai_usage_events_unplaced is 'Ledger rows whose month has no partition yet.';
comment on table app_private.ai_spend_counters is
  'What a group (user_id nil) or one of its members has spent in a period for which a budget has asked. Everyone counts the whole organization. Equals the ledger at every commit.';
comment on table app_private.ai_spend_requests is
  'Requests for authorization: what was asked and answered, and the holds.';
--! EndIncluded usage-tables.sql
--! Included usage-months.sql
-- The ledger has a partition for each month, made ahead by the traffic itself: no scheduler.

create or replace function app_private.months_number() returns bigint
language sql immutable security invoker parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select hashtextextended('months of usage', 0)
$$;

revoke all on function app_private.months_number() from public;
comment on function app_private.months_number() is
  'The number under which the months of the ledger are locked: alone by whoever makes one, shared by whoever begins a counter.';

-- Called last in a transaction and with locks that are not waited for: making a partition must neither hold
-- traffic up nor wait in a circle with it. When it can't be made now, its rows stay in the default partition and
-- move on the next occasion.
create or replace function app_private.make_usage_month(month date) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  name text := format('ai_usage_events_%s', to_char(month, 'YYYY_MM'));
  starts timestamptz := month::timestamp at time zone 'UTC';
  ends timestamptz := (month + interval '1 month') at time zone 'UTC';
begin
  if not pg_try_advisory_xact_lock(app_private.months_number()) then
    return;
  end if;
  lock table only app_public.ai_usage_events in share update exclusive mode nowait;
  lock table app_private.ai_usage_events_unplaced in access exclusive mode nowait;
  -- Now nobody else can be making it.
  if to_regclass('app_private.' || name) is not null then
    return;
  end if;
  execute format('create table app_private.%I (like app_public.ai_usage_events including defaults including constraints)', name);
  execute format('alter table app_private.%I enable row level security', name);
  execute format('comment on table app_private.%I is %L', name, 'The ledger of ' || to_char(month, 'YYYY-MM') || ' (UTC).');
  execute format(
    'with moved as (
       delete from app_private.ai_usage_events_unplaced where occurred_at >= %L and occurred_at < %L returning *
     )
     insert into app_private.%I select * from moved', starts, ends, name
  );
  execute format('alter table app_public.ai_usage_events attach partition app_private.%I for values from (%L) to (%L)', name, starts, ends);
exception
  when lock_not_available then null;
end
$$;

revoke all on function app_private.make_usage_month(date) from public;
comment on function app_private.make_usage_month(date) is
  'Makes the partition of a month, given as its first day, and moves the rows that waited for it. Does nothing when it exists or can''t be made at once.';

create or replace function app_private.make_usage_months(at timestamptz[]) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  missing date;
begin
  for missing in
    select distinct m.month
    from (
      select date_trunc('month', moment at time zone 'UTC')::date from unnest(at) as moment
      union
      select (date_trunc('month', clock_timestamp() at time zone 'UTC') + make_interval(months => ahead))::date
      from generate_series(0, 2) as ahead
    ) as m (month)
    -- Older and newer rows are rare, and many months would slow every plan: they stay unplaced.
    where m.month between clock_timestamp() - interval '25 months' and clock_timestamp() + interval '3 months'
      and to_regclass('app_private.ai_usage_events_' || to_char(m.month, 'YYYY_MM')) is null
    order by m.month
  loop
    perform app_private.make_usage_month(missing);
  end loop;
end
$$;

revoke all on function app_private.make_usage_months(timestamptz[]) from public;
comment on function app_private.make_usage_months(timestamptz[]) is
  'Makes the partitions for these moments that are missing, and those of this month and the next two.';

select app_private.make_usage_months('{}');
--! EndIncluded usage-months.sql
--! Included booking.sql
-- How usage gets into the ledger, the daily totals and the counters: all in one transaction, or not at all.
--
-- Locks are always taken in this order, so that nobody waits in a circle:
--   1. the request (advisory, one for each request_id)
--   2. the keys of events, by organization and id
--   3. accounts (advisory, one for each group that is touched), by their number
--   4. the months of the ledger, shared (advisory), by whoever begins a counter
--   5. counters, by primary key
--   6. daily totals, by primary key
--   7. a month that is made: nobody waits for this, and it comes last, so that whoever makes one waits for nobody
-- An account is held shared by whoever books on it, and alone by whoever begins a counter, which adds up the
-- ledger: so no booking that is under way can be missed, and none counted twice.

create or replace function app_private.account_number(organization_id uuid, group_id uuid) returns bigint
language sql immutable security invoker parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select hashtextextended('account ' || organization_id || ' ' || group_id, 0)
$$;

create or replace function app_private.lock_account(organization_id uuid, group_id uuid, alone boolean) returns void
language sql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
  select case when alone
    then pg_advisory_xact_lock(app_private.account_number(organization_id, group_id))
    else pg_advisory_xact_lock_shared(app_private.account_number(organization_id, group_id))
  end
$$;

-- The accounts on which these events are booked: each group's, and Everyone's for the organization.
create or replace function app_private.lock_accounts(events app_public.ai_usage_events[]) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  account record;
begin
  for account in
    select distinct a.organization_id, a.group_id,
      app_private.account_number(a.organization_id, a.group_id) as number
    from unnest(events) e,
      lateral (values (e.organization_id, e.group_id), (e.organization_id, e.organization_id))
        as a (organization_id, group_id)
    order by number
  loop
    perform app_private.lock_account(account.organization_id, account.group_id, alone => false);
  end loop;
end
$$;

revoke all on function app_private.lock_accounts(app_public.ai_usage_events[]) from public;
comment on function app_private.lock_accounts(app_public.ai_usage_events[]) is
  'Waits for every account on which these events are booked, together with others, in the order of their numbers.';

revoke all on function app_private.lock_account(uuid, uuid, boolean) from public;
revoke all on function app_private.account_number(uuid, uuid) from public;
comment on function app_private.lock_account(uuid, uuid, boolean) is
  'Waits for a group''s account, alone or together with others, and keeps it until the transaction ends.';
comment on function app_private.account_number(uuid, uuid) is
  'The number under which a group''s account is locked. Accounts are locked in the order of their numbers.';

-- Locks 3, 5 and 6. The keys of the events must be new and locked already.
create or replace function app_private.book_ai_usage(events app_public.ai_usage_events[]) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  rule text;
begin
  perform app_private.lock_accounts(events);

  loop
    begin
      insert into app_public.ai_usage_events select e.* from unnest(events) e;
      exit;
    exception
      when check_violation then
        -- A row on its way to the default partition met its month being made: the next attempt finds the month.
        -- A violation of one of our own rules has a name.
        get stacked diagnostics rule = constraint_name;
        if rule <> '' then
          raise;
        end if;
    end;
  end loop;

  perform app_private.add_to_counters(events);

  insert into app_public.ai_spend_daily as d
    (organization_id, day, group_id, user_id, provider, model, requests,
     input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
     cost_micros, overage_micros, unpriced_requests)
  select organization_id, (occurred_at at time zone 'UTC')::date, group_id, user_id, provider, model, count(*),
    sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens),
    coalesce(sum(cost_micros), 0), coalesce(sum(overage_micros), 0), count(*) filter (where cost_micros is null)
  from unnest(events)
  group by 1, 2, 3, 4, 5, 6
  order by 1, 2, 3, 4, 5, 6
  on conflict (organization_id, day, group_id, user_id, provider, model) do update set
    requests = d.requests + excluded.requests,
    input_tokens = d.input_tokens + excluded.input_tokens,
    output_tokens = d.output_tokens + excluded.output_tokens,
    cache_read_tokens = d.cache_read_tokens + excluded.cache_read_tokens,
    cache_write_tokens = d.cache_write_tokens + excluded.cache_write_tokens,
    cost_micros = d.cost_micros + excluded.cost_micros,
    overage_micros = d.overage_micros + excluded.overage_micros,
    unpriced_requests = d.unpriced_requests + excluded.unpriced_requests;
end
$$;

revoke all on function app_private.book_ai_usage(app_public.ai_usage_events[]) from public;
comment on function app_private.book_ai_usage(app_public.ai_usage_events[]) is
  'Writes new events to the ledger, the daily totals and every counter that covers them.';

create or replace function app_private.add_to_counters(events app_public.ai_usage_events[]) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  with sums as (
    select c.organization_id, c.group_id, c.user_id, c.period_start, c.period_end,
      sum(e.cost_micros) as cost, sum(e.overage_micros) as overage
    from unnest(events) e
      join app_private.ai_spend_counters c
        on c.organization_id = e.organization_id
        -- what the group has spent, and what the organization has
        and c.group_id in (e.group_id, e.organization_id)
        and c.user_id in (e.user_id, '00000000-0000-0000-0000-000000000000')
        and e.occurred_at >= c.period_start and e.occurred_at < c.period_end
    where e.cost_micros is not null
    group by 1, 2, 3, 4, 5
  ), locked as (
    select sums.*
    from sums join app_private.ai_spend_counters c using (organization_id, group_id, user_id, period_start, period_end)
    order by organization_id, group_id, user_id, period_start, period_end
    for update of c
  )
  update app_private.ai_spend_counters c set
    spent_micros = c.spent_micros + l.cost,
    overage_micros = c.overage_micros + coalesce(l.overage, 0)
  from locked l
  where c.organization_id = l.organization_id and c.group_id = l.group_id and c.user_id = l.user_id
    and c.period_start = l.period_start and c.period_end = l.period_end;
end
$$;

revoke all on function app_private.add_to_counters(app_public.ai_usage_events[]) from public;
comment on function app_private.add_to_counters(app_public.ai_usage_events[]) is
  'Adds costs to every counter whose group or organization, member and period they fall in.';

-- Planned for each call: whether it is about the organization, a group or a member makes all the difference.
create or replace function app_private.ledger_spend(
  organization_id uuid, group_id uuid, user_id uuid, period_start timestamptz, period_end timestamptz,
  out spent_micros numeric, out overage_micros numeric
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
set plan_cache_mode to force_custom_plan
as $$
#variable_conflict use_column
begin
  select coalesce(sum(e.cost_micros), 0), coalesce(sum(e.overage_micros), 0)
  into ledger_spend.spent_micros, ledger_spend.overage_micros
  from app_public.ai_usage_events e
  where e.organization_id = ledger_spend.organization_id
    and (ledger_spend.group_id = ledger_spend.organization_id or e.group_id = ledger_spend.group_id)
    and (ledger_spend.user_id = '00000000-0000-0000-0000-000000000000' or e.user_id = ledger_spend.user_id)
    and e.occurred_at >= ledger_spend.period_start and e.occurred_at < ledger_spend.period_end;
end
$$;

revoke all on function app_private.ledger_spend(uuid, uuid, uuid, timestamptz, timestamptz) from public;
comment on function app_private.ledger_spend(uuid, uuid, uuid, timestamptz, timestamptz) is
  'Spend of a group (or of the organization, for Everyone) or one of its members in a period, added up from the ledger, in micros.';

create or replace function app_private.rolled_up_spend(
  organization_id uuid, group_id uuid, user_id uuid, period_start timestamptz, period_end timestamptz,
  out spent_micros numeric, out overage_micros numeric
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
set plan_cache_mode to force_custom_plan
set timezone to 'UTC'
as $$
#variable_conflict use_column
declare
  -- The whole days in UTC; what the period has before and after them comes from the ledger.
  first_day timestamptz := date_trunc('day', period_start);
  last_day timestamptz := date_trunc('day', period_end);
begin
  if first_day < period_start then
    first_day := first_day + interval '1 day';
  end if;
  if first_day >= last_day then
    first_day := period_end;
    last_day := period_end;
  end if;

  select coalesce(sum(s.spent_micros), 0), coalesce(sum(s.overage_micros), 0)
  into rolled_up_spend.spent_micros, rolled_up_spend.overage_micros
  from (
    select sum(d.cost_micros) as spent_micros, sum(d.overage_micros) as overage_micros
    from app_public.ai_spend_daily d
    where d.organization_id = rolled_up_spend.organization_id
      and (rolled_up_spend.group_id = rolled_up_spend.organization_id or d.group_id = rolled_up_spend.group_id)
      and (rolled_up_spend.user_id = '00000000-0000-0000-0000-000000000000' or d.user_id = rolled_up_spend.user_id)
      and first_day < last_day and d.day >= first_day::date and d.day < last_day::date
    union all
    select l.* from app_private.ledger_spend(
      rolled_up_spend.organization_id, rolled_up_spend.group_id, rolled_up_spend.user_id, period_start, first_day
    ) l
    where period_start < first_day
    union all
    select l.* from app_private.ledger_spend(
      rolled_up_spend.organization_id, rolled_up_spend.group_id, rolled_up_spend.user_id, last_day, period_end
    ) l
    where last_day < period_end
  ) as s;
end
$$;

revoke all on function app_private.rolled_up_spend(uuid, uuid, uuid, timestamptz, timestamptz) from public;
comment on function app_private.rolled_up_spend(uuid, uuid, uuid, timestamptz, timestamptz) is
  'The same as ledger_spend(), from the daily totals as far as they go: for beginning a counter, and where there is none.';

create or replace function app_public.price_unpriced_ai_usage()
returns table (organization_id uuid, provider text, model text, events bigint, cost_micros numeric)
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  candidates app_public.ai_usage_events[];
  priced app_public.ai_usage_events[];
begin
  perform app_private.require_gateway();
  -- One at a time: two would price the same rows.
  perform pg_advisory_xact_lock(hashtext('bursar price unpriced usage'));

  select array_agg(e) into candidates
  from app_public.ai_usage_events e
    cross join lateral app_hidden.price_of_usage(
      e.provider, e.model, e.occurred_at,
      e.input_tokens, e.output_tokens, e.cache_read_tokens, e.cache_write_tokens
    ) p
  where e.cost_micros is null and p.cost_micros is not null;

  perform app_private.lock_accounts(candidates);

  with found as (
    select e.organization_id, e.id, e.occurred_at, p.*,
      case when r.estimate_micros is not null then greatest(p.cost_micros - r.estimate_micros, 0) end as overage
    from unnest(candidates) e
      cross join lateral app_hidden.price_of_usage(
        e.provider, e.model, e.occurred_at,
        e.input_tokens, e.output_tokens, e.cache_read_tokens, e.cache_write_tokens
      ) p
      left join app_private.ai_spend_requests r on r.organization_id = e.organization_id and r.request_id = e.id
    where p.cost_micros is not null
  ), changed as (
    update app_public.ai_usage_events e set
      input_price = f.input_price, output_price = f.output_price,
      cache_read_price = f.cache_read_price, cache_write_price = f.cache_write_price,
      cost_micros = f.cost_micros,
      overage_micros = f.overage
    from found f
    where e.organization_id = f.organization_id and e.id = f.id and e.occurred_at = f.occurred_at
    returning e.*
  )
  select array_agg(row(changed.*)::app_public.ai_usage_events) into priced from changed;

  perform app_private.add_to_counters(priced);

  with sums as (
    select e.organization_id, (e.occurred_at at time zone 'UTC')::date as day, e.group_id, e.user_id, e.provider, e.model,
      count(*) as requests, sum(e.cost_micros) as cost, coalesce(sum(e.overage_micros), 0) as overage
    from unnest(priced) e
    group by 1, 2, 3, 4, 5, 6
  ), locked as (
    select sums.*
    from sums join app_public.ai_spend_daily d using (organization_id, day, group_id, user_id, provider, model)
    order by organization_id, day, group_id, user_id, provider, model
    for update of d
  )
  update app_public.ai_spend_daily d set
    cost_micros = d.cost_micros + l.cost,
    overage_micros = d.overage_micros + l.overage,
    unpriced_requests = d.unpriced_requests - l.requests
  from locked l
  where (d.organization_id, d.day, d.group_id, d.user_id, d.provider, d.model)
    = (l.organization_id, l.day, l.group_id, l.user_id, l.provider, l.model);

  return query
    select e.organization_id, e.provider, e.model, count(*), trim_scale(sum(e.cost_micros))
    from unnest(priced) e
    group by 1, 2, 3
    order by 1, 2, 3;
end
$$;

revoke all on function app_public.price_unpriced_ai_usage() from public;
grant execute on function app_public.price_unpriced_ai_usage() to bursar_user;
comment on function app_public.price_unpriced_ai_usage() is
  E'@feature ai_bridge\nPrices the recorded usage whose price has become known since, and says what changed: how many events of which model, and what they cost in micros. For ai_gateway and owner (42501 otherwise).';

create or replace function app_private.require_gateway() returns void
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  -- session_user: within a security definer function current_user is always the owner.
  if not app_hidden.has_site_role('owner', 'ai_gateway') and not pg_has_role(session_user, current_user, 'usage') then
    raise exception using
      errcode = '42501',
      message = 'Usage is recorded and spend authorized by ai_gateway and owner.',
      hint = 'The role ai_gateway in user_site_roles gives that right.';
  end if;
  -- What was committed while a lock was waited for must be seen.
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using
      errcode = 'BU400',
      message = format('Spend is booked in transactions of isolation level read committed, not %s.', current_setting('transaction_isolation'));
  end if;
end
$$;

revoke all on function app_private.require_gateway() from public;
comment on function app_private.require_gateway() is
  'Returns for the site roles that may record usage and authorize spend, and for the database''s owner; 42501 for everybody else.';
--! EndIncluded booking.sql
--! Included budget-resolver.sql
-- Whose budget a call is charged to. This is the one resolver: authorizing, recording and explaining use it.

-- The organization that a call belongs to.
create or replace function app_private.organization_of_call(
  user_id uuid, organization_id uuid, group_id uuid, among uuid[] default null
) returns uuid
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  of_group uuid;
  memberships uuid[];
begin
  select g.organization_id into of_group from app_public.groups g where g.id = organization_of_call.group_id;
  if organization_of_call.group_id is not null and (
    of_group is null or of_group <> coalesce(organization_of_call.organization_id, of_group)
  ) then
    raise exception using
      errcode = 'BU400',
      message = format('group_id: there is no group %s%s.', organization_of_call.group_id,
        case when organization_of_call.organization_id is null then '' else ' in the organization ' || organization_of_call.organization_id end),
      column = 'group_id';
  end if;
  select array_agg(m.organization_id) into memberships
  from app_public.organization_members m
  where m.user_id = organization_of_call.user_id
    and m.organization_id = coalesce(of_group, organization_of_call.organization_id, m.organization_id)
    and (among is null or m.organization_id = any (among));
  if memberships is null then
    raise exception using
      errcode = 'BU400',
      message = format('user_id: the user %s belongs to no%s organization.', coalesce(organization_of_call.user_id::text, 'null'),
        case when coalesce(of_group, organization_of_call.organization_id) is null then '' else ' such' end),
      column = 'user_id';
  end if;
  if cardinality(memberships) > 1 then
    raise exception using
      errcode = 'BU400',
      message = format('The user %s belongs to %s organizations: name organization_id or group_id.', organization_of_call.user_id, cardinality(memberships)),
      column = 'organization_id';
  end if;
  if of_group is not null and organization_of_call.group_id <> of_group and not exists (
    select from app_public.group_members m
    where m.group_id = organization_of_call.group_id and m.user_id = organization_of_call.user_id
  ) then
    raise exception using
      errcode = 'BU400',
      message = format('group_id: the user %s does not belong to the group %s.', organization_of_call.user_id, organization_of_call.group_id),
      column = 'group_id';
  end if;
  return memberships[1];
end
$$;

revoke all on function app_private.organization_of_call(uuid, uuid, uuid, uuid[]) from public;
comment on function app_private.organization_of_call(uuid, uuid, uuid, uuid[]) is
  'The organization of a call: that of the group it names, the one it names, or the only one of the user (among those given). BU400 names what does not fit.';

create or replace function app_private.budget_candidates(
  user_id uuid, organization_id uuid, group_id uuid, at timestamptz
)
returns setof app_private.budget_candidate
language sql stable security definer
set search_path to pg_catalog, pg_temp
as $$
  with belongs as (
    select g.id, g.name, g.organization_id, false as is_everyone, m.created_at as since
    from app_public.group_members m join app_public.groups g on g.id = m.group_id
    where m.user_id = budget_candidates.user_id and m.organization_id = budget_candidates.organization_id
    union all
    select g.id, g.name, g.organization_id, true, m.created_at
    from app_public.groups g join app_public.organization_members m on m.organization_id = g.id
    where g.id = budget_candidates.organization_id and m.user_id = budget_candidates.user_id
  ), ranked as (
    select b.id, b.name, b.organization_id, b.is_everyone,
      budget.spend_limit_micros, budget.applies_to, budget.period,
      row_number() over (order by
        -- the group that the call names, and no other
        b.id is not distinct from budget_candidates.group_id desc,
        -- then those with a budget; Everyone's is the ceiling on top, and is charged when there is no other
        (budget.group_id is not null and not b.is_everyone) desc,
        b.is_everyone desc,
        budget.spend_limit_micros desc nulls last,
        b.since,
        b.id
      ) as rank
    from belongs b left join app_public.group_ai_budgets budget on budget.group_id = b.id
  )
  select r.organization_id, r.id, r.name, r.is_everyone, r.rank = 1,
    r.spend_limit_micros, r.applies_to, r.period, w.period_start, w.period_end,
    case when r.applies_to = 'member' then budget_candidates.user_id else '00000000-0000-0000-0000-000000000000'::uuid end,
    r.rank
  from ranked r
    join app_public.organizations o on o.id = r.organization_id
    cross join lateral app_hidden.budget_window(coalesce(r.period, 'month'), at, o.time_zone) w
$$;

revoke all on function app_private.budget_candidates(uuid, uuid, uuid, timestamptz) from public;
comment on function app_private.budget_candidates(uuid, uuid, uuid, timestamptz) is
  'The groups to which a user belongs, with their budgets, best first. The first one is charged: the group that the call names, or else the one with the largest limit (then the older membership, then the smaller id), or else Everyone. Everyone''s budget is the ceiling of the organization whoever is charged.';

create or replace function app_private.held_micros(
  organization_id uuid, group_id uuid, user_id uuid, at timestamptz
) returns numeric
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  if held_micros.group_id = held_micros.organization_id then
    return (
      select coalesce(sum(r.estimate_micros), 0)
      from app_private.ai_spend_requests r
      where r.organization_id = held_micros.organization_id
        and r.state = 'held' and r.expires_at > held_micros.at
        and (held_micros.user_id = '00000000-0000-0000-0000-000000000000' or r.user_id = held_micros.user_id)
    );
  end if;
  return (
    select coalesce(sum(r.estimate_micros), 0)
    from app_private.ai_spend_requests r
    where r.organization_id = held_micros.organization_id and r.group_id = held_micros.group_id
      and r.state = 'held' and r.expires_at > held_micros.at
      and (held_micros.user_id = '00000000-0000-0000-0000-000000000000' or r.user_id = held_micros.user_id)
  );
end
$$;

revoke all on function app_private.held_micros(uuid, uuid, uuid, timestamptz) from public;
comment on function app_private.held_micros(uuid, uuid, uuid, timestamptz) is
  'What holds that have not expired keep of a group (or of the organization, for Everyone) or one of its members, in micros.';

create or replace function app_private.spend_of_period(
  organization_id uuid, group_id uuid, user_id uuid, period_start timestamptz, period_end timestamptz,
  out spent_micros numeric, out overage_micros numeric
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  select c.spent_micros, c.overage_micros
  into spend_of_period.spent_micros, spend_of_period.overage_micros
  from app_private.ai_spend_counters c
  where c.organization_id = spend_of_period.organization_id and c.group_id = spend_of_period.group_id
    and c.user_id = spend_of_period.user_id
    and c.period_start = spend_of_period.period_start and c.period_end = spend_of_period.period_end;
  if not found then
    -- Nobody has asked for this period yet.
    select s.spent_micros, s.overage_micros
    into spend_of_period.spent_micros, spend_of_period.overage_micros
    from app_private.rolled_up_spend(
      spend_of_period.organization_id, spend_of_period.group_id, spend_of_period.user_id,
      spend_of_period.period_start, spend_of_period.period_end
    ) s;
  end if;
end
$$;

revoke all on function app_private.spend_of_period(uuid, uuid, uuid, timestamptz, timestamptz) from public;
comment on function app_private.spend_of_period(uuid, uuid, uuid, timestamptz, timestamptz) is
  'Spend of a group (or of the organization, for Everyone) or one of its members in a period, in micros: from its counter, or from the ledger where there is none.';
--! EndIncluded budget-resolver.sql
--! Included spend-requests.sql
-- May this call go ahead? And what became of it.

comment on type app_public.ai_spend_decision is
  'Whether a call may go ahead: allowed, or the reason why not (GROUP_BUDGET_EXCEEDED, MEMBER_BUDGET_EXCEEDED, ORGANIZATION_BUDGET_EXCEEDED, UNPRICED_MODEL). group_id is the charged group. Limit, spent, held and remaining are in micros, of the budget that refused or else of the charged group''s; limit and remaining are null where there is no budget, the period is null for a lifetime.';
comment on type app_public.ai_spend_settlement is
  'What a settled call came to, in micros: its exact cost (null while unpriced) and by how much that exceeded the hold.';

create or replace function app_private.require_tokens(name text, tokens bigint) returns void
language plpgsql immutable security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  if tokens is null then
    raise exception using errcode = 'BU400', message = format('%s is missing.', name), column = name;
  end if;
  if tokens not between 0 and 1000000000000 then
    raise exception using
      errcode = 'BU400',
      message = format('%s must be between 0 and 1000000000000 tokens, not %s.', name, tokens),
      column = name;
  end if;
end
$$;

create or replace function app_private.require_given(name text, value text) returns void
language plpgsql immutable security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  if value is null then
    raise exception using errcode = 'BU400', message = format('%s is missing.', name), column = name;
  end if;
  if length(btrim(value)) not between 1 and 200 then
    raise exception using
      errcode = 'BU400', message = format('%s must have 1 to 200 characters.', name), column = name;
  end if;
end
$$;

create or replace function app_private.require_moment(name text, moment timestamptz) returns void
language plpgsql stable security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  if moment not between '2000-01-01' and clock_timestamp() + interval '1 day' then
    raise exception using
      errcode = 'BU400',
      message = format('%s must lie between the year 2000 and tomorrow, not at %s.', name, moment),
      column = name;
  end if;
end
$$;

revoke all on function app_private.require_tokens(text, bigint) from public;
revoke all on function app_private.require_given(text, text) from public;
revoke all on function app_private.require_moment(text, timestamptz) from public;
comment on function app_private.require_tokens(text, bigint) is 'BU400 unless it is a number of tokens from 0 to 10^12.';
comment on function app_private.require_given(text, text) is 'BU400 unless it is text of 1 to 200 characters.';
comment on function app_private.require_moment(text, timestamptz) is 'BU400 unless usage can have occurred then; null passes.';

create or replace function app_private.begin_counters(budgets app_private.budget_candidate[]) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  missing record;
begin
  for missing in
    select b.*, app_private.account_number(b.organization_id, b.group_id) as number
    from unnest(budgets) b
    where not exists (
        select from app_private.ai_spend_counters c
        where c.organization_id = b.organization_id and c.group_id = b.group_id and c.user_id = b.counter_user_id
          and c.period_start = b.period_start and c.period_end = b.period_end
      )
    order by number
  loop
    -- Alone: everybody who books on this account has committed, and sees the counter from now on.
    perform app_private.lock_account(missing.organization_id, missing.group_id, alone => true);
    -- Nor does anybody move rows to a new month, where this statement could miss them.
    perform pg_advisory_xact_lock_shared(app_private.months_number());
    insert into app_private.ai_spend_counters
      (organization_id, group_id, user_id, period_start, period_end, spent_micros, overage_micros)
    select missing.organization_id, missing.group_id, missing.counter_user_id,
      missing.period_start, missing.period_end, l.spent_micros, l.overage_micros
    from app_private.rolled_up_spend(
      missing.organization_id, missing.group_id, missing.counter_user_id,
      missing.period_start, missing.period_end
    ) l
    on conflict do nothing;
  end loop;
end
$$;

revoke all on function app_private.begin_counters(app_private.budget_candidate[]) from public;
comment on function app_private.begin_counters(app_private.budget_candidate[]) is
  'Makes sure that these budgets have counters for their periods, begun from the ledger.';

create or replace function app_public.authorize_ai_spend(
  request_id uuid, user_id uuid, provider text, model text,
  input_tokens bigint, max_output_tokens bigint,
  cache_read_tokens bigint default 0, cache_write_tokens bigint default 0,
  group_id uuid default null, organization_id uuid default null
)
returns app_public.ai_spend_decision
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  content jsonb;
  known app_private.ai_spend_requests;
  organization app_public.organizations;
  organization_of_call uuid;
  at timestamptz;
  estimate numeric;
  budgets app_private.budget_candidate[];
  budget record;
  shown record;
  charged uuid;
  spent numeric;
  held numeric;
  refusal text;
  hold uuid;
  expiry timestamptz;
  decision app_public.ai_spend_decision;
begin
  perform app_private.require_gateway();
  perform app_private.require_given('request_id', authorize_ai_spend.request_id::text);
  perform app_private.require_given('user_id', authorize_ai_spend.user_id::text);
  perform app_private.require_given('provider', authorize_ai_spend.provider);
  perform app_private.require_given('model', authorize_ai_spend.model);
  perform app_private.require_tokens('input_tokens', authorize_ai_spend.input_tokens);
  perform app_private.require_tokens('max_output_tokens', authorize_ai_spend.max_output_tokens);
  perform app_private.require_tokens('cache_read_tokens', coalesce(authorize_ai_spend.cache_read_tokens, 0));
  perform app_private.require_tokens('cache_write_tokens', coalesce(authorize_ai_spend.cache_write_tokens, 0));

  -- The same request twice at once: the second waits, and finds the first's answer.
  perform app_private.lock_request(authorize_ai_spend.request_id);
  content := jsonb_build_object(
    'user_id', authorize_ai_spend.user_id, 'provider', authorize_ai_spend.provider, 'model', authorize_ai_spend.model,
    'input_tokens', authorize_ai_spend.input_tokens, 'max_output_tokens', authorize_ai_spend.max_output_tokens,
    'cache_read_tokens', coalesce(authorize_ai_spend.cache_read_tokens, 0),
    'cache_write_tokens', coalesce(authorize_ai_spend.cache_write_tokens, 0),
    'group_id', authorize_ai_spend.group_id, 'organization_id', authorize_ai_spend.organization_id
  );
  select * into known from app_private.ai_spend_requests r where r.request_id = authorize_ai_spend.request_id;
  if found then
    if known.content <> content then
      raise exception using
        errcode = 'BU409',
        message = format('The request %s was made before, with other content.', authorize_ai_spend.request_id),
        column = 'request_id';
    end if;
    return jsonb_populate_record(null::app_public.ai_spend_decision, known.decision);
  end if;

  organization_of_call := app_private.organization_of_call(
    authorize_ai_spend.user_id, authorize_ai_spend.organization_id, authorize_ai_spend.group_id
  );
  select * into organization from app_public.organizations o where o.id = organization_of_call;

  at := clock_timestamp();
  -- The charged group, and the organization's ceiling; read once, so that all that follows is about the same.
  select array_agg(b order by b.rank) into budgets
  from app_private.budget_candidates(authorize_ai_spend.user_id, organization.id, authorize_ai_spend.group_id, at) b
  where b.is_charged or (b.is_everyone and b.limit_micros is not null);
  charged := budgets[1].group_id;
  perform app_private.begin_counters(budgets);

  -- From here on nobody else decides on these budgets until this transaction ends. The counters of yesterday
  -- are locked as well: a hold counts whatever its period, and somebody may still be deciding in the last one.
  perform
  from unnest(budgets) b
    join app_private.ai_spend_counters c
      on c.organization_id = b.organization_id and c.group_id = b.group_id and c.user_id = b.counter_user_id
  where b.limit_micros is not null and c.period_end > at - interval '1 day'
  order by c.organization_id, c.group_id, c.user_id, c.period_start, c.period_end
  for update of c;

  select p.cost_micros into estimate
  from app_hidden.price_of_usage(
    authorize_ai_spend.provider, authorize_ai_spend.model, at,
    authorize_ai_spend.input_tokens, authorize_ai_spend.max_output_tokens,
    coalesce(authorize_ai_spend.cache_read_tokens, 0), coalesce(authorize_ai_spend.cache_write_tokens, 0)
  ) p;

  for budget in
    select b.*, s.spent_micros as spent,
      app_private.held_micros(b.organization_id, b.group_id, b.counter_user_id, clock_timestamp()) as held
    from unnest(budgets) b
      cross join lateral app_private.spend_of_period(
        b.organization_id, b.group_id, b.counter_user_id, b.period_start, b.period_end
      ) s
    order by b.rank
  loop
    if budget.rank = 1 then
      shown := budget;
    elsif shown.limit_micros is null then
      -- Where the charged group has no budget, the ceiling's numbers say more.
      shown := budget;
    end if;
    continue when refusal is not null or budget.limit_micros is null;
    refusal := case
      when estimate is null and organization.unpriced_usage = 'refuse' then 'UNPRICED_MODEL'
      when budget.limit_micros > 0 and budget.spent + budget.held + coalesce(estimate, 0) <= budget.limit_micros then null
      when budget.applies_to = 'member' then 'MEMBER_BUDGET_EXCEEDED'
      when budget.is_everyone then 'ORGANIZATION_BUDGET_EXCEEDED'
      else 'GROUP_BUDGET_EXCEEDED'
    end;
    if refusal is not null then
      shown := budget;
    end if;
  end loop;

  if refusal is null then
    hold := gen_random_uuid();
    expiry := clock_timestamp() + make_interval(secs => organization.hold_seconds);
  end if;
  spent := shown.spent;
  held := shown.held + case when refusal is null then coalesce(estimate, 0) else 0 end;
  decision := row(
    refusal is null, refusal, hold, charged, trim_scale(estimate),
    shown.limit_micros, trim_scale(spent), trim_scale(held),
    trim_scale(greatest(shown.limit_micros - spent - held, 0)),
    nullif(shown.period_start, '-infinity'), nullif(shown.period_end, 'infinity'), expiry
  );
  if shown.limit_micros is null then
    decision.remaining_micros := null;
  end if;

  insert into app_private.ai_spend_requests
    (organization_id, request_id, hold_id, state, group_id, user_id, content, decision, estimate_micros, expires_at)
  values (
    organization.id, authorize_ai_spend.request_id, hold,
    case when refusal is null then 'held' else 'refused' end::app_private.spend_request_state,
    charged, authorize_ai_spend.user_id, content, to_jsonb(decision),
    estimate, expiry
  );
  return decision;
end
$$;

create or replace function app_private.lock_request(request_id uuid) returns void
language sql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
  select pg_advisory_xact_lock(hashtextextended('request ' || request_id, 0))
$$;

revoke all on function app_private.lock_request(uuid) from public;
comment on function app_private.lock_request(uuid) is 'Waits for everything else that is done with a request, until the transaction ends.';

revoke all on function app_public.authorize_ai_spend(uuid, uuid, text, text, bigint, bigint, bigint, bigint, uuid, uuid) from public;
grant execute on function app_public.authorize_ai_spend(uuid, uuid, text, text, bigint, bigint, bigint, bigint, uuid, uuid) to bursar_user;
comment on function app_public.authorize_ai_spend(uuid, uuid, text, text, bigint, bigint, bigint, bigint, uuid, uuid) is
  E'@feature ai_bridge\n@resultFieldName decision\nMay this call go ahead? An allowed call holds its estimate, input and the most output that it may produce, until it is settled, released or expired. Repeating a request_id repeats the decision and holds nothing twice. For ai_gateway and owner. Errors: 42501, BU400 names the field, BU409 for a request_id that comes again with other content.';

create or replace function app_private.find_request(request_id uuid, hold_id uuid) returns app_private.ai_spend_requests
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  request app_private.ai_spend_requests;
begin
  if (find_request.request_id is null) = (find_request.hold_id is null) then
    raise exception using
      errcode = 'BU400', message = 'Name the request_id or the hold_id, one of them.', column = 'request_id';
  end if;
  select * into request from app_private.ai_spend_requests r
  where r.request_id = find_request.request_id or r.hold_id = find_request.hold_id;
  if found then
    perform app_private.lock_request(request.request_id);
    select * into request from app_private.ai_spend_requests r
    where r.organization_id = request.organization_id and r.request_id = request.request_id;
    return request;
  end if;
  raise exception using
    errcode = 'BU404',
    message = format('There is no request %s.', coalesce(find_request.request_id, find_request.hold_id));
end
$$;

revoke all on function app_private.find_request(uuid, uuid) from public;
comment on function app_private.find_request(uuid, uuid) is
  'The request with this id or hold, locked until the transaction ends. BU404 when there is none.';

create or replace function app_public.settle_ai_spend(
  request_id uuid default null, input_tokens bigint default null, output_tokens bigint default null,
  cache_read_tokens bigint default 0, cache_write_tokens bigint default 0,
  occurred_at timestamptz default null, hold_id uuid default null
)
returns app_public.ai_spend_settlement
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  request app_private.ai_spend_requests;
  used jsonb;
  event app_public.ai_usage_events;
  price record;
  answer app_public.ai_spend_settlement;
begin
  perform app_private.require_gateway();
  perform app_private.require_tokens('input_tokens', settle_ai_spend.input_tokens);
  perform app_private.require_tokens('output_tokens', settle_ai_spend.output_tokens);
  perform app_private.require_tokens('cache_read_tokens', coalesce(settle_ai_spend.cache_read_tokens, 0));
  perform app_private.require_tokens('cache_write_tokens', coalesce(settle_ai_spend.cache_write_tokens, 0));
  perform app_private.require_moment('occurred_at', settle_ai_spend.occurred_at);

  request := app_private.find_request(settle_ai_spend.request_id, settle_ai_spend.hold_id);
  used := jsonb_build_object(
    'input_tokens', settle_ai_spend.input_tokens, 'output_tokens', settle_ai_spend.output_tokens,
    'cache_read_tokens', coalesce(settle_ai_spend.cache_read_tokens, 0),
    'cache_write_tokens', coalesce(settle_ai_spend.cache_write_tokens, 0),
    -- in UTC, not in the session's time zone, in which another session may repeat it
    'occurred_at', settle_ai_spend.occurred_at at time zone 'UTC'
  );
  if request.state = 'settled' then
    if request.settlement -> 'used' = used then
      return jsonb_populate_record(null::app_public.ai_spend_settlement, request.settlement -> 'answer');
    end if;
    raise exception using
      errcode = 'BU409',
      message = format('The request %s was settled before, with other content.', request.request_id),
      column = 'request_id';
  end if;
  if request.state = 'refused' then
    raise exception using
      errcode = 'BU409',
      message = format('The request %s was refused: there is nothing to settle.', request.request_id),
      column = 'request_id',
      hint = 'Usage that happened all the same is reported with record_ai_usage().';
  end if;

  event.organization_id := request.organization_id;
  event.id := request.request_id;
  event.occurred_at := coalesce(settle_ai_spend.occurred_at, clock_timestamp());
  event.recorded_at := clock_timestamp();
  event.group_id := request.group_id;
  event.user_id := request.user_id;
  event.provider := request.content ->> 'provider';
  event.model := request.content ->> 'model';
  event.input_tokens := settle_ai_spend.input_tokens;
  event.output_tokens := settle_ai_spend.output_tokens;
  event.cache_read_tokens := coalesce(settle_ai_spend.cache_read_tokens, 0);
  event.cache_write_tokens := coalesce(settle_ai_spend.cache_write_tokens, 0);

  insert into app_private.ai_usage_event_keys (organization_id, id, occurred_at)
  values (event.organization_id, event.id, event.occurred_at)
  on conflict do nothing;
  if found then
    select p.* into price
    from app_hidden.price_of_usage(
      event.provider, event.model, event.occurred_at,
      event.input_tokens, event.output_tokens, event.cache_read_tokens, event.cache_write_tokens
    ) p;
    event.input_price := price.input_price;
    event.output_price := price.output_price;
    event.cache_read_price := price.cache_read_price;
    event.cache_write_price := price.cache_write_price;
    event.cost_micros := price.cost_micros;
    event.overage_micros := case
      when price.cost_micros is not null and request.estimate_micros is not null
      then greatest(price.cost_micros - request.estimate_micros, 0)
    end;
    perform app_private.book_ai_usage(array[event]);
  else
    -- Reported already, through record_ai_usage(): it counts once.
    select e.* into event
    from app_private.ai_usage_event_keys k
      join app_public.ai_usage_events e
        on e.organization_id = k.organization_id and e.id = k.id and e.occurred_at = k.occurred_at
    where k.organization_id = request.organization_id and k.id = request.request_id;
  end if;

  answer := row(event.id, event.group_id, trim_scale(event.cost_micros), trim_scale(event.overage_micros));
  update app_private.ai_spend_requests r set
    state = 'settled',
    settlement = jsonb_build_object('used', used, 'answer', to_jsonb(answer))
  where r.organization_id = request.organization_id and r.request_id = request.request_id;
  perform app_private.make_usage_months(array[event.occurred_at]);
  return answer;
end
$$;

revoke all on function app_public.settle_ai_spend(uuid, bigint, bigint, bigint, bigint, timestamptz, uuid) from public;
grant execute on function app_public.settle_ai_spend(uuid, bigint, bigint, bigint, bigint, timestamptz, uuid) to bursar_user;
comment on function app_public.settle_ai_spend(uuid, bigint, bigint, bigint, bigint, timestamptz, uuid) is
  E'@feature ai_bridge\n@resultFieldName settlement\nBooks what a call really used, named by request_id or hold_id, and lets its hold go. The real cost is booked also when it exceeds the hold or the hold has expired. Repeating it changes nothing. For ai_gateway and owner. Errors: 42501, BU400 names the field, BU404 for an unknown request, BU409 when it was refused or settled with other content.';

create or replace function app_public.release_ai_spend(request_id uuid default null, hold_id uuid default null)
returns boolean
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  request app_private.ai_spend_requests;
begin
  perform app_private.require_gateway();
  request := app_private.find_request(release_ai_spend.request_id, release_ai_spend.hold_id);
  update app_private.ai_spend_requests r set state = 'released'
  where r.organization_id = request.organization_id and r.request_id = request.request_id and r.state = 'held';
  return found;
end
$$;

revoke all on function app_public.release_ai_spend(uuid, uuid) from public;
grant execute on function app_public.release_ai_spend(uuid, uuid) to bursar_user;
comment on function app_public.release_ai_spend(uuid, uuid) is
  E'@feature ai_bridge\n@resultFieldName released\nGives back the hold of a call that was not made, named by request_id or hold_id. Returns whether there was one to give back. For ai_gateway and owner. Errors: 42501, BU404 for an unknown request.';
--! EndIncluded spend-requests.sql
--! Included usage-record.sql
-- Usage that gateways report in batches, after the fact.

comment on type app_public.ai_usage_receipt is
  'How many events of a batch were new, and how many were in the ledger already (or twice in the batch).';

create or replace function app_private.moment_of(text text) returns timestamptz
language plpgsql stable security invoker
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
begin
  -- Only what names a day and a time: not `tomorrow`, `now` or `infinity`.
  if text !~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d' then
    return null;
  end if;
  return text::timestamptz;
exception
  when data_exception then return null;
end
$$;

create or replace function app_private.usage_batch_problem(events jsonb, out message text, out field text)
language sql stable security invoker
set search_path to pg_catalog, pg_temp
as $$
  with elements as (
    select ordinality - 1 as index, element,
      case when jsonb_typeof(element) = 'object' then element else '{}' end as object
    from jsonb_array_elements(events) with ordinality as e (element, ordinality)
  ),
  problems (index, key, problem) as (
    select index, null, format('must be an object, not %s', left(element::text, 100))
    from elements
    where jsonb_typeof(element) <> 'object'
    union all
    select index, key, format('must be a UUID, not %s', coalesce(left((object -> key)::text, 100), 'missing'))
    from elements cross join unnest(array['id', 'user_id', 'group_id', 'organization_id']) as key
    where jsonb_typeof(element) = 'object'
      and not (key in ('group_id', 'organization_id') and coalesce(jsonb_typeof(object -> key), 'null') = 'null')
      and not coalesce(
        jsonb_typeof(object -> key) = 'string'
        and object ->> key ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$', false
      )
    union all
    select index, key, format('must be text of 1 to 200 characters, not %s', coalesce(left((object -> key)::text, 100), 'missing'))
    from elements cross join unnest(array['provider', 'model']) as key
    where jsonb_typeof(element) = 'object'
      and not coalesce(
        jsonb_typeof(object -> key) = 'string' and length(btrim(object ->> key)) between 1 and 200, false
      )
    union all
    select index, key, format('must be a whole number of tokens from 0 to 1000000000000, not %s', coalesce(left((object -> key)::text, 100), 'missing'))
    from elements cross join unnest(array['input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_write_tokens']) as key
    where jsonb_typeof(element) = 'object'
      and not (key in ('cache_read_tokens', 'cache_write_tokens') and coalesce(jsonb_typeof(object -> key), 'null') = 'null')
      and not coalesce(
        case jsonb_typeof(object -> key) when 'number' then
          (object ->> key)::numeric between 0 and 1000000000000
          and (object ->> key)::numeric = trunc((object ->> key)::numeric)
        end, false
      )
    union all
    select index, 'occurred_at', format('must be a time between the year 2000 and tomorrow, such as 2026-11-23T12:00:00Z, not %s', left((object -> 'occurred_at')::text, 100))
    from elements
    where coalesce(jsonb_typeof(object -> 'occurred_at'), 'null') <> 'null'
      and not (
        jsonb_typeof(object -> 'occurred_at') = 'string'
        and coalesce(app_private.moment_of(object ->> 'occurred_at')
          between '2000-01-01' and clock_timestamp() + interval '1 day', false)
      )
    union all
    select index, key, 'is no key of an event'
    from elements cross join jsonb_object_keys(object) as key
    where key not in (
      'id', 'user_id', 'provider', 'model', 'input_tokens', 'output_tokens', 'cache_read_tokens',
      'cache_write_tokens', 'group_id', 'organization_id', 'occurred_at'
    )
  )
  select
    format('events[%s]%s %s.', index, coalesce('.' || key, ''), problem),
    format('events[%s]%s', index, coalesce('.' || key, ''))
  from problems
  order by index, key nulls first
  limit 1
$$;

revoke all on function app_private.usage_batch_problem(jsonb) from public;
revoke all on function app_private.moment_of(text) from public;
comment on function app_private.usage_batch_problem(jsonb) is
  'The first thing that is wrong with a batch of events, and the path of the event, or nulls.';
comment on function app_private.moment_of(text) is 'A time that text names (UTC unless it says otherwise), or null when it names none.';

create or replace function app_public.record_ai_usage(events jsonb)
returns app_public.ai_usage_receipt
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  problem record;
  caller record;
  organization_of_call uuid;
  callers text[] := '{}';
  organizations uuid[] := '{}';
  groups uuid[] := '{}';
  given bigint;
  booked app_public.ai_usage_events[];
  fresh app_public.ai_usage_events[];
begin
  perform app_private.require_gateway();
  if record_ai_usage.events is null or jsonb_typeof(record_ai_usage.events) <> 'array' then
    raise exception using
      errcode = 'BU400',
      message = format('events must be an array, not %s.', coalesce(left(record_ai_usage.events::text, 100), 'null')),
      column = 'events';
  end if;
  select * into problem from app_private.usage_batch_problem(record_ai_usage.events);
  if problem.message is not null then
    raise exception using errcode = 'BU400', message = problem.message, column = problem.field;
  end if;
  given := jsonb_array_length(record_ai_usage.events);

  -- Whom each caller's events are charged to; what is in the ledger already needs no answer any more.
  for caller in
    select min(ordinality) - 1 as index, (e ->> 'user_id')::uuid as user_id,
      (e ->> 'organization_id')::uuid as organization_id, (e ->> 'group_id')::uuid as group_id
    from jsonb_array_elements(record_ai_usage.events) with ordinality as elements (e, ordinality)
    where not exists (
      select from app_private.ai_usage_event_keys k
      where k.id = (e ->> 'id')::uuid
        and k.organization_id = coalesce((e ->> 'organization_id')::uuid, k.organization_id)
    )
    group by 2, 3, 4
    order by 1
  loop
    begin
      organization_of_call := app_private.organization_of_call(caller.user_id, caller.organization_id, caller.group_id);
    exception
      when sqlstate 'BU400' then
        raise exception using
          errcode = 'BU400',
          message = format('events[%s]: %s', caller.index, sqlerrm),
          column = format('events[%s]', caller.index);
    end;
    callers := callers || concat_ws(' ', caller.user_id, coalesce(caller.organization_id::text, '-'), coalesce(caller.group_id::text, '-'));
    organizations := organizations || organization_of_call;
    groups := groups || (
      select b.group_id
      from app_private.budget_candidates(caller.user_id, organization_of_call, caller.group_id, clock_timestamp()) b
      where b.is_charged
    );
  end loop;

  with given as (
    -- Of an id that comes twice in the batch, the first.
    select distinct on (e.id) e.*
    from rows from (
      jsonb_to_recordset(record_ai_usage.events) as (
        id uuid, user_id uuid, provider text, model text, input_tokens numeric, output_tokens numeric,
        cache_read_tokens numeric, cache_write_tokens numeric, group_id uuid, organization_id uuid, occurred_at text
      )
    ) with ordinality as e
    order by e.id, e.ordinality
  ), timed as (
    select charged.organization_id, id,
      coalesce(app_private.moment_of(occurred_at), clock_timestamp()) as occurred_at,
      charged.group_id, user_id, provider, model,
      input_tokens::bigint as input_tokens, output_tokens::bigint as output_tokens,
      coalesce(cache_read_tokens, 0)::bigint as cache_read_tokens,
      coalesce(cache_write_tokens, 0)::bigint as cache_write_tokens
    from given
      join unnest(callers, organizations, groups) as charged (caller, organization_id, group_id)
        on charged.caller = concat_ws(' ', given.user_id, coalesce(given.organization_id::text, '-'), coalesce(given.group_id::text, '-'))
  )
  select array_agg(row(
    t.organization_id, t.id, t.occurred_at, clock_timestamp(), t.group_id, t.user_id, t.provider, t.model,
    t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens,
    p.input_price, p.output_price, p.cache_read_price, p.cache_write_price, p.cost_micros, null
  )::app_public.ai_usage_events) into booked
  from timed t
    left join lateral app_hidden.price_of_usage(
      t.provider, t.model, t.occurred_at,
      t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens
    ) p on true;

  with keys as (
    insert into app_private.ai_usage_event_keys (organization_id, id, occurred_at)
    select organization_id, id, occurred_at from unnest(booked) order by organization_id, id
    on conflict do nothing
    returning organization_id, id
  )
  select array_agg(e) into fresh
  from unnest(booked) e
  -- Within coalesce the planner hashes the keys once. It takes a batch for a handful of rows, and as a join it
  -- would compare each with each.
  where coalesce((e.organization_id, e.id) in (select organization_id, id from keys), false);

  perform app_private.book_ai_usage(coalesce(fresh, '{}'));
  perform app_private.make_usage_months((
    select coalesce(array_agg(distinct date_trunc('month', e.occurred_at at time zone 'UTC') at time zone 'UTC'), '{}')
    from unnest(fresh) e
  ));
  return row(coalesce(cardinality(fresh), 0), given - coalesce(cardinality(fresh), 0))::app_public.ai_usage_receipt;
end
$$;

revoke all on function app_public.record_ai_usage(jsonb) from public;
grant execute on function app_public.record_ai_usage(jsonb) to bursar_user;
comment on function app_public.record_ai_usage(jsonb) is
  E'@feature ai_bridge\n@resultFieldName receipt\nBooks a batch of events, all or nothing: an array of {id, user_id, provider, model, input_tokens, output_tokens, cache_read_tokens?, cache_write_tokens?, group_id?, organization_id?, occurred_at?}. Each id is booked once, however often it comes. A model without a known price is booked as unpriced. For ai_gateway and owner. Errors: 42501, BU400 names the event.';
--! EndIncluded usage-record.sql
--! Included spend-reading.sql
-- What was spent, and why a call would be charged where it would be.

comment on type app_public.ai_budget_status is
  'What a group has spent of its budget in the current period, in micros. spent and held are the group''s totals, my_spent and my_held the caller''s own. remaining is the pool''s, or the caller''s where each member has the limit; null where there is none. The period is null for a lifetime.';

create or replace function app_hidden.reads_group(group_id uuid) returns boolean
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select exists (
    select from app_public.groups g
    where g.id = group_id
      and (
        app_hidden.reads_every_organization()
        or g.organization_id in (select app_hidden.organizations_i_read())
        or g.id in (select app_hidden.my_groups())
      )
  )
$$;

revoke all on function app_hidden.reads_group(uuid) from public;
grant execute on function app_hidden.reads_group(uuid) to bursar_user;
comment on function app_hidden.reads_group(uuid) is
  'Whether the policies of groups let the current user read this one: for functions that must read more than the caller may.';

-- Security definer: a member sees the group's total, which is made of rows that they may not see.
create or replace function app_public.ai_budget_status(group_id uuid)
returns setof app_public.ai_budget_status
language sql stable security definer rows 1
set search_path to pg_catalog, pg_temp
as $$
  select
    g.id, b.spend_limit_micros, b.applies_to, b.period,
    nullif(w.period_start, '-infinity'), nullif(w.period_end, 'infinity'),
    trim_scale(total.spent_micros), trim_scale(held.total),
    trim_scale(case
      when b.applies_to = 'group' then greatest(b.spend_limit_micros - total.spent_micros - held.total, 0)
      when b.applies_to = 'member' and g.id in (select app_hidden.my_groups())
        then greatest(b.spend_limit_micros - mine.spent_micros - held.mine, 0)
    end),
    trim_scale(total.overage_micros), trim_scale(mine.spent_micros), trim_scale(held.mine)
  from app_public.groups g
    join app_public.organizations o on o.id = g.organization_id
    left join app_public.group_ai_budgets b on b.group_id = g.id
    cross join lateral app_hidden.budget_window(coalesce(b.period, 'month'), clock_timestamp(), o.time_zone) w
    cross join lateral app_private.spend_of_period(
      g.organization_id, g.id, '00000000-0000-0000-0000-000000000000', w.period_start, w.period_end
    ) total
    cross join lateral app_private.spend_of_period(
      g.organization_id, g.id, app_hidden.current_user_id(), w.period_start, w.period_end
    ) mine
    cross join lateral (
      select
        app_private.held_micros(g.organization_id, g.id, '00000000-0000-0000-0000-000000000000', clock_timestamp()) as total,
        app_private.held_micros(g.organization_id, g.id, app_hidden.current_user_id(), clock_timestamp()) as mine
    ) held
  where g.id = ai_budget_status.group_id
    and (app_hidden.reads_group(g.id) or pg_has_role(session_user, current_user, 'usage'))
$$;

revoke all on function app_public.ai_budget_status(uuid) from public;
grant execute on function app_public.ai_budget_status(uuid) to bursar_user;
comment on function app_public.ai_budget_status(uuid) is
  E'@feature ai_bridge\n@behavior -*\nWhat a group has spent of its budget: one row, or none when you can''t read the group.';

create or replace function app_public.groups_ai_budget_status(g app_public.groups)
returns app_public.ai_budget_status
language sql stable security invoker
set search_path to pg_catalog, pg_temp
as $$
  select s from app_public.ai_budget_status(g.id) s
$$;

revoke all on function app_public.groups_ai_budget_status(app_public.groups) from public;
grant execute on function app_public.groups_ai_budget_status(app_public.groups) to bursar_user;
comment on function app_public.groups_ai_budget_status(app_public.groups) is
  E'@feature ai_bridge\nWhat the group has spent of its budget in the current period, in micros.';

create or replace function app_public.explain_ai_budget(
  user_id uuid, provider text, model text, at timestamptz default null,
  organization_id uuid default null, group_id uuid default null
)
returns table (
  candidate_group_id uuid, group_name text, is_everyone boolean, is_charged boolean, is_ceiling boolean,
  limit_micros bigint, applies_to app_public.budget_scope, period app_public.budget_period,
  period_start timestamptz, period_end timestamptz,
  spent_micros numeric, held_micros numeric, headroom_micros numeric, is_priced boolean, why text
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  organization_of_call uuid;
  moment timestamptz := coalesce(explain_ai_budget.at, clock_timestamp());
  reads_all boolean := app_hidden.reads_every_organization() or pg_has_role(session_user, current_user, 'usage');
begin
  -- Before anything is looked up: what is not the caller's to read and what does not exist give one answer.
  if not reads_all and not (
    (
      coalesce(explain_ai_budget.user_id = app_hidden.current_user_id(), false)
      or exists (
        select from app_public.organization_members m
        where m.user_id = explain_ai_budget.user_id
          and m.organization_id in (select app_hidden.organizations_i_read())
      )
    )
    and (explain_ai_budget.group_id is null or app_hidden.reads_group(explain_ai_budget.group_id))
  ) then
    raise exception using errcode = 'BU404', message = 'Not found, or not yours to read or change.';
  end if;
  organization_of_call := app_private.organization_of_call(
    explain_ai_budget.user_id, explain_ai_budget.organization_id, explain_ai_budget.group_id,
    -- Of somebody else, the organizations that the caller reads are all there are.
    case when not reads_all and explain_ai_budget.user_id is distinct from app_hidden.current_user_id()
      then array(select app_hidden.organizations_i_read()) end
  );

  return query
  select b.group_id, b.group_name, b.is_everyone, b.is_charged, b.is_everyone and b.limit_micros is not null,
    b.limit_micros, b.applies_to, b.period, nullif(b.period_start, '-infinity'), nullif(b.period_end, 'infinity'),
    trim_scale(s.spent_micros), trim_scale(held),
    trim_scale(b.limit_micros - s.spent_micros - held),
    (
      select p.cost_micros is not null
      from app_hidden.price_of_usage(explain_ai_budget.provider, explain_ai_budget.model, moment, 1, 1, 0, 0) p
    ),
    case
      when b.is_charged and b.group_id = explain_ai_budget.group_id then 'charged: the call names this group'
      when b.is_charged and b.is_everyone then 'charged: no other group of the user has a budget'
      when b.is_charged then 'charged: the largest limit among the groups of the user that have a budget'
      when b.is_everyone and b.limit_micros is not null then 'the ceiling of the organization: a call must fit here as well'
      when b.limit_micros is null then 'not charged: no budget'
      when explain_ai_budget.group_id is not null then 'not charged: the call names another group'
      else 'not charged: another group has a larger limit, or the same and the older membership'
    end
  from app_private.budget_candidates(explain_ai_budget.user_id, organization_of_call, explain_ai_budget.group_id, moment) b
    cross join lateral app_private.spend_of_period(
      b.organization_id, b.group_id, b.counter_user_id, b.period_start, b.period_end
    ) s
    cross join lateral app_private.held_micros(b.organization_id, b.group_id, b.counter_user_id, clock_timestamp()) as held
  order by b.rank;
end
$$;

revoke all on function app_public.explain_ai_budget(uuid, text, text, timestamptz, uuid, uuid) from public;
grant execute on function app_public.explain_ai_budget(uuid, text, text, timestamptz, uuid, uuid) to bursar_user;
comment on function app_public.explain_ai_budget(uuid, text, text, timestamptz, uuid, uuid) is
  E'@feature ai_bridge\nEvery budget that a call of this user could be charged to, best first: what is left of it in micros, which one is charged, and why. For the user, readers of the organization and site roles. The same resolver decides in authorize_ai_spend.';

-- Security definer behind a check: part of the ledger, as row security shows it, would differ from every counter.
create or replace function app_hidden.ledger_discrepancies()
returns table (kind text, organization_id uuid, what text, kept_micros numeric, ledger_micros numeric)
language sql stable security definer
set search_path to pg_catalog, pg_temp
as $$
  select d.* from (
    select 'counter', c.organization_id,
      format('group %s, user %s, from %s to %s', c.group_id, c.user_id, c.period_start, c.period_end),
      c.spent_micros, l.spent_micros
    from app_private.ai_spend_counters c
      cross join lateral app_private.ledger_spend(c.organization_id, c.group_id, c.user_id, c.period_start, c.period_end) l
    where (c.spent_micros, c.overage_micros) is distinct from (l.spent_micros, l.overage_micros)
    union all
    select 'daily', organization_id,
      format('day %s, group %s, user %s, %s %s', day, group_id, user_id, provider, model), d.cost, l.cost
    from (
      select organization_id, day, group_id, user_id, provider, model, requests, cost_micros as cost, overage_micros as overage,
        unpriced_requests as unpriced, input_tokens + output_tokens + cache_read_tokens + cache_write_tokens as tokens
      from app_public.ai_spend_daily
    ) d
    full join (
      select organization_id, (occurred_at at time zone 'UTC')::date as day, group_id, user_id, provider, model,
        count(*) as requests, coalesce(sum(cost_micros), 0) as cost,
        coalesce(sum(overage_micros), 0) as overage,
        count(*) filter (where cost_micros is null) as unpriced,
        sum(input_tokens + output_tokens + cache_read_tokens + cache_write_tokens) as tokens
      from app_public.ai_usage_events
      group by 1, 2, 3, 4, 5, 6
    ) l using (organization_id, day, group_id, user_id, provider, model)
    where (d.requests, d.cost, d.overage, d.unpriced, d.tokens)
      is distinct from (l.requests, l.cost, l.overage, l.unpriced, l.tokens)
    union all
    select 'key', coalesce(k.organization_id, e.organization_id), format('event %s', coalesce(k.id, e.id)), null, e.cost_micros
    from app_private.ai_usage_event_keys k
      full join app_public.ai_usage_events e
        on e.organization_id = k.organization_id and e.id = k.id and e.occurred_at = k.occurred_at
    where k.id is null or e.id is null
    union all
    select 'event', e.organization_id, format('event %s costs other than its tokens at its prices', e.id), e.cost_micros, c.cost
    from app_public.ai_usage_events e
      cross join lateral (
        select (coalesce(e.input_tokens::numeric * e.input_price, 0)
          + coalesce(e.output_tokens::numeric * e.output_price, 0)
          + coalesce(e.cache_read_tokens::numeric * e.cache_read_price, 0)
          + coalesce(e.cache_write_tokens::numeric * e.cache_write_price, 0)) * 0.000001
      ) as c (cost)
    where e.cost_micros <> c.cost
    union all
    select 'request', r.organization_id, format('request %s is settled and has no event', r.request_id), null, null
    from app_private.ai_spend_requests r
    where r.state = 'settled' and not exists (
      select from app_private.ai_usage_event_keys k where k.organization_id = r.organization_id and k.id = r.request_id
    )
  ) as d
  where app_hidden.has_site_role('owner', 'auditor') or pg_has_role(session_user, current_user, 'usage')
$$;

revoke all on function app_hidden.ledger_discrepancies() from public;
grant execute on function app_hidden.ledger_discrepancies() to bursar_user;
comment on function app_hidden.ledger_discrepancies() is
  'Where counters, daily totals, keys and settled requests differ from the ledger, and events from their prices. For owner and auditor; nothing for others.';

create or replace view app_public.ai_ledger_discrepancies with (security_invoker = true) as
  select * from app_hidden.ledger_discrepancies();

grant select on app_public.ai_ledger_discrepancies to bursar_user;
comment on view app_public.ai_ledger_discrepancies is E'@feature ai_bridge\n@behavior -*\nEvery counter, daily total, key and settled request that differs from the ledger, which it adds up anew: empty, always. For owner and auditor.';
comment on column app_public.ai_ledger_discrepancies.kind is 'What differs: counter, daily, key, event or request.';
comment on column app_public.ai_ledger_discrepancies.organization_id is 'The organization whose books differ.';
comment on column app_public.ai_ledger_discrepancies.what is 'Which one of them.';
comment on column app_public.ai_ledger_discrepancies.kept_micros is 'What is written there, in micros; they can be equal where something else differs.';
comment on column app_public.ai_ledger_discrepancies.ledger_micros is 'What the ledger adds up to, in micros.';
--! EndIncluded spend-reading.sql
