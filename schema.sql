-- The schema of a Bursar database, written from its catalogue: `npm run db:dump` writes it again. What a migration
-- changes shows here as a difference; nobody edits this file. Run by the owner of an empty database, with the role
-- of migrations/roles.sql at hand, it makes the schema. Bursar itself makes it with `bursar migrate`.
--
-- Each thing stands after what it needs, and else by kind and name. Left out is what a deployment makes: the months
-- of the ledger (app_private.ai_usage_events_2026_01 and so on), grants to the servers' login roles, and the rows;
-- and what PostgreSQL makes along with something else, such as the indexes that a partition has from its parent.

set client_encoding to 'UTF8';
set search_path to '';
-- Functions may speak of tables that come later.
set check_function_bodies to off;

create schema app_hidden;
grant usage on schema app_hidden to bursar_user;
comment on schema app_hidden is
  'Helpers that policies call. They may be executed, but the API does not show them.';

create schema app_private;
comment on schema app_private is 'Out of reach for every API role.';

create schema app_public;
grant usage on schema app_public to bursar_user;
comment on schema app_public is 'What the API shows: tables and functions under row-level security.';

create extension if not exists btree_gist with schema public;

create type app_private.reported_event as (
  place bigint,
  caller bigint,
  id uuid,
  user_id uuid,
  organization_id uuid,
  group_id uuid,
  provider text,
  model text,
  input_tokens bigint,
  output_tokens bigint,
  cache_read_tokens bigint,
  cache_write_tokens bigint,
  occurred_at timestamptz,
  belongs_at timestamptz,
  authorized_organization_id uuid,
  authorized_group_id uuid
);

comment on type app_private.reported_event is
  'A reported event on its way into the ledger: what was said, where it stood in the batch, and the moment whose memberships count.';

create type app_private.spend_request_state as enum ('refused', 'held', 'settled', 'released');
comment on type app_private.spend_request_state is
  'refused: nothing is held. held, until settled or released, or until it expires.';

create type app_private.usage_caller as (
  user_id uuid,
  organization_id uuid,
  group_id uuid,
  belongs_at timestamptz,
  fitting uuid[],
  belongs_to uuid[]
);

comment on type app_private.usage_caller is
  'Whom reported events are charged to: those of one user that name the same group or organization.';

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

comment on type app_public.ai_spend_decision is
  'Whether a call may go ahead: allowed, or the reason why not (GROUP_BUDGET_EXCEEDED, MEMBER_BUDGET_EXCEEDED, ORGANIZATION_BUDGET_EXCEEDED, UNPRICED_MODEL). group_id is the charged group. Limit, spent, held and remaining are in micros, of the budget that refused or else of the charged group''s; limit and remaining are null where there is no budget, the period is null for a lifetime.';
comment on column app_public.ai_spend_decision.allowed is E'@notNull\nWhether the call may go ahead.';
comment on column app_public.ai_spend_decision.reason is
  'Why not: `GROUP_BUDGET_EXCEEDED`, `MEMBER_BUDGET_EXCEEDED`, `ORGANIZATION_BUDGET_EXCEEDED` or `UNPRICED_MODEL`. Null when it may.';
comment on column app_public.ai_spend_decision.hold_id is
  'What settles or releases the call; the same as the request_id. Null when refused.';
comment on column app_public.ai_spend_decision.group_id is E'@notNull\nThe group that is charged.';
comment on column app_public.ai_spend_decision.estimate_micros is
  'The most that the call can cost, in micros, which is held when it may go ahead. Null for a model without a price.';
comment on column app_public.ai_spend_decision.limit_micros is
  'The limit of the budget that refused, or else of the charged group''s, in micros. Null where there is no budget.';
comment on column app_public.ai_spend_decision.spent_micros is
  'What was spent of that budget in its period, in micros.';
comment on column app_public.ai_spend_decision.held_micros is
  'What open holds keep of it, this one included, in micros.';
comment on column app_public.ai_spend_decision.remaining_micros is
  'What is left of it, in micros. Null where there is no budget.';
comment on column app_public.ai_spend_decision.period_start is
  'When the period of that budget began (UTC), in it. Null for a lifetime.';
comment on column app_public.ai_spend_decision.period_end is
  'When it ends (UTC), not in it. Null for a lifetime.';
comment on column app_public.ai_spend_decision.expires_at is
  'From when on the hold counts as nothing (UTC), unless it is settled or released before. Null when refused.';

create type app_public.ai_spend_settlement as (
  event_id uuid,
  group_id uuid,
  cost_micros numeric,
  overage_micros numeric
);

comment on type app_public.ai_spend_settlement is
  'What a settled call came to, in micros: its exact cost (null while unpriced) and by how much that exceeded the hold.';
comment on column app_public.ai_spend_settlement.event_id is
  E'@notNull\nThe id of the ledger row: the request_id.';
comment on column app_public.ai_spend_settlement.group_id is E'@notNull\nThe group that is charged.';
comment on column app_public.ai_spend_settlement.cost_micros is
  'What the call cost, in micros, exact. Null while unpriced, which is not 0.';
comment on column app_public.ai_spend_settlement.overage_micros is
  'By how much that exceeded the hold, in micros.';

create type app_public.ai_usage_receipt as (recorded bigint, duplicates bigint);
comment on type app_public.ai_usage_receipt is
  'How many events of a batch were new, and how many were in the ledger already (or twice in the batch).';
comment on column app_public.ai_usage_receipt.recorded is E'@notNull\nHow many events were new.';
comment on column app_public.ai_usage_receipt.duplicates is
  E'@notNull\nHow many were in the ledger already, or twice in the batch.';

create type app_public.audit_action as enum ('insert', 'update', 'delete', 'truncate');
comment on type app_public.audit_action is
  'What happened to a row. insert: it was added. update: it was changed. delete: it was removed. truncate: the owner of the database emptied the table.';

create type app_public.audit_door as enum ('graphql', 'rest', 'sql');
comment on type app_public.audit_door is
  'Where a change came in. graphql: the GraphQL API. rest: the REST API. sql: psql, the command line, or whatever else logs in to the database.';

create type app_public.budget_period as enum ('day', 'week', 'month', 'quarter', 'year', 'lifetime');
comment on type app_public.budget_period is
  'Calendar periods in the organization''s time zone, from midnight to midnight. day: 23, 24 or 25 hours. week: begins on Monday. month: a calendar month. quarter: begins in January, April, July and October. year: a calendar year. lifetime: never begins anew.';

create type app_public.budget_scope as enum ('group', 'member');
comment on type app_public.budget_scope is
  'For whom a budget counts. group: one pool for all members. member: each member has the limit for themselves.';

create type app_private.budget_standing as (
  group_id uuid,
  is_everyone boolean,
  applies_to app_public.budget_scope,
  period app_public.budget_period,
  limit_micros bigint,
  period_start timestamptz,
  period_end timestamptz,
  user_id uuid,
  spent_micros numeric,
  overage_micros numeric,
  held_micros numeric,
  expired_micros numeric
);

comment on type app_private.budget_standing is
  'Where a group, or a member of it (user_id is app_private.pool() for all), stands with a budget at one moment; amounts in micros.';

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

comment on type app_public.ai_budget_status is
  'What a group has spent of its budget in the current period, in micros. spent and held are the group''s totals, my_spent and my_held the caller''s own. remaining is the pool''s, or the caller''s where each member has the limit; null where there is none. The period is null for a lifetime.';
comment on column app_public.ai_budget_status.group_id is E'@notNull\nThe group.';
comment on column app_public.ai_budget_status.limit_micros is
  'Its limit, in micros. Null where there is no budget.';
comment on column app_public.ai_budget_status.applies_to is
  'For whom the limit counts. Null where there is no budget.';
comment on column app_public.ai_budget_status.period is
  'Over which time it counts. Null where there is no budget.';
comment on column app_public.ai_budget_status.period_start is
  'When the current period began (UTC), in it. Null for a lifetime.';
comment on column app_public.ai_budget_status.period_end is
  'When it ends (UTC), not in it. Null for a lifetime.';
comment on column app_public.ai_budget_status.spent_micros is
  'What the whole group has spent in it, in micros.';
comment on column app_public.ai_budget_status.held_micros is 'What open holds keep of the group, in micros.';
comment on column app_public.ai_budget_status.remaining_micros is
  'What is left, in micros: of the pool, or of what the caller has where each member has the limit. Null where there is no limit.';
comment on column app_public.ai_budget_status.overage_micros is
  'By how much costs exceeded their holds, in micros.';
comment on column app_public.ai_budget_status.my_spent_micros is 'What the caller has spent in it, in micros.';
comment on column app_public.ai_budget_status.my_held_micros is
  'What the caller''s open holds keep, in micros.';

create type app_public.feature_entitlement as enum ('entitled', 'grace_period', 'not_entitled');
comment on type app_public.feature_entitlement is
  'entitled: covered. grace_period: covered for now, with a warning. not_entitled: off.';

create type app_public.organization_role as enum (
  'organization_admin',
  'organization_user_admin',
  'organization_auditor'
);

comment on type app_public.organization_role is
  'organization_admin: groups, members, budgets and roles of the organization. organization_user_admin: the same without roles. organization_auditor: reads them.';

create type app_public.site_role as enum ('owner', 'user_admin', 'auditor', 'ai_gateway');
comment on type app_public.site_role is
  'What a user may do on the whole site. owner: everything. user_admin: users, members, groups, budgets and organization roles everywhere. auditor: reads everything, the audit trail included. ai_gateway: reads groups, members, budgets and spend everywhere, records usage and authorizes spend.';

create type app_public.unpriced_usage_policy as enum ('refuse', 'allow');
comment on type app_public.unpriced_usage_policy is
  'refuse: a call that can''t be priced is refused where a budget applies. allow: it goes ahead, and holds nothing.';

create function app_hidden.audits_every_organization() returns boolean
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select app_hidden.has_site_role('owner', 'user_admin', 'auditor')
$$;

revoke all on function app_hidden.audits_every_organization() from public;
grant execute on function app_hidden.audits_every_organization() to bursar_user;
comment on function app_hidden.audits_every_organization() is
  'Whether a site role lets the current user read the audit trail of every organization. ai_gateway does not: it is a program.';

create function app_hidden.budget_window(
  period app_public.budget_period,
  at timestamptz,
  time_zone text,
  out period_start timestamptz,
  out period_end timestamptz
)
language plpgsql stable security invoker parallel safe
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
declare
  step interval;
  local timestamp;
begin
  if period = 'lifetime' then
    period_start := '-infinity';
    period_end := 'infinity';
    return;
  end if;
  step := case period when 'quarter' then interval '3 months' else ('1 ' || period)::interval end;
  -- No clock is put forward or back there.
  if time_zone = 'UTC' then
    period_start := date_trunc(period::text, at);
    period_end := period_start + step;
    return;
  end if;
  local := date_trunc(period::text, at at time zone time_zone);
  period_start := app_hidden.first_instant(local, time_zone);
  period_end := app_hidden.first_instant(local + step, time_zone);
  -- Where the clock goes back over midnight, the date does as well, and a moment of the second
  -- evening lies in the period that the first midnight began.
  if at >= period_end then
    period_start := period_end;
    period_end := app_hidden.first_instant(local + 2 * step, time_zone);
  elsif at < period_start then
    period_end := period_start;
    period_start := app_hidden.first_instant(local - step, time_zone);
  end if;
end
$$;

revoke all on function app_hidden.budget_window(app_public.budget_period, timestamptz, text) from public;
grant execute on function app_hidden.budget_window(app_public.budget_period, timestamptz, text) to bursar_user;
comment on function app_hidden.budget_window(app_public.budget_period, timestamptz, text) is
  'The period around a moment, as [period_start, period_end): from one local midnight to another. Periods follow each other without gap or overlap. A lifetime is -infinity to infinity.';

create function app_hidden.current_user_id() returns uuid
language plpgsql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  -- session_user, not current_user: `set role` changes the latter. Any session can set a custom
  -- setting, so it counts only in a session that a Bursar server has opened.
  if exists (select from app_private.authenticators where role_name = session_user) then
    return (
      select id from app_public.users
      where id = nullif(current_setting('bursar.user_id', true), '')::uuid
    );
  end if;
  return (select id from app_public.users where pg_role = session_user);
end
$$;

revoke all on function app_hidden.current_user_id() from public;
grant execute on function app_hidden.current_user_id() to bursar_user;
comment on function app_hidden.current_user_id() is
  'The user on whose behalf this session speaks, or null for nobody. For a login role of a person it comes from users.pg_role; for a server''s login role from the setting bursar.user_id.';

create function app_hidden.dollars(micros numeric) returns text
language sql immutable strict security invoker parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select '$' || to_char(micros * 0.000001, 'FM999,999,999,999,999,999,990.00999999999999')
$$;

revoke all on function app_hidden.dollars(numeric) from public;
grant execute on function app_hidden.dollars(numeric) to bursar_user;
comment on function app_hidden.dollars(numeric) is
  'An amount of micros as people read it, with all its digits: 500000000 is $500.00, 1552.5 is $0.0015525.';

create function app_hidden.every_id_from() returns uuid
language plpgsql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  return case when app_hidden.reads_every_organization() then '00000000-0000-0000-0000-000000000000'::uuid end;
end
$$;

revoke all on function app_hidden.every_id_from() from public;
grant execute on function app_hidden.every_id_from() to bursar_user;
comment on function app_hidden.every_id_from() is
  'The nil UUID for whom a site role lets read every organization, null for everybody else. So `id between (select app_hidden.every_id_from()) and ''ffffffff-ffff-ffff-ffff-ffffffffffff''` is every id or none, and one that an index can serve beside the other conditions of a policy, as the plain answer yes could not.';

create function app_hidden.exact_cost(
  input_tokens bigint,
  output_tokens bigint,
  cache_read_tokens bigint,
  cache_write_tokens bigint,
  input_price bigint,
  output_price bigint,
  cache_read_price bigint,
  cache_write_price bigint
) returns numeric
language plpgsql immutable security invoker parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  -- Times 0.000001, not divided by a million: a product of numerics keeps every digit.
  return (coalesce(input_tokens::numeric * input_price, 0)
    + coalesce(output_tokens::numeric * output_price, 0)
    + coalesce(cache_read_tokens::numeric * cache_read_price, 0)
    + coalesce(cache_write_tokens::numeric * cache_write_price, 0)) * 0.000001;
end
$$;

revoke all on function app_hidden.exact_cost(bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint) from public;
grant execute on function app_hidden.exact_cost(bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint) to bursar_user;
comment on function app_hidden.exact_cost(bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint) is
  'Tokens times prices (micros per million tokens), in micros, exact. A price that is null counts nothing: say first that no token needs it.';

create function app_hidden.feature_states(out name text, out is_on boolean, out is_in_grace_period boolean)
returns setof record
language sql stable security definer
set search_path to pg_catalog, pg_temp
as $$
  select name, enabled and entitlement <> 'not_entitled', entitlement = 'grace_period'
  from app_public.features
$$;

revoke all on function app_hidden.feature_states() from public;
comment on function app_hidden.feature_states() is
  'For each feature whether it is on (enabled and not not_entitled) and whether it is so on borrowed time.';

create function app_hidden.first_instant(local timestamp, time_zone text) returns timestamptz
language plpgsql stable security invoker parallel safe
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
declare
  instant timestamptz := local at time zone time_zone;
  a_day_before timestamptz := instant - interval '24 hours';
  offset_then interval := (a_day_before at time zone time_zone) - (a_day_before at time zone 'UTC');
  earlier timestamptz := (local - offset_then) at time zone 'UTC';
begin
  -- Where the clock goes back over a time, that time comes twice, and PostgreSQL takes the second.
  if earlier < instant and earlier at time zone time_zone = local then
    return earlier;
  end if;
  return instant;
end
$$;

revoke all on function app_hidden.first_instant(timestamp, text) from public;
grant execute on function app_hidden.first_instant(timestamp, text) to bursar_user;
comment on function app_hidden.first_instant(timestamp, text) is
  'When a local time is reached: the first time where it comes twice, the end of the gap where the clock skips it.';

create function app_hidden.has_site_role(variadic roles app_public.site_role[]) returns boolean
language plpgsql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  return exists (
    select from app_public.user_site_roles r
    where r.user_id = app_hidden.current_user_id() and r.role = any (roles)
  );
end
$$;

revoke all on function app_hidden.has_site_role(app_public.site_role[]) from public;
grant execute on function app_hidden.has_site_role(app_public.site_role[]) to bursar_user;
comment on function app_hidden.has_site_role(app_public.site_role[]) is
  'Whether the current user holds one of these site roles.';

create function app_hidden.is_signed_in() returns boolean
language plpgsql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  return app_hidden.current_user_id() is not null;
end
$$;

revoke all on function app_hidden.is_signed_in() from public;
grant execute on function app_hidden.is_signed_in() to bursar_user;
comment on function app_hidden.is_signed_in() is 'Whether the session speaks for a user.';

create function app_hidden.is_site_owner() returns boolean
language plpgsql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  return app_hidden.has_site_role('owner');
end
$$;

revoke all on function app_hidden.is_site_owner() from public;
grant execute on function app_hidden.is_site_owner() to bursar_user;
comment on function app_hidden.is_site_owner() is
  'Whether the current user may write prices, features, organizations and site roles.';

create function app_hidden.ledger_discrepancies()
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

create function app_hidden.lock_group_to_manage(group_id uuid) returns void
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

create function app_hidden.manages_every_organization() returns boolean
language plpgsql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  return app_hidden.has_site_role('owner', 'user_admin');
end
$$;

revoke all on function app_hidden.manages_every_organization() from public;
grant execute on function app_hidden.manages_every_organization() to bursar_user;
comment on function app_hidden.manages_every_organization() is
  'Whether a site role lets the current user write groups, members and budgets of every organization.';

create function app_hidden.my_groups() returns setof uuid
language plpgsql stable security definer parallel safe rows 5
set search_path to pg_catalog, pg_temp
as $$
declare
  me constant uuid := app_hidden.current_user_id();
begin
  return query
  select m.group_id from app_public.group_members m where m.user_id = me
  union all
  -- Everyone: the group whose id is the organization's.
  select m.organization_id from app_public.organization_members m where m.user_id = me;
end
$$;

revoke all on function app_hidden.my_groups() from public;
grant execute on function app_hidden.my_groups() to bursar_user;
comment on function app_hidden.my_groups() is
  'The groups to which the current user belongs, the Everyone group of each of their organizations included.';

create function app_hidden.my_organizations() returns setof uuid
language plpgsql stable security definer parallel safe rows 1
set search_path to pg_catalog, pg_temp
as $$
begin
  return query
  select m.organization_id from app_public.organization_members m
  where m.user_id = app_hidden.current_user_id();
end
$$;

revoke all on function app_hidden.my_organizations() from public;
grant execute on function app_hidden.my_organizations() to bursar_user;
comment on function app_hidden.my_organizations() is
  'The organizations of which the current user is a member.';

create function app_hidden.my_spend_between(
  organization_id uuid,
  group_id uuid,
  since timestamptz,
  until timestamptz
) returns numeric
language plpgsql stable security definer
set enable_seqscan to off
set plan_cache_mode to force_generic_plan
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  me constant uuid := app_hidden.current_user_id();
begin
  return (
    select coalesce(sum(e.cost_micros), 0)
    from app_public.ai_usage_events e
    where e.organization_id = my_spend_between.organization_id and e.user_id = me
      and (my_spend_between.group_id = my_spend_between.organization_id or e.group_id = my_spend_between.group_id)
      and e.occurred_at >= since and e.occurred_at < until
  );
end
$$;

revoke all on function app_hidden.my_spend_between(uuid, uuid, timestamptz, timestamptz) from public;
grant execute on function app_hidden.my_spend_between(uuid, uuid, timestamptz, timestamptz) to bursar_user;
comment on function app_hidden.my_spend_between(uuid, uuid, timestamptz, timestamptz) is
  'What the current user has spent of a group (or of the organization, for Everyone) in [since, until), in micros, added up from the ledger: for the parts of days that daily totals don''t tell.';

create function app_hidden.newest_migration() returns text
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  return (select left(max(m.filename), 6) from graphile_migrate.migrations m);
end
$$;

revoke all on function app_hidden.newest_migration() from public;
comment on function app_hidden.newest_migration() is
  'The number of the newest migration that this database has run, such as 000006.';

create function app_hidden.organizations_i_manage() returns setof uuid
language plpgsql stable security definer parallel safe rows 1
set search_path to pg_catalog, pg_temp
as $$
begin
  return query
  select distinct r.organization_id from app_public.organization_member_roles r
  where r.user_id = app_hidden.current_user_id() and r.role in ('organization_admin', 'organization_user_admin');
end
$$;

revoke all on function app_hidden.organizations_i_manage() from public;
grant execute on function app_hidden.organizations_i_manage() to bursar_user;
comment on function app_hidden.organizations_i_manage() is
  'The organizations whose groups, members and budgets an organization role lets the current user write.';

create function app_hidden.organizations_i_read() returns setof uuid
language plpgsql stable security definer parallel safe rows 1
set search_path to pg_catalog, pg_temp
as $$
begin
  return query
  select distinct r.organization_id from app_public.organization_member_roles r
  where r.user_id = app_hidden.current_user_id()
    and r.role in ('organization_admin', 'organization_user_admin', 'organization_auditor');
end
$$;

revoke all on function app_hidden.organizations_i_read() from public;
grant execute on function app_hidden.organizations_i_read() to bursar_user;
comment on function app_hidden.organizations_i_read() is
  'The organizations whose groups, members and budgets an organization role lets the current user read.';

create function app_hidden.organizations_with_my_role(variadic roles app_public.organization_role[])
returns setof uuid
language plpgsql stable security definer parallel safe rows 1
set search_path to pg_catalog, pg_temp
as $$
begin
  return query
  select distinct r.organization_id from app_public.organization_member_roles r
  where r.user_id = app_hidden.current_user_id() and r.role = any (roles);
end
$$;

revoke all on function app_hidden.organizations_with_my_role(app_public.organization_role[]) from public;
grant execute on function app_hidden.organizations_with_my_role(app_public.organization_role[]) to bursar_user;
comment on function app_hidden.organizations_with_my_role(app_public.organization_role[]) is
  'The organizations in which the current user holds one of these roles.';

create function app_hidden.price_of_usage(
  provider text,
  model text,
  at timestamptz,
  input_tokens bigint,
  output_tokens bigint,
  cache_read_tokens bigint,
  cache_write_tokens bigint,
  out input_price bigint,
  out output_price bigint,
  out cache_read_price bigint,
  out cache_write_price bigint,
  out cost_micros numeric
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  select h.input_price, h.output_price, h.cache_read_price, h.cache_write_price
  into price_of_usage.input_price, price_of_usage.output_price,
    price_of_usage.cache_read_price, price_of_usage.cache_write_price
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
  limit 1;
  if found then
    cost_micros := app_hidden.exact_cost(
      input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
      input_price, output_price, cache_read_price, cache_write_price
    );
  end if;
end
$$;

revoke all on function app_hidden.price_of_usage(text, text, timestamptz, bigint, bigint, bigint, bigint) from public;
comment on function app_hidden.price_of_usage(text, text, timestamptz, bigint, bigint, bigint, bigint) is
  'The prices for usage at a moment and its exact cost in micros, or nulls when a price that it needs is unknown. Where none was known at the time, the first that became known later.';

create function app_hidden.price_seed_problem(seed jsonb, out message text, out field text)
language sql immutable security invoker parallel safe
set search_path to pg_catalog, pg_temp
as $$
  with elements as (
    select ordinality - 1 as index, element,
      case when jsonb_typeof(element) = 'object' then element else '{}' end as object
    from jsonb_array_elements(seed) with ordinality as e (element, ordinality)
  ),
  -- One row for each thing that is wrong: which element, which key of it, and why.
  problems (index, key, problem) as (
    select index, null, format('must be an object, not %s', left(element::text, 100))
    from elements
    where jsonb_typeof(element) <> 'object'
    union all
    select index, key, format('must be text of 1 to 200 characters, not %s', coalesce(left((object -> key)::text, 100), 'missing'))
    from elements cross join unnest(array['provider', 'model']) as key
    where jsonb_typeof(element) = 'object'
      and not coalesce(
        jsonb_typeof(object -> key) = 'string' and length(btrim(object ->> key)) between 1 and 200, false
      )
    union all
    select index, key, format('must be a whole number of micros from 0 to 9223372036854775807, or null, not %s', left((object -> key)::text, 100))
    from elements
      cross join unnest(array['input_price', 'output_price', 'cache_read_price', 'cache_write_price']) as key
    where not case jsonb_typeof(object -> key)
      when 'null' then true
      when 'number' then
        (object ->> key)::numeric between 0 and 9223372036854775807
        and (object ->> key)::numeric = trunc((object ->> key)::numeric)
      -- a missing key gives null, which is as good as `null`
      else jsonb_typeof(object -> key) is null
    end
    union all
    -- A misspelt price would otherwise be written as unknown over a known one.
    select index, left(key, 100), 'is no key of a price'
    from elements cross join jsonb_object_keys(object) as key
    where key not in ('provider', 'model', 'input_price', 'output_price', 'cache_read_price', 'cache_write_price')
    union all
    select index, null, format('repeats seed[%s]', first)
    from (
      select index, object,
        min(index) over (partition by object ->> 'provider', object ->> 'model') as first
      from elements
    ) as occurrences
    where index > first and jsonb_typeof(object -> 'provider') = 'string'
      and jsonb_typeof(object -> 'model') = 'string'
  )
  select
    format(
      'seed[%s]%s%s %s.', index, coalesce('.' || key, ''),
      coalesce(
        ' (' || nullif(concat_ws(' ', left(object ->> 'provider', 100), left(object ->> 'model', 100)), '') || ')', ''
      ),
      problem
    ),
    format('seed[%s]%s', index, coalesce('.' || key, ''))
  from problems join elements using (index)
  order by index, key nulls first
  limit 1
$$;

revoke all on function app_hidden.price_seed_problem(jsonb) from public;
grant execute on function app_hidden.price_seed_problem(jsonb) to bursar_user;
comment on function app_hidden.price_seed_problem(jsonb) is
  'The first thing that is wrong with an array of prices, and the path of the element, or nulls.';

create function app_hidden.reads_every_organization() returns boolean
language plpgsql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  return exists (
    select from app_public.user_site_roles r
    where r.user_id = app_hidden.current_user_id() and r.role in ('owner', 'user_admin', 'auditor', 'ai_gateway')
  );
end
$$;

revoke all on function app_hidden.reads_every_organization() from public;
grant execute on function app_hidden.reads_every_organization() to bursar_user;
comment on function app_hidden.reads_every_organization() is
  'Whether a site role lets the current user read groups, members and budgets of every organization.';

create function app_hidden.reads_group(group_id uuid) returns boolean
language plpgsql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  return exists (
    select from app_public.groups g
    where g.id = reads_group.group_id
      and (
        -- each asked only where the one before said no
        g.id in (select app_hidden.my_groups())
        or g.organization_id in (select app_hidden.organizations_i_read())
        or app_hidden.reads_every_organization()
      )
  );
end
$$;

revoke all on function app_hidden.reads_group(uuid) from public;
grant execute on function app_hidden.reads_group(uuid) to bursar_user;
comment on function app_hidden.reads_group(uuid) is
  'Whether the policies of groups let the current user read this one: for functions that must read more than the caller may.';

create function app_hidden.records_usage() returns boolean
language plpgsql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  return app_hidden.has_site_role('owner', 'ai_gateway');
end
$$;

revoke all on function app_hidden.records_usage() from public;
grant execute on function app_hidden.records_usage() to bursar_user;
comment on function app_hidden.records_usage() is
  'Whether a site role lets the current user record usage and authorize spend.';

create function app_hidden.refuse(table_name text) returns boolean
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  raise exception using
    errcode = '42501',
    message = format('This row is not yours to add to %s.', table_name),
    detail = app_hidden.speaker(),
    hint = app_hidden.right_hint(app_hidden.who_may_write(table_name));
end
$$;

revoke all on function app_hidden.refuse(text) from public;
grant execute on function app_hidden.refuse(text) to bursar_user;
comment on function app_hidden.refuse(text) is
  'The last word of a policy for inserting: 42501, with who may write the table as its hint. PostgreSQL''s own refusal names the table and no more.';

create function app_hidden.require_user(user_id uuid) returns void
language plpgsql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  if require_user.user_id is not null
    and not exists (select from app_public.users u where u.id = require_user.user_id)
  then
    raise exception using errcode = 'BU401', message = 'The token names no user.';
  end if;
end
$$;

revoke all on function app_hidden.require_user(uuid) from public;
comment on function app_hidden.require_user(uuid) is
  'Returns for a user that exists, and for null, which is nobody; BU401 for an id that names no user. The server asks it in the same write with each statement, and before it.';

create function app_hidden.right_hint(hint text) returns text
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select case
    when app_hidden.current_user_id() is null
    then format('The login role %s speaks for no user: users.pg_role maps one to it.', session_user)
    else hint
  end
$$;

revoke all on function app_hidden.right_hint(text) from public;
grant execute on function app_hidden.right_hint(text) to bursar_user;
comment on function app_hidden.right_hint(text) is
  'The hint of a refusal: who has the right, or that the session speaks for nobody.';

create function app_hidden.speaker() returns text
language sql stable security invoker
set search_path to pg_catalog, pg_temp
as $$
  select coalesce(
    (select format('The session speaks for %s.', u.username) from app_public.users u where u.id = app_hidden.current_user_id()),
    'The session speaks for nobody.'
  )
$$;

revoke all on function app_hidden.speaker() from public;
grant execute on function app_hidden.speaker() to bursar_user;
comment on function app_hidden.speaker() is 'The detail of a refusal: whose rights did not suffice.';

create function app_hidden.spend_gauges(
  out open_holds bigint,
  out held_micros numeric,
  out unpriced_events bigint,
  out budgets bigint,
  out budgets_over_80_percent bigint
)
language plpgsql stable security definer
set jit to off
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  at constant timestamptz := clock_timestamp();
begin
  -- By organization, so that the index leads past all that have expired.
  select coalesce(sum(h.holds), 0), coalesce(sum(h.micros), 0) into open_holds, held_micros
  from app_public.organizations o
    cross join lateral (
      select count(*) as holds, sum(r.estimate_micros) as micros
      from app_private.ai_spend_requests r
      where r.organization_id = o.id and r.state = 'held' and r.expires_at > at
    ) h;

  select count(*) into unpriced_events from app_public.ai_usage_events e where e.cost_micros is null;

  -- The window of a period is the same for all budgets of a time zone. Of a pool there is one counter in it.
  with windows as materialized (
    select p.period, p.time_zone, w.period_start
    from (
      select z.time_zone, all_of.period
      from (select distinct time_zone from app_public.organizations) z
        cross join unnest(enum_range(null::app_public.budget_period)) all_of (period)
    ) p cross join lateral app_hidden.budget_window(p.period, at, p.time_zone) w
  )
  select count(*), count(*) filter (where most.spent_micros * 5 > b.spend_limit_micros::numeric * 4)
  into budgets, budgets_over_80_percent
  from app_public.group_ai_budgets b
    join app_public.groups g on g.id = b.group_id
    join app_public.organizations o on o.id = g.organization_id
    join windows w on w.period = b.period and w.time_zone = o.time_zone
    cross join lateral (
      select max(c.spent_micros) as spent_micros
      from app_private.ai_spend_counters c
      where c.organization_id = g.organization_id and c.group_id = g.id and c.period_start = w.period_start
        and (b.applies_to = 'group') = (c.user_id = app_private.pool())
    ) most;
end
$$;

revoke all on function app_hidden.spend_gauges() from public;
comment on function app_hidden.spend_gauges() is
  'For metrics, over all organizations: open holds and what they keep in micros, usage events without a cost, budgets, and those of which more than 80 % is spent in their period, by the group or by a member where each has the limit.';

create function app_hidden.user_exists(user_id uuid) returns boolean
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select exists (select from app_public.users where id = user_id)
$$;

revoke all on function app_hidden.user_exists(uuid) from public;
comment on function app_hidden.user_exists(uuid) is
  'Whether a token''s subject names a user, for servers that do not know require_user() yet.';

create function app_hidden.who_may_write(table_name text) returns text
language sql immutable security invoker parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select case table_name
    when 'users' then 'Users are written by owner and user_admin; those who hold a site role by owner alone.'
    when 'user_site_roles' then 'Site roles are given and taken by owner.'
    when 'organizations' then 'Organizations are founded and closed by owner, and changed by owner and their organization_admin.'
    when 'organization_members' then 'Members are added and removed by owner, user_admin, and the organization''s organization_admin and organization_user_admin; the last removes nobody who holds a role.'
    when 'organization_member_roles' then 'Organization roles are given and taken by owner, user_admin, and the organization''s organization_admin.'
    when 'groups' then 'Groups are written by owner, user_admin, and the organization''s organization_admin and organization_user_admin.'
    when 'group_members' then 'Members are added and removed by owner, user_admin, and the organization''s organization_admin and organization_user_admin.'
    when 'group_ai_budgets' then 'Budgets are set by owner, user_admin, and the organization''s organization_admin and organization_user_admin.'
    when 'ai_model_prices' then 'Prices are written by owner.'
    when 'features' then 'Features are set by owner.'
  end
$$;

revoke all on function app_hidden.who_may_write(text) from public;
grant execute on function app_hidden.who_may_write(text) to bursar_user;
comment on function app_hidden.who_may_write(text) is
  'The hint of refusals: which roles the policies of a table of app_public let write it.';

create function app_hidden.whole_days(
  period_start timestamptz,
  period_end timestamptz,
  out first_day timestamptz,
  out last_day timestamptz
)
language plpgsql immutable security invoker parallel safe
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
begin
  first_day := date_trunc('day', period_start);
  last_day := date_trunc('day', period_end);
  if first_day < period_start then
    first_day := first_day + interval '1 day';
  end if;
  if first_day >= last_day then
    first_day := period_end;
    last_day := period_end;
  end if;
end
$$;

revoke all on function app_hidden.whole_days(timestamptz, timestamptz) from public;
grant execute on function app_hidden.whole_days(timestamptz, timestamptz) to bursar_user;
comment on function app_hidden.whole_days(timestamptz, timestamptz) is
  'The days in UTC that lie in a period as a whole, as [first_day, last_day): daily totals tell those, the ledger what is before and after them. Where there is none, both are the period''s end.';

create function app_private.announce_features() returns trigger
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  notify bursar_features;
  return null;
end
$$;

revoke all on function app_private.announce_features() from public;
comment on function app_private.announce_features() is
  'Trigger: tells every server, on the channel bursar_features, to read the features again.';

create function app_private.audit() returns trigger
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

create function app_private.audit_departure() returns trigger
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

create function app_private.booked_ids(ids uuid[]) returns setof uuid
language plpgsql stable security definer
set enable_seqscan to off
set search_path to pg_catalog, pg_temp
as $$
begin
  return query select k.id from app_private.ai_usage_event_keys k where k.id = any (ids);
end
$$;

revoke all on function app_private.booked_ids(uuid[]) from public;
comment on function app_private.booked_ids(uuid[]) is 'Those of these ids that are in the ledger.';

create function app_private.budget_candidates(
  user_id uuid,
  organization_id uuid,
  group_id uuid,
  at timestamptz
) returns table (
  candidate_id uuid,
  group_name text,
  is_everyone boolean,
  limit_micros bigint,
  applies_to app_public.budget_scope,
  period app_public.budget_period,
  rank bigint
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
  select c.candidate_id, c.group_name, c.is_everyone, c.limit_micros, c.applies_to, c.period, c.rank
  from app_private.candidates_of_callers(array[row(
    budget_candidates.user_id, budget_candidates.organization_id, budget_candidates.group_id, at,
    array[budget_candidates.organization_id], null
  )::app_private.usage_caller]) c;
end
$$;

revoke all on function app_private.budget_candidates(uuid, uuid, uuid, timestamptz) from public;
comment on function app_private.budget_candidates(uuid, uuid, uuid, timestamptz) is
  'The groups to which a user belongs at a moment, best first. The first one is charged: the group that the call names, or else the one with the largest limit (then the older membership, then the smaller id), or else Everyone. Everyone''s budget is the ceiling of the organization whoever is charged.';

create function app_private.budget_standings(
  organization_id uuid,
  groups uuid[],
  user_id uuid,
  at timestamptz,
  holds_at timestamptz
) returns setof app_private.budget_standing
language plpgsql stable security definer
set enable_seqscan to off
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
  select t.group_id, t.is_everyone, t.applies_to, t.period, t.limit_micros, w.period_start, w.period_end, whose.user_id,
    spend.spent_micros, spend.overage_micros,
    coalesce(a.held_micros, 0) - expired, expired
  from (select distinct unnest(groups) as group_id) asked
    -- offset 0: each is looked up, however many groups the organization has.
    cross join lateral (
      select t.* from app_private.ai_spend_terms t
      where t.organization_id = budget_standings.organization_id and t.group_id = asked.group_id
      offset 0
    ) t
    cross join lateral app_hidden.budget_window(t.period, at, t.time_zone) w
    cross join lateral (
      select app_private.pool() as user_id
      union all
      select budget_standings.user_id where t.applies_to = 'member' and budget_standings.user_id is not null
    ) whose
    cross join lateral app_private.spend_of_period(
      t.organization_id, t.group_id, whose.user_id, w.period_start, w.period_end, w.period_start >= t.counted_from
    ) spend
    left join app_private.ai_spend_accounts a
      on a.organization_id = t.organization_id and a.group_id = t.group_id and a.user_id = whose.user_id
    cross join lateral coalesce(
      app_private.holds_ending(t.organization_id, t.group_id, whose.user_id, a.swept_until, holds_at), 0
    ) as expired;
end
$$;

revoke all on function app_private.budget_standings(uuid, uuid[], uuid, timestamptz, timestamptz) from public;
comment on function app_private.budget_standings(uuid, uuid[], uuid, timestamptz, timestamptz) is
  'Where these groups of an organization stand: spend of the period around the one moment, holds as of the other. A row for each pool, and where each member has the limit a row for this user as well.';

create function app_private.call_problem(
  user_id uuid,
  organization_id uuid,
  group_id uuid,
  organizations uuid[],
  out message text,
  out field text
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  if cardinality(organizations) = 1 then
    return;
  elsif cardinality(organizations) > 1 then
    field := 'organization_id';
    message := format('The user %s belongs to %s organizations: name organization_id or group_id.', user_id, cardinality(organizations));
  elsif group_id is null then
    field := 'user_id';
    message := format(
      'The user %s belongs to no%s organization.', user_id, case when organization_id is not null then ' such' else '' end
    );
  elsif exists (
    select from app_public.groups g
    where g.id = call_problem.group_id
      and (call_problem.organization_id is null or g.organization_id = call_problem.organization_id)
  ) then
    field := 'group_id';
    message := format('The user %s does not belong to the group %s.', user_id, group_id);
  else
    field := 'group_id';
    message := format(
      'There is no group %s%s.', group_id,
      case when organization_id is not null then ' in the organization ' || organization_id else '' end
    );
  end if;
end
$$;

revoke all on function app_private.call_problem(uuid, uuid, uuid, uuid[]) from public;
comment on function app_private.call_problem(uuid, uuid, uuid, uuid[]) is
  'What is wrong with a call for which organizations_of_call() found none or several, and the field that is at fault; nulls for exactly one.';

create function app_private.candidates_of_callers(callers app_private.usage_caller[]) returns table (
  caller bigint,
  candidate_id uuid,
  group_name text,
  is_everyone boolean,
  limit_micros bigint,
  applies_to app_public.budget_scope,
  period app_public.budget_period,
  rank bigint
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
  with belonging as materialized (
    select c.caller, c.fitting[1] as organization_id, c.group_id as named_id, m.group_id, m.since
    from unnest(callers) with ordinality as c (
        user_id, organization_id, group_id, belongs_at, fitting, belongs_to, caller
      )
      cross join lateral (
        select m.group_id, max(m.since) as since
        from (
          select m.group_id, m.since, m.since <= c.belongs_at as was_there,
            bool_or(m.since <= c.belongs_at) over () as somewhere_there
          from app_private.ai_memberships m
          where m.user_id = c.user_id and m.organization_id = c.fitting[1] and m.until > c.belongs_at
        ) m
        -- Groups that they joined later had nothing to do with it, unless they came to the organization later.
        where m.was_there or not m.somewhere_there
        group by m.group_id
      ) m
  ), terms as materialized (
    -- Each group once, however many belong to it.
    select t.*
    from (select distinct b.organization_id, b.group_id from belonging b) g
      cross join lateral (
        select t.* from app_private.ai_spend_terms t
        where t.organization_id = g.organization_id and t.group_id = g.group_id offset 0
      ) t
  )
  select b.caller, b.group_id, t.group_name, b.group_id = b.organization_id,
    t.limit_micros, t.applies_to, t.period,
    row_number() over (partition by b.caller order by
      -- the group that the call names, and no other
      b.group_id is not distinct from b.named_id desc,
      -- then those with a budget; Everyone's is the ceiling on top, and is charged when there is no other
      (t.limit_micros is not null and not t.is_everyone) desc,
      b.group_id = b.organization_id desc,
      t.limit_micros desc nulls last,
      b.since,
      b.group_id
    )
  from belonging b
    -- A group that is gone has no terms; what was used in it is charged to it all the same.
    left join terms t on t.organization_id = b.organization_id and t.group_id = b.group_id
  where t.group_id is not null or b.group_id = b.named_id;
end
$$;

revoke all on function app_private.candidates_of_callers(app_private.usage_caller[]) from public;
comment on function app_private.candidates_of_callers(app_private.usage_caller[]) is
  'For each caller, by number, the groups to which they belong in the first of their fitting organizations, best first: see budget_candidates().';

create function app_private.charged_group(user_id uuid, organization_id uuid, group_id uuid, at timestamptz)
returns uuid
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  if charged_group.group_id is not null then
    return charged_group.group_id;
  end if;
  return coalesce(
    (
      select c.candidate_id
      from app_private.candidates_of_callers(array[row(
        charged_group.user_id, charged_group.organization_id, null, at, array[charged_group.organization_id], null
      )::app_private.usage_caller]) c
      where c.rank = 1
    ),
    charged_group.organization_id
  );
end
$$;

revoke all on function app_private.charged_group(uuid, uuid, uuid, timestamptz) from public;
comment on function app_private.charged_group(uuid, uuid, uuid, timestamptz) is
  'The group to which a call is charged: the one that it names, or the first of budget_candidates().';

create function app_private.charged_groups(callers app_private.usage_caller[]) returns uuid[]
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  return array(
    select coalesce(c.group_id, k.candidate_id, c.fitting[1])
    from unnest(callers) with ordinality as c (
        user_id, organization_id, group_id, belongs_at, fitting, belongs_to, caller
      )
      left join app_private.candidates_of_callers(callers) k on k.caller = c.caller and k.rank = 1
    order by c.caller
  );
end
$$;

revoke all on function app_private.charged_groups(app_private.usage_caller[]) from public;
comment on function app_private.charged_groups(app_private.usage_caller[]) is
  'The groups to which callers are charged, in their order: the one that they name, or the first of candidates_of_callers(), or else Everyone.';

create function app_private.check_time_zone() returns trigger
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  if not exists (select from pg_timezone_names where name = new.time_zone and name not like 'posix%')
    -- `CET` is a zone with summer time, and an abbreviation without, which is what PostgreSQL takes it for.
    or (
      new.time_zone not in ('UTC', 'GMT')
      and exists (select from pg_timezone_abbrevs where abbrev = upper(new.time_zone))
    )
  then
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
  'Trigger: refuses a time zone that PostgreSQL does not know, or knows as something else (BU400).';

create function app_private.count_anew(organization_id uuid, group_id uuid, at timestamptz) returns void
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

create function app_private.decide(
  standings app_private.budget_standing[],
  estimate numeric,
  unpriced_usage app_public.unpriced_usage_policy
) returns app_public.ai_spend_decision
language plpgsql immutable security invoker
set search_path to pg_catalog, pg_temp
as $$
declare
  budget app_private.budget_standing;
  shown app_private.budget_standing;
  decision app_public.ai_spend_decision;
begin
  foreach budget in array standings loop
    -- A budget for each member is the member's own; the group's total is no limit then.
    continue when budget.applies_to = 'member' and budget.user_id = app_private.pool();
    -- The charged group comes first. Where it has no budget, the ceiling's numbers say more.
    if shown.group_id is null or (shown.limit_micros is null and budget.limit_micros is not null) then
      shown := budget;
    end if;
    continue when budget.limit_micros is null;
    decision.reason := case
      when estimate is null and unpriced_usage = 'refuse' then 'UNPRICED_MODEL'
      when budget.limit_micros > 0
        and budget.spent_micros + budget.held_micros + coalesce(estimate, 0) <= budget.limit_micros
      then null
      when budget.applies_to = 'member' then 'MEMBER_BUDGET_EXCEEDED'
      when budget.is_everyone then 'ORGANIZATION_BUDGET_EXCEEDED'
      else 'GROUP_BUDGET_EXCEEDED'
    end;
    if decision.reason is not null then
      shown := budget;
      exit;
    end if;
  end loop;

  decision.allowed := decision.reason is null;
  decision.estimate_micros := trim_scale(estimate);
  decision.limit_micros := shown.limit_micros;
  decision.spent_micros := trim_scale(shown.spent_micros);
  decision.held_micros := trim_scale(
    shown.held_micros + case when decision.allowed then coalesce(estimate, 0) else 0 end
  );
  if shown.limit_micros is not null then
    decision.remaining_micros :=
      trim_scale(greatest(shown.limit_micros - decision.spent_micros - decision.held_micros, 0));
  end if;
  decision.period_start := nullif(shown.period_start, '-infinity');
  decision.period_end := nullif(shown.period_end, 'infinity');
  return decision;
end
$$;

revoke all on function app_private.decide(app_private.budget_standing[], numeric, app_public.unpriced_usage_policy) from public;
comment on function app_private.decide(app_private.budget_standing[], numeric, app_public.unpriced_usage_policy) is
  'Whether a call that costs as much (micros; null where nobody knows) fits, with the charged group''s standings first and the ceiling''s after them, and the numbers that are shown for it.';

create function app_private.drop_usage_before(month date) returns setof text
language plpgsql volatile security invoker
set lock_timeout to '3s'
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
declare
  old record;
begin
  if month is null or month <> date_trunc('month', month) or month > date_trunc('month', now()) - interval '13 months' then
    raise exception using
      errcode = 'BU400',
      message = format('month must be the first day of a month at least 13 months ago, not %s.', coalesce(month::text, 'null')),
      column = 'month',
      hint = 'The counters of a budget by the year may still need what came later.';
  end if;
  -- Waits for those who are reading or booking, so that no total is taken of a part.
  lock table app_public.ai_usage_events in access exclusive mode;
  insert into app_private.ai_usage_kept (kept_from) values (month)
  on conflict (only_row) do update set kept_from = greatest(ai_usage_kept.kept_from, excluded.kept_from);
  for old in
    select c.relname, format('%I.%I', n.nspname, c.relname) as partition
    from pg_inherits i
      join pg_class c on c.oid = i.inhrelid
      join pg_namespace n on n.oid = c.relnamespace
    where i.inhparent = 'app_public.ai_usage_events'::regclass
      and c.relname ~ '^ai_usage_events_[0-9]{4}_[0-9]{2}$'
      and to_date(right(c.relname, 7), 'YYYY_MM') < month
    order by c.relname
  loop
    execute format('alter table app_public.ai_usage_events detach partition %s', old.partition);
    return next old.partition;
  end loop;
end
$$;

revoke all on function app_private.drop_usage_before(date) from public;
comment on function app_private.drop_usage_before(date) is
  'For the database''s owner: takes the months before this one, given as its first day, out of the ledger, and names the tables that are left standing alone, to be moved or dropped. Daily totals, counters and the ids of events stay. Errors: BU400 for a month that is younger than 13 months, 55P03 when somebody is still reading after 3 seconds: try again.';

create function app_private.follow_budgets() returns trigger
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

revoke all on function app_private.follow_budgets() from public;
comment on function app_private.follow_budgets() is
  'Trigger: budgets change while nobody works by them, and their counters begin anew when they would count something else.';

create function app_private.follow_time_zones() returns trigger
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

revoke all on function app_private.follow_time_zones() from public;
comment on function app_private.follow_time_zones() is
  'Trigger: in another time zone periods begin and end at other moments, so all counters of the organization begin anew.';

create function app_private.forget_groups() returns trigger
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

revoke all on function app_private.forget_groups() from public;
comment on function app_private.forget_groups() is
  'Trigger: the counters and accounts of groups go with them; their part of the ledger stays.';

create function app_private.found_everyone_group() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  insert into app_public.groups (id, organization_id, name) values (new.id, new.id, 'Everyone');
  return null;
end
$$;

revoke all on function app_private.found_everyone_group() from public;
comment on function app_private.found_everyone_group() is
  'Trigger: a new organization gets its Everyone group.';

create function app_private.hold_right_to_give() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  giver constant uuid := app_hidden.current_user_id();
begin
  -- The policy refuses nobody, and the database's owner needs no role.
  if giver is null then
    return new;
  end if;
  -- A row lock reads what is there now, and whoever takes the role away waits for this transaction.
  perform from app_public.user_site_roles s
  where s.user_id = giver
    and (s.role = 'owner' or (s.role = 'user_admin' and tg_table_name = 'organization_member_roles'))
  for key share;
  if not found and tg_table_name = 'organization_member_roles' then
    perform from app_public.organization_member_roles r
    where r.user_id = giver and r.role = 'organization_admin'
      and r.organization_id = (to_jsonb(new) ->> 'organization_id')::uuid
    for key share;
  end if;
  if not found then
    perform app_hidden.refuse(tg_table_name);
  end if;
  return new;
end
$$;

revoke all on function app_private.hold_right_to_give() from public;
comment on function app_private.hold_right_to_give() is
  'Trigger: whoever gives a role keeps the right to give it until the transaction ends (42501 when it is gone). It says who may once more, since a policy can''t lock.';

create function app_private.holds_ending(
  organization_id uuid,
  group_id uuid,
  user_id uuid,
  after timestamptz,
  until timestamptz
) returns numeric
language plpgsql stable security definer
set enable_seqscan to off
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  if holds_ending.until <= holds_ending.after then
    return 0;
  elsif holds_ending.group_id = holds_ending.organization_id then
    return (
      select coalesce(sum(r.estimate_micros), 0)
      from app_private.ai_spend_requests r
      where r.organization_id = holds_ending.organization_id and r.state = 'held'
        and r.expires_at > holds_ending.after and r.expires_at <= holds_ending.until
        and (holds_ending.user_id = app_private.pool() or r.user_id = holds_ending.user_id)
    );
  end if;
  return (
    select coalesce(sum(r.estimate_micros), 0)
    from app_private.ai_spend_requests r
    where r.organization_id = holds_ending.organization_id and r.group_id = holds_ending.group_id and r.state = 'held'
      and r.expires_at > holds_ending.after and r.expires_at <= holds_ending.until
      and (holds_ending.user_id = app_private.pool() or r.user_id = holds_ending.user_id)
  );
end
$$;

revoke all on function app_private.holds_ending(uuid, uuid, uuid, timestamptz, timestamptz) from public;
comment on function app_private.holds_ending(uuid, uuid, uuid, timestamptz, timestamptz) is
  'The holds of a group (or of the organization, for Everyone) or one of its members that nobody has settled and that end after the one moment and not after the other, in micros.';

create function app_private.keep_audit_events() returns trigger
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

create function app_private.keep_audit_trail(audited regclass) returns void
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

create function app_private.keep_budget_with_its_group() returns trigger
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

revoke all on function app_private.keep_budget_with_its_group() from public;
comment on function app_private.keep_budget_with_its_group() is
  'Trigger: refuses to hand a budget to another group (BU400).';

create function app_private.keep_everyone_group() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  if old.id <> old.organization_id then
    return case tg_op when 'DELETE' then old else new end;
  end if;
  if tg_op = 'UPDATE' then
    raise exception using
      errcode = 'BU400',
      message = 'The group Everyone can''t be renamed.',
      column = 'name',
      hint = 'Every organization has one, with the organization''s id.';
  end if;
  -- Gone already when the organization's own deletion brings this one along.
  if exists (select from app_public.organizations where id = old.organization_id) then
    raise exception using
      errcode = 'BU400',
      message = 'The group Everyone can''t be deleted.',
      column = 'id',
      hint = 'It goes with its organization.';
  end if;
  return old;
end
$$;

revoke all on function app_private.keep_everyone_group() from public;
comment on function app_private.keep_everyone_group() is
  'Trigger: refuses to rename or delete the Everyone group (BU400), unless its organization goes.';

create function app_private.keep_model_name() returns trigger
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  raise exception using
    errcode = 'BU400',
    message = format('A listed model keeps its provider and name, %s and %s.', quote_literal(old.provider), quote_literal(old.model)),
    column = case when new.provider <> old.provider then 'provider' else 'model' end,
    hint = 'Delete the row, and insert another.';
end
$$;

revoke all on function app_private.keep_model_name() from public;
comment on function app_private.keep_model_name() is 'Trigger: refuses to rename a listed model (BU400).';

create function app_private.keep_timestamps() returns trigger
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  new.created_at := old.created_at;
  new.updated_at := now();
  return new;
end
$$;

revoke all on function app_private.keep_timestamps() from public;
comment on function app_private.keep_timestamps() is
  'Trigger: an update keeps created_at and sets updated_at to the time of its transaction (UTC).';

create function app_private.last_audited_name(subject text, id uuid) returns text
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  return case subject
    when 'organizations' then (
      select e.organization_name from app_public.audit_events e
      where e.organization_id = last_audited_name.id and e.subject = 'organizations'
      order by e.changed_at desc
      limit 1
    )
    when 'groups' then (
      select e.group_name from app_public.audit_events e
      where e.group_id = last_audited_name.id and e.subject = 'groups'
      order by e.changed_at desc
      limit 1
    )
    when 'users' then (
      select e.user_name from app_public.audit_events e
      where e.user_id = last_audited_name.id and e.subject = 'users'
      order by e.changed_at desc
      limit 1
    )
  end;
end
$$;

revoke all on function app_private.last_audited_name(text, uuid) from public;
comment on function app_private.last_audited_name(text, uuid) is
  'What something was called when the trail last knew it: for what is just going along with something else.';

create function app_private.ledger_spend(
  organization_id uuid,
  group_id uuid,
  user_id uuid,
  period_start timestamptz,
  period_end timestamptz,
  kept_from timestamptz,
  out spent_micros numeric,
  out overage_micros numeric
)
language plpgsql stable security definer
set plan_cache_mode to force_custom_plan
set search_path to pg_catalog, pg_temp
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

create function app_private.lock_new_request(request_id uuid) returns void
language sql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
  select pg_advisory_xact_lock(hashtextextended('request ' || request_id, 0))
$$;

revoke all on function app_private.lock_new_request(uuid) from public;
comment on function app_private.lock_new_request(uuid) is
  'Waits for whoever else is authorizing under this request_id, in whichever organization, until the transaction ends.';

create function app_private.lock_pools(organizations uuid[], groups uuid[]) returns timestamptz
language plpgsql volatile security definer
set enable_seqscan to off
set search_path to pg_catalog, pg_temp
as $$
declare
  swept timestamptz;
begin
  select max(pool.swept_until) into swept
  from (
    select a.swept_until
    from (select distinct organization_id, group_id from unnest(organizations, groups) as w (organization_id, group_id)) w
      join app_private.ai_spend_accounts a
        on a.organization_id = w.organization_id and a.group_id = w.group_id and a.user_id = app_private.pool()
    order by a.organization_id, a.group_id = a.organization_id, a.group_id
    for update of a
  ) as pool;
  -- The clock can go backwards; holds that have expired stay so.
  return greatest(clock_timestamp(), swept);
end
$$;

revoke all on function app_private.lock_pools(uuid[], uuid[]) from public;
comment on function app_private.lock_pools(uuid[], uuid[]) is
  'Waits for the pools of these groups, each named with its organization, keeps them until the transaction ends, and returns the time that counts for them (UTC).';

create function app_private.make_usage_month(month date) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
declare
  name text := format('ai_usage_events_%s', to_char(month, 'YYYY_MM'));
  starts timestamptz := month;
  ends timestamptz := month + interval '1 month';
begin
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
  when others then
    raise log 'bursar: the month % of the ledger could not be made: %', name, sqlerrm;
end
$$;

revoke all on function app_private.make_usage_month(date) from public;
comment on function app_private.make_usage_month(date) is
  'Makes the partition of a month, given as its first day, and moves the rows that waited for it. Does nothing when it exists or can''t be made at once.';

create function app_private.make_usage_months(moments timestamptz[]) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
declare
  missing date;
begin
  for missing in
    select distinct m.month
    from (
      select date_trunc('month', moment)::date from unnest(moments) as moment
      union
      select (date_trunc('month', clock_timestamp()) + make_interval(months => ahead))::date
      from generate_series(0, 2) as ahead
    ) as m (month)
    -- Older and newer rows are rare, and many months would slow every plan: they stay unplaced.
    where m.month between clock_timestamp() - interval '25 months' and clock_timestamp() + interval '3 months'
      and to_regclass('app_private.ai_usage_events_' || to_char(m.month, 'YYYY_MM')) is null
      and m.month >= coalesce((select k.kept_from from app_private.ai_usage_kept k), '-infinity')
    order by m.month
  loop
    perform app_private.make_usage_month(missing);
  end loop;
end
$$;

revoke all on function app_private.make_usage_months(timestamptz[]) from public;
comment on function app_private.make_usage_months(timestamptz[]) is
  'Makes the partitions for these moments that are missing, and those of this month and the next two.';

create function app_private.moment_of(text text) returns timestamptz
language plpgsql stable security invoker
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
begin
  -- Only what names a day and a time: not `tomorrow`, `now` or `infinity`.
  if text !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}' then
    return null;
  end if;
  return text::timestamptz;
exception
  when data_exception then return null;
end
$$;

revoke all on function app_private.moment_of(text) from public;
comment on function app_private.moment_of(text) is
  'A time that text names (UTC unless it says otherwise), or null when it names none.';

create function app_private.open_pool() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  is_known boolean;
begin
  -- Under an id that was used before, what was booked then would count for the new group, or be missing in it.
  if new.id = new.organization_id then
    is_known := exists (
        select from app_public.ai_spend_daily d where d.organization_id = new.id
      ) or exists (
        select from app_private.ai_spend_requests r where r.organization_id = new.id and r.state = 'held'
      );
  else
    is_known := exists (
        select from app_public.ai_spend_daily d where d.organization_id = new.organization_id and d.group_id = new.id
      ) or exists (
        select from app_private.ai_spend_requests r
        where r.organization_id = new.organization_id and r.group_id = new.id and r.state = 'held'
      );
  end if;
  if is_known then
    raise exception using
      errcode = 'BU400',
      message = format('The id %s belonged to a group that is gone, and stays its own in the ledger.', new.id),
      column = 'id';
  end if;
  -- Whoever changes the time zone begins all counters of the organization anew: this group's as well, or after it.
  perform from app_public.organizations o where o.id = new.organization_id for share;
  insert into app_private.ai_spend_accounts (organization_id, group_id, user_id, swept_until)
  values (new.organization_id, new.id, app_private.pool(), clock_timestamp())
  on conflict do nothing;
  return null;
end
$$;

revoke all on function app_private.open_pool() from public;
comment on function app_private.open_pool() is
  'Trigger: a new group gets its pool. BU400 for an id that the ledger knows from a group that is gone.';

create function app_private.organizations_of_call(
  user_id uuid,
  organization_id uuid,
  group_id uuid,
  at timestamptz,
  among uuid[] default null::uuid[],
  or_last boolean default false
) returns uuid[]
language plpgsql stable security definer
set plan_cache_mode to force_generic_plan
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  fitting uuid[];
begin
  fitting := array(
    select distinct m.organization_id
    from (
      select m.organization_id, m.since <= at as was_there, bool_or(m.since <= at) over () as somewhere_there
      from app_private.ai_memberships m
      where m.user_id = organizations_of_call.user_id
        and m.group_id = m.organization_id
        and m.until > at
        and (among is null or m.organization_id = any (among))
        and (organizations_of_call.organization_id is null or m.organization_id = organizations_of_call.organization_id)
        and (organizations_of_call.group_id is null or exists (
          select from app_private.ai_memberships g
          where g.user_id = m.user_id and g.organization_id = m.organization_id
            and g.group_id = organizations_of_call.group_id and g.until > at
        ))
    ) m
    -- Who joined later has been nowhere else, or the call belongs there.
    where m.was_there or not m.somewhere_there
    order by m.organization_id
  );
  if or_last and cardinality(fitting) = 0 then
    -- It happened all the same: where they have last belonged.
    fitting := array(
      select m.organization_id
      from app_private.past_memberships m
      where m.user_id = organizations_of_call.user_id
        and (among is null or m.organization_id = any (among))
        and (organizations_of_call.organization_id is null or m.organization_id = organizations_of_call.organization_id)
        and m.group_id = coalesce(organizations_of_call.group_id, m.organization_id)
      order by m.until desc
      limit 1
    );
  end if;
  return fitting;
end
$$;

revoke all on function app_private.organizations_of_call(uuid, uuid, uuid, timestamptz, uuid[], boolean) from public;
comment on function app_private.organizations_of_call(uuid, uuid, uuid, timestamptz, uuid[], boolean) is
  'The organizations to which a call at a moment can belong, by the organization or group that it names and the memberships of its user; among these alone, where they are given. A call needs exactly one. or_last: the one that they left last, where there is none any more.';

create function app_private.place_group_member() returns trigger
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  select organization_id into new.organization_id from app_public.groups where id = new.group_id;
  if not found then
    raise exception using
      errcode = 'BU404',
      message = 'Not found, or not yours to read or change.',
      detail = app_hidden.speaker(),
      hint = app_hidden.right_hint(app_hidden.who_may_write('group_members'));
  end if;
  if new.group_id = new.organization_id then
    raise exception using
      errcode = 'BU400',
      message = 'Every member of the organization belongs to the group Everyone without being added.',
      column = 'group_id';
  end if;
  -- The foreign key says the same, after the fact and without naming anybody.
  if not exists (
    select from app_public.organization_members m
    where m.organization_id = new.organization_id and m.user_id = new.user_id
  ) then
    raise exception using
      errcode = 'BU400',
      message = format('The user %s is not a member of the group''s organization.', new.user_id),
      column = 'user_id',
      hint = 'Add them to organization_members first.';
  end if;
  return new;
end
$$;

revoke all on function app_private.place_group_member() from public;
comment on function app_private.place_group_member() is
  'Trigger: fills in the organization of a new group member from the group.';

create function app_private.pool() returns uuid
language plpgsql immutable security invoker parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  return '00000000-0000-0000-0000-000000000000';
end
$$;

revoke all on function app_private.pool() from public;
grant execute on function app_private.pool() to bursar_user;
comment on function app_private.pool() is
  'The user_id of accounts and counters that stand for a whole group: the nil UUID.';

create function app_private.register_authenticator(role_name name) returns void
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  insert into app_private.authenticators (role_name)
  values (register_authenticator.role_name)
  on conflict do nothing;
  -- Enough to say that a token's subject exists, to watch the features and to be watched; all else goes through bursar_user.
  execute format('grant usage on schema app_hidden to %I', role_name);
  execute format('grant execute on function app_hidden.require_user(uuid) to %I', role_name);
  execute format('grant execute on function app_hidden.user_exists(uuid) to %I', role_name);
  execute format('grant execute on function app_hidden.feature_states() to %I', role_name);
  execute format('grant execute on function app_hidden.newest_migration() to %I', role_name);
  execute format('grant execute on function app_hidden.spend_gauges() to %I', role_name);
end
$$;

revoke all on function app_private.register_authenticator(name) from public;
comment on function app_private.register_authenticator(name) is
  'Lets a login role speak on behalf of users in this database. Called by the owner, in `bursar migrate`.';

create function app_private.remember_members() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  if tg_table_name = 'organization_members' then
    -- Whoever is booking for them is done first. Without this, an event that is sent twice could be booked in two
    -- organizations: in the one that somebody is leaving, and in the one that they are joining.
    -- Of an organization that goes as a whole, forget_groups() waits for all pools in their order.
    perform app_private.lock_pools(array_agg(g.organization_id), array_agg(g.organization_id))
    from gone g join app_public.organizations o on o.id = g.organization_id;
    insert into app_private.past_memberships (organization_id, group_id, user_id, since, until)
    select organization_id, organization_id, user_id, created_at, greatest(now(), created_at) from gone;
  else
    insert into app_private.past_memberships (organization_id, group_id, user_id, since, until)
    select organization_id, group_id, user_id, created_at, greatest(now(), created_at) from gone;
  end if;
  return null;
end
$$;

revoke all on function app_private.remember_members() from public;
comment on function app_private.remember_members() is
  'Trigger: keeps memberships that end. Security definer, since nobody writes them by hand.';

create function app_private.remember_prices() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  -- The clock, not now(): a transaction that began earlier may write later. It can go backwards, and a price
  -- can change twice in a microsecond; a range is never empty all the same.
  if tg_op = 'DELETE' then
    update app_public.ai_model_price_history h set
      valid = tstzrange(lower(h.valid), greatest(clock_timestamp(), lower(h.valid) + interval '1 microsecond'))
    from old_prices o
    where h.provider = o.provider and h.model = o.model and upper_inf(h.valid);
  elsif tg_op = 'INSERT' then
    insert into app_public.ai_model_price_history
      (provider, model, valid, input_price, output_price, cache_read_price, cache_write_price)
    select n.provider, n.model, tstzrange(before.until, null),
      n.input_price, n.output_price, n.cache_read_price, n.cache_write_price
    from new_prices n
      -- A model that is listed for the first time has had its prices all along. Where it was listed before,
      -- and then not, there is a gap.
      left join lateral (
        select greatest(max(upper(h.valid)), clock_timestamp()) as until
        from app_public.ai_model_price_history h
        where h.provider = n.provider and h.model = n.model
        having count(*) > 0
      ) before on true;
  else
    with changed as (
      select provider, model, input_price, output_price, cache_read_price, cache_write_price from new_prices
      except
      select provider, model, input_price, output_price, cache_read_price, cache_write_price from old_prices
    ), ended as (
      update app_public.ai_model_price_history h set
        valid = tstzrange(lower(h.valid), greatest(clock_timestamp(), lower(h.valid) + interval '1 microsecond'))
      from changed c
      where h.provider = c.provider and h.model = c.model and upper_inf(h.valid)
      returning h.provider, h.model, upper(h.valid) as at,
        c.input_price, c.output_price, c.cache_read_price, c.cache_write_price
    )
    insert into app_public.ai_model_price_history
      (provider, model, valid, input_price, output_price, cache_read_price, cache_write_price)
    select e.provider, e.model, tstzrange(e.at, null),
      e.input_price, e.output_price, e.cache_read_price, e.cache_write_price
    from ended e;
  end if;
  return null;
end
$$;

revoke all on function app_private.remember_prices() from public;
comment on function app_private.remember_prices() is
  'Trigger: ends the ranges of the old prices and begins those of the new. Security definer, since nobody writes history by hand.';

create function app_private.require_gateway() returns void
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  -- session_user: within a security definer function current_user is always the owner.
  if not app_hidden.records_usage() and not pg_has_role(session_user, current_user, 'usage') then
    raise exception using
      errcode = '42501',
      message = 'Usage is recorded and spend authorized by ai_gateway and owner.',
      detail = app_hidden.speaker(),
      hint = app_hidden.right_hint('The role ai_gateway in user_site_roles gives that right.');
  end if;
  perform app_private.require_read_committed();
end
$$;

revoke all on function app_private.require_gateway() from public;
comment on function app_private.require_gateway() is
  'Returns for the site roles that may record usage and authorize spend, and for the database''s owner; 42501 for everybody else.';

create function app_private.require_given(name text, value text) returns void
language plpgsql immutable security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  if value is null then
    raise exception using errcode = 'BU400', message = format('%s is missing.', name), column = name;
  end if;
  if length(value) > 200 or value !~ '[^[:space:]]' then
    raise exception using
      errcode = 'BU400',
      message = format('%s must have 1 to 200 characters, and not only space: %s.', name, quote_literal(left(value, 60))),
      column = name;
  end if;
end
$$;

revoke all on function app_private.require_given(text, text) from public;
comment on function app_private.require_given(text, text) is 'BU400 unless it is text of 1 to 200 characters.';

create function app_private.require_moment(name text, moment timestamptz) returns void
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

revoke all on function app_private.require_moment(text, timestamptz) from public;
comment on function app_private.require_moment(text, timestamptz) is
  'BU400 unless usage can have occurred then; null passes.';

create function app_private.require_present_rights() returns trigger
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  if row_security_active(tg_relid) and current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    raise exception using
      errcode = 'BU400',
      message = format('What rights decide about is written in transactions of isolation level read committed, not %s.', current_setting('transaction_isolation')),
      hint = 'Another level would go by rights as they were when the transaction began.';
  end if;
  return null;
end
$$;

revoke all on function app_private.require_present_rights() from public;
comment on function app_private.require_present_rights() is
  'Trigger: BU400 where policies would not see that a right has been taken away.';

create function app_private.require_read_committed() returns void
language plpgsql stable security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using
      errcode = 'BU400',
      message = format('Spend is counted in transactions of isolation level read committed, not %s.', current_setting('transaction_isolation')),
      hint = 'What was committed while a lock was waited for must be seen.';
  end if;
end
$$;

revoke all on function app_private.require_read_committed() from public;
comment on function app_private.require_read_committed() is
  'BU400 where a lock that was waited for would not show what its former holder wrote.';

create function app_private.require_tokens(name text, tokens bigint) returns void
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

revoke all on function app_private.require_tokens(text, bigint) from public;
comment on function app_private.require_tokens(text, bigint) is
  'BU400 unless it is a number of tokens from 0 to 10^12.';

create function app_private.spend_by_user(
  organization_id uuid,
  group_id uuid,
  user_id uuid,
  period_start timestamptz,
  period_end timestamptz
) returns table (member_id uuid, spent_micros numeric, overage_micros numeric)
language plpgsql stable security definer
set plan_cache_mode to force_custom_plan
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
#variable_conflict use_column
declare
  first_day timestamptz;
  last_day timestamptz;
begin
  select w.first_day, w.last_day into first_day, last_day from app_hidden.whole_days(period_start, period_end) w;
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

create function app_private.spend_of_period(
  organization_id uuid,
  group_id uuid,
  user_id uuid,
  period_start timestamptz,
  period_end timestamptz,
  is_counted boolean,
  out spent_micros numeric,
  out overage_micros numeric
)
language plpgsql stable security definer
set enable_seqscan to off
set search_path to pg_catalog, pg_temp
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

create function app_private.tell_when_nothing_changes() returns trigger
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
declare
  context text;
begin
  if exists (select from old_rows) or not row_security_active(tg_relid) then
    return null;
  end if;
  get diagnostics context = pg_context;
  -- Functions speak for themselves. A statement that can do one thing or another has done the other; what was
  -- prepared may be one.
  if context like E'%\n%' or split_part(current_query(), '''', 1) ~* '\m(insert|merge|execute)\M' then
    return null;
  end if;
  raise notice using
    errcode = '02000',
    message = case tg_op
      when 'UPDATE' then format('No row of %s was changed: none matched, or none that is yours to change.', tg_table_name)
      else format('No row of %s was deleted: none matched, or none that is yours to delete.', tg_table_name)
    end,
    detail = app_hidden.speaker(),
    hint = app_hidden.right_hint(app_hidden.who_may_write(tg_table_name));
  return null;
end
$$;

revoke all on function app_private.tell_when_nothing_changes() from public;
comment on function app_private.tell_when_nothing_changes() is
  'Trigger: a notice for psql when a statement has changed nothing and row security may be why.';

create function app_private.usage_batch_is_sound(events jsonb) returns boolean
language plpgsql stable security invoker
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
begin
  return (
    select coalesce(bool_and(case
      when jsonb_typeof(e) <> 'object' then false
      else
        e - array[
          'id', 'user_id', 'provider', 'model', 'input_tokens', 'output_tokens', 'cache_read_tokens',
          'cache_write_tokens', 'group_id', 'organization_id', 'occurred_at'
        ] = '{}'
        -- What has hyphens there and is taken for a UUID is written as one.
        and jsonb_typeof(e -> 'id') = 'string'
        and e ->> 'id' like '________-____-____-____-____________' and (e ->> 'id')::uuid is not null
        and jsonb_typeof(e -> 'user_id') = 'string'
        and e ->> 'user_id' like '________-____-____-____-____________' and (e ->> 'user_id')::uuid is not null
        and (e ->> 'group_id' is null or jsonb_typeof(e -> 'group_id') = 'string'
          and e ->> 'group_id' like '________-____-____-____-____________' and (e ->> 'group_id')::uuid is not null)
        and (e ->> 'organization_id' is null or jsonb_typeof(e -> 'organization_id') = 'string'
          and e ->> 'organization_id' like '________-____-____-____-____________' and (e ->> 'organization_id')::uuid is not null)
        and jsonb_typeof(e -> 'provider') = 'string' and length(e ->> 'provider') <= 200
        and e ->> 'provider' ~ '[^[:space:]]'
        and jsonb_typeof(e -> 'model') = 'string' and length(e ->> 'model') <= 200
        and e ->> 'model' ~ '[^[:space:]]'
        -- Up to twelve digits: one that has more, or is written otherwise, is looked at closely.
        and jsonb_typeof(e -> 'input_tokens') = 'number' and e ->> 'input_tokens' ~ '^[0-9]{1,12}$'
        and jsonb_typeof(e -> 'output_tokens') = 'number' and e ->> 'output_tokens' ~ '^[0-9]{1,12}$'
        and (e ->> 'cache_read_tokens' is null or jsonb_typeof(e -> 'cache_read_tokens') = 'number'
          and e ->> 'cache_read_tokens' ~ '^[0-9]{1,12}$')
        and (e ->> 'cache_write_tokens' is null or jsonb_typeof(e -> 'cache_write_tokens') = 'number'
          and e ->> 'cache_write_tokens' ~ '^[0-9]{1,12}$')
        and (e ->> 'occurred_at' is null or jsonb_typeof(e -> 'occurred_at') = 'string'
          and coalesce(app_private.moment_of(e ->> 'occurred_at')
            between '2000-01-01' and clock_timestamp() + interval '1 day', false))
      end is true), true)
    from jsonb_array_elements(events) e
  );
exception
  -- no UUID
  when data_exception then return false;
end
$$;

revoke all on function app_private.usage_batch_is_sound(jsonb) from public;
comment on function app_private.usage_batch_is_sound(jsonb) is
  'Whether nothing is wrong with a batch of events, as far as can be seen at once; usage_batch_problem() says what is.';

create function app_private.usage_batch_problem(events jsonb, out message text, out field text)
language sql stable security invoker
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
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
        jsonb_typeof(object -> key) = 'string'
        and length(object ->> key) <= 200 and object ->> key ~ '[^[:space:]]', false
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
comment on function app_private.usage_batch_problem(jsonb) is
  'The first thing that is wrong with a batch of events, and the path of the event, or nulls.';

create function app_private.wait_for_last_bookings() returns trigger
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  perform app_private.lock_pools(array_agg(p.organization_id), array_agg(p.organization_id))
  from come c join app_private.past_memberships p on p.user_id = c.user_id;
  return null;
end
$$;

revoke all on function app_private.wait_for_last_bookings() from public;
comment on function app_private.wait_for_last_bookings() is
  'Trigger: whoever is booking for a newcomer where they belonged before is done first.';

create function app_private.write_audit_events(
  subject text,
  action app_public.audit_action,
  old_rows jsonb[],
  new_rows jsonb[]
) returns void
language plpgsql volatile security definer
set plan_cache_mode to auto
set search_path to pg_catalog, pg_temp
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
    its.organization_id,
    coalesce(o.name, case when its.organization_id is not null then app_private.last_audited_name('organizations', its.organization_id) end),
    its.group_id,
    coalesce(g.name, case when its.group_id is not null then app_private.last_audited_name('groups', its.group_id) end),
    its.user_id,
    coalesce(u.username, case when its.user_id is not null then app_private.last_audited_name('users', its.user_id) end),
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
    left join app_public.organizations o on o.id = its.organization_id
    left join app_public.groups g on g.id = its.group_id
    left join app_public.users u on u.id = its.user_id
  -- A write that changes nothing but the time of writing is no change.
  where write_audit_events.action <> 'update'
    or c.old_row - 'updated_at' is distinct from c.new_row - 'updated_at';
end
$$;

revoke all on function app_private.write_audit_events(text, app_public.audit_action, jsonb[], jsonb[]) from public;
comment on function app_private.write_audit_events(text, app_public.audit_action, jsonb[], jsonb[]) is
  'Writes an event for each pair of an old and a new row (null lists stand for nulls), and who is doing it. For triggers alone: the table refuses everybody else.';

create function app_public.ai_budget_status(group_id uuid) returns setof app_public.ai_budget_status
language plpgsql stable security invoker rows 1
set enable_seqscan to off
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
  select s.* from app_hidden.ai_budget_statuses s where s.group_id = ai_budget_status.group_id;
end
$$;

revoke all on function app_public.ai_budget_status(uuid) from public;
grant execute on function app_public.ai_budget_status(uuid) to bursar_user;
comment on function app_public.ai_budget_status(uuid) is
  E'@feature ai_bridge\n@behavior -*\nWhat a group has spent of its budget: one row, or none when you can''t read the group.';

create function app_public.authorize_ai_spend(
  request_id uuid,
  user_id uuid,
  provider text,
  model text,
  input_tokens bigint,
  max_output_tokens bigint,
  cache_read_tokens bigint default 0,
  cache_write_tokens bigint default 0,
  group_id uuid default null::uuid,
  organization_id uuid default null::uuid
) returns app_public.ai_spend_decision
language plpgsql volatile security definer
set enable_seqscan to off
set plan_cache_mode to force_generic_plan
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
#variable_conflict use_column
declare
  asked constant jsonb := jsonb_build_object(
    'user_id', authorize_ai_spend.user_id, 'provider', authorize_ai_spend.provider, 'model', authorize_ai_spend.model,
    'input_tokens', authorize_ai_spend.input_tokens, 'max_output_tokens', authorize_ai_spend.max_output_tokens,
    'cache_read_tokens', coalesce(authorize_ai_spend.cache_read_tokens, 0),
    'cache_write_tokens', coalesce(authorize_ai_spend.cache_write_tokens, 0),
    'group_id', authorize_ai_spend.group_id, 'organization_id', authorize_ai_spend.organization_id
  );
  known app_private.ai_spend_requests;
  fitting uuid[];
  problem record;
  organization app_public.organizations;
  charged uuid;
  at timestamptz;
  price record;
  estimate numeric;
  standings app_private.budget_standing[];
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

  -- The same request twice at once: the second waits, and gives the first's answer.
  perform app_private.lock_new_request(authorize_ai_spend.request_id);
  known := app_private.request_with_id(authorize_ai_spend.request_id);
  if known.request_id is not null then
    return app_private.decision_again(known, asked);
  end if;
  if exists (select from app_private.booked_ids(array[authorize_ai_spend.request_id])) then
    raise exception using
      errcode = 'BU409',
      message = format('Usage was recorded as %s before: it needs no authorization any more.', authorize_ai_spend.request_id),
      column = 'request_id';
  end if;

  fitting := app_private.organizations_of_call(
    authorize_ai_spend.user_id, authorize_ai_spend.organization_id, authorize_ai_spend.group_id, clock_timestamp()
  );
  problem := app_private.call_problem(
    authorize_ai_spend.user_id, authorize_ai_spend.organization_id, authorize_ai_spend.group_id, fitting
  );
  if problem.message is not null then
    raise exception using
      errcode = 'BU400', message = format('%s: %s', problem.field, problem.message), column = problem.field;
  end if;
  charged := app_private.charged_group(
    authorize_ai_spend.user_id, fitting[1], authorize_ai_spend.group_id, clock_timestamp()
  );
  select p.* into price
  from app_hidden.price_of_usage(
    authorize_ai_spend.provider, authorize_ai_spend.model, clock_timestamp(),
    authorize_ai_spend.input_tokens, authorize_ai_spend.max_output_tokens,
    coalesce(authorize_ai_spend.cache_read_tokens, 0), coalesce(authorize_ai_spend.cache_write_tokens, 0)
  ) p;
  estimate := price.cost_micros;

  -- What does not fit at this moment is refused without waiting for anybody: where a budget is used up, many
  -- ask. What fits is decided again when nobody else can decide on these budgets, or change them, until this
  -- transaction ends.
  for attempt in 1..2 loop
    at := case attempt
      when 1 then clock_timestamp()
      else app_private.lock_pools(array[fitting[1], fitting[1]], array[charged, fitting[1]])
    end;
    select o.* into organization from app_public.organizations o where o.id = fitting[1];
    select array_agg(s order by s.is_everyone, s.user_id) into standings
    from app_private.budget_standings(
      organization.id, array[charged, organization.id], authorize_ai_spend.user_id, at, at
    ) s;
    if organization.id is null or standings[1].group_id is distinct from charged
      or not exists (
        select from app_public.organization_members m
        where m.organization_id = organization.id and m.user_id = authorize_ai_spend.user_id
      )
      or (authorize_ai_spend.group_id is null and charged <> organization.id and standings[1].limit_micros is null)
    then
      raise exception using
        errcode = '40001', message = 'Who is charged changed while this was decided: try again.';
    end if;
    decision := app_private.decide(standings, estimate, organization.unpriced_usage);
    exit when not decision.allowed;
  end loop;
  decision.group_id := charged;
  if decision.allowed then
    decision.hold_id := authorize_ai_spend.request_id;
    decision.expires_at := at + make_interval(secs => organization.hold_seconds);
  end if;

  insert into app_private.ai_spend_requests
    (organization_id, request_id, state, group_id, user_id, content, decision, estimate_micros,
     input_price, output_price, cache_read_price, cache_write_price, requested_at, expires_at)
  values (
    organization.id, authorize_ai_spend.request_id,
    case when decision.allowed then 'held' else 'refused' end::app_private.spend_request_state,
    charged, authorize_ai_spend.user_id, asked, to_jsonb(decision), estimate,
    price.input_price, price.output_price, price.cache_read_price, price.cache_write_price, at, decision.expires_at
  );
  if decision.allowed then
    insert into app_private.ai_spend_accounts as a (organization_id, group_id, user_id, held_micros, swept_until)
    select organization.id, s.group_id, s.user_id, s.held_micros + coalesce(estimate, 0), at
    from unnest(standings) s
    on conflict (organization_id, group_id, user_id) do update set
      held_micros = excluded.held_micros, swept_until = excluded.swept_until;
  end if;
  return decision;
end
$$;

revoke all on function app_public.authorize_ai_spend(uuid, uuid, text, text, bigint, bigint, bigint, bigint, uuid, uuid) from public;
grant execute on function app_public.authorize_ai_spend(uuid, uuid, text, text, bigint, bigint, bigint, bigint, uuid, uuid) to bursar_user;
comment on function app_public.authorize_ai_spend(uuid, uuid, text, text, bigint, bigint, bigint, bigint, uuid, uuid) is
  E'@feature ai_bridge\n@resultFieldName decision\n@param request_id A UUID that the caller makes for each call, and sends again when no answer came.\n@param user_id Whose call it is.\n@param provider Who serves the model, as the price list has it.\n@param model The model, as the price list has it.\n@param input_tokens The most tokens of the prompt that are neither read from nor written to the cache.\n@param max_output_tokens The most tokens that may come back: tell the provider the same.\n@param cache_read_tokens Tokens of the prompt that are read from the cache: 0 when left out.\n@param cache_write_tokens Tokens of the prompt that are written to the cache: 0 when left out.\n@param group_id Charge this group, to which the user must belong. Left out: the user''s group with the largest limit.\n@param organization_id Needed for a user in several organizations when no group is named.\nMay this call go ahead? An allowed call holds its estimate, input and the most output that it may produce, until it is settled, released or expired. Repeating a request_id repeats the decision and holds nothing twice. For ai_gateway and owner. Errors: 42501 for everybody else, BU400 names the field, BU409 for a request_id that comes again with other content, or as an event that was recorded.';

create function app_public.explain_ai_budget(
  user_id uuid,
  provider text,
  model text,
  at timestamptz default null::timestamptz,
  organization_id uuid default null::uuid,
  group_id uuid default null::uuid
) returns table (
  candidate_group_id uuid,
  group_name text,
  is_everyone boolean,
  is_charged boolean,
  is_ceiling boolean,
  limit_micros bigint,
  applies_to app_public.budget_scope,
  period app_public.budget_period,
  period_start timestamptz,
  period_end timestamptz,
  spent_micros numeric,
  held_micros numeric,
  headroom_micros numeric,
  is_priced boolean,
  why text
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  moment constant timestamptz := coalesce(explain_ai_budget.at, clock_timestamp());
  reads_all constant boolean :=
    app_hidden.reads_every_organization() or pg_has_role(session_user, current_user, 'usage');
  fitting uuid[];
  problem record;
begin
  perform app_private.require_given('user_id', explain_ai_budget.user_id::text);
  perform app_private.require_given('provider', explain_ai_budget.provider);
  perform app_private.require_given('model', explain_ai_budget.model);
  if moment not between '2000-01-01' and '2200-01-01' then
    raise exception using
      errcode = 'BU400',
      message = format('at must lie between the years 2000 and 2200, not at %s.', moment),
      column = 'at';
  end if;
  -- Before anything is looked up: what is not the caller's to read and what does not exist give one answer.
  if not reads_all and not (
    (
      coalesce(explain_ai_budget.user_id = app_hidden.current_user_id(), false)
      or exists (
        select from app_public.organization_members m
        where m.user_id = explain_ai_budget.user_id
          and m.organization_id = any (array(select app_hidden.organizations_i_read()))
      )
    )
    and (explain_ai_budget.group_id is null or app_hidden.reads_group(explain_ai_budget.group_id))
  ) then
    raise exception using errcode = 'BU404', message = 'Not found, or not yours to read or change.';
  end if;

  fitting := app_private.organizations_of_call(
    explain_ai_budget.user_id, explain_ai_budget.organization_id, explain_ai_budget.group_id, moment,
    -- Of somebody else, the organizations that the caller reads are all there are; of oneself, those where one is.
    case
      when reads_all then null
      when explain_ai_budget.user_id = app_hidden.current_user_id() then array(select app_hidden.my_organizations())
      else array(select app_hidden.organizations_i_read())
    end
  );
  problem := app_private.call_problem(
    explain_ai_budget.user_id, explain_ai_budget.organization_id, explain_ai_budget.group_id, fitting
  );
  if problem.message is not null then
    raise exception using
      errcode = 'BU400', message = format('%s: %s', problem.field, problem.message), column = problem.field;
  end if;

  return query
  select c.candidate_id, c.group_name, c.is_everyone, c.rank = 1, c.is_everyone and c.limit_micros is not null,
    c.limit_micros,
    case when c.limit_micros is not null then c.applies_to end,
    case when c.limit_micros is not null then c.period end,
    nullif(s.period_start, '-infinity'), nullif(s.period_end, 'infinity'),
    trim_scale(s.spent_micros), trim_scale(s.held_micros),
    trim_scale(c.limit_micros - s.spent_micros - s.held_micros),
    (
      select p.cost_micros is not null
      from app_hidden.price_of_usage(explain_ai_budget.provider, explain_ai_budget.model, moment, 1, 1, 0, 0) p
    ),
    case
      when c.rank = 1 and c.candidate_id = explain_ai_budget.group_id then 'charged: the call names this group'
      when c.rank = 1 and c.is_everyone then 'charged: no other group of the user has a budget'
      when c.rank = 1 then 'charged: the largest limit among the groups of the user that have a budget'
      when c.is_everyone and c.limit_micros is not null then 'the ceiling of the organization: a call must fit here as well'
      when c.limit_micros is null then 'not charged: no budget'
      when explain_ai_budget.group_id is not null then 'not charged: the call names another group'
      else 'not charged: another group has a larger limit, or the same and the older membership'
    end
  from app_private.budget_candidates(explain_ai_budget.user_id, fitting[1], explain_ai_budget.group_id, moment) c
    join app_private.budget_standings(
      fitting[1],
      array(
        select x.candidate_id
        from app_private.budget_candidates(explain_ai_budget.user_id, fitting[1], explain_ai_budget.group_id, moment) x
      ),
      explain_ai_budget.user_id, moment, clock_timestamp()
    ) s
      -- What each member has is the member's own.
      on s.group_id = c.candidate_id and (s.user_id = app_private.pool()) = (s.applies_to = 'group')
  -- A group that somebody has left is no longer theirs to read, also as of then.
  where reads_all or app_hidden.reads_group(c.candidate_id)
  order by c.rank;
end
$$;

revoke all on function app_public.explain_ai_budget(uuid, text, text, timestamptz, uuid, uuid) from public;
grant execute on function app_public.explain_ai_budget(uuid, text, text, timestamptz, uuid, uuid) to bursar_user;
comment on function app_public.explain_ai_budget(uuid, text, text, timestamptz, uuid, uuid) is
  E'@feature ai_bridge\n@param user_id Whose call it would be.\n@param provider Who serves the model.\n@param model The model.\n@param at When the call would be: now unless given.\n@param group_id Charge this group.\n@param organization_id Needed for a user in several organizations when no group is named.\n@param candidate_group_id The group whose budget could be charged.\n@param group_name What it is called.\n@param is_everyone Whether it is the organization''s group Everyone.\n@param is_charged Whether this is the one that is charged.\n@param is_ceiling Whether it is the ceiling on top, in which the call must fit as well.\n@param limit_micros Its limit, in micros. Null where there is no budget.\n@param applies_to For whom the limit counts. Null where there is no budget.\n@param period Over which time it counts. Null where there is no budget.\n@param period_start When the current period began (UTC), in it. Null for a lifetime.\n@param period_end When it ends (UTC), not in it. Null for a lifetime.\n@param spent_micros What was spent in it, in micros.\n@param held_micros What open holds keep, in micros.\n@param headroom_micros What is left, in micros; below 0 when more was spent than the limit.\n@param is_priced Whether the model has a price.\n@param why Why it is charged, or not, in words.\nEvery budget that a call of this user could be charged to, best first: what is left of it in micros, which one is charged, and why. For the user, readers of the organization and site roles. The same resolver decides in authorize_ai_spend.';

create function app_public.price_unpriced_ai_usage(at_most integer default 10000)
returns table (organization_id uuid, provider text, model text, events bigint, cost_micros numeric)
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
#variable_conflict use_column
declare
  priced app_public.ai_usage_events[];
begin
  perform app_private.require_gateway();
  if at_most is null or at_most not between 1 and 100000 then
    raise exception using
      errcode = 'BU400',
      message = format('at_most must be between 1 and 100000 events, not %s.', coalesce(at_most::text, 'null')),
      column = 'at_most';
  end if;

  with found as (
    select e.organization_id, e.id, e.occurred_at, p.*
    from app_public.ai_usage_events e
      cross join lateral app_hidden.price_of_usage(
        e.provider, e.model, e.occurred_at,
        e.input_tokens, e.output_tokens, e.cache_read_tokens, e.cache_write_tokens
      ) p
    where e.cost_micros is null
      -- Most of what waits has no price yet, and is not looked at.
      and exists (
        select from app_public.ai_model_price_history h where h.provider = e.provider and h.model = e.model
      )
      and p.cost_micros is not null
    limit at_most
    -- Two at once share the work.
    for update of e skip locked
  ), changed as (
    update app_public.ai_usage_events e set
      input_price = f.input_price, output_price = f.output_price,
      cache_read_price = f.cache_read_price, cache_write_price = f.cache_write_price,
      cost_micros = f.cost_micros,
      overage_micros = (
        select greatest(f.cost_micros - r.estimate_micros, 0)
        from app_private.ai_spend_requests r
        where r.organization_id = e.organization_id and r.request_id = e.id
          and r.state = 'settled' and r.estimate_micros is not null
      )
    from found f
    where e.organization_id = f.organization_id and e.id = f.id and e.occurred_at = f.occurred_at
    returning e.*
  )
  select array_agg(row(changed.*)::app_public.ai_usage_events) into priced from changed;
  if priced is null then
    return;
  end if;

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

  perform app_private.lock_pools_of(priced);
  perform app_private.add_to_counters(priced);

  return query
    select e.organization_id, e.provider, e.model, count(*), trim_scale(sum(e.cost_micros))
    from unnest(priced) e
    group by 1, 2, 3
    order by 1, 2, 3;
end
$$;

revoke all on function app_public.price_unpriced_ai_usage(integer) from public;
grant execute on function app_public.price_unpriced_ai_usage(integer) to bursar_user;
comment on function app_public.price_unpriced_ai_usage(integer) is
  E'@feature ai_bridge\n@param at_most How many events to price: 10000 unless given, up to 100000.\n@param organization_id The organization that pays.\n@param provider Who served the model.\n@param model The model.\n@param events How many events got their price.\n@param cost_micros What they cost together, in micros, exact.\nPrices recorded usage whose price has become known since, at most so many events (10000 unless said otherwise, up to 100000), and says what changed: how many events of which model, and what they cost in micros. Repeat it until it returns nothing. For ai_gateway and owner. Errors: 42501 for everybody else, BU400 for at_most.';

create function app_public.record_ai_usage(events jsonb) returns app_public.ai_usage_receipt
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
#variable_conflict use_column
declare
  at constant timestamptz := clock_timestamp();
  problem record;
  pending app_private.reported_event[];
  ids uuid[];
  callers app_private.usage_caller[];
  groups uuid[];
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
  if not app_private.usage_batch_is_sound(record_ai_usage.events) then
    select * into problem from app_private.usage_batch_problem(record_ai_usage.events);
    if problem.message is not null then
      raise exception using errcode = 'BU400', message = problem.message, column = problem.field;
    end if;
  end if;

  ids := array(select (e ->> 'id')::uuid from jsonb_array_elements(record_ai_usage.events) e);

  -- What is in the ledger already needs no answer any more, and what was authorized belongs where it was. Events
  -- of one user that name the same are charged alike: they have the same caller, by number.
  with reported as materialized (
    -- Of an id that comes twice in the batch, the first.
    select distinct on (e.id) e.ordinality - 1 as place, e.id, e.user_id, e.organization_id, e.group_id,
      e.provider, e.model, e.input_tokens, e.output_tokens,
      coalesce(e.cache_read_tokens, 0) as cache_read_tokens, coalesce(e.cache_write_tokens, 0) as cache_write_tokens,
      coalesce(app_private.moment_of(e.occurred_at), at) as occurred_at
    from rows from (
      jsonb_to_recordset(record_ai_usage.events) as (
        id uuid, user_id uuid, provider text, model text, input_tokens numeric, output_tokens numeric,
        cache_read_tokens numeric, cache_write_tokens numeric, group_id uuid, organization_id uuid, occurred_at text
      )
    ) with ordinality as e
    where e.id not in (select app_private.booked_ids(ids))
    order by e.id, e.ordinality
  ), belonging as materialized (
    select u.user_id, b.since, b.until
    from (select distinct user_id from reported) u
      cross join lateral (
        select max(m.since) as since, max(m.until) filter (where m.until < 'infinity') as until
        from app_private.ai_memberships m
        where m.user_id = u.user_id
      ) b
  )
  select array_agg(row(
    e.place, e.caller, e.id, e.user_id, e.organization_id, e.group_id, e.provider, e.model,
    e.input_tokens, e.output_tokens, e.cache_read_tokens, e.cache_write_tokens, e.occurred_at, e.belongs_at,
    e.authorized_organization_id, e.authorized_group_id
  )::app_private.reported_event) into pending
  from (
    select e.*, r.organization_id as authorized_organization_id, r.group_id as authorized_group_id,
      dense_rank() over (order by e.user_id, e.organization_id, e.group_id, e.belongs_at) as caller
    from (
      select e.*,
        -- For who has been where they are ever since, it makes no difference when it was.
        case when b.since <= e.occurred_at and b.until is null then at else e.occurred_at end as belongs_at
      from reported e join belonging b on b.user_id = e.user_id
    ) e
      left join app_private.ai_spend_requests r on r.request_id = e.id and r.state <> 'refused'
  ) e;

  select format('events[%s].user_id', e.place) as field,
    format('The request %s is not one of the user %s.', e.id, e.user_id) as message
  into problem
  from unnest(pending) e join app_private.ai_spend_requests r on r.request_id = e.id
  where e.authorized_organization_id is not null and r.user_id <> e.user_id
  order by e.place
  limit 1;
  if found then
    raise exception using
      errcode = 'BU400', message = format('%s: %s', problem.field, problem.message), column = problem.field;
  end if;

  select array_agg(row(
    c.user_id, c.organization_id, c.group_id, c.belongs_at, o.fitting,
    array(
      select m.organization_id from app_public.organization_members m where m.user_id = c.user_id order by m.organization_id
    )
  )::app_private.usage_caller order by c.caller) into callers
  from (select distinct on (e.caller) e.* from unnest(pending) e order by e.caller) c
    cross join lateral app_private.organizations_of_call(
      c.user_id, c.organization_id, c.group_id, c.belongs_at, or_last => true
    ) as o (fitting);

  select format('events[%s].%s: %s', e.place, p.field, p.message) as message, format('events[%s].%s', e.place, p.field) as field
  into problem
  from unnest(pending) e
    cross join lateral app_private.call_problem(
      e.user_id, e.organization_id, e.group_id, (callers[e.caller]).fitting
    ) p
  where e.authorized_organization_id is null and cardinality((callers[e.caller]).fitting) <> 1
  order by e.place
  limit 1;
  if found then
    raise exception using errcode = 'BU400', message = problem.message, column = problem.field;
  end if;

  groups := app_private.charged_groups(callers);

  with prices as materialized (
    -- Which tokens there are decides which prices are needed; how many there are, only the cost.
    select q.*, p.input_price, p.output_price, p.cache_read_price, p.cache_write_price, p.cost_micros is not null as is_known
    from (
      select distinct e.provider, e.model, e.occurred_at, sign(e.input_tokens) as input, sign(e.output_tokens) as output,
        sign(e.cache_read_tokens) as cache_read, sign(e.cache_write_tokens) as cache_write
      from unnest(pending) e
    ) q
      cross join lateral app_hidden.price_of_usage(
        q.provider, q.model, q.occurred_at,
        q.input::bigint, q.output::bigint, q.cache_read::bigint, q.cache_write::bigint
      ) p
  )
  select array_agg(row(
    coalesce(e.authorized_organization_id, (callers[e.caller]).fitting[1]), e.id, e.occurred_at, at,
    coalesce(e.authorized_group_id, groups[e.caller]), e.user_id, e.provider, e.model,
    e.input_tokens, e.output_tokens, e.cache_read_tokens, e.cache_write_tokens,
    p.input_price, p.output_price, p.cache_read_price, p.cache_write_price,
    case when p.is_known then app_hidden.exact_cost(
      e.input_tokens, e.output_tokens, e.cache_read_tokens, e.cache_write_tokens,
      p.input_price, p.output_price, p.cache_read_price, p.cache_write_price
    ) end,
    null
  )::app_public.ai_usage_events) into booked
  from unnest(pending) e
    join prices p on p.provider = e.provider and p.model = e.model and p.occurred_at = e.occurred_at
      and p.input = sign(e.input_tokens) and p.output = sign(e.output_tokens)
      and p.cache_read = sign(e.cache_read_tokens) and p.cache_write = sign(e.cache_write_tokens)
  -- Asked again after it was settled who belongs where: it may have been booked where they have left since.
  where e.id not in (select app_private.booked_ids(ids));

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

  if fresh is not null then
    perform app_private.write_ledger(fresh);
    perform app_private.lock_pools_of(fresh);
    -- Nobody can leave the organization in which this is booked, or join another after it, before this is done.
    if exists (
      select from unnest(callers) c
      where c.belongs_to <> array(
        select m.organization_id from app_public.organization_members m where m.user_id = c.user_id order by m.organization_id
      )
    ) then
      raise exception using
        errcode = '40001', message = 'Somebody joined or left an organization while their usage was booked: try again.';
    end if;
    perform app_private.add_to_counters(fresh);
    perform app_private.make_usage_months(array(
      select distinct date_trunc('month', e.occurred_at, 'UTC') from unnest(fresh) e
    ));
  end if;
  return row(
    coalesce(cardinality(fresh), 0),
    jsonb_array_length(record_ai_usage.events) - coalesce(cardinality(fresh), 0)
  )::app_public.ai_usage_receipt;
end
$$;

revoke all on function app_public.record_ai_usage(jsonb) from public;
grant execute on function app_public.record_ai_usage(jsonb) to bursar_user;
comment on function app_public.record_ai_usage(jsonb) is
  E'@feature ai_bridge\n@resultFieldName receipt\n@param events An array of {id, user_id, provider, model, input_tokens, output_tokens, cache_read_tokens?, cache_write_tokens?, group_id?, organization_id?, occurred_at?}. The id is a UUID that stays with the event; tokens are counted as in authorize_ai_spend.\nBooks a batch of events, all or nothing: an array of {id, user_id, provider, model, input_tokens, output_tokens, cache_read_tokens?, cache_write_tokens?, group_id?, organization_id?, occurred_at?}. Each id is booked once, however often it comes. Somebody who has left is charged where they belonged when it occurred, or last. A model without a known price is booked as unpriced. For ai_gateway and owner. Errors: 42501 for everybody else, BU400 names the event, 40001 asks to try again.';

create function app_public.release_ai_spend(
  request_id uuid default null::uuid,
  hold_id uuid default null::uuid
) returns boolean
language plpgsql volatile security definer
set enable_seqscan to off
set plan_cache_mode to force_generic_plan
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  request app_private.ai_spend_requests;
begin
  perform app_private.require_gateway();
  request := app_private.find_request(release_ai_spend.request_id, release_ai_spend.hold_id);
  if request.state <> 'held' then
    return false;
  end if;
  update app_private.ai_spend_requests r set state = 'released'
  where r.organization_id = request.organization_id and r.request_id = request.request_id;
  perform app_private.lock_pools(
    array[request.organization_id, request.organization_id], array[request.group_id, request.organization_id]
  );
  perform app_private.give_back(request);
  return true;
end
$$;

revoke all on function app_public.release_ai_spend(uuid, uuid) from public;
grant execute on function app_public.release_ai_spend(uuid, uuid) to bursar_user;
comment on function app_public.release_ai_spend(uuid, uuid) is
  E'@feature ai_bridge\n@resultFieldName released\n@param request_id The request that was authorized.\n@param hold_id The same, by its hold: one of the two is needed.\nGives back the hold of a call that was not made, named by request_id or hold_id. Returns whether there was one to give back. For ai_gateway and owner. Errors: 42501 for everybody else, BU404 for an unknown request.';

create function app_public.settle_ai_spend(
  request_id uuid default null::uuid,
  input_tokens bigint default null::bigint,
  output_tokens bigint default null::bigint,
  cache_read_tokens bigint default 0,
  cache_write_tokens bigint default 0,
  occurred_at timestamptz default null::timestamptz,
  hold_id uuid default null::uuid
) returns app_public.ai_spend_settlement
language plpgsql volatile security definer
set enable_seqscan to off
set plan_cache_mode to force_generic_plan
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
#variable_conflict use_column
declare
  request app_private.ai_spend_requests;
  used jsonb;
  event app_public.ai_usage_events;
  is_new boolean;
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
  -- A call belongs to the period and has the prices for which it was authorized, unless the caller knows better.
  event.occurred_at := coalesce(settle_ai_spend.occurred_at, request.requested_at);
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
  select event.organization_id, event.id, event.occurred_at
  where not exists (select from app_private.booked_ids(array[event.id]))
  on conflict do nothing;
  is_new := found;
  if is_new then
    if settle_ai_spend.occurred_at is null and request.estimate_micros is not null
      and (event.input_tokens = 0 or request.input_price is not null)
      and (event.output_tokens = 0 or request.output_price is not null)
      and (event.cache_read_tokens = 0 or request.cache_read_price is not null)
      and (event.cache_write_tokens = 0 or request.cache_write_price is not null)
    then
      -- What fitted when it was authorized costs no more now, whatever has become of the prices.
      event.input_price := request.input_price;
      event.output_price := request.output_price;
      event.cache_read_price := request.cache_read_price;
      event.cache_write_price := request.cache_write_price;
      event.cost_micros := app_hidden.exact_cost(
        event.input_tokens, event.output_tokens, event.cache_read_tokens, event.cache_write_tokens,
        event.input_price, event.output_price, event.cache_read_price, event.cache_write_price
      );
    else
      select p.* into event.input_price, event.output_price, event.cache_read_price, event.cache_write_price, event.cost_micros
      from app_hidden.price_of_usage(
        event.provider, event.model, event.occurred_at,
        event.input_tokens, event.output_tokens, event.cache_read_tokens, event.cache_write_tokens
      ) p;
    end if;
    event.overage_micros := case
      when event.cost_micros is not null and request.estimate_micros is not null
      then greatest(event.cost_micros - request.estimate_micros, 0)
    end;
    perform app_private.write_ledger(array[event]);
  else
    -- Reported already, through record_ai_usage(): it counts once.
    select e.* into event
    from app_private.ai_usage_event_keys k
      join app_public.ai_usage_events e
        on e.organization_id = k.organization_id and e.id = k.id and e.occurred_at = k.occurred_at
    where k.id = request.request_id
    order by k.organization_id = request.organization_id desc
    limit 1;
  end if;

  answer := row(request.request_id, coalesce(event.group_id, request.group_id), trim_scale(event.cost_micros), trim_scale(event.overage_micros));
  update app_private.ai_spend_requests r set
    state = 'settled',
    settlement = jsonb_build_object('used', used, 'answer', to_jsonb(answer))
  where r.organization_id = request.organization_id and r.request_id = request.request_id;
  perform app_private.lock_pools(
    array[request.organization_id, request.organization_id], array[request.group_id, request.organization_id]
  );
  perform app_private.give_back(request);
  if is_new then
    perform app_private.add_to_counters(array[event]);
    perform app_private.make_usage_months(array[event.occurred_at]);
  end if;
  return answer;
end
$$;

revoke all on function app_public.settle_ai_spend(uuid, bigint, bigint, bigint, bigint, timestamptz, uuid) from public;
grant execute on function app_public.settle_ai_spend(uuid, bigint, bigint, bigint, bigint, timestamptz, uuid) to bursar_user;
comment on function app_public.settle_ai_spend(uuid, bigint, bigint, bigint, bigint, timestamptz, uuid) is
  E'@feature ai_bridge\n@resultFieldName settlement\n@param request_id The request that was authorized.\n@param hold_id The same, by its hold: one of the two is needed.\n@param input_tokens Tokens of the prompt that were neither read from nor written to the cache. Needed.\n@param output_tokens Tokens that came back. Needed.\n@param cache_read_tokens Tokens of the prompt that were read from the cache: 0 when left out.\n@param cache_write_tokens Tokens of the prompt that were written to the cache: 0 when left out.\n@param occurred_at When the call was made. Left out: when it was authorized.\nBooks what a call really used, named by request_id or hold_id, and lets its hold go. The real cost is booked also when it exceeds the hold or the hold has expired. Without occurred_at it counts where it was authorized: that period, those prices. Repeating it changes nothing. For ai_gateway and owner. Errors: 42501 for everybody else, BU400 names the field, BU404 for an unknown request, BU409 when it was refused or settled with other content.';

-- app_private.ai_spend_accounts -------------------------------------------------------------------

create table app_private.ai_spend_accounts (
  organization_id uuid not null,
  group_id uuid not null,
  user_id uuid not null,
  held_micros numeric(44,6) not null default 0,
  swept_until timestamptz not null,
  constraint holds_are_added_up_once primary key (organization_id, group_id, user_id)
) with (fillfactor = 70);

alter table app_private.ai_spend_accounts enable row level security;

comment on table app_private.ai_spend_accounts is
  'What holds keep of a group (user_id is app_private.pool()) or one of its members. Whoever decides about a budget locks its account first.';
comment on column app_private.ai_spend_accounts.organization_id is 'The group''s organization.';
comment on column app_private.ai_spend_accounts.group_id is 'The group.';
comment on column app_private.ai_spend_accounts.user_id is 'The member, or app_private.pool().';
comment on column app_private.ai_spend_accounts.held_micros is
  'Sum of the holds that were open at swept_until, in micros; those of them that have expired since are subtracted by whoever looks.';
comment on column app_private.ai_spend_accounts.swept_until is
  'Holds that expired up to here (UTC) are no longer in the sum.';

-- app_private.ai_spend_counters -------------------------------------------------------------------

create table app_private.ai_spend_counters (
  organization_id uuid not null,
  group_id uuid not null,
  user_id uuid not null,
  period_start timestamptz not null,
  period_end timestamptz not null,
  spent_micros numeric(44,6) not null,
  overage_micros numeric(44,6) not null,
  constraint spend_is_counted_once_a_period primary key (organization_id, group_id, user_id, period_start),
  constraint counter_covers_some_time check (period_start < period_end)
);

alter table app_private.ai_spend_counters enable row level security;

comment on table app_private.ai_spend_counters is
  'What a group (user_id is app_private.pool()) or one of its members has spent in a period. Everyone counts the whole organization. Equals the ledger at every commit. No row: nothing.';
comment on column app_private.ai_spend_counters.organization_id is 'The group''s organization.';
comment on column app_private.ai_spend_counters.group_id is 'The group.';
comment on column app_private.ai_spend_counters.user_id is 'The member, or app_private.pool().';
comment on column app_private.ai_spend_counters.period_start is 'The beginning of the period (UTC), in it.';
comment on column app_private.ai_spend_counters.period_end is 'The end of the period (UTC), not in it.';
comment on column app_private.ai_spend_counters.spent_micros is 'The known costs of the period, in micros.';
comment on column app_private.ai_spend_counters.overage_micros is
  'By how much they exceeded their holds, in micros.';

-- app_private.ai_spend_counting_starts ------------------------------------------------------------

create table app_private.ai_spend_counting_starts (
  organization_id uuid not null,
  group_id uuid not null,
  counted_from timestamptz not null,
  constraint group_has_one_counting_start primary key (organization_id, group_id)
);

alter table app_private.ai_spend_counting_starts enable row level security;

comment on table app_private.ai_spend_counting_starts is
  'From when on a group''s spend is counted under its present terms. No row: it always has been.';
comment on column app_private.ai_spend_counting_starts.organization_id is 'The group''s organization.';
comment on column app_private.ai_spend_counting_starts.group_id is 'The group.';
comment on column app_private.ai_spend_counting_starts.counted_from is
  'The beginning of the first period (UTC) that has a counter; what was spent in earlier ones is added up from the ledger.';

-- app_private.ai_spend_requests -------------------------------------------------------------------

create table app_private.ai_spend_requests (
  organization_id uuid not null,
  request_id uuid not null,
  state app_private.spend_request_state not null,
  group_id uuid not null,
  user_id uuid not null,
  content jsonb not null,
  decision jsonb not null,
  estimate_micros numeric(44,6),
  input_price bigint,
  output_price bigint,
  cache_read_price bigint,
  cache_write_price bigint,
  requested_at timestamptz not null,
  expires_at timestamptz,
  settlement jsonb,
  constraint request_is_decided_once primary key (organization_id, request_id),
  constraint hold_has_an_end check ((state = 'refused'::app_private.spend_request_state) = (expires_at is null))
) with (fillfactor = 80);

create index ai_spend_requests_by_request on app_private.ai_spend_requests (request_id);

create index ai_spend_requests_held_of_group on app_private.ai_spend_requests (organization_id, group_id, expires_at)
  include (user_id, estimate_micros)
  where state = 'held'::app_private.spend_request_state;

create index ai_spend_requests_held_of_organization on app_private.ai_spend_requests (organization_id, expires_at)
  include (user_id, estimate_micros)
  where state = 'held'::app_private.spend_request_state;

alter table app_private.ai_spend_requests enable row level security;

comment on table app_private.ai_spend_requests is
  'Requests for authorization: what was asked and answered, and the holds. The hold of a request has the request''s id.';
comment on column app_private.ai_spend_requests.organization_id is 'The organization that is asked for money.';
comment on column app_private.ai_spend_requests.request_id is 'The caller''s id of the request.';
comment on column app_private.ai_spend_requests.state is 'refused, or what became of the hold.';
comment on column app_private.ai_spend_requests.group_id is 'The group that is charged.';
comment on column app_private.ai_spend_requests.user_id is 'Whose call it is.';
comment on column app_private.ai_spend_requests.content is 'What was asked.';
comment on column app_private.ai_spend_requests.decision is 'What was answered.';
comment on column app_private.ai_spend_requests.estimate_micros is
  'What is held, in micros; null for a model without a price.';
comment on column app_private.ai_spend_requests.input_price is
  'The price of the estimate: micros per million input tokens.';
comment on column app_private.ai_spend_requests.output_price is
  'The price of the estimate: micros per million output tokens.';
comment on column app_private.ai_spend_requests.cache_read_price is
  'The price of the estimate: micros per million tokens read from the cache.';
comment on column app_private.ai_spend_requests.cache_write_price is
  'The price of the estimate: micros per million tokens written to the cache.';
comment on column app_private.ai_spend_requests.requested_at is 'When it was decided (UTC).';
comment on column app_private.ai_spend_requests.expires_at is 'From when on the hold counts as nothing (UTC).';
comment on column app_private.ai_spend_requests.settlement is
  'With what it was settled, and the answer to that.';

create function app_private.decision_again(known app_private.ai_spend_requests, asked jsonb)
returns app_public.ai_spend_decision
language plpgsql stable security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  if known.content <> asked then
    raise exception using
      errcode = 'BU409',
      message = format('The request %s was made before, with other content.', known.request_id),
      column = 'request_id';
  end if;
  return jsonb_populate_record(null::app_public.ai_spend_decision, known.decision);
end
$$;

revoke all on function app_private.decision_again(app_private.ai_spend_requests, jsonb) from public;
comment on function app_private.decision_again(app_private.ai_spend_requests, jsonb) is
  'The answer that a request had, word for word. BU409 when something else is asked this time.';

create function app_private.find_request(request_id uuid, hold_id uuid) returns app_private.ai_spend_requests
language plpgsql volatile security definer
set enable_seqscan to off
set search_path to pg_catalog, pg_temp
as $$
declare
  request app_private.ai_spend_requests;
  given uuid := coalesce(find_request.request_id, find_request.hold_id);
begin
  if given is null or find_request.request_id <> find_request.hold_id then
    raise exception using
      errcode = 'BU400', message = 'Name the request_id or the hold_id, one of them.', column = 'request_id';
  end if;
  request := app_private.request_with_id(given);
  if request.request_id is null then
    raise exception using errcode = 'BU404', message = format('There is no request %s.', given);
  end if;
  select r.* into request
  from app_private.ai_spend_requests r
  where r.organization_id = request.organization_id and r.request_id = request.request_id
  for update;
  return request;
end
$$;

revoke all on function app_private.find_request(uuid, uuid) from public;
comment on function app_private.find_request(uuid, uuid) is
  'The request with this id or hold, which stays as it is until the transaction ends. BU404 when there is none.';

create function app_private.give_back(request app_private.ai_spend_requests) returns void
language plpgsql volatile security definer
set enable_seqscan to off
set search_path to pg_catalog, pg_temp
as $$
begin
  if request.state <> 'held' or request.estimate_micros is null then
    return;
  end if;
  update app_private.ai_spend_accounts a set held_micros = a.held_micros - request.estimate_micros
  where a.organization_id = request.organization_id
    and a.group_id in (request.group_id, request.organization_id)
    and a.user_id in (app_private.pool(), request.user_id)
    -- What has expired may have been taken out already.
    and a.swept_until < request.expires_at;
end
$$;

revoke all on function app_private.give_back(app_private.ai_spend_requests) from public;
comment on function app_private.give_back(app_private.ai_spend_requests) is
  'Takes a hold out of the accounts in which it still is. The caller holds the pools.';

create function app_private.request_with_id(request_id uuid) returns app_private.ai_spend_requests
language plpgsql stable security definer
set enable_seqscan to off
set search_path to pg_catalog, pg_temp
as $$
declare
  request app_private.ai_spend_requests;
begin
  select r.* into request from app_private.ai_spend_requests r where r.request_id = request_with_id.request_id;
  return request;
end
$$;

revoke all on function app_private.request_with_id(uuid) from public;
comment on function app_private.request_with_id(uuid) is 'The request, or nulls when there is none.';

-- app_private.ai_usage_event_keys -----------------------------------------------------------------

create table app_private.ai_usage_event_keys (
  organization_id uuid not null,
  id uuid not null,
  occurred_at timestamptz not null,
  constraint event_is_booked_once primary key (organization_id, id)
);

create index ai_usage_event_keys_by_id on app_private.ai_usage_event_keys (id);

alter table app_private.ai_usage_event_keys enable row level security;

comment on table app_private.ai_usage_event_keys is
  'Which events are in the ledger: an id is booked once, whatever its month, also after the month was dropped.';
comment on column app_private.ai_usage_event_keys.organization_id is 'The organization that pays.';
comment on column app_private.ai_usage_event_keys.id is 'The id of the event.';
comment on column app_private.ai_usage_event_keys.occurred_at is 'Where its row is in the ledger (UTC).';

-- app_private.ai_usage_kept -----------------------------------------------------------------------

create table app_private.ai_usage_kept (
  only_row boolean not null default true,
  kept_from timestamptz not null,
  constraint usage_is_kept_from_one_moment primary key (only_row),
  constraint usage_is_kept_from_one_moment_on check (only_row)
);

alter table app_private.ai_usage_kept enable row level security;

comment on table app_private.ai_usage_kept is
  'From when on the ledger has its rows; no row: from the beginning.';
comment on column app_private.ai_usage_kept.only_row is 'There is one row at most.';
comment on column app_private.ai_usage_kept.kept_from is
  'The beginning of the first month that is kept (UTC).';

-- app_private.authenticators ----------------------------------------------------------------------

create table app_private.authenticators (
  role_name name not null,
  created_at timestamptz not null default now(),
  constraint authenticators_pkey primary key (role_name)
);

alter table app_private.authenticators enable row level security;

create trigger write_audit_trail_of_deletes after delete on app_private.authenticators
  referencing old table as old_rows for each statement execute function app_private.audit('role_name');

create trigger write_audit_trail_of_inserts after insert on app_private.authenticators
  referencing new table as new_rows for each statement execute function app_private.audit('role_name');

create trigger write_audit_trail_of_truncation after truncate on app_private.authenticators
  for each statement execute function app_private.audit('role_name');

create trigger write_audit_trail_of_updates after update on app_private.authenticators
  referencing old table as old_rows new table as new_rows for each statement
  execute function app_private.audit('role_name');

comment on table app_private.authenticators is
  'Login roles of Bursar servers in this database: the only ones that may say on whose behalf they speak.';
comment on column app_private.authenticators.role_name is 'The login role that AUTH_DATABASE_URL names.';
comment on column app_private.authenticators.created_at is 'When the role was registered (UTC).';

-- app_private.past_memberships --------------------------------------------------------------------

create table app_private.past_memberships (
  id uuid not null default gen_random_uuid(),
  organization_id uuid not null,
  group_id uuid not null,
  user_id uuid not null,
  since timestamptz not null,
  until timestamptz not null,
  constraint past_membership_is_noted_once primary key (id)
);

create index past_memberships_by_user on app_private.past_memberships (user_id, organization_id);

alter table app_private.past_memberships enable row level security;

comment on table app_private.past_memberships is
  'Memberships that have ended. group_id is the organization''s id for the membership in the organization itself.';
comment on column app_private.past_memberships.id is 'Tells two of them apart.';
comment on column app_private.past_memberships.organization_id is 'The organization.';
comment on column app_private.past_memberships.group_id is
  'The group; the organization''s id stands for Everyone.';
comment on column app_private.past_memberships.user_id is 'Who belonged to it.';
comment on column app_private.past_memberships.since is 'When they joined (UTC).';
comment on column app_private.past_memberships.until is
  'When they left (UTC): the time of the transaction, in which another membership may begin.';

-- app_public.ai_model_price_history ---------------------------------------------------------------

create table app_public.ai_model_price_history (
  provider text not null,
  model text not null,
  valid tstzrange not null,
  input_price bigint,
  output_price bigint,
  cache_read_price bigint,
  cache_write_price bigint,
  constraint price_is_remembered_once primary key (provider, model, valid),
  constraint one_price_holds_at_a_time
    exclude using gist (hashtextextended(model, hashtextextended(provider, 0::bigint)) with =, valid with &&),
  constraint price_held_for_some_time check (not isempty(valid))
);

alter table app_public.ai_model_price_history enable row level security;

create policy price_history_is_read_by_whoever_is_signed_in on app_public.ai_model_price_history
  for select to bursar_user
  using ((select app_hidden.is_signed_in()));

grant select on app_public.ai_model_price_history to bursar_user;

comment on table app_public.ai_model_price_history is
  E'@feature ai_bridge\n@behavior -insert -update -delete\nWhat each model cost when, in micros per million tokens. Written by the database whenever a price changes.';
comment on column app_public.ai_model_price_history.provider is 'Who serves the model.';
comment on column app_public.ai_model_price_history.model is 'The provider''s name for the model.';
comment on column app_public.ai_model_price_history.valid is
  'From when (inclusive) to when (exclusive) these prices held (UTC). The first ones hold for all the time before.';
comment on column app_public.ai_model_price_history.input_price is
  'Micros per million input tokens, or null when unknown.';
comment on column app_public.ai_model_price_history.output_price is
  'Micros per million output tokens, or null when unknown.';
comment on column app_public.ai_model_price_history.cache_read_price is
  'Micros per million tokens read from the cache, or null when unknown.';
comment on column app_public.ai_model_price_history.cache_write_price is
  'Micros per million tokens written to the cache, or null when unknown.';
comment on policy price_history_is_read_by_whoever_is_signed_in on app_public.ai_model_price_history is
  'As the prices themselves: every user reads all of it.';

-- app_public.ai_model_prices ----------------------------------------------------------------------

create table app_public.ai_model_prices (
  provider text not null,
  model text not null,
  input_price bigint,
  output_price bigint,
  cache_read_price bigint,
  cache_write_price bigint,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint model_is_listed_once primary key (provider, model),
  constraint cache_read_price_is_not_negative check (cache_read_price >= 0),
  constraint cache_write_price_is_not_negative check (cache_write_price >= 0),
  constraint input_price_is_not_negative check (input_price >= 0),
  constraint model_has_1_to_200_characters check (length(btrim(model)) >= 1 and length(btrim(model)) <= 200),
  constraint output_price_is_not_negative check (output_price >= 0),
  constraint provider_has_1_to_200_characters
    check (length(btrim(provider)) >= 1 and length(btrim(provider)) <= 200)
);

create index ai_model_prices_by_model on app_public.ai_model_prices (model);

alter table app_public.ai_model_prices enable row level security;

create policy price_is_added_by_owners on app_public.ai_model_prices
  for insert to bursar_user
  with check (
    case when (
      select app_hidden.is_site_owner()
    ) then true else app_hidden.refuse('ai_model_prices'::text) end
  );

create policy price_is_changed_by_owners on app_public.ai_model_prices
  for update to bursar_user
  using ((select app_hidden.is_site_owner()));

create policy price_is_deleted_by_owners on app_public.ai_model_prices
  for delete to bursar_user
  using ((select app_hidden.is_site_owner()));

create policy price_is_read_by_whoever_is_signed_in on app_public.ai_model_prices
  for select to bursar_user
  using ((select app_hidden.is_signed_in()));

grant select, delete on app_public.ai_model_prices to bursar_user;

grant
  insert (provider, model, input_price, output_price, cache_read_price, cache_write_price),
  update (input_price, output_price, cache_read_price, cache_write_price)
  on app_public.ai_model_prices to bursar_user;

create trigger keep_model_name after update on app_public.ai_model_prices
  for each row when (old.provider <> new.provider or old.model <> new.model)
  execute function app_private.keep_model_name();

create trigger keep_timestamps before update on app_public.ai_model_prices
  for each row execute function app_private.keep_timestamps();

create trigger remember_changed_prices after update on app_public.ai_model_prices
  referencing old table as old_prices new table as new_prices for each statement
  execute function app_private.remember_prices();

create trigger remember_new_prices after insert on app_public.ai_model_prices
  referencing new table as new_prices for each statement execute function app_private.remember_prices();

create trigger remember_removed_prices after delete on app_public.ai_model_prices
  referencing old table as old_prices for each statement execute function app_private.remember_prices();

create trigger require_present_rights before insert or delete or update on app_public.ai_model_prices
  for each statement execute function app_private.require_present_rights();

create trigger tell_when_nothing_is_changed after update on app_public.ai_model_prices
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger tell_when_nothing_is_deleted after delete on app_public.ai_model_prices
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger write_audit_trail_of_deletes after delete on app_public.ai_model_prices
  referencing old table as old_rows for each statement execute function app_private.audit('provider', 'model');

create trigger write_audit_trail_of_inserts after insert on app_public.ai_model_prices
  referencing new table as new_rows for each statement execute function app_private.audit('provider', 'model');

create trigger write_audit_trail_of_truncation after truncate on app_public.ai_model_prices
  for each statement execute function app_private.audit('provider', 'model');

create trigger write_audit_trail_of_updates after update on app_public.ai_model_prices
  referencing old table as old_rows new table as new_rows for each statement
  execute function app_private.audit('provider', 'model');

comment on table app_public.ai_model_prices is
  E'@feature ai_bridge\n@behavior -insert -update -delete\nWhat a model costs, in micros per million tokens. Null is unknown, 0 is free: never the same thing.';
comment on column app_public.ai_model_prices.provider is 'Who serves the model, such as `anthropic`.';
comment on column app_public.ai_model_prices.model is 'The provider''s name for the model.';
comment on column app_public.ai_model_prices.input_price is
  'Micros per million input tokens ($3 is 3000000), or null when unknown.';
comment on column app_public.ai_model_prices.output_price is
  'Micros per million output tokens, or null when unknown.';
comment on column app_public.ai_model_prices.cache_read_price is
  'Micros per million tokens read from the provider''s cache, or null when unknown.';
comment on column app_public.ai_model_prices.cache_write_price is
  'Micros per million tokens written to the provider''s cache, or null when unknown.';
comment on column app_public.ai_model_prices.created_at is 'When the model was first listed (UTC).';
comment on column app_public.ai_model_prices.updated_at is 'When its prices were last written (UTC).';
comment on policy price_is_added_by_owners on app_public.ai_model_prices is
  'The site role owner lists a model.';
comment on policy price_is_changed_by_owners on app_public.ai_model_prices is
  'The site role owner changes prices.';
comment on policy price_is_deleted_by_owners on app_public.ai_model_prices is
  'The site role owner takes a model off the list; its history stays.';
comment on policy price_is_read_by_whoever_is_signed_in on app_public.ai_model_prices is
  'Every user reads every price; who is not signed in reads none.';

create function app_public.ai_model_price(provider text, model text) returns setof app_public.ai_model_prices
language sql stable security invoker rows 1
set search_path to pg_catalog, pg_temp
as $$
  select * from app_public.ai_model_prices p
  where p.provider = ai_model_price.provider and p.model = ai_model_price.model
$$;

revoke all on function app_public.ai_model_price(text, text) from public;
grant execute on function app_public.ai_model_price(text, text) to bursar_user;
comment on function app_public.ai_model_price(text, text) is
  E'@feature ai_bridge\n@behavior -*\nThe prices of a model: one row, or none when it is not listed.';

create function app_public.upsert_ai_model_prices(seed jsonb) returns setof app_public.ai_model_prices
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  problem record;
begin
  -- Row-level security would let an empty array pass. Where it is not active, for the database's owner,
  -- there is nothing to ask.
  if row_security_active('app_public.ai_model_prices') and not app_hidden.is_site_owner() then
    raise exception using
      errcode = '42501',
      message = 'Prices are written by the site''s owners.',
      detail = app_hidden.speaker(),
      hint = app_hidden.right_hint(app_hidden.who_may_write('ai_model_prices'));
  end if;
  if seed is null or jsonb_typeof(seed) <> 'array' then
    raise exception using
      errcode = 'BU400',
      message = format('seed must be an array of prices, not %s.', coalesce(left(seed::text, 100), 'null')),
      column = 'seed';
  end if;
  select * into problem from app_hidden.price_seed_problem(seed);
  if problem.message is not null then
    raise exception using errcode = 'BU400', message = problem.message, column = problem.field;
  end if;

  return query
  insert into app_public.ai_model_prices
    (provider, model, input_price, output_price, cache_read_price, cache_write_price)
  select provider, model, input_price, output_price, cache_read_price, cache_write_price
  from jsonb_to_recordset(seed) as price (
    provider text, model text,
    input_price numeric, output_price numeric, cache_read_price numeric, cache_write_price numeric
  )
  -- One order of locks, so that two loads at once wait for each other instead of deadlocking.
  order by provider, model
  on conflict (provider, model) do update set
    input_price = excluded.input_price,
    output_price = excluded.output_price,
    cache_read_price = excluded.cache_read_price,
    cache_write_price = excluded.cache_write_price
  returning *;
end
$$;

revoke all on function app_public.upsert_ai_model_prices(jsonb) from public;
grant execute on function app_public.upsert_ai_model_prices(jsonb) to bursar_user;
comment on function app_public.upsert_ai_model_prices(jsonb) is
  E'@feature ai_bridge\n@resultFieldName aiModelPrices\n@param seed An array of {provider, model, input_price, output_price, cache_read_price, cache_write_price}: whole numbers of micros per million tokens, or null for unknown.\nWrites a list of prices, all or nothing: an array of {provider, model, input_price, output_price, cache_read_price, cache_write_price}, in micros per million tokens. A price that is missing or null becomes unknown, also over a known one. Models that the list does not name stay. Errors: BU400 names the element, 42501 for whoever is no owner.';

-- app_public.ai_spend_daily -----------------------------------------------------------------------

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
  cost_micros numeric(44,6) not null,
  overage_micros numeric(44,6) not null,
  unpriced_requests bigint not null,
  constraint spend_is_summed_up_once_a_day
    primary key (organization_id, day, group_id, user_id, provider, model)
);

create index ai_spend_daily_by_group on app_public.ai_spend_daily (organization_id, group_id, day);
create index ai_spend_daily_by_model on app_public.ai_spend_daily (organization_id, model, day);
create index ai_spend_daily_by_user on app_public.ai_spend_daily (organization_id, user_id, day);

alter table app_public.ai_spend_daily enable row level security;

create policy daily_spend_is_read_by_its_user_and_readers_of_the_organization on app_public.ai_spend_daily
  for select to bursar_user
  using (
    (organization_id = any ((array(select app_hidden.organizations_i_read()))))
    or user_id = ((select app_hidden.current_user_id()))
    and (organization_id = any ((array(select app_hidden.my_organizations()))))
    or organization_id >= ((select app_hidden.every_id_from()))
    and organization_id <= 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
  );

grant select on app_public.ai_spend_daily to bursar_user;

comment on table app_public.ai_spend_daily is
  E'@feature ai_bridge\n@behavior -insert -update -delete +aggregates +groupedAggregates\nThe ledger by day (UTC), group, user and model, written together with it. For totals.';
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
comment on column app_public.ai_spend_daily.overage_micros is
  'By how much costs exceeded their holds, in micros.';
comment on column app_public.ai_spend_daily.unpriced_requests is
  'Number of calls whose cost is not known yet.';
comment on policy daily_spend_is_read_by_its_user_and_readers_of_the_organization on app_public.ai_spend_daily is
  'Members read their own totals; the organization''s roles all of the organization; site roles everything.';

-- app_public.ai_usage_events ----------------------------------------------------------------------

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
  cost_micros numeric(44,6),
  overage_micros numeric(44,6),
  constraint event_stands_in_the_ledger_once primary key (organization_id, id, occurred_at),
  constraint cost_is_not_negative check (cost_micros >= 0::numeric),
  constraint overage_is_not_negative check (overage_micros >= 0::numeric),
  constraint tokens_are_between_0_and_1_trillion
    check (
      input_tokens >= 0
      and input_tokens <= '1000000000000'::bigint
      and output_tokens >= 0
      and output_tokens <= '1000000000000'::bigint
      and cache_read_tokens >= 0
      and cache_read_tokens <= '1000000000000'::bigint
      and cache_write_tokens >= 0
      and cache_write_tokens <= '1000000000000'::bigint
    )
) partition by range (occurred_at);

create index ai_usage_events_by_group on app_public.ai_usage_events (organization_id, group_id, occurred_at);
create index ai_usage_events_by_time on app_public.ai_usage_events (organization_id, occurred_at);
create index ai_usage_events_by_user on app_public.ai_usage_events (organization_id, user_id, occurred_at);

create index ai_usage_events_without_price on app_public.ai_usage_events (provider, model, organization_id)
  where cost_micros is null;

alter table app_public.ai_usage_events enable row level security;

create policy usage_is_read_by_its_user_and_readers_of_the_organization on app_public.ai_usage_events
  for select to bursar_user
  using (
    (organization_id = any ((array(select app_hidden.organizations_i_read()))))
    or user_id = ((select app_hidden.current_user_id()))
    and (organization_id = any ((array(select app_hidden.my_organizations()))))
    or organization_id >= ((select app_hidden.every_id_from()))
    and organization_id <= 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
  );

grant select on app_public.ai_usage_events to bursar_user;

comment on table app_public.ai_usage_events is
  E'@feature ai_bridge\n@behavior -insert -update -delete +aggregates +groupedAggregates\nThe ledger: one row for each call that was made, with the prices used and the exact cost. Members read their own rows.';
comment on column app_public.ai_usage_events.organization_id is 'The organization that pays.';
comment on column app_public.ai_usage_events.id is
  'The caller''s id of the event, or the request_id of a settled request.';
comment on column app_public.ai_usage_events.occurred_at is 'When the call was made (UTC).';
comment on column app_public.ai_usage_events.recorded_at is 'When it was booked (UTC).';
comment on column app_public.ai_usage_events.group_id is 'The group that is charged.';
comment on column app_public.ai_usage_events.user_id is 'Who made the call.';
comment on column app_public.ai_usage_events.provider is 'Who served the model.';
comment on column app_public.ai_usage_events.model is 'The model.';
comment on column app_public.ai_usage_events.input_tokens is
  'Input tokens that were neither read from nor written to the cache.';
comment on column app_public.ai_usage_events.output_tokens is 'Output tokens.';
comment on column app_public.ai_usage_events.cache_read_tokens is 'Tokens read from the provider''s cache.';
comment on column app_public.ai_usage_events.cache_write_tokens is 'Tokens written to the provider''s cache.';
comment on column app_public.ai_usage_events.input_price is 'The price used: micros per million input tokens.';
comment on column app_public.ai_usage_events.output_price is
  'The price used: micros per million output tokens.';
comment on column app_public.ai_usage_events.cache_read_price is
  'The price used: micros per million tokens read from the cache.';
comment on column app_public.ai_usage_events.cache_write_price is
  'The price used: micros per million tokens written to the cache.';
comment on column app_public.ai_usage_events.cost_micros is
  'Exact cost in micros, six decimals; null while unpriced, which is not 0.';
comment on column app_public.ai_usage_events.overage_micros is
  'By how much the cost exceeded the hold, in micros; null where there was none to exceed.';
comment on policy usage_is_read_by_its_user_and_readers_of_the_organization on app_public.ai_usage_events is
  'Members read their own calls; the organization''s roles all of the organization; site roles everything.';

create function app_private.add_to_counters(events app_public.ai_usage_events[]) returns void
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

create function app_private.counted_spend(events app_public.ai_usage_events[]) returns table (
  organization_id uuid,
  group_id uuid,
  user_id uuid,
  period_start timestamptz,
  period_end timestamptz,
  spent_micros numeric,
  overage_micros numeric
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

create function app_private.lock_pools_of(events app_public.ai_usage_events[]) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  perform app_private.lock_pools(array_agg(e.organization_id), array_agg(counts.group_id))
  from unnest(events) e cross join lateral (values (e.group_id), (e.organization_id)) as counts (group_id);
end
$$;

revoke all on function app_private.lock_pools_of(app_public.ai_usage_events[]) from public;
comment on function app_private.lock_pools_of(app_public.ai_usage_events[]) is
  'Waits for the pools on which these events are booked: their groups'' and Everyone''s.';

create function app_private.write_ledger(events app_public.ai_usage_events[]) returns void
language plpgsql volatile security definer
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
as $$
declare
  rule text;
begin
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

revoke all on function app_private.write_ledger(app_public.ai_usage_events[]) from public;
comment on function app_private.write_ledger(app_public.ai_usage_events[]) is
  'Writes new events, whose keys are taken, to the ledger and the daily totals. lock_pools_of() and add_to_counters() must follow.';

-- app_private.ai_usage_events_unplaced ------------------------------------------------------------

create table app_private.ai_usage_events_unplaced
  partition of app_public.ai_usage_events default;

alter table app_private.ai_usage_events_unplaced enable row level security;

comment on table app_private.ai_usage_events_unplaced is 'Ledger rows whose month has no partition yet.';

-- app_public.audit_events -------------------------------------------------------------------------

create table app_public.audit_events (
  id uuid not null default gen_random_uuid(),
  changed_at timestamptz not null,
  transaction_id bigint not null,
  actor_id uuid,
  actor_name text,
  login_role name not null,
  door app_public.audit_door not null,
  action app_public.audit_action not null,
  subject text not null,
  organization_id uuid,
  organization_name text,
  group_id uuid,
  group_name text,
  user_id uuid,
  user_name text,
  old_row jsonb,
  new_row jsonb,
  constraint audit_event_is_written_once primary key (id)
);

create index audit_events_by_actor on app_public.audit_events (actor_id, changed_at);
create index audit_events_by_group on app_public.audit_events (group_id, changed_at);
create index audit_events_by_organization on app_public.audit_events (organization_id, changed_at);
create index audit_events_by_subject on app_public.audit_events (subject, changed_at);
create index audit_events_by_time on app_public.audit_events (changed_at);
create index audit_events_by_user on app_public.audit_events (user_id, changed_at);

create index audit_events_of_groups on app_public.audit_events (group_id, changed_at)
  where subject = 'groups'::text;

create index audit_events_of_organizations on app_public.audit_events (organization_id, changed_at)
  where subject = 'organizations'::text;

create index audit_events_of_users on app_public.audit_events (user_id, changed_at)
  where subject = 'users'::text;

alter table app_public.audit_events enable row level security;

create policy audit_event_is_read_by_auditors_and_admins on app_public.audit_events
  for select to bursar_user
  using (
    (select app_hidden.audits_every_organization())
    or (organization_id = any ((array(select app_hidden.organizations_i_read()))))
    or (subject = any (array['ai_model_prices'::text, 'features'::text]))
    and (select (exists (select app_hidden.organizations_i_read())) as "exists")
  );

grant select on app_public.audit_events to bursar_user;

create trigger audit_events_come_from_changes before insert on app_public.audit_events
  for each statement execute function app_private.keep_audit_events();

create trigger audit_events_stay before delete or update or truncate on app_public.audit_events
  for each statement execute function app_private.keep_audit_events();

alter table app_public.audit_events enable always trigger audit_events_stay;

comment on table app_public.audit_events is
  E'@behavior -insert -update -delete\nThe audit trail: each row that was added, changed or deleted of budgets, prices, features, roles, members, groups, organizations and users. `what` and `change` say it in words; for psql the view audit_trail does.';
comment on column app_public.audit_events.id is 'Tells two events apart.';
comment on column app_public.audit_events.changed_at is
  'When (UTC), by the clock at the moment of the change.';
comment on column app_public.audit_events.transaction_id is 'What was changed together has the same number.';
comment on column app_public.audit_events.actor_id is
  'The user on whose behalf the session spoke; null for the database''s owner and others who are no user.';
comment on column app_public.audit_events.actor_name is 'Their username at the time.';
comment on column app_public.audit_events.login_role is
  'The login role of the session, which nobody can choose.';
comment on column app_public.audit_events.door is 'Through which door the change came.';
comment on column app_public.audit_events.action is 'What happened to the row.';
comment on column app_public.audit_events.subject is 'The table, such as `group_ai_budgets`.';
comment on column app_public.audit_events.organization_id is
  'The organization that it concerns; null for prices, features, users and site roles.';
comment on column app_public.audit_events.organization_name is 'Its name at the time.';
comment on column app_public.audit_events.group_id is 'The group that it concerns, if one.';
comment on column app_public.audit_events.group_name is 'Its name at the time.';
comment on column app_public.audit_events.user_id is
  'The user whom it concerns, if one: a member, the holder of a role, or the user themselves.';
comment on column app_public.audit_events.user_name is 'Their username at the time.';
comment on column app_public.audit_events.old_row is
  'What it was; null for what was added. Numbers are strings of digits, as everywhere in the API. Without email addresses.';
comment on column app_public.audit_events.new_row is 'What it became; null for what was deleted.';
comment on policy audit_event_is_read_by_auditors_and_admins on app_public.audit_events is
  'owner, user_admin and auditor read all; the roles of an organization what concerns it, and what became of prices and features, which they may read too.';

create function app_public.audit_events_change(event app_public.audit_events) returns text
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

create function app_public.audit_events_what(event app_public.audit_events) returns text
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

-- app_public.features -----------------------------------------------------------------------------

create table app_public.features (
  name text not null,
  entitlement app_public.feature_entitlement not null,
  enabled boolean not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint feature_is_named_once primary key (name),
  constraint feature_name_is_snake_case check (name ~ '^[a-z][a-z0-9_]{0,62}$'::text)
);

alter table app_public.features enable row level security;

create policy feature_is_read_by_whoever_is_signed_in on app_public.features
  for select to bursar_user
  using ((select app_hidden.is_signed_in()));

create policy feature_is_set_by_owners on app_public.features
  for update to bursar_user
  using ((select app_hidden.is_site_owner()));

grant select on app_public.features to bursar_user;
grant update (entitlement, enabled) on app_public.features to bursar_user;

create trigger announce_features after insert or delete or update or truncate on app_public.features
  for each statement execute function app_private.announce_features();

create trigger keep_timestamps before update on app_public.features
  for each row execute function app_private.keep_timestamps();

create trigger require_present_rights before insert or delete or update on app_public.features
  for each statement execute function app_private.require_present_rights();

create trigger tell_when_nothing_is_changed after update on app_public.features
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger tell_when_nothing_is_deleted after delete on app_public.features
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger write_audit_trail_of_deletes after delete on app_public.features
  referencing old table as old_rows for each statement execute function app_private.audit('name');

create trigger write_audit_trail_of_inserts after insert on app_public.features
  referencing new table as new_rows for each statement execute function app_private.audit('name');

create trigger write_audit_trail_of_truncation after truncate on app_public.features
  for each statement execute function app_private.audit('name');

create trigger write_audit_trail_of_updates after update on app_public.features
  referencing old table as old_rows new table as new_rows for each statement
  execute function app_private.audit('name');

comment on table app_public.features is
  E'@behavior -insert -update -delete\nA part of the product that can be switched. It is on when it is enabled and not `not_entitled`.';
comment on column app_public.features.name is 'What `@feature` in a comment names.';
comment on column app_public.features.entitlement is
  'Whether the licence covers it; grace_period does, with a warning.';
comment on column app_public.features.enabled is 'Whether the owner has switched it on.';
comment on column app_public.features.created_at is 'When the feature came (UTC).';
comment on column app_public.features.updated_at is 'When it was last set (UTC).';
comment on policy feature_is_read_by_whoever_is_signed_in on app_public.features is
  'Every user may know what is switched on.';
comment on policy feature_is_set_by_owners on app_public.features is 'The site role owner switches features.';

create function app_public.set_feature(
  name text,
  entitlement app_public.feature_entitlement default null::app_public.feature_entitlement,
  enabled boolean default null::boolean
) returns app_public.features
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  feature app_public.features;
begin
  if row_security_active('app_public.features') and not app_hidden.is_site_owner() then
    raise exception using
      errcode = '42501',
      message = 'Features are set by the site''s owners.',
      detail = app_hidden.speaker(),
      hint = app_hidden.right_hint(app_hidden.who_may_write('features'));
  end if;
  update app_public.features as f set
    entitlement = coalesce(set_feature.entitlement, f.entitlement),
    enabled = coalesce(set_feature.enabled, f.enabled)
  where f.name = set_feature.name
  returning * into feature;
  if not found then
    raise exception using
      errcode = 'BU404', message = format('There is no feature %s.', coalesce(quote_literal(set_feature.name), 'null'));
  end if;
  return feature;
end
$$;

revoke all on function app_public.set_feature(text, app_public.feature_entitlement, boolean) from public;
grant execute on function app_public.set_feature(text, app_public.feature_entitlement, boolean) to bursar_user;
comment on function app_public.set_feature(text, app_public.feature_entitlement, boolean) is
  E'@resultFieldName feature\nSets a feature''s entitlement, whether it is enabled, or both; what is left out stays. Errors: BU404 when there is no such feature, 42501 for whoever is no owner.';

-- app_public.organization_member_roles ------------------------------------------------------------

create table app_public.organization_member_roles (
  organization_id uuid not null,
  user_id uuid not null,
  role app_public.organization_role not null,
  created_at timestamptz not null default now(),
  constraint member_holds_an_organization_role_once primary key (organization_id, user_id, role)
);

create index organization_member_roles_by_user on app_public.organization_member_roles (user_id);

alter table app_public.organization_member_roles enable row level security;

create policy organization_role_is_given_by_admins on app_public.organization_member_roles
  for insert to bursar_user
  with check (
    case when (select app_hidden.manages_every_organization())
    or (
      organization_id = any (
        (
          array(
            select app_hidden.organizations_with_my_role(
              variadic array['organization_admin'::app_public.organization_role]
            ) as organizations_with_my_role
          )
        )
      )
    ) then true else app_hidden.refuse('organization_member_roles'::text) end
  );

create policy organization_role_is_read_by_its_holder_and_group_readers on app_public.organization_member_roles
  for select to bursar_user
  using (
    user_id = ((select app_hidden.current_user_id()))
    or (select app_hidden.reads_every_organization())
    or (organization_id = any ((array(select app_hidden.organizations_i_read()))))
  );

create policy organization_role_is_taken_by_admins on app_public.organization_member_roles
  for delete to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or (
      organization_id = any (
        (
          array(
            select app_hidden.organizations_with_my_role(
              variadic array['organization_admin'::app_public.organization_role]
            ) as organizations_with_my_role
          )
        )
      )
    )
  );

grant select, delete on app_public.organization_member_roles to bursar_user;
grant insert (organization_id, user_id, role) on app_public.organization_member_roles to bursar_user;

create trigger hold_right_to_give before insert on app_public.organization_member_roles
  for each row execute function app_private.hold_right_to_give();

create trigger require_present_rights before insert or delete or update on app_public.organization_member_roles
  for each statement
  execute function app_private.require_present_rights();

create trigger tell_when_nothing_is_changed after update on app_public.organization_member_roles
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger tell_when_nothing_is_deleted after delete on app_public.organization_member_roles
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger write_audit_trail_of_deletes after delete on app_public.organization_member_roles
  referencing old table as old_rows for each statement
  execute function app_private.audit('organization_id', 'user_id', 'role');

create trigger write_audit_trail_of_inserts after insert on app_public.organization_member_roles
  referencing new table as new_rows for each statement
  execute function app_private.audit('organization_id', 'user_id', 'role');

create trigger write_audit_trail_of_truncation after truncate on app_public.organization_member_roles
  for each statement execute function app_private.audit('organization_id', 'user_id', 'role');

create trigger write_audit_trail_of_updates after update on app_public.organization_member_roles
  referencing old table as old_rows new table as new_rows for each statement
  execute function app_private.audit('organization_id', 'user_id', 'role');

comment on table app_public.organization_member_roles is
  'What a member may do in their organization. A role that is taken away is gone at the next statement.';
comment on column app_public.organization_member_roles.organization_id is
  'The organization in which the role holds.';
comment on column app_public.organization_member_roles.user_id is 'The member who holds the role.';
comment on column app_public.organization_member_roles.role is 'Which role.';
comment on column app_public.organization_member_roles.created_at is 'When it was given (UTC).';
comment on policy organization_role_is_given_by_admins on app_public.organization_member_roles is
  'owner, user_admin and the organization''s organization_admin. An organization_user_admin hands out no roles.';
comment on policy organization_role_is_read_by_its_holder_and_group_readers on app_public.organization_member_roles is
  'Holders read their own roles; site roles and the organization''s roles read all of the organization.';
comment on policy organization_role_is_taken_by_admins on app_public.organization_member_roles is
  'owner, user_admin and the organization''s organization_admin.';

-- app_public.organizations ------------------------------------------------------------------------

create table app_public.organizations (
  id uuid not null default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  time_zone text not null default 'UTC'::text,
  unpriced_usage app_public.unpriced_usage_policy not null default 'refuse'::app_public.unpriced_usage_policy,
  hold_seconds integer not null default 600,
  constraint organization_id_is_taken_once primary key (id),
  constraint hold_seconds_is_between_1_second_and_1_day check (hold_seconds >= 1 and hold_seconds <= 86400),
  constraint organization_id_is_not_nil check (id <> '00000000-0000-0000-0000-000000000000'::uuid),
  constraint organization_name_has_1_to_200_characters
    check (length(btrim(name)) >= 1 and length(btrim(name)) <= 200),
  constraint organization_name_has_200_characters_at_most check (length(name) <= 200)
);

alter table app_public.organizations enable row level security;

create policy organization_is_closed_by_owners on app_public.organizations
  for delete to bursar_user
  using ((select app_hidden.is_site_owner()));

create policy organization_is_founded_by_owners on app_public.organizations
  for insert to bursar_user
  with check (
    case when (select app_hidden.is_site_owner()) then true else app_hidden.refuse('organizations'::text) end
  );

create policy organization_is_read_by_its_members_and_site_roles on app_public.organizations
  for select to bursar_user
  using (
    (id = any ((array(select app_hidden.my_organizations()))))
    or id >= ((select app_hidden.every_id_from())) and id <= 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
  );

create policy organization_is_renamed_by_owners_and_its_admins on app_public.organizations
  for update to bursar_user
  using (
    (select app_hidden.is_site_owner())
    or (
      id = any (
        (
          array(
            select app_hidden.organizations_with_my_role(
              variadic array['organization_admin'::app_public.organization_role]
            ) as organizations_with_my_role
          )
        )
      )
    )
  );

grant select, delete on app_public.organizations to bursar_user;

grant
  insert (id, name),
  update (name, time_zone, unpriced_usage, hold_seconds)
  on app_public.organizations to bursar_user;

create trigger check_time_zone before update on app_public.organizations
  for each row when (new.time_zone is distinct from old.time_zone)
  execute function app_private.check_time_zone();

create trigger check_time_zone_of_new_organizations before insert on app_public.organizations
  for each row when (new.time_zone <> 'UTC'::text) execute function app_private.check_time_zone();

create trigger follow_time_zones after update on app_public.organizations
  referencing old table as before new table as after for each statement
  execute function app_private.follow_time_zones();

create trigger found_everyone_group after insert on app_public.organizations
  for each row execute function app_private.found_everyone_group();

create trigger keep_timestamps before update on app_public.organizations
  for each row execute function app_private.keep_timestamps();

create trigger require_present_rights before insert or delete or update on app_public.organizations
  for each statement execute function app_private.require_present_rights();

create trigger tell_when_nothing_is_changed after update on app_public.organizations
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger tell_when_nothing_is_deleted after delete on app_public.organizations
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger write_audit_trail_of_deletes before delete on app_public.organizations
  for each row execute function app_private.audit_departure();

create trigger write_audit_trail_of_inserts after insert on app_public.organizations
  referencing new table as new_rows for each statement execute function app_private.audit('id');

create trigger write_audit_trail_of_truncation after truncate on app_public.organizations
  for each statement execute function app_private.audit('id');

create trigger write_audit_trail_of_updates after update on app_public.organizations
  referencing old table as old_rows new table as new_rows for each statement
  execute function app_private.audit('id');

comment on table app_public.organizations is
  'A tenant: groups of people who share a bill. Its Everyone group has the same id.';
comment on column app_public.organizations.id is 'Also the id of its Everyone group.';
comment on column app_public.organizations.name is '1 to 200 characters.';
comment on column app_public.organizations.created_at is 'When it was founded (UTC).';
comment on column app_public.organizations.updated_at is 'When it was last changed (UTC).';
comment on column app_public.organizations.time_zone is
  'IANA name of the time zone in which budget periods begin and end, such as `Europe/Berlin`. UTC unless set.';
comment on column app_public.organizations.unpriced_usage is
  'Whether a call to a model without a known price goes ahead where a budget applies: refuse unless set.';
comment on column app_public.organizations.hold_seconds is
  'After how many seconds a hold that nobody settles counts as nothing: 600 unless set, 86400 at most.';
comment on policy organization_is_closed_by_owners on app_public.organizations is
  'The site role owner closes organizations, with all that is in them but the ledger.';
comment on policy organization_is_founded_by_owners on app_public.organizations is
  'The site role owner founds organizations.';
comment on policy organization_is_read_by_its_members_and_site_roles on app_public.organizations is
  'Members read their own organizations, site roles read all.';
comment on policy organization_is_renamed_by_owners_and_its_admins on app_public.organizations is
  'owner, and the organization_admin of the organization: its name, time zone and how it treats unpriced usage.';

-- app_public.groups -------------------------------------------------------------------------------

create table app_public.groups (
  id uuid not null default gen_random_uuid(),
  organization_id uuid not null,
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint group_id_is_taken_once primary key (id),
  constraint group_name_is_taken_once_in_its_organization unique (organization_id, name),
  constraint group_stands_in_one_organization unique (organization_id, id),
  constraint group_id_is_not_nil check (id <> '00000000-0000-0000-0000-000000000000'::uuid),
  constraint group_name_has_1_to_200_characters check (length(btrim(name)) >= 1 and length(btrim(name)) <= 200),
  constraint group_name_has_200_characters_at_most check (length(name) <= 200),
  constraint group_belongs_to_an_organization
    foreign key (organization_id) references app_public.organizations (id) on delete cascade
);

alter table app_public.groups alter column organization_id set (n_distinct = -1);

alter table app_public.groups enable row level security;

create policy group_is_added_by_whoever_manages_the_organization on app_public.groups
  for insert to bursar_user
  with check (
    case when (select app_hidden.manages_every_organization())
    or (
      organization_id = any ((array(select app_hidden.organizations_i_manage())))
    ) then true else app_hidden.refuse('groups'::text) end
  );

create policy group_is_changed_by_whoever_manages_the_organization on app_public.groups
  for update to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or (organization_id = any ((array(select app_hidden.organizations_i_manage()))))
  );

create policy group_is_deleted_by_whoever_manages_the_organization on app_public.groups
  for delete to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or (organization_id = any ((array(select app_hidden.organizations_i_manage()))))
  );

create policy group_is_read_by_its_members_and_whoever_reads_the_organization on app_public.groups
  for select to bursar_user
  using (
    (id = any ((array(select app_hidden.my_groups()))))
    or (organization_id = any ((array(select app_hidden.organizations_i_read()))))
    or id >= ((select app_hidden.every_id_from())) and id <= 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
  );

grant select, delete on app_public.groups to bursar_user;
grant insert (id, organization_id, name), update (name) on app_public.groups to bursar_user;

create trigger forget_groups after delete on app_public.groups
  referencing old table as gone for each statement execute function app_private.forget_groups();

create trigger keep_everyone_group_from_deletion before delete on app_public.groups
  for each row execute function app_private.keep_everyone_group();

create trigger keep_everyone_group_from_renaming before update on app_public.groups
  for each row when (old.name is distinct from new.name or old.id <> new.id)
  execute function app_private.keep_everyone_group();

create trigger keep_timestamps before update on app_public.groups
  for each row execute function app_private.keep_timestamps();

create trigger open_pool after insert on app_public.groups
  for each row execute function app_private.open_pool();

create trigger require_present_rights before insert or delete or update on app_public.groups
  for each statement execute function app_private.require_present_rights();

create trigger tell_when_nothing_is_changed after update on app_public.groups
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger tell_when_nothing_is_deleted after delete on app_public.groups
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger write_audit_trail_of_deletes before delete on app_public.groups
  for each row execute function app_private.audit_departure();

create trigger write_audit_trail_of_inserts after insert on app_public.groups
  referencing new table as new_rows for each statement execute function app_private.audit('id');

create trigger write_audit_trail_of_truncation after truncate on app_public.groups
  for each statement execute function app_private.audit('id');

create trigger write_audit_trail_of_updates after update on app_public.groups
  referencing old table as old_rows new table as new_rows for each statement
  execute function app_private.audit('id');

comment on table app_public.groups is
  'People of one organization who share a budget. The group whose id equals the organization''s is Everyone.';
comment on column app_public.groups.id is 'Equal to organization_id for the Everyone group.';
comment on column app_public.groups.organization_id is 'The organization to which it belongs, for good.';
comment on column app_public.groups.name is 'Unique in its organization, 1 to 200 characters.';
comment on column app_public.groups.created_at is 'When it was added (UTC).';
comment on column app_public.groups.updated_at is 'When it was last changed (UTC).';
comment on constraint group_stands_in_one_organization on app_public.groups is '@behavior -*';
comment on constraint group_belongs_to_an_organization on app_public.groups is
  E'@foreignFieldName groups\nThe organization to which the group belongs.';
comment on policy group_is_added_by_whoever_manages_the_organization on app_public.groups is
  'owner, user_admin, and those who manage the organization.';
comment on policy group_is_changed_by_whoever_manages_the_organization on app_public.groups is
  'owner, user_admin, and those who manage the organization. The functions of budgets lock the group under this policy: it is the right to manage its budget too.';
comment on policy group_is_deleted_by_whoever_manages_the_organization on app_public.groups is
  'owner, user_admin, and those who manage the organization; Everyone goes with the organization alone.';
comment on policy group_is_read_by_its_members_and_whoever_reads_the_organization on app_public.groups is
  'Site roles, the organization''s roles, and the members of the group; each member of the organization for Everyone.';

-- app_public.group_ai_budgets ---------------------------------------------------------------------

create table app_public.group_ai_budgets (
  group_id uuid not null,
  spend_limit_micros bigint not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  applies_to app_public.budget_scope not null default 'group'::app_public.budget_scope,
  period app_public.budget_period not null default 'month'::app_public.budget_period,
  constraint group_has_one_budget primary key (group_id),
  constraint spend_limit_micros_is_between_0_and_1_billion_dollars
    check (spend_limit_micros >= 0 and spend_limit_micros <= '1000000000000000'::bigint),
  constraint budget_belongs_to_a_group
    foreign key (group_id) references app_public.groups (id) on delete cascade
);

alter table app_public.group_ai_budgets enable row level security;

create policy budget_is_changed_by_whoever_manages_the_organization on app_public.group_ai_budgets
  for update to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or (
      exists (
        select
        from app_public.groups g
        where g.id = group_ai_budgets.group_id
        and (g.organization_id = any ((array(select app_hidden.organizations_i_manage()))))
      )
    )
  );

create policy budget_is_deleted_by_whoever_manages_the_organization on app_public.group_ai_budgets
  for delete to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or (
      exists (
        select
        from app_public.groups g
        where g.id = group_ai_budgets.group_id
        and (g.organization_id = any ((array(select app_hidden.organizations_i_manage()))))
      )
    )
  );

create policy budget_is_read_by_whoever_reads_the_group on app_public.group_ai_budgets
  for select to bursar_user
  using ((exists (select from app_public.groups g where g.id = group_ai_budgets.group_id)));

create policy budget_is_set_by_whoever_manages_the_organization on app_public.group_ai_budgets
  for insert to bursar_user
  with check (
    case when (select app_hidden.manages_every_organization())
    or (
      exists (
        select
        from app_public.groups g
        where g.id = group_ai_budgets.group_id
        and (g.organization_id = any ((array(select app_hidden.organizations_i_manage()))))
      )
    ) then true else app_hidden.refuse('group_ai_budgets'::text) end
  );

grant select, delete on app_public.group_ai_budgets to bursar_user;

grant
  insert (group_id, spend_limit_micros, applies_to, period),
  update (spend_limit_micros, applies_to, period)
  on app_public.group_ai_budgets to bursar_user;

create trigger follow_changed_budgets after update on app_public.group_ai_budgets
  referencing old table as old_budgets new table as new_budgets for each statement
  execute function app_private.follow_budgets();

create trigger follow_new_budgets after insert on app_public.group_ai_budgets
  referencing new table as new_budgets for each statement execute function app_private.follow_budgets();

create trigger follow_removed_budgets after delete on app_public.group_ai_budgets
  referencing old table as old_budgets for each statement execute function app_private.follow_budgets();

create trigger keep_budget_with_its_group before update on app_public.group_ai_budgets
  for each row when (old.group_id <> new.group_id) execute function app_private.keep_budget_with_its_group();

create trigger keep_timestamps before update on app_public.group_ai_budgets
  for each row execute function app_private.keep_timestamps();

create trigger require_present_rights before insert or delete or update on app_public.group_ai_budgets
  for each statement execute function app_private.require_present_rights();

create trigger tell_when_nothing_is_changed after update on app_public.group_ai_budgets
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger tell_when_nothing_is_deleted after delete on app_public.group_ai_budgets
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger write_audit_trail_of_deletes after delete on app_public.group_ai_budgets
  referencing old table as old_rows for each statement execute function app_private.audit('group_id');

create trigger write_audit_trail_of_inserts after insert on app_public.group_ai_budgets
  referencing new table as new_rows for each statement execute function app_private.audit('group_id');

create trigger write_audit_trail_of_truncation after truncate on app_public.group_ai_budgets
  for each statement execute function app_private.audit('group_id');

create trigger write_audit_trail_of_updates after update on app_public.group_ai_budgets
  referencing old table as old_rows new table as new_rows for each statement
  execute function app_private.audit('group_id');

comment on table app_public.group_ai_budgets is
  E'@feature ai_bridge\n@behavior -insert -update -delete +aggregates\nWhat a group may spend on AI models. No row: no budget is enforced. A limit of 0: everything is blocked.';
comment on column app_public.group_ai_budgets.group_id is 'The group; at most one budget each.';
comment on column app_public.group_ai_budgets.spend_limit_micros is
  'Micros (millionths of a US dollar), 0 to 10^15 ($1 billion). 500000000 is $500.';
comment on column app_public.group_ai_budgets.created_at is 'When the group got its budget (UTC).';
comment on column app_public.group_ai_budgets.updated_at is 'When the budget was last set (UTC).';
comment on column app_public.group_ai_budgets.applies_to is
  'group: one pool for all. member: each member has that much.';
comment on column app_public.group_ai_budgets.period is
  'Over which time spend counts, in the time zone of the organization: month unless set.';
comment on constraint budget_belongs_to_a_group on app_public.group_ai_budgets is
  E'@fieldName group\n@foreignSingleFieldName groupAiBudget\nThe group.';
comment on policy budget_is_changed_by_whoever_manages_the_organization on app_public.group_ai_budgets is
  'Who may update a group changes its budget: owner, user_admin, and those who manage the group''s organization.';
comment on policy budget_is_deleted_by_whoever_manages_the_organization on app_public.group_ai_budgets is
  'Who may update a group takes its budget away: owner, user_admin, and those who manage the group''s organization.';
comment on policy budget_is_read_by_whoever_reads_the_group on app_public.group_ai_budgets is
  'Asks the read policy of groups: whoever sees the group sees its budget.';
comment on policy budget_is_set_by_whoever_manages_the_organization on app_public.group_ai_budgets is
  'Who may update a group gives it a budget: owner, user_admin, and those who manage the group''s organization.';

create function app_public.delete_group_ai_budget(group_id uuid) returns app_public.group_ai_budgets
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

create function app_public.group_ai_budget(group_id uuid) returns setof app_public.group_ai_budgets
language sql stable security invoker rows 1
set search_path to pg_catalog, pg_temp
as $$
  select * from app_public.group_ai_budgets b where b.group_id = group_ai_budget.group_id
$$;

revoke all on function app_public.group_ai_budget(uuid) from public;
grant execute on function app_public.group_ai_budget(uuid) to bursar_user;
comment on function app_public.group_ai_budget(uuid) is
  E'@feature ai_bridge\n@behavior -*\nThe budget of a group: one row, or none when the group has no budget or you can''t read it.';

create function app_public.set_group_ai_budget_terms(
  group_id uuid,
  applies_to app_public.budget_scope default null::app_public.budget_scope,
  period app_public.budget_period default null::app_public.budget_period
) returns app_public.group_ai_budgets
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

create function app_public.upsert_group_ai_budget(group_id uuid, spend_limit_micros bigint)
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

-- app_public.organization_members -----------------------------------------------------------------

create table app_public.organization_members (
  organization_id uuid not null,
  user_id uuid not null,
  created_at timestamptz not null default now(),
  constraint user_joins_an_organization_once primary key (organization_id, user_id),
  constraint member_belongs_to_an_organization
    foreign key (organization_id) references app_public.organizations (id) on delete cascade
);

create index organization_members_by_user on app_public.organization_members (user_id);

alter table app_public.organization_members enable row level security;

create policy organization_member_is_added_by_managers_of_the_organization on app_public.organization_members
  for insert to bursar_user
  with check (
    case when (select app_hidden.manages_every_organization())
    or (
      organization_id = any ((array(select app_hidden.organizations_i_manage())))
    ) then true else app_hidden.refuse('organization_members'::text) end
  );

create policy organization_member_is_read_by_fellow_members_and_site_roles on app_public.organization_members
  for select to bursar_user
  using (
    (organization_id = any ((array(select app_hidden.my_organizations()))))
    or organization_id >= ((select app_hidden.every_id_from()))
    and organization_id <= 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
  );

create policy organization_member_is_removed_by_managers_of_the_organization on app_public.organization_members
  for delete to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or (
      organization_id = any (
        (
          array(
            select app_hidden.organizations_with_my_role(
              variadic array['organization_admin'::app_public.organization_role]
            ) as organizations_with_my_role
          )
        )
      )
    )
    or (organization_id = any ((array(select app_hidden.organizations_i_manage()))))
    and not (
      exists (
        select
        from app_public.organization_member_roles r
        where r.organization_id = organization_members.organization_id
        and r.user_id = organization_members.user_id
      )
    )
  );

grant select, delete on app_public.organization_members to bursar_user;
grant insert (organization_id, user_id) on app_public.organization_members to bursar_user;

create trigger remember_members after delete on app_public.organization_members
  referencing old table as gone for each statement execute function app_private.remember_members();

create trigger require_present_rights before insert or delete or update on app_public.organization_members
  for each statement execute function app_private.require_present_rights();

create trigger tell_when_nothing_is_changed after update on app_public.organization_members
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger tell_when_nothing_is_deleted after delete on app_public.organization_members
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger wait_for_last_bookings after insert on app_public.organization_members
  referencing new table as come for each statement execute function app_private.wait_for_last_bookings();

create trigger write_audit_trail_of_deletes after delete on app_public.organization_members
  referencing old table as old_rows for each statement
  execute function app_private.audit('organization_id', 'user_id');

create trigger write_audit_trail_of_inserts after insert on app_public.organization_members
  referencing new table as new_rows for each statement
  execute function app_private.audit('organization_id', 'user_id');

create trigger write_audit_trail_of_truncation after truncate on app_public.organization_members
  for each statement execute function app_private.audit('organization_id', 'user_id');

create trigger write_audit_trail_of_updates after update on app_public.organization_members
  referencing old table as old_rows new table as new_rows for each statement
  execute function app_private.audit('organization_id', 'user_id');

comment on table app_public.organization_members is
  'Who belongs to an organization, and so to its Everyone group. Leaving it leaves its groups and roles.';
comment on column app_public.organization_members.organization_id is 'The organization.';
comment on column app_public.organization_members.user_id is 'The member.';
comment on column app_public.organization_members.created_at is 'When they joined (UTC).';
comment on constraint member_belongs_to_an_organization on app_public.organization_members is
  E'@foreignFieldName members\nThe organization.';
comment on policy organization_member_is_added_by_managers_of_the_organization on app_public.organization_members is
  'owner, user_admin, and those who manage the organization.';
comment on policy organization_member_is_read_by_fellow_members_and_site_roles on app_public.organization_members is
  'The members of an organization see each other, since each belongs to Everyone.';
comment on policy organization_member_is_removed_by_managers_of_the_organization on app_public.organization_members is
  'owner, user_admin and organization_admin; an organization_user_admin only members without a role, since leaving takes roles along.';

alter table app_public.organization_member_roles
  add constraint organization_role_belongs_to_a_member
    foreign key (organization_id, user_id)
      references app_public.organization_members (organization_id, user_id) on delete cascade;

comment on constraint organization_role_belongs_to_a_member on app_public.organization_member_roles is
  E'@fieldName member\n@foreignFieldName roles\nThe member who holds the role.';

-- app_public.group_members ------------------------------------------------------------------------

create table app_public.group_members (
  organization_id uuid not null,
  group_id uuid not null,
  user_id uuid not null,
  created_at timestamptz not null default now(),
  constraint user_joins_a_group_once primary key (group_id, user_id),
  constraint everyone_belongs_without_a_row check (group_id <> organization_id),
  constraint group_member_belongs_to_a_group
    foreign key (organization_id, group_id)
      references app_public.groups (organization_id, id) on delete cascade,
  constraint group_member_is_a_member_of_the_organization
    foreign key (organization_id, user_id)
      references app_public.organization_members (organization_id, user_id) on delete cascade
);

create index group_members_by_group on app_public.group_members (organization_id, group_id);
create index group_members_by_user on app_public.group_members (user_id, organization_id);

alter table app_public.group_members enable row level security;

create policy group_member_is_added_by_whoever_manages_the_organization on app_public.group_members
  for insert to bursar_user
  with check (
    case when (select app_hidden.manages_every_organization())
    or (
      organization_id = any ((array(select app_hidden.organizations_i_manage())))
    ) then true else app_hidden.refuse('group_members'::text) end
  );

create policy group_member_is_read_by_whoever_reads_the_group on app_public.group_members
  for select to bursar_user
  using (
    (group_id = any ((array(select app_hidden.my_groups()))))
    or (organization_id = any ((array(select app_hidden.organizations_i_read()))))
    or organization_id >= ((select app_hidden.every_id_from()))
    and organization_id <= 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
  );

create policy group_member_is_removed_by_whoever_manages_the_organization on app_public.group_members
  for delete to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or (organization_id = any ((array(select app_hidden.organizations_i_manage()))))
  );

grant select, delete on app_public.group_members to bursar_user;
grant insert (group_id, user_id) on app_public.group_members to bursar_user;

create trigger place_group_member before insert on app_public.group_members
  for each row execute function app_private.place_group_member();

create trigger remember_members after delete on app_public.group_members
  referencing old table as gone for each statement execute function app_private.remember_members();

create trigger require_present_rights before insert or delete or update on app_public.group_members
  for each statement execute function app_private.require_present_rights();

create trigger tell_when_nothing_is_changed after update on app_public.group_members
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger tell_when_nothing_is_deleted after delete on app_public.group_members
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger write_audit_trail_of_deletes after delete on app_public.group_members
  referencing old table as old_rows for each statement
  execute function app_private.audit('group_id', 'user_id');

create trigger write_audit_trail_of_inserts after insert on app_public.group_members
  referencing new table as new_rows for each statement
  execute function app_private.audit('group_id', 'user_id');

create trigger write_audit_trail_of_truncation after truncate on app_public.group_members
  for each statement execute function app_private.audit('group_id', 'user_id');

create trigger write_audit_trail_of_updates after update on app_public.group_members
  referencing old table as old_rows new table as new_rows for each statement
  execute function app_private.audit('group_id', 'user_id');

comment on table app_public.group_members is
  'Who belongs to a group. Everyone has no rows here: its members are the organization''s.';
comment on column app_public.group_members.organization_id is
  'The group''s organization, filled in by the database.';
comment on column app_public.group_members.group_id is 'The group; never Everyone.';
comment on column app_public.group_members.user_id is 'The member; a member of the organization first.';
comment on column app_public.group_members.created_at is 'When they joined (UTC).';
comment on constraint group_member_belongs_to_a_group on app_public.group_members is
  E'@fieldName group\n@foreignFieldName members\nThe group.';
comment on constraint group_member_is_a_member_of_the_organization on app_public.group_members is
  E'@fieldName organizationMember\n@foreignFieldName groupMemberships\nThe membership in the organization on which this one rests.';
comment on policy group_member_is_added_by_whoever_manages_the_organization on app_public.group_members is
  'owner, user_admin, and those who manage the group''s organization.';
comment on policy group_member_is_read_by_whoever_reads_the_group on app_public.group_members is
  'Site roles, the organization''s roles, and the members of the group themselves.';
comment on policy group_member_is_removed_by_whoever_manages_the_organization on app_public.group_members is
  'owner, user_admin, and those who manage the group''s organization.';

-- app_public.user_site_roles ----------------------------------------------------------------------

create table app_public.user_site_roles (
  user_id uuid not null,
  role app_public.site_role not null,
  created_at timestamptz not null default now(),
  constraint user_holds_a_site_role_once primary key (user_id, role)
);

alter table app_public.user_site_roles enable row level security;

create policy site_role_is_given_by_owners on app_public.user_site_roles
  for insert to bursar_user
  with check (
    case when (
      select app_hidden.is_site_owner()
    ) then true else app_hidden.refuse('user_site_roles'::text) end
  );

create policy site_role_is_read_by_its_holder_and_site_roles on app_public.user_site_roles
  for select to bursar_user
  using (user_id = ((select app_hidden.current_user_id())) or (select app_hidden.reads_every_organization()));

create policy site_role_is_taken_by_owners on app_public.user_site_roles
  for delete to bursar_user
  using ((select app_hidden.is_site_owner()));

grant select, delete on app_public.user_site_roles to bursar_user;
grant insert (user_id, role) on app_public.user_site_roles to bursar_user;

create trigger hold_right_to_give before insert on app_public.user_site_roles
  for each row execute function app_private.hold_right_to_give();

create trigger require_present_rights before insert or delete or update on app_public.user_site_roles
  for each statement execute function app_private.require_present_rights();

create trigger tell_when_nothing_is_changed after update on app_public.user_site_roles
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger tell_when_nothing_is_deleted after delete on app_public.user_site_roles
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger write_audit_trail_of_deletes after delete on app_public.user_site_roles
  referencing old table as old_rows for each statement execute function app_private.audit('user_id', 'role');

create trigger write_audit_trail_of_inserts after insert on app_public.user_site_roles
  referencing new table as new_rows for each statement execute function app_private.audit('user_id', 'role');

create trigger write_audit_trail_of_truncation after truncate on app_public.user_site_roles
  for each statement execute function app_private.audit('user_id', 'role');

create trigger write_audit_trail_of_updates after update on app_public.user_site_roles
  referencing old table as old_rows new table as new_rows for each statement
  execute function app_private.audit('user_id', 'role');

comment on table app_public.user_site_roles is
  'What a user may do on the whole site. A role that is taken away is gone at the next statement.';
comment on column app_public.user_site_roles.user_id is 'Who holds the role.';
comment on column app_public.user_site_roles.role is 'Which role.';
comment on column app_public.user_site_roles.created_at is 'When it was given (UTC).';
comment on policy site_role_is_given_by_owners on app_public.user_site_roles is
  'Only an owner makes somebody else one, or anything else of the site.';
comment on policy site_role_is_read_by_its_holder_and_site_roles on app_public.user_site_roles is
  'Holders read their own site roles, site roles read all.';
comment on policy site_role_is_taken_by_owners on app_public.user_site_roles is
  'The site role owner takes site roles away.';

-- app_public.users --------------------------------------------------------------------------------

create table app_public.users (
  id uuid not null default gen_random_uuid(),
  username text not null,
  email text,
  pg_role name,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint user_id_is_taken_once primary key (id),
  constraint pg_role_speaks_for_one_user unique (pg_role),
  constraint username_is_taken_once unique (username),
  constraint email_has_3_to_320_characters check (length(email) >= 3 and length(email) <= 320),
  constraint user_id_is_not_nil check (id <> '00000000-0000-0000-0000-000000000000'::uuid),
  constraint username_has_1_to_200_characters
    check (length(btrim(username)) >= 1 and length(btrim(username)) <= 200),
  constraint username_has_200_characters_at_most check (length(username) <= 200)
);

create unique index email_is_taken_once on app_public.users (lower(email));

alter table app_public.users enable row level security;

create policy user_is_added_by_owners_and_user_admins on app_public.users
  for insert to bursar_user
  with check (
    case when (
      select app_hidden.manages_every_organization()
    ) then true else app_hidden.refuse('users'::text) end
  );

create policy user_is_changed_by_owners_and_ordinary_ones_by_user_admins on app_public.users
  for update to bursar_user
  using (
    (select app_hidden.is_site_owner())
    or (select app_hidden.manages_every_organization())
    and not (exists (select from app_public.user_site_roles r where r.user_id = users.id))
  );

create policy user_is_deleted_by_owners_and_ordinary_ones_by_user_admins on app_public.users
  for delete to bursar_user
  using (
    (select app_hidden.is_site_owner())
    or (select app_hidden.manages_every_organization())
    and not (exists (select from app_public.user_site_roles r where r.user_id = users.id))
  );

create policy user_is_read_by_whoever_shares_an_organization on app_public.users
  for select to bursar_user
  using (
    id = ((select app_hidden.current_user_id()))
    or (select app_hidden.reads_every_organization())
    or (exists (select from app_public.organization_members m where m.user_id = users.id))
  );

grant select, delete on app_public.users to bursar_user;
grant insert (id, username, email), update (username, email) on app_public.users to bursar_user;

create trigger keep_timestamps before update on app_public.users
  for each row execute function app_private.keep_timestamps();

create trigger require_present_rights before insert or delete or update on app_public.users
  for each statement execute function app_private.require_present_rights();

create trigger tell_when_nothing_is_changed after update on app_public.users
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger tell_when_nothing_is_deleted after delete on app_public.users
  referencing old table as old_rows for each statement
  execute function app_private.tell_when_nothing_changes();

create trigger write_audit_trail_of_deletes before delete on app_public.users
  for each row execute function app_private.audit_departure();

create trigger write_audit_trail_of_inserts after insert on app_public.users
  referencing new table as new_rows for each statement execute function app_private.audit('id');

create trigger write_audit_trail_of_truncation after truncate on app_public.users
  for each statement execute function app_private.audit('id');

create trigger write_audit_trail_of_updates after update on app_public.users
  referencing old table as old_rows new table as new_rows for each statement
  execute function app_private.audit('id');

comment on table app_public.users is
  'A person, or a program such as a gateway, that can sign in. Read by themselves, by site roles and by members of the same organization.';
comment on column app_public.users.id is 'The `sub` of their tokens.';
comment on column app_public.users.username is 'Unique, 1 to 200 characters.';
comment on column app_public.users.email is 'Unique whatever its case; null for programs.';
comment on column app_public.users.pg_role is
  'The PostgreSQL login role that speaks for this user in psql, or null. Only the database''s owner sets it.';
comment on column app_public.users.created_at is 'When the user was added (UTC).';
comment on column app_public.users.updated_at is 'When the user was last changed (UTC).';
comment on constraint pg_role_speaks_for_one_user on app_public.users is '@behavior -*';
comment on policy user_is_added_by_owners_and_user_admins on app_public.users is
  'The site roles owner and user_admin add users.';
comment on policy user_is_changed_by_owners_and_ordinary_ones_by_user_admins on app_public.users is
  'owner all; user_admin only users without a site role, or changing one would be a way to become them.';
comment on policy user_is_deleted_by_owners_and_ordinary_ones_by_user_admins on app_public.users is
  'owner all; user_admin only users without a site role.';
comment on policy user_is_read_by_whoever_shares_an_organization on app_public.users is
  'Oneself, the members of one''s organizations, and everybody for site roles.';

alter table app_public.organization_members
  add constraint organization_member_is_a_user
    foreign key (user_id) references app_public.users (id) on delete cascade;

comment on constraint organization_member_is_a_user on app_public.organization_members is
  E'@foreignFieldName organizationMemberships\nThe member.';

alter table app_public.user_site_roles
  add constraint site_role_belongs_to_a_user
    foreign key (user_id) references app_public.users (id) on delete cascade;

comment on constraint site_role_belongs_to_a_user on app_public.user_site_roles is
  E'@foreignFieldName siteRoles\nThe user who holds the role.';

-- app_hidden.groups_i_read ------------------------------------------------------------------------

create view app_hidden.groups_i_read with (security_invoker = true) as
 select organization_id,
    id
   from app_public.groups g;

grant select on app_hidden.groups_i_read to bursar_user;

comment on view app_hidden.groups_i_read is 'The groups that the policies show to the current user.';
comment on column app_hidden.groups_i_read.organization_id is 'The group''s organization.';
comment on column app_hidden.groups_i_read.id is 'The group.';

-- app_private.ai_memberships ----------------------------------------------------------------------

create view app_private.ai_memberships with (security_invoker = true) as
 select organization_members.organization_id,
    organization_members.organization_id as group_id,
    organization_members.user_id,
    organization_members.created_at as since,
    'infinity'::timestamptz as until
   from app_public.organization_members
union all
 select group_members.organization_id,
    group_members.group_id,
    group_members.user_id,
    group_members.created_at as since,
    'infinity'::timestamptz as until
   from app_public.group_members
union all
 select past_memberships.organization_id,
    past_memberships.group_id,
    past_memberships.user_id,
    past_memberships.since,
    past_memberships.until
   from app_private.past_memberships;

comment on view app_private.ai_memberships is
  'Who belongs and belonged to which group, Everyone (group_id = organization_id) included. until is infinity for those who are there.';
comment on column app_private.ai_memberships.organization_id is 'The organization.';
comment on column app_private.ai_memberships.group_id is
  'The group; the organization''s id stands for Everyone.';
comment on column app_private.ai_memberships.user_id is 'Who belongs to it.';
comment on column app_private.ai_memberships.since is 'When they joined (UTC).';
comment on column app_private.ai_memberships.until is 'When they left (UTC), or infinity.';

-- app_private.ai_spend_terms ----------------------------------------------------------------------

create view app_private.ai_spend_terms as
 select g.organization_id,
    g.id as group_id,
    g.name as group_name,
    g.id = g.organization_id as is_everyone,
    b.spend_limit_micros as limit_micros,
    coalesce(b.applies_to, 'group'::app_public.budget_scope) as applies_to,
    coalesce(b.period, 'month'::app_public.budget_period) as period,
    o.time_zone,
    coalesce(s.counted_from, '-infinity'::timestamptz) as counted_from
   from app_public.groups g
     join app_public.organizations o on o.id = g.organization_id
     left join lateral (select b_1.group_id,
            b_1.spend_limit_micros,
            b_1.created_at,
            b_1.updated_at,
            b_1.applies_to,
            b_1.period
           from app_public.group_ai_budgets b_1
          where b_1.group_id = g.id
         offset 0) b on true
     left join lateral (select s_1.organization_id,
            s_1.group_id,
            s_1.counted_from
           from app_private.ai_spend_counting_starts s_1
          where s_1.organization_id = g.organization_id and s_1.group_id = g.id
         offset 0) s on true;

comment on view app_private.ai_spend_terms is
  'How the spend of each group counts; a group without a budget is counted as a pool by the month. Everyone counts the whole organization.';
comment on column app_private.ai_spend_terms.organization_id is 'The group''s organization.';
comment on column app_private.ai_spend_terms.group_id is 'The group.';
comment on column app_private.ai_spend_terms.group_name is 'Its name.';
comment on column app_private.ai_spend_terms.is_everyone is
  'Whether it is Everyone, whose budget is the organization''s ceiling.';
comment on column app_private.ai_spend_terms.limit_micros is
  'The limit of its budget in micros; null where it has none.';
comment on column app_private.ai_spend_terms.applies_to is 'Whether the limit is a pool or each member''s.';
comment on column app_private.ai_spend_terms.period is 'Over which time spend counts.';
comment on column app_private.ai_spend_terms.time_zone is 'Where the periods begin and end.';
comment on column app_private.ai_spend_terms.counted_from is
  'The beginning of the first period (UTC) that has counters.';

-- app_hidden.ai_budget_statuses -------------------------------------------------------------------

create view app_hidden.ai_budget_statuses with (security_barrier = true) as
 select t.group_id,
    t.limit_micros,
        case
            when t.limit_micros is not null then t.applies_to
            else null::app_public.budget_scope
        end as applies_to,
        case
            when t.limit_micros is not null then t.period
            else null::app_public.budget_period
        end as period,
    nullif(w.period_start, '-infinity'::timestamptz) as period_start,
    nullif(w.period_end, 'infinity'::timestamptz) as period_end,
    trim_scale(pool.spent_micros) as spent_micros,
    trim_scale(pool.held_micros) as held_micros,
    trim_scale(
        case
            when t.limit_micros is null then null::numeric
            when t.applies_to = 'group'::app_public.budget_scope then greatest(t.limit_micros::numeric - pool.spent_micros - pool.held_micros, 0::numeric)
            when t.group_id = any ((array(select app_hidden.my_groups()))) then greatest(t.limit_micros::numeric - mine.spent_micros - mine.held_micros, 0::numeric)
            else null::numeric
        end) as remaining_micros,
    trim_scale(pool.overage_micros) as overage_micros,
    trim_scale(mine.spent_micros) as my_spent_micros,
    trim_scale(mine.held_micros) as my_held_micros
   from app_hidden.groups_i_read g
     join app_private.ai_spend_terms t on t.organization_id = g.organization_id and t.group_id = g.id
     cross join lateral app_hidden.budget_window(t.period, greatest(statement_timestamp(), t.counted_from), t.time_zone) w(period_start, period_end)
     left join lateral (select c.spent_micros,
            c.overage_micros
           from app_private.ai_spend_counters c
          where c.organization_id = t.organization_id and c.group_id = t.group_id and c.user_id = app_private.pool() and c.period_start = w.period_start
         offset 0) counter on true
     left join lateral (select a.held_micros,
            a.swept_until
           from app_private.ai_spend_accounts a
          where a.organization_id = t.organization_id and a.group_id = t.group_id and a.user_id = app_private.pool()
         offset 0) account on true
     cross join lateral (select coalesce(sum(h.estimate_micros) filter (where h.expires_at > account.swept_until and h.expires_at <= statement_timestamp()), 0::numeric) as expired_micros,
            coalesce(sum(h.estimate_micros) filter (where h.expires_at > statement_timestamp() and h.user_id = ((select app_hidden.current_user_id()))), 0::numeric) as my_micros
           from (select r.user_id,
                    r.expires_at,
                    r.estimate_micros
                   from app_private.ai_spend_requests r
                  where not t.is_everyone and r.organization_id = t.organization_id and r.group_id = t.group_id and r.state = 'held'::app_private.spend_request_state and r.expires_at > least(account.swept_until, statement_timestamp())
                union all
                 select r.user_id,
                    r.expires_at,
                    r.estimate_micros
                   from app_private.ai_spend_requests r
                  where t.is_everyone and r.organization_id = t.organization_id and r.state = 'held'::app_private.spend_request_state and r.expires_at > least(account.swept_until, statement_timestamp())) h
         offset 0) holds
     cross join lateral (select coalesce(counter.spent_micros, 0::numeric) as spent_micros,
            coalesce(counter.overage_micros, 0::numeric) as overage_micros,
            coalesce(account.held_micros, 0::numeric) - holds.expired_micros as held_micros) pool
     cross join lateral (select (select coalesce((select sum(d.cost_micros) as sum
                           from app_public.ai_spend_daily d
                          where d.organization_id = t.organization_id and d.user_id = ((select app_hidden.current_user_id())) and (t.is_everyone or d.group_id = t.group_id) and d.day >= (days.first_day at time zone 'UTC'::text)::date and d.day < (days.last_day at time zone 'UTC'::text)::date), 0::numeric) +
                        case
                            when w.period_start < days.first_day then app_hidden.my_spend_between(t.organization_id, t.group_id, w.period_start, days.first_day)
                            else 0::numeric
                        end +
                        case
                            when days.last_day < w.period_end then app_hidden.my_spend_between(t.organization_id, t.group_id, days.last_day, w.period_end)
                            else 0::numeric
                        end
                   from app_hidden.whole_days(w.period_start, w.period_end) days(first_day, last_day)) as spent_micros,
            holds.my_micros as held_micros) mine;

grant select on app_hidden.ai_budget_statuses to bursar_user;

comment on view app_hidden.ai_budget_statuses is
  'What each group that the current user reads has spent of its budget, as of the beginning of the statement. Asked for the groups at hand, by group_id; the columns are those of the type ai_budget_status.';
comment on column app_hidden.ai_budget_statuses.group_id is 'The group.';
comment on column app_hidden.ai_budget_statuses.limit_micros is
  'Its limit, in micros. Null where there is no budget.';
comment on column app_hidden.ai_budget_statuses.applies_to is
  'For whom the limit counts. Null where there is no budget.';
comment on column app_hidden.ai_budget_statuses.period is
  'Over which time it counts. Null where there is no budget.';
comment on column app_hidden.ai_budget_statuses.period_start is
  'When the current period began (UTC), in it. Null for a lifetime.';
comment on column app_hidden.ai_budget_statuses.period_end is
  'When it ends (UTC), not in it. Null for a lifetime.';
comment on column app_hidden.ai_budget_statuses.spent_micros is
  'What the whole group has spent in it, in micros.';
comment on column app_hidden.ai_budget_statuses.held_micros is 'What open holds keep of the group, in micros.';
comment on column app_hidden.ai_budget_statuses.remaining_micros is
  'What is left, in micros: of the pool, or of what the caller has where each member has the limit. Null where there is no limit.';
comment on column app_hidden.ai_budget_statuses.overage_micros is
  'By how much costs exceeded their holds, in micros.';
comment on column app_hidden.ai_budget_statuses.my_spent_micros is
  'What the caller has spent in it, in micros.';
comment on column app_hidden.ai_budget_statuses.my_held_micros is
  'What the caller''s open holds keep, in micros.';

create function app_public.groups_ai_budget_status(g app_public.groups)
returns setof app_public.ai_budget_status
language sql stable security invoker rows 1
begin atomic
 select s.group_id,
     s.limit_micros,
     s.applies_to,
     s.period,
     s.period_start,
     s.period_end,
     s.spent_micros,
     s.held_micros,
     s.remaining_micros,
     s.overage_micros,
     s.my_spent_micros,
     s.my_held_micros
    from app_hidden.ai_budget_statuses s
   where (s.group_id = (groups_ai_budget_status.g).id)
  limit 1;
end;

revoke all on function app_public.groups_ai_budget_status(app_public.groups) from public;
grant execute on function app_public.groups_ai_budget_status(app_public.groups) to bursar_user;
comment on function app_public.groups_ai_budget_status(app_public.groups) is
  E'@feature ai_bridge\n@oneRow\nWhat the group has spent of its budget in the current period, in micros.';

-- app_public.ai_ledger_discrepancies --------------------------------------------------------------

create view app_public.ai_ledger_discrepancies with (security_invoker = true) as
 select kind,
    organization_id,
    what,
    kept_micros,
    ledger_micros
   from app_hidden.ledger_discrepancies() ledger_discrepancies(kind, organization_id, what, kept_micros, ledger_micros);

grant select on app_public.ai_ledger_discrepancies to bursar_user;

comment on view app_public.ai_ledger_discrepancies is
  E'@feature ai_bridge\n@behavior -*\nEvery counter, daily total, key, hold and settled request that differs from the ledger, which it adds up anew: empty, always. Of the organizations of which you may read all usage.';
comment on column app_public.ai_ledger_discrepancies.kind is
  'What differs: counter, daily, key, event, hold or request.';
comment on column app_public.ai_ledger_discrepancies.organization_id is 'The organization whose books differ.';
comment on column app_public.ai_ledger_discrepancies.what is 'Which one of them.';
comment on column app_public.ai_ledger_discrepancies.kept_micros is
  'What is written there, in micros; they can be equal where something else differs.';
comment on column app_public.ai_ledger_discrepancies.ledger_micros is 'What the ledger adds up to, in micros.';

-- app_public.audit_trail --------------------------------------------------------------------------

create view app_public.audit_trail with (security_invoker = true) as
 select changed_at,
    coalesce(actor_name, login_role::text || ' (no user)'::text) as who,
    door,
    login_role,
    organization_name as organization,
    app_public.audit_events_what(e.*) as what,
    app_public.audit_events_change(e.*) as change,
    subject,
    action,
    organization_id,
    group_id,
    user_id,
    actor_id,
    transaction_id,
    id
   from app_public.audit_events e;

grant select on app_public.audit_trail to bursar_user;

comment on view app_public.audit_trail is
  E'@behavior -*\nThe audit trail for people: who changed what, from what to what. In GraphQL it is auditEvents.';
comment on column app_public.audit_trail.changed_at is 'When (UTC).';
comment on column app_public.audit_trail.who is
  'The username of who did it at the time; for whoever is no user, their login role, and `(no user)`.';
comment on column app_public.audit_trail.door is 'graphql, rest, or sql.';
comment on column app_public.audit_trail.login_role is 'The login role of the session.';
comment on column app_public.audit_trail.organization is
  'The name of the organization that it concerns, at the time; null for what belongs to none.';
comment on column app_public.audit_trail.what is 'What was changed, such as `budget of group Marketing`.';
comment on column app_public.audit_trail.change is
  'From what to what, such as `limit $0.00 → $500.00`. Prices are per million tokens.';
comment on column app_public.audit_trail.subject is 'The table.';
comment on column app_public.audit_trail.action is 'insert, update, delete or truncate.';
comment on column app_public.audit_trail.organization_id is 'The organization that it concerns.';
comment on column app_public.audit_trail.group_id is 'The group that it concerns.';
comment on column app_public.audit_trail.user_id is 'The user whom it concerns.';
comment on column app_public.audit_trail.actor_id is 'The user who did it.';
comment on column app_public.audit_trail.transaction_id is 'What was changed together has the same number.';
comment on column app_public.audit_trail.id is 'The event.';

alter default privileges revoke all on functions from public;
