--! Previous: sha1:f6a0f0e839fe00ae48485630ef59153e08e1e0b7
--! Hash: sha1:ca94dcfe77d15cb43301c536c8062d35e8b2306a
--! Message: upserts and sums of usage ask policies less

-- Write the next migration here.

--! Included usage-tables.sql
-- Who may read what was used. Nobody writes these tables but through the functions of booking.sql.

alter table app_public.ai_usage_events enable row level security;

drop policy if exists usage_is_read_by_its_user_and_readers_of_the_organization on app_public.ai_usage_events;
create policy usage_is_read_by_its_user_and_readers_of_the_organization on app_public.ai_usage_events
  for select to bursar_user
  using (
    organization_id = any (array(select app_hidden.organizations_i_read()))
    or (
      user_id = (select app_hidden.current_user_id())
      and organization_id = any (array(select app_hidden.my_organizations()))
    )
    or organization_id between (select app_hidden.every_id_from()) and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
  );

grant select on app_public.ai_usage_events to bursar_user;
-- no insert, no update, no delete: authorize, settle and record do that

comment on table app_public.ai_usage_events is E'@feature ai_bridge\n@behavior -insert -update -delete +aggregates +groupedAggregates\nThe ledger: one row for each call that was made, with the prices used and the exact cost. Members read their own rows.';
comment on policy usage_is_read_by_its_user_and_readers_of_the_organization on app_public.ai_usage_events is
  'Members read their own calls; the organization''s roles all of the organization; site roles everything.';
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

drop policy if exists daily_spend_is_read_by_its_user_and_readers_of_the_organization on app_public.ai_spend_daily;
create policy daily_spend_is_read_by_its_user_and_readers_of_the_organization on app_public.ai_spend_daily
  for select to bursar_user
  using (
    organization_id = any (array(select app_hidden.organizations_i_read()))
    or (
      user_id = (select app_hidden.current_user_id())
      and organization_id = any (array(select app_hidden.my_organizations()))
    )
    or organization_id between (select app_hidden.every_id_from()) and 'ffffffff-ffff-ffff-ffff-ffffffffffff'
  );

grant select on app_public.ai_spend_daily to bursar_user;
-- no insert, no update, no delete: it follows from the ledger

comment on table app_public.ai_spend_daily is E'@feature ai_bridge\n@behavior -insert -update -delete +aggregates +groupedAggregates\nThe ledger by day (UTC), group, user and model, written together with it. For totals.';
comment on policy daily_spend_is_read_by_its_user_and_readers_of_the_organization on app_public.ai_spend_daily is
  'Members read their own totals; the organization''s roles all of the organization; site roles everything.';
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

--------------------------------------------------------------------------------

alter table app_private.ai_usage_event_keys enable row level security;
alter table app_private.ai_usage_events_unplaced enable row level security;
alter table app_private.ai_usage_kept enable row level security;
alter table app_private.ai_spend_counters enable row level security;
alter table app_private.ai_spend_accounts enable row level security;
alter table app_private.ai_spend_requests enable row level security;
-- no policies and no grants on these

comment on table app_private.ai_usage_event_keys is
  'Which events are in the ledger: an id is booked once, whatever its month, also after the month was dropped.';
comment on column app_private.ai_usage_event_keys.organization_id is 'The organization that pays.';
comment on column app_private.ai_usage_event_keys.id is 'The id of the event.';
comment on column app_private.ai_usage_event_keys.occurred_at is 'Where its row is in the ledger (UTC).';

comment on table app_private.ai_usage_events_unplaced is 'Ledger rows whose month has no partition yet.';

comment on table app_private.ai_usage_kept is 'From when on the ledger has its rows; no row: from the beginning.';
comment on column app_private.ai_usage_kept.only_row is 'There is one row at most.';
comment on column app_private.ai_usage_kept.kept_from is 'The beginning of the first month that is kept (UTC).';

comment on table app_private.ai_spend_counters is
  'What a group (user_id is app_private.pool()) or one of its members has spent in a period. Everyone counts the whole organization. Equals the ledger at every commit. No row: nothing.';
comment on column app_private.ai_spend_counters.organization_id is 'The group''s organization.';
comment on column app_private.ai_spend_counters.group_id is 'The group.';
comment on column app_private.ai_spend_counters.user_id is 'The member, or app_private.pool().';
comment on column app_private.ai_spend_counters.period_start is 'The beginning of the period (UTC), in it.';
comment on column app_private.ai_spend_counters.period_end is 'The end of the period (UTC), not in it.';
comment on column app_private.ai_spend_counters.spent_micros is 'The known costs of the period, in micros.';
comment on column app_private.ai_spend_counters.overage_micros is 'By how much they exceeded their holds, in micros.';

comment on table app_private.ai_spend_accounts is
  'What holds keep of a group (user_id is app_private.pool()) or one of its members. Whoever decides about a budget locks its account first.';
comment on column app_private.ai_spend_accounts.organization_id is 'The group''s organization.';
comment on column app_private.ai_spend_accounts.group_id is 'The group.';
comment on column app_private.ai_spend_accounts.user_id is 'The member, or app_private.pool().';
comment on column app_private.ai_spend_accounts.held_micros is
  'Sum of the holds that were open at swept_until, in micros; those of them that have expired since are subtracted by whoever looks.';
comment on column app_private.ai_spend_accounts.swept_until is 'Holds that expired up to here (UTC) are no longer in the sum.';

comment on table app_private.ai_spend_requests is
  'Requests for authorization: what was asked and answered, and the holds. The hold of a request has the request''s id.';
comment on column app_private.ai_spend_requests.organization_id is 'The organization that is asked for money.';
comment on column app_private.ai_spend_requests.request_id is 'The caller''s id of the request.';
comment on column app_private.ai_spend_requests.state is 'refused, or what became of the hold.';
comment on column app_private.ai_spend_requests.group_id is 'The group that is charged.';
comment on column app_private.ai_spend_requests.user_id is 'Whose call it is.';
comment on column app_private.ai_spend_requests.content is 'What was asked.';
comment on column app_private.ai_spend_requests.decision is 'What was answered.';
comment on column app_private.ai_spend_requests.estimate_micros is 'What is held, in micros; null for a model without a price.';
comment on column app_private.ai_spend_requests.input_price is 'The price of the estimate: micros per million input tokens.';
comment on column app_private.ai_spend_requests.output_price is 'The price of the estimate: micros per million output tokens.';
comment on column app_private.ai_spend_requests.cache_read_price is 'The price of the estimate: micros per million tokens read from the cache.';
comment on column app_private.ai_spend_requests.cache_write_price is 'The price of the estimate: micros per million tokens written to the cache.';
comment on column app_private.ai_spend_requests.requested_at is 'When it was decided (UTC).';
comment on column app_private.ai_spend_requests.expires_at is 'From when on the hold counts as nothing (UTC).';
comment on column app_private.ai_spend_requests.settlement is 'With what it was settled, and the answer to that.';
comment on type app_private.spend_request_state is 'refused: nothing is held. held, until settled or released, or until it expires.';
--! EndIncluded usage-tables.sql
--! Included ledger-check.sql
-- Whether the books agree: everything that is kept beside the ledger is added up anew from it.

create or replace function app_private.ledger_spend(
  organization_id uuid, group_id uuid, user_id uuid, period_start timestamptz, period_end timestamptz,
  kept_from timestamptz, out spent_micros numeric, out overage_micros numeric
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
-- Whether it is about the organization, a group or a member makes all the difference to the plan.
set plan_cache_mode to force_custom_plan
set timezone to 'UTC'
as $$
#variable_conflict use_column
begin
  select coalesce(sum(s.cost_micros), 0), coalesce(sum(s.overage_micros), 0)
  into ledger_spend.spent_micros, ledger_spend.overage_micros
  from (
    select e.cost_micros, e.overage_micros
    from app_public.ai_usage_events e
    where e.organization_id = ledger_spend.organization_id
      and (ledger_spend.group_id = ledger_spend.organization_id or e.group_id = ledger_spend.group_id)
      and (ledger_spend.user_id = app_private.pool() or e.user_id = ledger_spend.user_id)
      and e.occurred_at >= greatest(ledger_spend.period_start, kept_from) and e.occurred_at < ledger_spend.period_end
    union all
    -- What was dropped.
    select d.cost_micros, d.overage_micros
    from app_public.ai_spend_daily d
    where d.organization_id = ledger_spend.organization_id
      and (ledger_spend.group_id = ledger_spend.organization_id or d.group_id = ledger_spend.group_id)
      and (ledger_spend.user_id = app_private.pool() or d.user_id = ledger_spend.user_id)
      and d.day < (kept_from at time zone 'UTC')::date and ledger_spend.period_start < kept_from
  ) s;
end
$$;

revoke all on function app_private.ledger_spend(uuid, uuid, uuid, timestamptz, timestamptz, timestamptz) from public;
comment on function app_private.ledger_spend(uuid, uuid, uuid, timestamptz, timestamptz, timestamptz) is
  'Spend in a period of a group (or of the organization, for Everyone) or one of its members (app_private.pool() for all), in micros: added up from the ledger, and from the daily totals before the first month that is kept.';

-- Security definer behind a check: part of the ledger, as row security shows it, would differ from every counter.
create or replace function app_hidden.ledger_discrepancies()
returns table (kind text, organization_id uuid, what text, kept_micros numeric, ledger_micros numeric)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
#variable_conflict use_column
declare
  -- Months before this one have been dropped: of them there are daily totals only.
  kept_from constant timestamptz := coalesce((select k.kept_from from app_private.ai_usage_kept k), '-infinity');
begin
  return query
  with mine as materialized (
    select o as organization_id from app_hidden.organizations_i_read() o
    union
    -- Stands for all.
    select app_private.pool()
    where app_hidden.reads_every_organization() or pg_has_role(session_user, current_user, 'usage')
  ), ledger as not materialized (
    select e.* from app_public.ai_usage_events e where e.occurred_at >= kept_from
  ), daily as (
    select l.organization_id, (l.occurred_at at time zone 'UTC')::date as day, l.group_id, l.user_id, l.provider, l.model,
      count(*) as requests, sum(l.input_tokens) as input_tokens, sum(l.output_tokens) as output_tokens,
      sum(l.cache_read_tokens) as cache_read_tokens, sum(l.cache_write_tokens) as cache_write_tokens,
      coalesce(sum(l.cost_micros), 0) as cost_micros, coalesce(sum(l.overage_micros), 0) as overage_micros,
      count(*) filter (where l.cost_micros is null) as unpriced_requests
    from ledger l
    group by 1, 2, 3, 4, 5, 6
  ), counted as (
    select c.organization_id, c.group_id, c.user_id, c.period_start, c.spent_micros, c.overage_micros,
      l.spent_micros as ledger_spent_micros, l.overage_micros as ledger_overage_micros
    from app_private.ai_spend_counters c
      -- Nobody is stopped by what a group that is gone has left behind.
      join app_public.groups g on g.organization_id = c.organization_id and g.id = c.group_id
      cross join lateral app_private.ledger_spend(
        c.organization_id, c.group_id, c.user_id, c.period_start, c.period_end, kept_from
      ) l
    where c.period_start >= kept_from or c.period_start = '-infinity'
    union all
    -- Spend for which there should be a counter, and is none.
    select distinct t.organization_id, t.group_id, whose.user_id, w.period_start, 0::numeric, 0::numeric, null::numeric, null::numeric
    from (
      select distinct l.organization_id, l.group_id, l.user_id,
        date_bin('15 minutes', l.occurred_at, timestamptz '2000-01-01 00:00Z') as quarter
      from ledger l
      where l.cost_micros is not null
    ) q
      join app_private.ai_spend_terms t
        on t.organization_id = q.organization_id and t.group_id in (q.group_id, q.organization_id)
      cross join lateral app_hidden.budget_window(t.period, q.quarter, t.time_zone) w
      cross join lateral (
        select app_private.pool() as user_id
        union all
        select q.user_id where t.applies_to = 'member'
      ) whose
    where w.period_start >= t.counted_from
      and not exists (
        select from app_private.ai_spend_counters c
        where c.organization_id = t.organization_id and c.group_id = t.group_id
          and c.user_id = whose.user_id and c.period_start = w.period_start
      )
  ), holds as (
    select a.organization_id, a.group_id, a.user_id,
      app_private.holds_ending(a.organization_id, a.group_id, a.user_id, a.swept_until, 'infinity') as held_micros
    from app_private.ai_spend_accounts a
      join app_public.groups g on g.organization_id = a.organization_id and g.id = a.group_id
  ), differences (kind, organization_id, what, kept_micros, ledger_micros) as (
    select 'counter', c.organization_id,
      format('group %s, user %s, period from %s', c.group_id, c.user_id, c.period_start),
      c.spent_micros, c.ledger_spent_micros
    from counted c
    where (c.spent_micros, c.overage_micros) is distinct from (c.ledger_spent_micros, c.ledger_overage_micros)
    union all
    select 'daily', organization_id,
      format('day %s, group %s, user %s, %s %s', day, group_id, user_id, provider, model), d.cost_micros, l.cost_micros
    from (select * from app_public.ai_spend_daily where day >= (kept_from at time zone 'UTC')::date) d
      full join daily l using (organization_id, day, group_id, user_id, provider, model)
    where (d.requests, d.input_tokens, d.output_tokens, d.cache_read_tokens, d.cache_write_tokens,
        d.cost_micros, d.overage_micros, d.unpriced_requests)
      is distinct from (l.requests, l.input_tokens, l.output_tokens, l.cache_read_tokens, l.cache_write_tokens,
        l.cost_micros, l.overage_micros, l.unpriced_requests)
    union all
    select 'key', coalesce(k.organization_id, l.organization_id), format('event %s', coalesce(k.id, l.id)), null, l.cost_micros
    from (select * from app_private.ai_usage_event_keys where occurred_at >= kept_from) k
      full join ledger l on l.organization_id = k.organization_id and l.id = k.id and l.occurred_at = k.occurred_at
    where k.id is null or l.id is null
    union all
    select 'event', l.organization_id, format('event %s is in more than one organization', l.id), null, l.cost_micros
    from ledger l
    where l.id in (select k.id from app_private.ai_usage_event_keys k group by k.id having count(*) > 1)
    union all
    select 'event', l.organization_id, format('event %s costs other than its tokens at its prices', l.id), l.cost_micros, c.cost
    from ledger l
      cross join lateral app_hidden.exact_cost(
        l.input_tokens, l.output_tokens, l.cache_read_tokens, l.cache_write_tokens,
        l.input_price, l.output_price, l.cache_read_price, l.cache_write_price
      ) as c (cost)
    where l.cost_micros <> c.cost
    union all
    select 'hold', a.organization_id, format('group %s, user %s', a.group_id, a.user_id), a.held_micros, h.held_micros
    from app_private.ai_spend_accounts a join holds h using (organization_id, group_id, user_id)
    where a.held_micros <> h.held_micros
    union all
    select 'request', r.organization_id, format('request %s is settled and has no event', r.request_id), null, null
    from app_private.ai_spend_requests r
    where r.state = 'settled' and not exists (
      select from app_private.ai_usage_event_keys k where k.id = r.request_id
    )
  )
  select d.kind, d.organization_id, d.what, trim_scale(d.kept_micros), trim_scale(d.ledger_micros)
  from differences d
  where d.organization_id in (select m.organization_id from mine m)
    or exists (select from mine m where m.organization_id = app_private.pool());
end
$$;

revoke all on function app_hidden.ledger_discrepancies() from public;
grant execute on function app_hidden.ledger_discrepancies() to bursar_user;
comment on function app_hidden.ledger_discrepancies() is
  'Where counters, daily totals, keys, holds and settled requests differ from the ledger, and events from their prices: of the organizations of which the caller may read all usage.';

create or replace view app_public.ai_ledger_discrepancies with (security_invoker = true) as
  select * from app_hidden.ledger_discrepancies();

grant select on app_public.ai_ledger_discrepancies to bursar_user;
comment on view app_public.ai_ledger_discrepancies is E'@feature ai_bridge\n@behavior -*\nEvery counter, daily total, key, hold and settled request that differs from the ledger, which it adds up anew: empty, always. Of the organizations of which you may read all usage.';
comment on column app_public.ai_ledger_discrepancies.kind is 'What differs: counter, daily, key, event, hold or request.';
comment on column app_public.ai_ledger_discrepancies.organization_id is 'The organization whose books differ.';
comment on column app_public.ai_ledger_discrepancies.what is 'Which one of them.';
comment on column app_public.ai_ledger_discrepancies.kept_micros is 'What is written there, in micros; they can be equal where something else differs.';
comment on column app_public.ai_ledger_discrepancies.ledger_micros is 'What the ledger adds up to, in micros.';
--! EndIncluded ledger-check.sql
--! Included audit-trail.sql
-- Who changed what, when, and through which door. Written by triggers in the transaction of the change, whoever
-- makes it; nobody writes, changes or removes it by hand.

create or replace function app_hidden.audits_every_organization() returns boolean
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select app_hidden.has_site_role('owner', 'user_admin', 'auditor')
$$;

revoke all on function app_hidden.audits_every_organization() from public;
grant execute on function app_hidden.audits_every_organization() to bursar_user;
comment on function app_hidden.audits_every_organization() is
  'Whether a site role lets the current user read the audit trail of every organization. ai_gateway does not: it is a program.';

alter table app_public.audit_events enable row level security;

drop policy if exists audit_event_is_read_by_auditors_and_admins on app_public.audit_events;
create policy audit_event_is_read_by_auditors_and_admins on app_public.audit_events
  for select to bursar_user
  using (
    (select app_hidden.audits_every_organization())
    or organization_id = any (array(select app_hidden.organizations_i_read()))
    or (
      subject in ('ai_model_prices', 'features')
      and (select exists (select app_hidden.organizations_i_read()))
    )
  );

grant select on app_public.audit_events to bursar_user;
-- no insert, no update, no delete: it is written by what happens

comment on table app_public.audit_events is E'@behavior -insert -update -delete\nThe audit trail: each row that was added, changed or deleted of budgets, prices, features, roles, members, groups, organizations and users. `what` and `change` say it in words; for psql the view audit_trail does.';
comment on policy audit_event_is_read_by_auditors_and_admins on app_public.audit_events is
  'owner, user_admin and auditor read all; the roles of an organization what concerns it, and what became of prices and features, which they may read too.';
comment on column app_public.audit_events.id is 'Tells two events apart.';
comment on column app_public.audit_events.changed_at is 'When (UTC), by the clock at the moment of the change.';
comment on column app_public.audit_events.transaction_id is 'What was changed together has the same number.';
comment on column app_public.audit_events.actor_id is
  'The user on whose behalf the session spoke; null for the database''s owner and others who are no user.';
comment on column app_public.audit_events.actor_name is 'Their username at the time.';
comment on column app_public.audit_events.login_role is 'The login role of the session, which nobody can choose.';
comment on column app_public.audit_events.door is 'Through which door the change came.';
comment on column app_public.audit_events.action is 'What happened to the row.';
comment on column app_public.audit_events.subject is 'The table, such as `group_ai_budgets`.';
comment on column app_public.audit_events.organization_id is 'The organization that it concerns; null for prices, features, users and site roles.';
comment on column app_public.audit_events.organization_name is 'Its name at the time.';
comment on column app_public.audit_events.group_id is 'The group that it concerns, if one.';
comment on column app_public.audit_events.group_name is 'Its name at the time.';
comment on column app_public.audit_events.user_id is 'The user whom it concerns, if one: a member, the holder of a role, or the user themselves.';
comment on column app_public.audit_events.user_name is 'Their username at the time.';
comment on column app_public.audit_events.old_row is
  'What it was; null for what was added. Numbers are strings of digits, as everywhere in the API. Without email addresses.';
comment on column app_public.audit_events.new_row is 'What it became; null for what was deleted.';
comment on type app_public.audit_action is
  'What happened to a row. insert: it was added. update: it was changed. delete: it was removed. truncate: the owner of the database emptied the table.';
comment on type app_public.audit_door is
  'Where a change came in. graphql: the GraphQL API. rest: the REST API. sql: psql, the command line, or whatever else logs in to the database.';

--------------------------------------------------------------------------------
-- How it is written
--------------------------------------------------------------------------------

create or replace function app_private.audited_name(table_name text, id uuid) returns text
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  name text;
begin
  -- Of what is just going along with something else, as the trail last knew it.
  case table_name
    when 'organizations' then
      select o.name into name from app_public.organizations o where o.id = audited_name.id;
      if not found then
        select e.organization_name into name from app_public.audit_events e
        where e.organization_id = audited_name.id and e.subject = 'organizations'
        order by e.changed_at desc
        limit 1;
      end if;
    when 'groups' then
      select g.name into name from app_public.groups g where g.id = audited_name.id;
      if not found then
        select e.group_name into name from app_public.audit_events e
        where e.group_id = audited_name.id and e.subject = 'groups'
        order by e.changed_at desc
        limit 1;
      end if;
    when 'users' then
      select u.username into name from app_public.users u where u.id = audited_name.id;
      if not found then
        select e.user_name into name from app_public.audit_events e
        where e.user_id = audited_name.id and e.subject = 'users'
        order by e.changed_at desc
        limit 1;
      end if;
  end case;
  return name;
end
$$;

revoke all on function app_private.audited_name(text, uuid) from public;
comment on function app_private.audited_name(text, uuid) is
  'What something is called at the moment of an event: names change, and ids can be taken again by others.';

create or replace function app_private.write_audit_events(
  subject text, action app_public.audit_action, old_rows jsonb[], new_rows jsonb[]
)
returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
set plan_cache_mode to auto
as $$
declare
  transaction constant bigint := pg_current_xact_id()::text::bigint;
  door app_public.audit_door := 'sql';
  actor_id uuid;
  actor_name text;
begin
  -- Planned for each length of the lists anew, a few rows would take longer to plan than to write; for many it pays.
  perform set_config('plan_cache_mode', case when coalesce(cardinality(new_rows), cardinality(old_rows)) < 100 then 'force_generic_plan' else 'force_custom_plan' end, true);
  select u.id, u.username into actor_id, actor_name
  from app_public.users u where u.id = app_hidden.current_user_id();
  -- Whoever deletes themselves is no user any more by the time the rest goes with them.
  if actor_id is null then
    select e.actor_id, e.actor_name into actor_id, actor_name
    from app_public.audit_events e
    where e.changed_at >= now() and e.transaction_id = transaction
      and e.login_role = session_user and e.actor_id is not null
    order by e.changed_at desc
    limit 1;
  end if;
  -- As in current_user_id(): any session can set a custom setting, so it counts only in a server's.
  if exists (select from app_private.authenticators where role_name = session_user) then
    door := coalesce(nullif(current_setting('bursar.door', true), ''), 'sql');
  end if;

  insert into app_public.audit_events (
    changed_at, transaction_id, actor_id, actor_name, login_role, door, action, subject,
    organization_id, organization_name, group_id, group_name, user_id, user_name, old_row, new_row
  )
  select
    clock_timestamp(), transaction, actor_id, actor_name, session_user, door,
    -- A changed primary key is one row that ends and one that begins.
    case when write_audit_events.action <> 'update' then write_audit_events.action
      when r.old_row is null then 'insert' when r.new_row is null then 'delete' else 'update' end,
    write_audit_events.subject,
    its.organization_id, case when its.organization_id is not null then app_private.audited_name('organizations', its.organization_id) end,
    its.group_id, case when its.group_id is not null then app_private.audited_name('groups', its.group_id) end,
    its.user_id, case when its.user_id is not null then app_private.audited_name('users', its.user_id) end,
    r.old_row, r.new_row
  from unnest(old_rows, new_rows) as c (old_row, new_row)
    cross join lateral (
      select coalesce(c.new_row, c.old_row) as known,
        (
          select jsonb_object_agg(key, case jsonb_typeof(value) when 'number' then to_jsonb(value #>> '{}') else value end)
          from jsonb_each(c.old_row - 'email')
        ) as old_row,
        (
          select jsonb_object_agg(key, case jsonb_typeof(value) when 'number' then to_jsonb(value #>> '{}') else value end)
          from jsonb_each(case
            when c.old_row -> 'email' <> c.new_row -> 'email' then jsonb_set(c.new_row, '{email}', '"changed"')
            else c.new_row - 'email'
          end)
        ) as new_row
      offset 0
    ) r
    cross join lateral (
      select
        case write_audit_events.subject
          when 'organizations' then r.known ->> 'id'
          -- A budget that goes with its group is looked up where the group's own end was written a moment ago.
          when 'group_ai_budgets' then coalesce(
            (select g.organization_id::text from app_public.groups g where g.id = (r.known ->> 'group_id')::uuid),
            (
              select e.organization_id::text from app_public.audit_events e
              where e.group_id = (r.known ->> 'group_id')::uuid and e.subject = 'groups'
              order by e.changed_at desc
              limit 1
            )
          )
          else r.known ->> 'organization_id'
        end::uuid as organization_id,
        case write_audit_events.subject when 'groups' then r.known ->> 'id' else r.known ->> 'group_id' end::uuid as group_id,
        case write_audit_events.subject when 'users' then r.known ->> 'id' else r.known ->> 'user_id' end::uuid as user_id
      offset 0
    ) its
  -- A write that changes nothing but the time of writing is no change.
  where write_audit_events.action <> 'update'
    or c.old_row - 'updated_at' is distinct from c.new_row - 'updated_at';
end
$$;

revoke all on function app_private.write_audit_events(text, app_public.audit_action, jsonb[], jsonb[]) from public;
comment on function app_private.write_audit_events(text, app_public.audit_action, jsonb[], jsonb[]) is
  'Writes an event for each pair of an old and a new row (null lists stand for nulls), and who is doing it. For triggers alone: the table refuses everybody else.';

create or replace function app_private.audit() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
declare
  old_list jsonb[];
  new_list jsonb[];
begin
  -- The arguments of the trigger are the columns of the primary key, three at most.
  if tg_op = 'TRUNCATE' then
    old_list := array[null::jsonb];
  elsif tg_op = 'INSERT' then
    select array_agg(to_jsonb(n)) into new_list from new_rows n;
  elsif tg_op = 'DELETE' then
    select array_agg(to_jsonb(o)) into old_list from old_rows o;
  else
    -- Each row is made into JSON once: offset 0.
    select array_agg(o.row), array_agg(n.row) into old_list, new_list
    from (select to_jsonb(r) as row from old_rows r offset 0) o
      full join (select to_jsonb(r) as row from new_rows r offset 0) n
        on jsonb_build_array(n.row -> tg_argv[0], n.row -> tg_argv[1], n.row -> tg_argv[2])
          = jsonb_build_array(o.row -> tg_argv[0], o.row -> tg_argv[1], o.row -> tg_argv[2]);
  end if;
  -- A statement may have touched nothing. Where one list is missing, unnest() fills it up with nulls.
  if old_list is not null or new_list is not null then
    perform app_private.write_audit_events(tg_table_name, lower(tg_op)::app_public.audit_action, old_list, new_list);
  end if;
  return null;
end
$$;

revoke all on function app_private.audit() from public;
comment on function app_private.audit() is
  'Trigger: writes the audit trail of a statement. An update that changes a primary key shows as one row that ends and one that begins.';

-- What refers to the row goes after it, and is audited before it when a statement is over: the row itself must
-- have been written down by then, or nobody knows any more whose it was and who did it.
create or replace function app_private.audit_departure() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
begin
  perform app_private.write_audit_events(tg_table_name, 'delete', array[to_jsonb(old)], array[null::jsonb]);
  return old;
end
$$;

revoke all on function app_private.audit_departure() from public;
comment on function app_private.audit_departure() is
  'Trigger: writes the end of a row into the audit trail before it takes others along. The last trigger before a delete.';

create or replace function app_private.keep_audit_trail(audited regclass) returns void
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
declare
  key text := (
    select string_agg(quote_literal(a.attname), ', ' order by k.place)
    from pg_index i
      cross join unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = audited and i.indisprimary
  );
begin
  execute format(
    'create or replace trigger write_audit_trail_of_inserts after insert on %s
       referencing new table as new_rows
       for each statement execute function app_private.audit(%s)', audited, key);
  execute format(
    'create or replace trigger write_audit_trail_of_updates after update on %s
       referencing old table as old_rows new table as new_rows
       for each statement execute function app_private.audit(%s)', audited, key);
  if audited in ('app_public.organizations'::regclass, 'app_public.groups'::regclass, 'app_public.users'::regclass) then
    execute format(
      'create or replace trigger write_audit_trail_of_deletes before delete on %s
         for each row execute function app_private.audit_departure()', audited);
  else
    execute format(
      'create or replace trigger write_audit_trail_of_deletes after delete on %s
         referencing old table as old_rows
         for each statement execute function app_private.audit(%s)', audited, key);
  end if;
  execute format(
    'create or replace trigger write_audit_trail_of_truncation after truncate on %s
       for each statement execute function app_private.audit(%s)', audited, key);
end
$$;

revoke all on function app_private.keep_audit_trail(regclass) from public;
comment on function app_private.keep_audit_trail(regclass) is
  'For migrations: gives a table the triggers that write its audit trail. The table has a primary key of three columns at most.';

select app_private.keep_audit_trail(audited)
from unnest(array[
  'app_public.users', 'app_public.user_site_roles', 'app_public.organizations', 'app_public.organization_members',
  'app_public.organization_member_roles', 'app_public.groups', 'app_public.group_members',
  'app_public.group_ai_budgets', 'app_public.ai_model_prices', 'app_public.features', 'app_private.authenticators'
]::regclass[]) as audited;

--------------------------------------------------------------------------------
-- It is only ever added to
--------------------------------------------------------------------------------

create or replace function app_private.keep_audit_events() returns trigger
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  -- Inserts come from the triggers of the audited tables: this one is then the second on the way.
  if tg_op = 'INSERT' and pg_trigger_depth() > 1 then
    return null;
  end if;
  raise exception using
    errcode = '42501',
    message = format('The audit trail can''t be written by hand: %s.', lower(tg_op)),
    hint = 'It is written by what happens, and stays.';
end
$$;

revoke all on function app_private.keep_audit_events() from public;
comment on function app_private.keep_audit_events() is
  'Trigger: refuses whatever would change the audit trail, to the database''s owner as well (42501).';

create or replace trigger audit_events_come_from_changes before insert on app_public.audit_events
  for each statement execute function app_private.keep_audit_events();
create or replace trigger audit_events_stay before update or delete or truncate on app_public.audit_events
  for each statement execute function app_private.keep_audit_events();
-- also in a session that switches ordinary triggers off
alter table app_public.audit_events enable always trigger audit_events_stay;

--------------------------------------------------------------------------------
-- How people read it
--------------------------------------------------------------------------------

create or replace function app_hidden.dollars(micros numeric) returns text
language sql immutable strict security invoker parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select '$' || to_char(micros * 0.000001, 'FM999,999,999,999,999,999,990.00999999999999')
$$;

revoke all on function app_hidden.dollars(numeric) from public;
grant execute on function app_hidden.dollars(numeric) to bursar_user;
comment on function app_hidden.dollars(numeric) is
  'An amount of micros as people read it, with all its digits: 500000000 is $500.00, 1552.5 is $0.0015525.';

create or replace function app_public.audit_events_what(event app_public.audit_events) returns text
language sql stable security invoker
set search_path to pg_catalog, pg_temp
as $$
  select case
    when event.action = 'truncate' then 'all of ' || event.subject
    when event.subject = 'users' then 'user ' || event.user_name
    when event.subject = 'user_site_roles' then format('site role %s of %s', r.row ->> 'role', event.user_name)
    when event.subject = 'organizations' then 'organization ' || event.organization_name
    when event.subject = 'organization_members' then 'member ' || event.user_name
    when event.subject = 'organization_member_roles' then format('role %s of %s', r.row ->> 'role', event.user_name)
    when event.subject = 'groups' then 'group ' || event.group_name
    when event.subject = 'group_members' then format('member %s of group %s', event.user_name, event.group_name)
    when event.subject = 'group_ai_budgets' then 'budget of group ' || event.group_name
    when event.subject = 'ai_model_prices' then format('price of %s %s', r.row ->> 'provider', r.row ->> 'model')
    when event.subject = 'features' then 'feature ' || (r.row ->> 'name')
    when event.subject = 'authenticators' then 'server login ' || (r.row ->> 'role_name')
  end
  from (values (coalesce(event.new_row, event.old_row))) as r (row)
$$;

revoke all on function app_public.audit_events_what(app_public.audit_events) from public;
grant execute on function app_public.audit_events_what(app_public.audit_events) to bursar_user;
comment on function app_public.audit_events_what(app_public.audit_events) is
  E'@behavior -filterBy -orderBy\nWhat was changed, in words: `budget of group Marketing`. The names are those of the moment.';

create or replace function app_public.audit_events_change(event app_public.audit_events) returns text
language sql stable security invoker
set search_path to pg_catalog, pg_temp
as $$
  with shown (subject, place, key, label, is_amount, absent) as (
    values
      ('group_ai_budgets', 1, 'spend_limit_micros', 'limit', true, 'none'),
      -- A group without a budget is counted so.
      ('group_ai_budgets', 2, 'applies_to', 'applies to', false, 'group'),
      ('group_ai_budgets', 3, 'period', 'period', false, 'month'),
      ('ai_model_prices', 1, 'input_price', 'input', true, 'unknown'),
      ('ai_model_prices', 2, 'output_price', 'output', true, 'unknown'),
      ('ai_model_prices', 3, 'cache_read_price', 'cache read', true, 'unknown'),
      ('ai_model_prices', 4, 'cache_write_price', 'cache write', true, 'unknown'),
      ('features', 1, 'enabled', 'enabled', false, 'none'),
      ('features', 2, 'entitlement', 'entitlement', false, 'none'),
      ('groups', 1, 'name', 'name', false, 'none'),
      ('organizations', 1, 'name', 'name', false, 'none'),
      ('organizations', 2, 'time_zone', 'time zone', false, 'UTC'),
      ('organizations', 3, 'unpriced_usage', 'unpriced usage', false, 'refuse'),
      ('organizations', 4, 'hold_seconds', 'hold seconds', false, '600'),
      ('users', 1, 'username', 'username', false, 'none'),
      ('users', 2, 'pg_role', 'login role', false, 'none')
  ),
  said (place, what) as (
    select s.place, format('%s %s → %s', s.label,
      coalesce(case when s.is_amount then app_hidden.dollars((event.old_row ->> s.key)::numeric) else event.old_row ->> s.key end, s.absent),
      coalesce(case when s.is_amount then app_hidden.dollars((event.new_row ->> s.key)::numeric) else event.new_row ->> s.key end, s.absent))
    from shown s
    where s.subject = event.subject
      and coalesce(event.old_row ->> s.key, s.absent) <> coalesce(event.new_row ->> s.key, s.absent)
      -- That a group, an organization or a user is there has a word of its own.
      and (event.action = 'update' or s.absent <> 'none' or s.key not in ('name', 'username'))
      -- What goes takes its terms along.
      and (event.action <> 'delete' or s.absent in ('none', 'unknown'))
    union all
    select 0, case event.action when 'truncate' then 'all rows removed' when 'insert' then 'added' else 'removed' end
    where event.action = 'truncate'
      or event.action <> 'update' and event.subject not in ('group_ai_budgets', 'features')
    union all
    -- An address must be erasable, and the trail is not.
    select 9, 'email changed' where event.new_row ? 'email'
  )
  select string_agg(what, ', ' order by place) from said
$$;

revoke all on function app_public.audit_events_change(app_public.audit_events) from public;
grant execute on function app_public.audit_events_change(app_public.audit_events) to bursar_user;
comment on function app_public.audit_events_change(app_public.audit_events) is
  E'@behavior -filterBy -orderBy\nWhat became of it, in words: `limit $0.00 → $500.00`. Prices are per million tokens.';

create or replace view app_public.audit_trail with (security_invoker = true) as
  select e.changed_at,
    -- A username may be that of a login: whoever is no user is marked.
    coalesce(e.actor_name, e.login_role || ' (no user)') as who,
    e.door, e.login_role, e.organization_name as organization,
    app_public.audit_events_what(e) as what, app_public.audit_events_change(e) as change,
    e.subject, e.action, e.organization_id, e.group_id, e.user_id, e.actor_id, e.transaction_id, e.id
  from app_public.audit_events e;

grant select on app_public.audit_trail to bursar_user;

comment on view app_public.audit_trail is E'@behavior -*\nThe audit trail for people: who changed what, from what to what. In GraphQL it is auditEvents.';
comment on column app_public.audit_trail.changed_at is 'When (UTC).';
comment on column app_public.audit_trail.who is 'The username of who did it at the time; for whoever is no user, their login role, and `(no user)`.';
comment on column app_public.audit_trail.door is 'graphql, rest, or sql.';
comment on column app_public.audit_trail.login_role is 'The login role of the session.';
comment on column app_public.audit_trail.organization is 'The name of the organization that it concerns, at the time; null for what belongs to none.';
comment on column app_public.audit_trail.what is 'What was changed, such as `budget of group Marketing`.';
comment on column app_public.audit_trail.change is 'From what to what, such as `limit $0.00 → $500.00`. Prices are per million tokens.';
comment on column app_public.audit_trail.subject is 'The table.';
comment on column app_public.audit_trail.action is 'insert, update, delete or truncate.';
comment on column app_public.audit_trail.organization_id is 'The organization that it concerns.';
comment on column app_public.audit_trail.group_id is 'The group that it concerns.';
comment on column app_public.audit_trail.user_id is 'The user whom it concerns.';
comment on column app_public.audit_trail.actor_id is 'The user who did it.';
comment on column app_public.audit_trail.transaction_id is 'What was changed together has the same number.';
comment on column app_public.audit_trail.id is 'The event.';
--! EndIncluded audit-trail.sql
--! Included spend-counters.sql
-- What has been spent, kept in counters so that a decision needs no adding up.
--
-- Each group has a counter for each period of its present terms in which something was spent, and each of its
-- members has one where the budget applies to members. Whoever books adds to them in the same transaction.
-- Counters begin anew, from the ledger, when the terms change; app_private.ai_spend_counting_starts says from when on
-- there are any. Earlier periods are added up when somebody asks.

create or replace function app_private.spend_by_user(
  organization_id uuid, group_id uuid, user_id uuid, period_start timestamptz, period_end timestamptz
)
returns table (member_id uuid, spent_micros numeric, overage_micros numeric)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
-- Whether it is about the organization, a group or a member makes all the difference to the plan.
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

  return query
  select s.user_id, sum(s.cost_micros), sum(s.overage_micros)
  from (
    select d.user_id, d.cost_micros, d.overage_micros
    from app_public.ai_spend_daily d
    where d.organization_id = spend_by_user.organization_id
      and (spend_by_user.group_id = spend_by_user.organization_id or d.group_id = spend_by_user.group_id)
      and (spend_by_user.user_id = app_private.pool() or d.user_id = spend_by_user.user_id)
      and first_day < last_day and d.day >= first_day::date and d.day < last_day::date
    union all
    select e.user_id, coalesce(e.cost_micros, 0), coalesce(e.overage_micros, 0)
    from app_public.ai_usage_events e
    where e.organization_id = spend_by_user.organization_id
      and (spend_by_user.group_id = spend_by_user.organization_id or e.group_id = spend_by_user.group_id)
      and (spend_by_user.user_id = app_private.pool() or e.user_id = spend_by_user.user_id)
      and e.occurred_at >= period_start and e.occurred_at < first_day
    union all
    select e.user_id, coalesce(e.cost_micros, 0), coalesce(e.overage_micros, 0)
    from app_public.ai_usage_events e
    where e.organization_id = spend_by_user.organization_id
      and (spend_by_user.group_id = spend_by_user.organization_id or e.group_id = spend_by_user.group_id)
      and (spend_by_user.user_id = app_private.pool() or e.user_id = spend_by_user.user_id)
      and e.occurred_at >= last_day and e.occurred_at < period_end
  ) as s
  group by s.user_id;
end
$$;

revoke all on function app_private.spend_by_user(uuid, uuid, uuid, timestamptz, timestamptz) from public;
comment on function app_private.spend_by_user(uuid, uuid, uuid, timestamptz, timestamptz) is
  'Spend in a period of a group (or of the organization, for Everyone), for each of its members or the one that is named (app_private.pool() for all), in micros: from the daily totals, and from the ledger for the parts of days.';

-- As spend_by_user() for one member, and with one plan for all: their rows are few and have an index.
create or replace function app_private.spend_of_member(
  organization_id uuid, group_id uuid, user_id uuid, period_start timestamptz, period_end timestamptz
) returns numeric
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
set enable_seqscan to off
set plan_cache_mode to force_generic_plan
set timezone to 'UTC'
as $$
#variable_conflict use_column
declare
  is_everyone constant boolean := spend_of_member.group_id = spend_of_member.organization_id;
  first_day timestamptz := date_trunc('day', period_start);
  last_day timestamptz := date_trunc('day', period_end);
  spent numeric;
begin
  if first_day < period_start then
    first_day := first_day + interval '1 day';
  end if;
  if first_day >= last_day then
    first_day := period_end;
    last_day := period_end;
  end if;
  if first_day < last_day then
    select sum(d.cost_micros) into spent
    from app_public.ai_spend_daily d
    where d.organization_id = spend_of_member.organization_id and d.user_id = spend_of_member.user_id
      and d.day >= first_day::date and d.day < last_day::date
      and (is_everyone or d.group_id = spend_of_member.group_id);
  end if;
  if period_start < first_day or last_day < period_end then
    spent := coalesce(spent, 0) + coalesce((
      select sum(e.cost_micros)
      from app_public.ai_usage_events e
      where e.organization_id = spend_of_member.organization_id and e.user_id = spend_of_member.user_id
        and (
          (e.occurred_at >= period_start and e.occurred_at < first_day)
          or (e.occurred_at >= last_day and e.occurred_at < period_end)
        )
        and (is_everyone or e.group_id = spend_of_member.group_id)
    ), 0);
  end if;
  return coalesce(spent, 0);
end
$$;

revoke all on function app_private.spend_of_member(uuid, uuid, uuid, timestamptz, timestamptz) from public;
comment on function app_private.spend_of_member(uuid, uuid, uuid, timestamptz, timestamptz) is
  'What one member has spent of a group (or of the organization, for Everyone) in a period, in micros.';

create or replace function app_private.spend_of_period(
  organization_id uuid, group_id uuid, user_id uuid, period_start timestamptz, period_end timestamptz,
  is_counted boolean, out spent_micros numeric, out overage_micros numeric
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
set enable_seqscan to off
as $$
#variable_conflict use_column
begin
  if is_counted then
    select c.spent_micros, c.overage_micros
    into spend_of_period.spent_micros, spend_of_period.overage_micros
    from app_private.ai_spend_counters c
    where c.organization_id = spend_of_period.organization_id and c.group_id = spend_of_period.group_id
      and c.user_id = spend_of_period.user_id and c.period_start = spend_of_period.period_start;
  else
    select sum(s.spent_micros), sum(s.overage_micros)
    into spend_of_period.spent_micros, spend_of_period.overage_micros
    from app_private.spend_by_user(
      spend_of_period.organization_id, spend_of_period.group_id, spend_of_period.user_id,
      spend_of_period.period_start, spend_of_period.period_end
    ) s;
  end if;
  spent_micros := coalesce(spent_micros, 0);
  overage_micros := coalesce(overage_micros, 0);
end
$$;

revoke all on function app_private.spend_of_period(uuid, uuid, uuid, timestamptz, timestamptz, boolean) from public;
comment on function app_private.spend_of_period(uuid, uuid, uuid, timestamptz, timestamptz, boolean) is
  'Spend of a group or one of its members in a period, in micros: from its counter, or added up where periods are not counted.';

-- Which counters these events fall in, and by how much: what booking adds, and what the check of the ledger expects.
create or replace function app_private.counted_spend(events app_public.ai_usage_events[])
returns table (
  organization_id uuid, group_id uuid, user_id uuid, period_start timestamptz, period_end timestamptz,
  spent_micros numeric, overage_micros numeric
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
#variable_conflict use_column
begin
  return query
  with amounts as (
    -- What the group has spent, and what the organization has. Periods begin on a quarter of an hour
    -- everywhere, so all of a quarter lies in one.
    select e.organization_id, counts.group_id, e.user_id,
      date_bin('15 minutes', e.occurred_at, timestamptz '2000-01-01 00:00Z') as quarter,
      sum(e.cost_micros) as spent, coalesce(sum(e.overage_micros), 0) as overage
    from unnest(events) e
      cross join lateral (values (e.group_id), (nullif(e.organization_id, e.group_id))) as counts (group_id)
    where e.cost_micros is not null and counts.group_id is not null
    group by 1, 2, 3, 4
  ), terms as materialized (
    select t.organization_id, t.group_id, t.applies_to, t.period, t.time_zone, t.counted_from
    from (select distinct a.organization_id, a.group_id from amounts a) g
      cross join lateral (
        select t.* from app_private.ai_spend_terms t
        where t.organization_id = g.organization_id and t.group_id = g.group_id offset 0
      ) t
  ), windows as materialized (
    select p.period, p.time_zone, q.quarter, w.period_start, w.period_end
    from (select distinct t.period, t.time_zone from terms t) p
      cross join (select distinct a.quarter from amounts a) q
      cross join lateral app_hidden.budget_window(p.period, q.quarter, p.time_zone) w
  )
  select t.organization_id, t.group_id, whose.user_id, w.period_start, w.period_end, sum(a.spent), sum(a.overage)
  from amounts a
    join terms t on t.organization_id = a.organization_id and t.group_id = a.group_id
    join windows w
      on w.period = t.period and w.time_zone = t.time_zone and w.quarter = a.quarter and w.period_start >= t.counted_from
    cross join lateral (
      select app_private.pool() as user_id
      union all
      select a.user_id where t.applies_to = 'member'
    ) whose
  group by 1, 2, 3, 4, 5;
end
$$;

revoke all on function app_private.counted_spend(app_public.ai_usage_events[]) from public;
comment on function app_private.counted_spend(app_public.ai_usage_events[]) is
  'The counters in which the costs of these events fall under the present terms, and by how much, in micros.';

create or replace function app_private.add_to_counters(events app_public.ai_usage_events[]) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  one app_public.ai_usage_events;
begin
  -- The caller holds the pools, and everybody waits: for a single event there is nothing to add up first.
  if cardinality(events) = 1 then
    one := events[1];
    if one.cost_micros is null then
      return;
    end if;
    insert into app_private.ai_spend_counters as c
      (organization_id, group_id, user_id, period_start, period_end, spent_micros, overage_micros)
    select t.organization_id, t.group_id, whose.user_id, w.period_start, w.period_end,
      one.cost_micros, coalesce(one.overage_micros, 0)
    from app_private.ai_spend_terms t
      cross join lateral app_hidden.budget_window(t.period, one.occurred_at, t.time_zone) w
      cross join lateral (
        select app_private.pool() as user_id
        union all
        select one.user_id where t.applies_to = 'member'
      ) whose
    where t.organization_id = one.organization_id and t.group_id in (one.group_id, one.organization_id)
      and w.period_start >= t.counted_from
    order by t.group_id = t.organization_id, whose.user_id
    on conflict (organization_id, group_id, user_id, period_start) do update set
      spent_micros = c.spent_micros + excluded.spent_micros,
      overage_micros = c.overage_micros + excluded.overage_micros;
    return;
  end if;
  insert into app_private.ai_spend_counters as c
    (organization_id, group_id, user_id, period_start, period_end, spent_micros, overage_micros)
  select s.* from app_private.counted_spend(events) s
  -- Everyone last: the counter of all is locked for the shortest time.
  order by s.organization_id, s.group_id = s.organization_id, s.group_id, s.user_id, s.period_start
  on conflict (organization_id, group_id, user_id, period_start) do update set
    spent_micros = c.spent_micros + excluded.spent_micros,
    overage_micros = c.overage_micros + excluded.overage_micros;
end
$$;

revoke all on function app_private.add_to_counters(app_public.ai_usage_events[]) from public;
comment on function app_private.add_to_counters(app_public.ai_usage_events[]) is
  'Adds the costs of events to every counter in which they fall. The caller holds their pools.';

create or replace function app_private.count_anew(organization_id uuid, group_id uuid, at timestamptz) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  terms record;
begin
  perform app_private.require_read_committed();
  select t.*, w.period_start, w.period_end into terms
  from app_private.ai_spend_terms t cross join lateral app_hidden.budget_window(t.period, at, t.time_zone) w
  where t.organization_id = count_anew.organization_id and t.group_id = count_anew.group_id;
  -- It may have been deleted while its pool was waited for.
  if not found then
    return;
  end if;

  delete from app_private.ai_spend_counters c
  where c.organization_id = count_anew.organization_id and c.group_id = count_anew.group_id;
  delete from app_private.ai_spend_accounts a
  where a.organization_id = count_anew.organization_id and a.group_id = count_anew.group_id
    and a.user_id <> app_private.pool();

  insert into app_private.ai_spend_counting_starts (organization_id, group_id, counted_from)
  values (count_anew.organization_id, count_anew.group_id, terms.period_start)
  on conflict (organization_id, group_id) do update set counted_from = excluded.counted_from;

  insert into app_private.ai_spend_counters
    (organization_id, group_id, user_id, period_start, period_end, spent_micros, overage_micros)
  select count_anew.organization_id, count_anew.group_id, coalesce(s.member_id, app_private.pool()),
    terms.period_start, terms.period_end, sum(s.spent_micros), sum(s.overage_micros)
  from app_private.spend_by_user(
    count_anew.organization_id, count_anew.group_id, app_private.pool(), terms.period_start, terms.period_end
  ) s
  group by grouping sets ((), (s.member_id))
  having sum(s.spent_micros) is not null and (terms.applies_to = 'member' or grouping(s.member_id) = 1);

  -- Clocks run ahead: what is dated after the period.
  insert into app_private.ai_spend_counters
    (organization_id, group_id, user_id, period_start, period_end, spent_micros, overage_micros)
  select s.*
  from app_private.counted_spend(array(
    select e from app_public.ai_usage_events e
    where e.organization_id = count_anew.organization_id
      and (terms.is_everyone or e.group_id = count_anew.group_id)
      and e.occurred_at >= terms.period_end
  )) s
  where s.group_id = count_anew.group_id;

  -- The row of the pool stays: others may be waiting for it.
  insert into app_private.ai_spend_accounts as a (organization_id, group_id, user_id, held_micros, swept_until)
  select count_anew.organization_id, count_anew.group_id, coalesce(r.user_id, app_private.pool()),
    coalesce(sum(r.estimate_micros), 0), at
  from app_private.ai_spend_requests r
  where r.organization_id = count_anew.organization_id
    and (terms.is_everyone or r.group_id = count_anew.group_id)
    and r.state = 'held' and r.expires_at > at
  group by grouping sets ((), (r.user_id))
  having grouping(r.user_id) = 1 or terms.applies_to = 'member'
  on conflict (organization_id, group_id, user_id) do update set
    held_micros = excluded.held_micros, swept_until = excluded.swept_until;
end
$$;

revoke all on function app_private.count_anew(uuid, uuid, timestamptz) from public;
comment on function app_private.count_anew(uuid, uuid, timestamptz) is
  'Begins the counters and accounts of a group anew, under its present terms and as of a moment. The caller holds its pool.';

--------------------------------------------------------------------------------
-- Whoever changes terms waits for those who work by them, at the pool. Before it come the group and its budget.
--------------------------------------------------------------------------------

create or replace function app_private.follow_budgets() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  changed jsonb;
  one record;
  at timestamptz;
begin
  -- Without a budget a group is counted as a pool by the month.
  if tg_op = 'INSERT' then
    changed := (select jsonb_agg(jsonb_build_object(
      'group_id', n.group_id, 'counts_anew', (n.applies_to, n.period) <> ('group', 'month'))) from new_budgets n);
  elsif tg_op = 'DELETE' then
    changed := (select jsonb_agg(jsonb_build_object(
      'group_id', o.group_id, 'counts_anew', (o.applies_to, o.period) <> ('group', 'month'))) from old_budgets o);
  else
    changed := (select jsonb_agg(jsonb_build_object(
      'group_id', n.group_id, 'counts_anew', (o.applies_to, o.period) <> (n.applies_to, n.period)))
      from old_budgets o join new_budgets n on n.group_id = o.group_id);
  end if;
  -- As `on conflict` has it: of the inserts and the updates of one statement, mostly one is empty.
  if changed is null then
    return null;
  end if;

  -- A group that goes takes its budget along, and is not found here: forget_groups() does the rest.
  at := (
    select app_private.lock_pools(array_agg(g.organization_id), array_agg(g.id))
    from jsonb_to_recordset(changed) as c (group_id uuid)
      join app_public.groups g on g.id = c.group_id
  );
  for one in
    select g.organization_id, g.id
    from jsonb_to_recordset(changed) as c (group_id uuid, counts_anew boolean)
      join app_public.groups g on g.id = c.group_id
    where c.counts_anew
  loop
    perform app_private.count_anew(one.organization_id, one.id, at);
  end loop;
  return null;
end
$$;

create or replace trigger follow_new_budgets after insert on app_public.group_ai_budgets
  referencing new table as new_budgets
  for each statement execute function app_private.follow_budgets();
create or replace trigger follow_changed_budgets after update on app_public.group_ai_budgets
  referencing old table as old_budgets new table as new_budgets
  for each statement execute function app_private.follow_budgets();
create or replace trigger follow_removed_budgets after delete on app_public.group_ai_budgets
  referencing old table as old_budgets
  for each statement execute function app_private.follow_budgets();

create or replace function app_private.keep_budget_with_its_group() returns trigger
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  raise exception using
    errcode = 'BU400',
    message = format('A budget stays with its group, %s.', old.group_id),
    column = 'group_id',
    hint = 'Delete it, and give the other group one.';
end
$$;

create or replace trigger keep_budget_with_its_group before update on app_public.group_ai_budgets
  for each row when (old.group_id <> new.group_id)
  execute function app_private.keep_budget_with_its_group();

create or replace function app_private.forget_groups() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  perform app_private.lock_pools(array_agg(g.organization_id), array_agg(g.id)) from gone g;
  delete from app_private.ai_spend_counters c using gone g
  where c.organization_id = g.organization_id and c.group_id = g.id;
  delete from app_private.ai_spend_accounts a using gone g
  where a.organization_id = g.organization_id and a.group_id = g.id;
  delete from app_private.ai_spend_counting_starts s using gone g
  where s.organization_id = g.organization_id and s.group_id = g.id;
  return null;
end
$$;

create or replace trigger forget_groups after delete on app_public.groups
  referencing old table as gone
  for each statement execute function app_private.forget_groups();

create or replace function app_private.follow_time_zones() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  one record;
  at timestamptz;
begin
  -- The update holds the rows of the organizations: no group is added meanwhile, see open_pool().
  at := (
    select app_private.lock_pools(array_agg(g.organization_id), array_agg(g.id))
    from before b
      join after a on a.id = b.id and a.time_zone <> b.time_zone
      join app_public.groups g on g.organization_id = a.id
  );
  for one in
    select g.organization_id, g.id
    from before b
      join after a on a.id = b.id and a.time_zone <> b.time_zone
      join app_public.groups g on g.organization_id = a.id
  loop
    perform app_private.count_anew(one.organization_id, one.id, at);
  end loop;
  return null;
end
$$;

create or replace trigger follow_time_zones after update on app_public.organizations
  referencing old table as before new table as after
  for each statement execute function app_private.follow_time_zones();

revoke all on function app_private.follow_budgets() from public;
revoke all on function app_private.keep_budget_with_its_group() from public;
revoke all on function app_private.forget_groups() from public;
revoke all on function app_private.follow_time_zones() from public;
comment on function app_private.follow_budgets() is
  'Trigger: budgets change while nobody works by them, and their counters begin anew when they would count something else.';
comment on function app_private.keep_budget_with_its_group() is 'Trigger: refuses to hand a budget to another group (BU400).';
comment on function app_private.forget_groups() is
  'Trigger: the counters and accounts of groups go with them; their part of the ledger stays.';
comment on function app_private.follow_time_zones() is
  'Trigger: in another time zone periods begin and end at other moments, so all counters of the organization begin anew.';
--! EndIncluded spend-counters.sql
--! Included budgets.sql
-- What a group may spend.

alter table app_public.group_ai_budgets enable row level security;

-- The inner select is under the policies of groups.
drop policy if exists budget_is_read_by_whoever_reads_the_group on app_public.group_ai_budgets;
create policy budget_is_read_by_whoever_reads_the_group on app_public.group_ai_budgets
  for select to bursar_user
  using (exists (select from app_public.groups g where g.id = group_id));

drop policy if exists budget_is_set_by_whoever_manages_the_organization on app_public.group_ai_budgets;
create policy budget_is_set_by_whoever_manages_the_organization on app_public.group_ai_budgets
  for insert to bursar_user
  with check (
    case
      when (select app_hidden.manages_every_organization())
        or exists (
          select from app_public.groups g
          where g.id = group_id and g.organization_id = any (array(select app_hidden.organizations_i_manage()))
        )
      then true
      else app_hidden.refuse('group_ai_budgets')
    end
  );

drop policy if exists budget_is_changed_by_whoever_manages_the_organization on app_public.group_ai_budgets;
create policy budget_is_changed_by_whoever_manages_the_organization on app_public.group_ai_budgets
  for update to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or exists (
      select from app_public.groups g
      where g.id = group_id and g.organization_id = any (array(select app_hidden.organizations_i_manage()))
    )
  );

drop policy if exists budget_is_deleted_by_whoever_manages_the_organization on app_public.group_ai_budgets;
create policy budget_is_deleted_by_whoever_manages_the_organization on app_public.group_ai_budgets
  for delete to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or exists (
      select from app_public.groups g
      where g.id = group_id and g.organization_id = any (array(select app_hidden.organizations_i_manage()))
    )
  );

grant select, delete on app_public.group_ai_budgets to bursar_user;
grant
  insert (group_id, spend_limit_micros, applies_to, period),
  update (spend_limit_micros, applies_to, period)
  on app_public.group_ai_budgets to bursar_user;

comment on table app_public.group_ai_budgets is E'@feature ai_bridge\n@behavior -insert -update -delete +aggregates\nWhat a group may spend on AI models. No row: no budget is enforced. A limit of 0: everything is blocked.';
comment on policy budget_is_read_by_whoever_reads_the_group on app_public.group_ai_budgets is
  'Asks the read policy of groups: whoever sees the group sees its budget.';
comment on policy budget_is_set_by_whoever_manages_the_organization on app_public.group_ai_budgets is
  'Who may update a group gives it a budget: owner, user_admin, and those who manage the group''s organization.';
comment on policy budget_is_changed_by_whoever_manages_the_organization on app_public.group_ai_budgets is
  'Who may update a group changes its budget: owner, user_admin, and those who manage the group''s organization.';
comment on policy budget_is_deleted_by_whoever_manages_the_organization on app_public.group_ai_budgets is
  'Who may update a group takes its budget away: owner, user_admin, and those who manage the group''s organization.';
comment on column app_public.group_ai_budgets.group_id is 'The group; at most one budget each.';
comment on column app_public.group_ai_budgets.spend_limit_micros is
  'Micros (millionths of a US dollar), 0 to 10^15 ($1 billion). 500000000 is $500.';
comment on column app_public.group_ai_budgets.applies_to is
  'group: one pool for all. member: each member has that much.';
comment on column app_public.group_ai_budgets.period is
  'Over which time spend counts, in the time zone of the organization: month unless set.';
comment on type app_public.budget_scope is
  'For whom a budget counts. group: one pool for all members. member: each member has the limit for themselves.';
comment on column app_public.group_ai_budgets.created_at is 'When the group got its budget (UTC).';
comment on column app_public.group_ai_budgets.updated_at is 'When the budget was last set (UTC).';
comment on constraint budget_belongs_to_a_group on app_public.group_ai_budgets is
  E'@fieldName group\n@foreignSingleFieldName groupAiBudget\nThe group.';

create or replace function app_public.group_ai_budget(group_id uuid)
returns setof app_public.group_ai_budgets
language sql stable security invoker rows 1
set search_path to pg_catalog, pg_temp
as $$
  select * from app_public.group_ai_budgets b where b.group_id = group_ai_budget.group_id
$$;

revoke all on function app_public.group_ai_budget(uuid) from public;
grant execute on function app_public.group_ai_budget(uuid) to bursar_user;
comment on function app_public.group_ai_budget(uuid) is
  E'@feature ai_bridge\n@behavior -*\nThe budget of a group: one row, or none when the group has no budget or you can''t read it.';

-- Whoever may update a group manages its budget: the row lock asks the update policy of groups that very
-- question, and keeps the group from being deleted meanwhile.
create or replace function app_hidden.lock_group_to_manage(group_id uuid) returns void
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  if group_id is null then
    raise exception using
      errcode = 'BU400', message = 'group_id is missing.', column = 'group_id';
  end if;
  perform from app_public.groups g where g.id = group_id for key share;
  if not found then
    raise exception using
      errcode = 'BU404',
      message = 'Not found, or not yours to read or change.',
      detail = app_hidden.speaker(),
      hint = app_hidden.right_hint(app_hidden.who_may_write('group_ai_budgets'));
  end if;
end
$$;

revoke all on function app_hidden.lock_group_to_manage(uuid) from public;
grant execute on function app_hidden.lock_group_to_manage(uuid) to bursar_user;
comment on function app_hidden.lock_group_to_manage(uuid) is
  'Returns when the caller may update the group, and holds it against deletion until the transaction ends. BU404 otherwise, the same for absent and forbidden.';

create or replace function app_public.upsert_group_ai_budget(group_id uuid, spend_limit_micros bigint)
returns app_public.group_ai_budgets
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  budget app_public.group_ai_budgets;
begin
  if upsert_group_ai_budget.spend_limit_micros is null then
    raise exception using
      errcode = 'BU400', message = 'spend_limit_micros is missing.', column = 'spend_limit_micros';
  end if;
  if upsert_group_ai_budget.spend_limit_micros not between 0 and 1000000000000000 then
    raise exception using
      errcode = 'BU400',
      message = format(
        'spend_limit_micros must be between 0 and 1000000000000000 ($1 billion), not %s.',
        upsert_group_ai_budget.spend_limit_micros
      ),
      column = 'spend_limit_micros';
  end if;
  perform app_hidden.lock_group_to_manage(upsert_group_ai_budget.group_id);

  -- Most often there is one: `on conflict` would ask the policies of inserts as well.
  update app_public.group_ai_budgets b set spend_limit_micros = upsert_group_ai_budget.spend_limit_micros
  where b.group_id = upsert_group_ai_budget.group_id
  returning * into budget;
  if not found then
    -- Somebody else may just have been quicker.
    insert into app_public.group_ai_budgets as b (group_id, spend_limit_micros)
    values (upsert_group_ai_budget.group_id, upsert_group_ai_budget.spend_limit_micros)
    on conflict (group_id) do update set spend_limit_micros = excluded.spend_limit_micros
    returning * into budget;
  end if;
  return budget;
end
$$;

revoke all on function app_public.upsert_group_ai_budget(uuid, bigint) from public;
grant execute on function app_public.upsert_group_ai_budget(uuid, bigint) to bursar_user;
comment on function app_public.upsert_group_ai_budget(uuid, bigint) is
  E'@feature ai_bridge\n@resultFieldName groupAiBudget\nGives a group its budget, or replaces it: micros, 0 to 10^15. created_at stays. Errors: BU400 names the field, BU404 when the group is absent or not yours to change.';

create or replace function app_public.delete_group_ai_budget(group_id uuid)
returns app_public.group_ai_budgets
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  budget app_public.group_ai_budgets;
begin
  perform app_hidden.lock_group_to_manage(delete_group_ai_budget.group_id);

  delete from app_public.group_ai_budgets
  where group_id = delete_group_ai_budget.group_id
  returning * into budget;
  if not found then
    raise exception using errcode = 'BU404', message = 'This group has no budget.';
  end if;
  return budget;
end
$$;

revoke all on function app_public.delete_group_ai_budget(uuid) from public;
grant execute on function app_public.delete_group_ai_budget(uuid) to bursar_user;
comment on function app_public.delete_group_ai_budget(uuid) is
  E'@feature ai_bridge\n@resultFieldName groupAiBudget\nTakes a group''s budget away, so that none is enforced, and returns what it was. BU404 when there was none, or the group is absent or not yours to change.';
--! EndIncluded budgets.sql

drop function if exists app_hidden.usage_i_read();
