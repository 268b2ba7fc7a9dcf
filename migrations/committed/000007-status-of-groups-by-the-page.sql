--! Previous: sha1:849506f5c2a8a2126dbda20736864dadc8d068bd
--! Hash: sha1:d3fdfca2267af491ccadd421150c90debec421b4
--! Message: status of groups by the page

-- Write the next migration here.

--! Included gateway-rights.sql
-- Who may record usage and authorize spend, and what the functions for that have in common.

create or replace function app_hidden.records_usage() returns boolean
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

create or replace function app_private.require_gateway() returns void
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

create or replace function app_private.require_read_committed() returns void
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
  if length(value) > 200 or value !~ '[^[:space:]]' then
    raise exception using
      errcode = 'BU400',
      message = format('%s must have 1 to 200 characters, and not only space: %s.', name, quote_literal(left(value, 60))),
      column = name;
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

create or replace function app_private.pool() returns uuid
language plpgsql immutable security invoker parallel safe
set search_path to pg_catalog, pg_temp
as $$
begin
  return '00000000-0000-0000-0000-000000000000';
end
$$;

revoke all on function app_private.pool() from public;
-- It is a constant, which the view of budget statuses needs: functions in views are called with the caller's rights.
grant execute on function app_private.pool() to bursar_user;
comment on function app_private.pool() is
  'The user_id of accounts and counters that stand for a whole group: the nil UUID.';
--! EndIncluded gateway-rights.sql
--! Included budget-periods.sql
-- Over which time spend counts: calendar periods of a place, where days can have 23 or 25 hours.
--
-- Whatever works with a calendar sets the time zone: a session's own can be a rule of its making, `UTC-5`, in which
-- the name UTC is five hours off.

comment on type app_public.budget_period is
  'Calendar periods in the organization''s time zone, from midnight to midnight. day: 23, 24 or 25 hours. week: begins on Monday. month: a calendar month. quarter: begins in January, April, July and October. year: a calendar year. lifetime: never begins anew.';

create or replace function app_hidden.first_instant(local timestamp, time_zone text) returns timestamptz
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

create or replace function app_hidden.budget_window(
  period app_public.budget_period, at timestamptz, time_zone text,
  out period_start timestamptz, out period_end timestamptz
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

create or replace function app_hidden.whole_days(
  period_start timestamptz, period_end timestamptz, out first_day timestamptz, out last_day timestamptz
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
--! EndIncluded budget-periods.sql
--! Included spending-terms.sql
-- The terms of spending: for whom a budget counts, over which time, and what an organization says about it.

create or replace function app_private.check_time_zone() returns trigger
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

alter table app_private.ai_spend_counting_starts enable row level security;
-- no policies and no grants

comment on table app_private.ai_spend_counting_starts is
  'From when on a group''s spend is counted under its present terms. No row: it always has been.';
comment on column app_private.ai_spend_counting_starts.organization_id is 'The group''s organization.';
comment on column app_private.ai_spend_counting_starts.group_id is 'The group.';
comment on column app_private.ai_spend_counting_starts.counted_from is
  'The beginning of the first period (UTC) that has a counter; what was spent in earlier ones is added up from the ledger.';

-- With the rights of the owner, like the statuses that are made of it: nobody else is granted anything of it.
create or replace view app_private.ai_spend_terms as
  select g.organization_id, g.id as group_id, g.name as group_name, g.id = g.organization_id as is_everyone,
    b.spend_limit_micros as limit_micros,
    coalesce(b.applies_to, 'group') as applies_to, coalesce(b.period, 'month') as period, o.time_zone,
    coalesce(s.counted_from, '-infinity') as counted_from
  from app_public.groups g
    join app_public.organizations o on o.id = g.organization_id
    -- offset 0: a budget is looked up for each group that is asked for, and never all of them for a few.
    left join lateral (
      select b.* from app_public.group_ai_budgets b where b.group_id = g.id offset 0
    ) b on true
    left join lateral (
      select s.* from app_private.ai_spend_counting_starts s
      where s.organization_id = g.organization_id and s.group_id = g.id offset 0
    ) s on true;

comment on view app_private.ai_spend_terms is
  'How the spend of each group counts; a group without a budget is counted as a pool by the month. Everyone counts the whole organization.';
comment on column app_private.ai_spend_terms.organization_id is 'The group''s organization.';
comment on column app_private.ai_spend_terms.group_id is 'The group.';
comment on column app_private.ai_spend_terms.group_name is 'Its name.';
comment on column app_private.ai_spend_terms.is_everyone is 'Whether it is Everyone, whose budget is the organization''s ceiling.';
comment on column app_private.ai_spend_terms.limit_micros is 'The limit of its budget in micros; null where it has none.';
comment on column app_private.ai_spend_terms.applies_to is 'Whether the limit is a pool or each member''s.';
comment on column app_private.ai_spend_terms.period is 'Over which time spend counts.';
comment on column app_private.ai_spend_terms.time_zone is 'Where the periods begin and end.';
comment on column app_private.ai_spend_terms.counted_from is 'The beginning of the first period (UTC) that has counters.';
--! EndIncluded spending-terms.sql
--! Included budget-resolver.sql
-- Whose budget a call is charged to. This is the one resolver: authorizing, recording and explaining use it.

comment on type app_private.budget_standing is
  'Where a group, or a member of it (user_id is app_private.pool() for all), stands with a budget at one moment; amounts in micros.';

create or replace function app_private.organizations_of_call(
  user_id uuid, organization_id uuid, group_id uuid, at timestamptz,
  among uuid[] default null, or_last boolean default false
) returns uuid[]
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
-- Its generic plan is as good as any, and looks dearer to the planner than a new one each time.
set plan_cache_mode to force_generic_plan
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

create or replace function app_private.call_problem(
  user_id uuid, organization_id uuid, group_id uuid, organizations uuid[],
  out message text, out field text
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

-- For many callers in one statement: a call of a function for each costs several times as much as what it looks up.
create or replace function app_private.candidates_of_callers(callers app_private.usage_caller[])
returns table (
  caller bigint, candidate_id uuid, group_name text, is_everyone boolean,
  limit_micros bigint, applies_to app_public.budget_scope, period app_public.budget_period, rank bigint
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

create or replace function app_private.budget_candidates(
  user_id uuid, organization_id uuid, group_id uuid, at timestamptz
)
returns table (
  candidate_id uuid, group_name text, is_everyone boolean,
  limit_micros bigint, applies_to app_public.budget_scope, period app_public.budget_period, rank bigint
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

create or replace function app_private.charged_groups(callers app_private.usage_caller[]) returns uuid[]
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

create or replace function app_private.charged_group(
  user_id uuid, organization_id uuid, group_id uuid, at timestamptz
) returns uuid
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

create or replace function app_private.holds_ending(
  organization_id uuid, group_id uuid, user_id uuid, after timestamptz, until timestamptz
) returns numeric
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
set enable_seqscan to off
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

create or replace function app_private.budget_standings(
  organization_id uuid, groups uuid[], user_id uuid, at timestamptz, holds_at timestamptz
)
returns setof app_private.budget_standing
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
set enable_seqscan to off
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
--! EndIncluded budget-resolver.sql
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
--! Included spend-reading.sql
-- What was spent, and why a call would be charged where it would be.

comment on type app_public.ai_budget_status is
  'What a group has spent of its budget in the current period, in micros. spent and held are the group''s totals, my_spent and my_held the caller''s own. remaining is the pool''s, or the caller''s where each member has the limit; null where there is none. The period is null for a lifetime.';
comment on column app_public.ai_budget_status.group_id is E'@notNull\nThe group.';
comment on column app_public.ai_budget_status.limit_micros is 'Its limit, in micros. Null where there is no budget.';
comment on column app_public.ai_budget_status.applies_to is 'For whom the limit counts. Null where there is no budget.';
comment on column app_public.ai_budget_status.period is 'Over which time it counts. Null where there is no budget.';
comment on column app_public.ai_budget_status.period_start is 'When the current period began (UTC), in it. Null for a lifetime.';
comment on column app_public.ai_budget_status.period_end is 'When it ends (UTC), not in it. Null for a lifetime.';
comment on column app_public.ai_budget_status.spent_micros is 'What the whole group has spent in it, in micros.';
comment on column app_public.ai_budget_status.held_micros is 'What open holds keep of the group, in micros.';
comment on column app_public.ai_budget_status.remaining_micros is
  'What is left, in micros: of the pool, or of what the caller has where each member has the limit. Null where there is no limit.';
comment on column app_public.ai_budget_status.overage_micros is 'By how much costs exceeded their holds, in micros.';
comment on column app_public.ai_budget_status.my_spent_micros is 'What the caller has spent in it, in micros.';
comment on column app_public.ai_budget_status.my_held_micros is 'What the caller''s open holds keep, in micros.';

create or replace function app_hidden.reads_group(group_id uuid) returns boolean
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

--------------------------------------------------------------------------------
-- The status of groups: a view, so that a page of groups is planned and looked up as one
--------------------------------------------------------------------------------

-- The one part of the statuses that is read with the rights of the caller: the policies of groups say which there are.
create or replace view app_hidden.groups_i_read with (security_invoker = true) as
  select g.organization_id, g.id from app_public.groups g;

grant select on app_hidden.groups_i_read to bursar_user;
comment on view app_hidden.groups_i_read is 'The groups that the policies show to the current user.';
comment on column app_hidden.groups_i_read.organization_id is 'The group''s organization.';
comment on column app_hidden.groups_i_read.id is 'The group.';

create or replace function app_hidden.my_spend_between(organization_id uuid, group_id uuid, since timestamptz, until timestamptz)
returns numeric
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
set enable_seqscan to off
set plan_cache_mode to force_generic_plan
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

-- With the rights of the owner: a member sees the group's total, which is made of rows that they may not see.
create or replace view app_hidden.ai_budget_statuses with (security_barrier = true) as
  select
    t.group_id, t.limit_micros,
    case when t.limit_micros is not null then t.applies_to end as applies_to,
    case when t.limit_micros is not null then t.period end as period,
    nullif(w.period_start, '-infinity') as period_start, nullif(w.period_end, 'infinity') as period_end,
    trim_scale(pool.spent_micros) as spent_micros, trim_scale(pool.held_micros) as held_micros,
    trim_scale(case
      when t.limit_micros is null then null
      when t.applies_to = 'group' then greatest(t.limit_micros - pool.spent_micros - pool.held_micros, 0)
      when t.group_id = any (array(select app_hidden.my_groups()))
        then greatest(t.limit_micros - mine.spent_micros - mine.held_micros, 0)
    end) as remaining_micros,
    trim_scale(pool.overage_micros) as overage_micros,
    trim_scale(mine.spent_micros) as my_spent_micros, trim_scale(mine.held_micros) as my_held_micros
  from app_hidden.groups_i_read g
    join app_private.ai_spend_terms t on t.organization_id = g.organization_id and t.group_id = g.id
    -- Terms that have changed since the statement began count from their first period on.
    cross join lateral app_hidden.budget_window(t.period, greatest(statement_timestamp(), t.counted_from), t.time_zone) w
    -- offset 0: each is looked up for the one group.
    left join lateral (
      select c.spent_micros, c.overage_micros
      from app_private.ai_spend_counters c
      where c.organization_id = t.organization_id and c.group_id = t.group_id
        and c.user_id = app_private.pool() and c.period_start = w.period_start
      offset 0
    ) counter on true
    left join lateral (
      select a.held_micros, a.swept_until
      from app_private.ai_spend_accounts a
      where a.organization_id = t.organization_id and a.group_id = t.group_id and a.user_id = app_private.pool()
      offset 0
    ) account on true
    cross join lateral (
      select
        coalesce(sum(h.estimate_micros) filter (
          where h.expires_at > account.swept_until and h.expires_at <= statement_timestamp()
        ), 0) as expired_micros,
        coalesce(sum(h.estimate_micros) filter (
          where h.expires_at > statement_timestamp() and h.user_id = (select app_hidden.current_user_id())
        ), 0) as my_micros
      from (
          select r.user_id, r.expires_at, r.estimate_micros
          from app_private.ai_spend_requests r
          where not t.is_everyone
            and r.organization_id = t.organization_id and r.group_id = t.group_id and r.state = 'held'
            and r.expires_at > least(account.swept_until, statement_timestamp())
          union all
          select r.user_id, r.expires_at, r.estimate_micros
          from app_private.ai_spend_requests r
          where t.is_everyone
            and r.organization_id = t.organization_id and r.state = 'held'
            and r.expires_at > least(account.swept_until, statement_timestamp())
        ) h
      offset 0
    ) holds
    cross join lateral (
      select
        coalesce(counter.spent_micros, 0) as spent_micros, coalesce(counter.overage_micros, 0) as overage_micros,
        coalesce(account.held_micros, 0) - holds.expired_micros as held_micros
    ) pool
    -- Not offset 0: what the caller spent is added up only where it is asked for.
    cross join lateral (
      select
        (
          select
            coalesce((
              select sum(d.cost_micros)
              from app_public.ai_spend_daily d
              where d.organization_id = t.organization_id and d.user_id = (select app_hidden.current_user_id())
                and (t.is_everyone or d.group_id = t.group_id)
                and d.day >= (days.first_day at time zone 'UTC')::date and d.day < (days.last_day at time zone 'UTC')::date
            ), 0)
            + case when w.period_start < days.first_day
              then app_hidden.my_spend_between(t.organization_id, t.group_id, w.period_start, days.first_day) else 0 end
            + case when days.last_day < w.period_end
              then app_hidden.my_spend_between(t.organization_id, t.group_id, days.last_day, w.period_end) else 0 end
          from app_hidden.whole_days(w.period_start, w.period_end) days
        ) as spent_micros,
        holds.my_micros as held_micros
    ) mine;

grant select on app_hidden.ai_budget_statuses to bursar_user;
comment on view app_hidden.ai_budget_statuses is
  'What each group that the current user reads has spent of its budget, as of the beginning of the statement. Asked for the groups at hand, by group_id; the columns are those of the type ai_budget_status.';
comment on column app_hidden.ai_budget_statuses.group_id is 'The group.';
comment on column app_hidden.ai_budget_statuses.limit_micros is 'Its limit, in micros. Null where there is no budget.';
comment on column app_hidden.ai_budget_statuses.applies_to is 'For whom the limit counts. Null where there is no budget.';
comment on column app_hidden.ai_budget_statuses.period is 'Over which time it counts. Null where there is no budget.';
comment on column app_hidden.ai_budget_statuses.period_start is 'When the current period began (UTC), in it. Null for a lifetime.';
comment on column app_hidden.ai_budget_statuses.period_end is 'When it ends (UTC), not in it. Null for a lifetime.';
comment on column app_hidden.ai_budget_statuses.spent_micros is 'What the whole group has spent in it, in micros.';
comment on column app_hidden.ai_budget_statuses.held_micros is 'What open holds keep of the group, in micros.';
comment on column app_hidden.ai_budget_statuses.remaining_micros is 'What is left, in micros: of the pool, or of what the caller has where each member has the limit. Null where there is no limit.';
comment on column app_hidden.ai_budget_statuses.overage_micros is 'By how much costs exceeded their holds, in micros.';
comment on column app_hidden.ai_budget_statuses.my_spent_micros is 'What the caller has spent in it, in micros.';
comment on column app_hidden.ai_budget_statuses.my_held_micros is 'What the caller''s open holds keep, in micros.';

-- For one group: its plan is kept, where the other's is made with the query that it is put into.
create or replace function app_public.ai_budget_status(group_id uuid)
returns setof app_public.ai_budget_status
language plpgsql stable security invoker rows 1
set search_path to pg_catalog, pg_temp
set enable_seqscan to off
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

-- No `set search_path`: it is put into the query that calls it, and what it names was looked up when it was made.
-- limit 1: a status is looked up for each group that is asked for, never for all of them first.
drop function if exists app_public.groups_ai_budget_status(app_public.groups);
create function app_public.groups_ai_budget_status(g app_public.groups)
returns setof app_public.ai_budget_status
language sql stable security invoker rows 1
begin atomic
  select s.* from app_hidden.ai_budget_statuses s where s.group_id = g.id limit 1;
end;

revoke all on function app_public.groups_ai_budget_status(app_public.groups) from public;
grant execute on function app_public.groups_ai_budget_status(app_public.groups) to bursar_user;
comment on function app_public.groups_ai_budget_status(app_public.groups) is
  E'@feature ai_bridge\n@oneRow\nWhat the group has spent of its budget in the current period, in micros.';

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
--! EndIncluded spend-reading.sql
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

create or replace function app_private.last_audited_name(subject text, id uuid) returns text
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

-- The trail looks names up for all rows of a statement at once.
drop function if exists app_private.audited_name(text, uuid);
-- Of whoever is asking, the view of budget statuses tells it.
drop function if exists app_private.spend_of_member(uuid, uuid, uuid, timestamptz, timestamptz);
