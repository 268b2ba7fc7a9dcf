--! Previous: sha1:ca94dcfe77d15cb43301c536c8062d35e8b2306a
--! Hash: sha1:849506f5c2a8a2126dbda20736864dadc8d068bd
--! Message: what whoever watches over servers asks the database

-- Write the next migration here.

--! Included operations.sql
-- What whoever watches over servers asks: is the database as new as the code, and what do holds and budgets come to?
-- Security definer, and for servers alone (see register_authenticator()): they answer for everybody's rows at once.

create or replace function app_hidden.newest_migration() returns text
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  return (select left(max(m.filename), 6) from graphile_migrate.migrations m);
end
$$;

revoke all on function app_hidden.newest_migration() from public;
-- no grant to bursar_user: only servers ask
comment on function app_hidden.newest_migration() is
  'The number of the newest migration that this database has run, such as 000006.';

create or replace function app_hidden.spend_gauges(
  out open_holds bigint, out held_micros numeric, out unpriced_events bigint,
  out budgets bigint, out budgets_over_80_percent bigint
)
language plpgsql stable security definer
set search_path to pg_catalog, pg_temp
set jit to off
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
-- no grant to bursar_user: only servers ask
comment on function app_hidden.spend_gauges() is
  'For metrics, over all organizations: open holds and what they keep in micros, usage events without a cost, budgets, and those of which more than 80 % is spent in their period, by the group or by a member where each has the limit.';
--! EndIncluded operations.sql
--! Included identity.sql
-- Who is speaking. Everything else asks app_hidden.current_user_id().

alter table app_private.authenticators enable row level security;
-- no policies, no grants: only the owner, through register_authenticator()

comment on table app_private.authenticators is
  'Login roles of Bursar servers in this database: the only ones that may say on whose behalf they speak.';
comment on column app_private.authenticators.role_name is 'The login role that AUTH_DATABASE_URL names.';
comment on column app_private.authenticators.created_at is 'When the role was registered (UTC).';

create or replace function app_hidden.current_user_id() returns uuid
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

create or replace function app_hidden.right_hint(hint text) returns text
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

-- Servers of before require_user() ask this one, while they are replaced one by one.
create or replace function app_hidden.user_exists(user_id uuid) returns boolean
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select exists (select from app_public.users where id = user_id)
$$;

revoke all on function app_hidden.user_exists(uuid) from public;
-- no grant to bursar_user: only servers ask
comment on function app_hidden.user_exists(uuid) is
  'Whether a token''s subject names a user, for servers that do not know require_user() yet.';

create or replace function app_hidden.require_user(user_id uuid) returns void
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
-- no grant to bursar_user: only servers ask, see register_authenticator()
comment on function app_hidden.require_user(uuid) is
  'Returns for a user that exists, and for null, which is nobody; BU401 for an id that names no user. The server asks it in the same write with each statement, and before it.';

create or replace function app_private.register_authenticator(role_name name) returns void
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
--! EndIncluded identity.sql

-- Servers that are registered already may ask the new questions too.
select app_private.register_authenticator(a.role_name)
from app_private.authenticators a
where exists (select from pg_catalog.pg_roles r where r.rolname = a.role_name);
