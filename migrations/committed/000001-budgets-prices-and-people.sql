--! Previous: -
--! Hash: sha1:e819f4dbdb7be92674bd659f7621b545816ae79f
--! Message: budgets, prices and people

-- A database that already has one of these schemas belongs to something else: stop, and touch nothing.
create schema app_public;
create schema app_hidden;
create schema app_private;

comment on schema app_public is 'What the API shows: tables and functions under row-level security.';
comment on schema app_hidden is 'Helpers that policies call. They may be executed, but the API does not show them.';
comment on schema app_private is 'Out of reach for every API role.';

-- A function can be executed by whom a grant names, and by nobody else.
alter default privileges revoke execute on functions from public;

grant usage on schema app_public, app_hidden to bursar_user;
-- no usage on app_private

--------------------------------------------------------------------------------
-- Tables. Their policies, grants and comments stand in migrations/fixtures, one file a subject.
--------------------------------------------------------------------------------

create table app_private.authenticators (
  role_name name primary key,
  created_at timestamptz not null default now()
);

create table app_public.users (
  id uuid constraint user_id_is_taken_once primary key default gen_random_uuid(),
  username text not null,
  email text,
  pg_role name,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint username_is_taken_once unique (username),
  constraint pg_role_speaks_for_one_user unique (pg_role),
  constraint username_has_1_to_200_characters check (length(btrim(username)) between 1 and 200),
  constraint email_has_3_to_320_characters check (length(email) between 3 and 320)
);

create unique index email_is_taken_once on app_public.users (lower(email));

create type app_public.site_role as enum ('owner', 'user_admin', 'auditor', 'ai_gateway');

create table app_public.user_site_roles (
  user_id uuid not null,
  role app_public.site_role not null,
  created_at timestamptz not null default now(),
  constraint user_holds_a_site_role_once primary key (user_id, role),
  constraint site_role_belongs_to_a_user
    foreign key (user_id) references app_public.users on delete cascade
);

create table app_public.organizations (
  id uuid constraint organization_id_is_taken_once primary key default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint organization_name_has_1_to_200_characters check (length(btrim(name)) between 1 and 200)
);

create table app_public.organization_members (
  organization_id uuid not null,
  user_id uuid not null,
  created_at timestamptz not null default now(),
  constraint user_joins_an_organization_once primary key (organization_id, user_id),
  constraint member_belongs_to_an_organization
    foreign key (organization_id) references app_public.organizations on delete cascade,
  constraint organization_member_is_a_user
    foreign key (user_id) references app_public.users on delete cascade
);

create index organization_members_by_user on app_public.organization_members (user_id);

create type app_public.organization_role as enum (
  'organization_admin', 'organization_user_admin', 'organization_auditor'
);

create table app_public.organization_member_roles (
  organization_id uuid not null,
  user_id uuid not null,
  role app_public.organization_role not null,
  created_at timestamptz not null default now(),
  constraint member_holds_an_organization_role_once primary key (organization_id, user_id, role),
  constraint organization_role_belongs_to_a_member
    foreign key (organization_id, user_id) references app_public.organization_members on delete cascade
);

create index organization_member_roles_by_user on app_public.organization_member_roles (user_id);

create table app_public.groups (
  id uuid constraint group_id_is_taken_once primary key default gen_random_uuid(),
  organization_id uuid not null,
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- What composite foreign keys point at: a row that names both can't mix organizations.
  constraint group_stands_in_one_organization unique (organization_id, id),
  constraint group_name_is_taken_once_in_its_organization unique (organization_id, name),
  constraint group_name_has_1_to_200_characters check (length(btrim(name)) between 1 and 200),
  constraint group_belongs_to_an_organization
    foreign key (organization_id) references app_public.organizations on delete cascade
);

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

create table app_public.group_ai_budgets (
  group_id uuid constraint group_has_one_budget primary key,
  spend_limit_micros bigint not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint spend_limit_micros_is_between_0_and_1_billion_dollars
    check (spend_limit_micros between 0 and 1000000000000000),
  constraint budget_belongs_to_a_group
    foreign key (group_id) references app_public.groups on delete cascade
);

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
  constraint provider_has_1_to_200_characters check (length(btrim(provider)) between 1 and 200),
  constraint model_has_1_to_200_characters check (length(btrim(model)) between 1 and 200),
  constraint input_price_is_not_negative check (input_price >= 0),
  constraint output_price_is_not_negative check (output_price >= 0),
  constraint cache_read_price_is_not_negative check (cache_read_price >= 0),
  constraint cache_write_price_is_not_negative check (cache_write_price >= 0)
);

create index ai_model_prices_by_model on app_public.ai_model_prices (model);

create type app_public.feature_entitlement as enum ('entitled', 'grace_period', 'not_entitled');

create table app_public.features (
  name text constraint feature_is_named_once primary key,
  entitlement app_public.feature_entitlement not null,
  enabled boolean not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint feature_name_is_snake_case check (name ~ '^[a-z][a-z0-9_]{0,62}$')
);

--------------------------------------------------------------------------------
-- Functions, policies, grants and comments
--------------------------------------------------------------------------------

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

create or replace function app_hidden.user_exists(user_id uuid) returns boolean
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select exists (select from app_public.users where id = user_id)
$$;

revoke all on function app_hidden.user_exists(uuid) from public;
-- no grant to bursar_user: only servers ask, see register_authenticator()
comment on function app_hidden.user_exists(uuid) is
  'Whether a token''s subject names a user. The server asks it for each request, before anything else.';

create or replace function app_private.register_authenticator(role_name name) returns void
language plpgsql volatile security invoker
set search_path to pg_catalog, pg_temp
as $$
begin
  insert into app_private.authenticators (role_name)
  values (register_authenticator.role_name)
  on conflict do nothing;
  -- Enough to check a token's subject and to watch the features; all else goes through bursar_user.
  execute format('grant usage on schema app_hidden to %I', role_name);
  execute format('grant execute on function app_hidden.user_exists(uuid) to %I', role_name);
  execute format('grant execute on function app_hidden.feature_states() to %I', role_name);
end
$$;

revoke all on function app_private.register_authenticator(name) from public;
comment on function app_private.register_authenticator(name) is
  'Lets a login role speak on behalf of users in this database. Called by the owner, in `bursar migrate`.';
--! EndIncluded identity.sql
--! Included rights.sql
-- What roles allow, each right in one place. Policies call these as `(select …)` or `in (select …)`,
-- so that each runs once a statement and never once a row.
--
-- They are security definer because they read the tables that the policies guard.

create or replace function app_hidden.is_signed_in() returns boolean
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select app_hidden.current_user_id() is not null
$$;

revoke all on function app_hidden.is_signed_in() from public;
grant execute on function app_hidden.is_signed_in() to bursar_user;
comment on function app_hidden.is_signed_in() is 'Whether the session speaks for a user.';

create or replace function app_hidden.has_site_role(variadic roles app_public.site_role[]) returns boolean
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select exists (
    select from app_public.user_site_roles
    where user_id = app_hidden.current_user_id() and role = any (roles)
  )
$$;

revoke all on function app_hidden.has_site_role(app_public.site_role[]) from public;
grant execute on function app_hidden.has_site_role(app_public.site_role[]) to bursar_user;
comment on function app_hidden.has_site_role(app_public.site_role[]) is
  'Whether the current user holds one of these site roles.';

create or replace function app_hidden.is_site_owner() returns boolean
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select app_hidden.has_site_role('owner')
$$;

revoke all on function app_hidden.is_site_owner() from public;
grant execute on function app_hidden.is_site_owner() to bursar_user;
comment on function app_hidden.is_site_owner() is
  'Whether the current user may write prices, features, organizations and site roles.';

create or replace function app_hidden.reads_every_organization() returns boolean
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select app_hidden.has_site_role('owner', 'user_admin', 'auditor', 'ai_gateway')
$$;

revoke all on function app_hidden.reads_every_organization() from public;
grant execute on function app_hidden.reads_every_organization() to bursar_user;
comment on function app_hidden.reads_every_organization() is
  'Whether a site role lets the current user read groups, members and budgets of every organization.';

create or replace function app_hidden.manages_every_organization() returns boolean
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select app_hidden.has_site_role('owner', 'user_admin')
$$;

revoke all on function app_hidden.manages_every_organization() from public;
grant execute on function app_hidden.manages_every_organization() to bursar_user;
comment on function app_hidden.manages_every_organization() is
  'Whether a site role lets the current user write groups, members and budgets of every organization.';

create or replace function app_hidden.organizations_with_my_role(variadic roles app_public.organization_role[])
returns setof uuid
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select distinct organization_id from app_public.organization_member_roles
  where user_id = app_hidden.current_user_id() and role = any (roles)
$$;

revoke all on function app_hidden.organizations_with_my_role(app_public.organization_role[]) from public;
grant execute on function app_hidden.organizations_with_my_role(app_public.organization_role[]) to bursar_user;
comment on function app_hidden.organizations_with_my_role(app_public.organization_role[]) is
  'The organizations in which the current user holds one of these roles.';

create or replace function app_hidden.organizations_i_read() returns setof uuid
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select app_hidden.organizations_with_my_role(
    'organization_admin', 'organization_user_admin', 'organization_auditor'
  )
$$;

revoke all on function app_hidden.organizations_i_read() from public;
grant execute on function app_hidden.organizations_i_read() to bursar_user;
comment on function app_hidden.organizations_i_read() is
  'The organizations whose groups, members and budgets an organization role lets the current user read.';

create or replace function app_hidden.organizations_i_manage() returns setof uuid
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select app_hidden.organizations_with_my_role('organization_admin', 'organization_user_admin')
$$;

revoke all on function app_hidden.organizations_i_manage() from public;
grant execute on function app_hidden.organizations_i_manage() to bursar_user;
comment on function app_hidden.organizations_i_manage() is
  'The organizations whose groups, members and budgets an organization role lets the current user write.';

create or replace function app_hidden.my_organizations() returns setof uuid
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select organization_id from app_public.organization_members
  where user_id = app_hidden.current_user_id()
$$;

revoke all on function app_hidden.my_organizations() from public;
grant execute on function app_hidden.my_organizations() to bursar_user;
comment on function app_hidden.my_organizations() is 'The organizations of which the current user is a member.';

create or replace function app_hidden.my_groups() returns setof uuid
language sql stable security definer parallel safe
set search_path to pg_catalog, pg_temp
as $$
  select group_id from app_public.group_members where user_id = app_hidden.current_user_id()
  union all
  -- Everyone: the group whose id is the organization's.
  select app_hidden.my_organizations()
$$;

revoke all on function app_hidden.my_groups() from public;
grant execute on function app_hidden.my_groups() to bursar_user;
comment on function app_hidden.my_groups() is
  'The groups to which the current user belongs, the Everyone group of each of their organizations included.';
--! EndIncluded rights.sql
--! Included timestamps.sql
-- created_at stays and updated_at follows, whoever writes and through whichever door.

create or replace function app_private.keep_timestamps() returns trigger
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

create or replace trigger keep_timestamps before update on app_public.users
  for each row execute function app_private.keep_timestamps();
create or replace trigger keep_timestamps before update on app_public.organizations
  for each row execute function app_private.keep_timestamps();
create or replace trigger keep_timestamps before update on app_public.groups
  for each row execute function app_private.keep_timestamps();
create or replace trigger keep_timestamps before update on app_public.group_ai_budgets
  for each row execute function app_private.keep_timestamps();
create or replace trigger keep_timestamps before update on app_public.ai_model_prices
  for each row execute function app_private.keep_timestamps();
create or replace trigger keep_timestamps before update on app_public.features
  for each row execute function app_private.keep_timestamps();
--! EndIncluded timestamps.sql
--! Included users.sql
-- People, and what they may do on the whole site.

alter table app_public.users enable row level security;

drop policy if exists user_is_read_by_whoever_shares_an_organization on app_public.users;
create policy user_is_read_by_whoever_shares_an_organization on app_public.users
  for select to bursar_user
  using (
    id = (select app_hidden.current_user_id())
    or (select app_hidden.reads_every_organization())
    -- under the policies of organization_members: whom I see there, I see here
    or exists (select from app_public.organization_members m where m.user_id = users.id)
  );

drop policy if exists user_is_added_by_owners_and_user_admins on app_public.users;
create policy user_is_added_by_owners_and_user_admins on app_public.users
  for insert to bursar_user
  with check ((select app_hidden.manages_every_organization()));

-- A user_admin can't touch whoever holds a site role: that would be a way to become one of them.
drop policy if exists user_is_changed_by_owners_and_ordinary_ones_by_user_admins on app_public.users;
create policy user_is_changed_by_owners_and_ordinary_ones_by_user_admins on app_public.users
  for update to bursar_user
  using (
    (select app_hidden.is_site_owner())
    or (
      (select app_hidden.manages_every_organization())
      and not exists (select from app_public.user_site_roles r where r.user_id = users.id)
    )
  );

drop policy if exists user_is_deleted_by_owners_and_ordinary_ones_by_user_admins on app_public.users;
create policy user_is_deleted_by_owners_and_ordinary_ones_by_user_admins on app_public.users
  for delete to bursar_user
  using (
    (select app_hidden.is_site_owner())
    or (
      (select app_hidden.manages_every_organization())
      and not exists (select from app_public.user_site_roles r where r.user_id = users.id)
    )
  );

grant select, delete on app_public.users to bursar_user;
grant insert (id, username, email), update (username, email) on app_public.users to bursar_user;
-- no writing of pg_role: whoever could set it could speak as anybody with their own login role

comment on table app_public.users is
  'A person, or a program such as a gateway, that can sign in. Read by themselves, by site roles and by members of the same organization.';
comment on column app_public.users.id is 'The `sub` of their tokens.';
comment on column app_public.users.username is 'Unique, 1 to 200 characters.';
comment on column app_public.users.email is 'Unique whatever its case; null for programs.';
comment on column app_public.users.pg_role is
  'The PostgreSQL login role that speaks for this user in psql, or null. Only the database''s owner sets it.';
comment on constraint pg_role_speaks_for_one_user on app_public.users is E'@behavior -*';
comment on column app_public.users.created_at is 'When the user was added (UTC).';
comment on column app_public.users.updated_at is 'When the user was last changed (UTC).';

--------------------------------------------------------------------------------

alter table app_public.user_site_roles enable row level security;

drop policy if exists site_role_is_read_by_its_holder_and_site_roles on app_public.user_site_roles;
create policy site_role_is_read_by_its_holder_and_site_roles on app_public.user_site_roles
  for select to bursar_user
  using (
    user_id = (select app_hidden.current_user_id())
    or (select app_hidden.reads_every_organization())
  );

drop policy if exists site_role_is_given_by_owners on app_public.user_site_roles;
create policy site_role_is_given_by_owners on app_public.user_site_roles
  for insert to bursar_user
  with check ((select app_hidden.is_site_owner()));

drop policy if exists site_role_is_taken_by_owners on app_public.user_site_roles;
create policy site_role_is_taken_by_owners on app_public.user_site_roles
  for delete to bursar_user
  using ((select app_hidden.is_site_owner()));

grant select, delete on app_public.user_site_roles to bursar_user;
grant insert (user_id, role) on app_public.user_site_roles to bursar_user;
-- no update: a role is given or taken

comment on table app_public.user_site_roles is
  'What a user may do on the whole site. A role that is taken away is gone at the next statement.';
comment on column app_public.user_site_roles.user_id is 'Who holds the role.';
comment on column app_public.user_site_roles.role is 'Which role.';
comment on column app_public.user_site_roles.created_at is 'When it was given (UTC).';
comment on type app_public.site_role is
  'owner: everything. user_admin: groups, members and budgets of every organization. auditor: reads everything. ai_gateway: reads everything, records usage and authorizes spend.';
comment on constraint site_role_belongs_to_a_user on app_public.user_site_roles is
  E'@foreignFieldName siteRoles\nThe user who holds the role.';
--! EndIncluded users.sql
--! Included organizations.sql
-- Organizations, their members, and what members may do in them.

alter table app_public.organizations enable row level security;

drop policy if exists organization_is_read_by_its_members_and_site_roles on app_public.organizations;
create policy organization_is_read_by_its_members_and_site_roles on app_public.organizations
  for select to bursar_user
  using (
    (select app_hidden.reads_every_organization())
    or id in (select app_hidden.my_organizations())
  );

drop policy if exists organization_is_founded_by_owners on app_public.organizations;
create policy organization_is_founded_by_owners on app_public.organizations
  for insert to bursar_user
  with check ((select app_hidden.is_site_owner()));

drop policy if exists organization_is_renamed_by_owners_and_its_admins on app_public.organizations;
create policy organization_is_renamed_by_owners_and_its_admins on app_public.organizations
  for update to bursar_user
  using (
    (select app_hidden.is_site_owner())
    or id in (select app_hidden.organizations_with_my_role('organization_admin'))
  );

drop policy if exists organization_is_closed_by_owners on app_public.organizations;
create policy organization_is_closed_by_owners on app_public.organizations
  for delete to bursar_user
  using ((select app_hidden.is_site_owner()));

grant select, delete on app_public.organizations to bursar_user;
grant insert (id, name), update (name) on app_public.organizations to bursar_user;

comment on table app_public.organizations is
  'A tenant: groups of people who share a bill. Its Everyone group has the same id.';
comment on column app_public.organizations.id is 'Also the id of its Everyone group.';
comment on column app_public.organizations.name is '1 to 200 characters.';
comment on column app_public.organizations.created_at is 'When it was founded (UTC).';
comment on column app_public.organizations.updated_at is 'When it was last changed (UTC).';

-- Security definer: whoever founds an organization can't write groups of an organization that they do
-- not manage, and Everyone must exist all the same.
create or replace function app_private.found_everyone_group() returns trigger
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

create or replace trigger found_everyone_group after insert on app_public.organizations
  for each row execute function app_private.found_everyone_group();

--------------------------------------------------------------------------------

alter table app_public.organization_members enable row level security;

-- Every member belongs to Everyone, and the members of a group see each other.
drop policy if exists organization_member_is_read_by_fellow_members_and_site_roles on app_public.organization_members;
create policy organization_member_is_read_by_fellow_members_and_site_roles on app_public.organization_members
  for select to bursar_user
  using (
    (select app_hidden.reads_every_organization())
    or organization_id in (select app_hidden.my_organizations())
  );

drop policy if exists organization_member_is_added_by_managers_of_the_organization on app_public.organization_members;
create policy organization_member_is_added_by_managers_of_the_organization on app_public.organization_members
  for insert to bursar_user
  with check (
    (select app_hidden.manages_every_organization())
    or organization_id in (select app_hidden.organizations_i_manage())
  );

drop policy if exists organization_member_is_removed_by_managers_of_the_organization on app_public.organization_members;
-- Leaving takes roles along: who holds one is removed by those who may take it.
create policy organization_member_is_removed_by_managers_of_the_organization on app_public.organization_members
  for delete to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or organization_id in (select app_hidden.organizations_with_my_role('organization_admin'))
    or (
      organization_id in (select app_hidden.organizations_i_manage())
      and not exists (
        select from app_public.organization_member_roles r
        where r.organization_id = organization_members.organization_id
          and r.user_id = organization_members.user_id
      )
    )
  );

grant select, delete on app_public.organization_members to bursar_user;
grant insert (organization_id, user_id) on app_public.organization_members to bursar_user;
-- no update: a membership is added or removed

comment on table app_public.organization_members is
  'Who belongs to an organization, and so to its Everyone group. Leaving it leaves its groups and roles.';
comment on column app_public.organization_members.organization_id is 'The organization.';
comment on column app_public.organization_members.user_id is 'The member.';
comment on column app_public.organization_members.created_at is 'When they joined (UTC).';
comment on constraint member_belongs_to_an_organization on app_public.organization_members is
  E'@foreignFieldName members\nThe organization.';
comment on constraint organization_member_is_a_user on app_public.organization_members is
  E'@foreignFieldName organizationMemberships\nThe member.';

--------------------------------------------------------------------------------

alter table app_public.organization_member_roles enable row level security;

drop policy if exists organization_role_is_read_by_its_holder_and_group_readers on app_public.organization_member_roles;
create policy organization_role_is_read_by_its_holder_and_group_readers on app_public.organization_member_roles
  for select to bursar_user
  using (
    user_id = (select app_hidden.current_user_id())
    or (select app_hidden.reads_every_organization())
    or organization_id in (select app_hidden.organizations_i_read())
  );

-- organization_user_admin manages members and groups, and hands out no roles.
drop policy if exists organization_role_is_given_by_admins on app_public.organization_member_roles;
create policy organization_role_is_given_by_admins on app_public.organization_member_roles
  for insert to bursar_user
  with check (
    (select app_hidden.manages_every_organization())
    or organization_id in (select app_hidden.organizations_with_my_role('organization_admin'))
  );

drop policy if exists organization_role_is_taken_by_admins on app_public.organization_member_roles;
create policy organization_role_is_taken_by_admins on app_public.organization_member_roles
  for delete to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or organization_id in (select app_hidden.organizations_with_my_role('organization_admin'))
  );

grant select, delete on app_public.organization_member_roles to bursar_user;
grant insert (organization_id, user_id, role) on app_public.organization_member_roles to bursar_user;
-- no update: a role is given or taken

comment on table app_public.organization_member_roles is
  'What a member may do in their organization. A role that is taken away is gone at the next statement.';
comment on column app_public.organization_member_roles.organization_id is 'The organization in which the role holds.';
comment on column app_public.organization_member_roles.user_id is 'The member who holds the role.';
comment on column app_public.organization_member_roles.role is 'Which role.';
comment on column app_public.organization_member_roles.created_at is 'When it was given (UTC).';
comment on type app_public.organization_role is
  'organization_admin: groups, members, budgets and roles of the organization. organization_user_admin: the same without roles. organization_auditor: reads them.';
comment on constraint organization_role_belongs_to_a_member on app_public.organization_member_roles is
  E'@fieldName member\n@foreignFieldName roles\nThe member who holds the role.';
--! EndIncluded organizations.sql
--! Included groups.sql
-- Groups and who belongs to them.

alter table app_public.groups enable row level security;

drop policy if exists group_is_read_by_its_members_and_whoever_reads_the_organization on app_public.groups;
create policy group_is_read_by_its_members_and_whoever_reads_the_organization on app_public.groups
  for select to bursar_user
  using (
    (select app_hidden.reads_every_organization())
    or organization_id in (select app_hidden.organizations_i_read())
    or id in (select app_hidden.my_groups())
  );

drop policy if exists group_is_added_by_whoever_manages_the_organization on app_public.groups;
create policy group_is_added_by_whoever_manages_the_organization on app_public.groups
  for insert to bursar_user
  with check (
    (select app_hidden.manages_every_organization())
    or organization_id in (select app_hidden.organizations_i_manage())
  );

-- upsert_group_ai_budget() and delete_group_ai_budget() lock the group under this policy: whoever may
-- update a group manages its budget.
drop policy if exists group_is_changed_by_whoever_manages_the_organization on app_public.groups;
create policy group_is_changed_by_whoever_manages_the_organization on app_public.groups
  for update to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or organization_id in (select app_hidden.organizations_i_manage())
  );

drop policy if exists group_is_deleted_by_whoever_manages_the_organization on app_public.groups;
create policy group_is_deleted_by_whoever_manages_the_organization on app_public.groups
  for delete to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or organization_id in (select app_hidden.organizations_i_manage())
  );

grant select, delete on app_public.groups to bursar_user;
-- id may be given, so that a client that retries makes one group and not two
grant insert (id, organization_id, name), update (name) on app_public.groups to bursar_user;
-- no update of organization_id: a group stays where it is

comment on table app_public.groups is
  'People of one organization who share a budget. The group whose id equals the organization''s is Everyone.';
comment on column app_public.groups.id is 'Equal to organization_id for the Everyone group.';
comment on column app_public.groups.organization_id is 'The organization to which it belongs, for good.';
comment on column app_public.groups.name is 'Unique in its organization, 1 to 200 characters.';
comment on column app_public.groups.created_at is 'When it was added (UTC).';
comment on column app_public.groups.updated_at is 'When it was last changed (UTC).';
comment on constraint group_belongs_to_an_organization on app_public.groups is
  E'@foreignFieldName groups\nThe organization to which the group belongs.';
comment on constraint group_stands_in_one_organization on app_public.groups is E'@behavior -*';

create or replace function app_private.keep_everyone_group() returns trigger
language plpgsql volatile security definer -- sees the organization whatever the caller may read
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

create or replace trigger keep_everyone_group_from_deletion before delete on app_public.groups
  for each row execute function app_private.keep_everyone_group();
create or replace trigger keep_everyone_group_from_renaming before update on app_public.groups
  for each row when (old.name is distinct from new.name or old.id <> new.id)
  execute function app_private.keep_everyone_group();

--------------------------------------------------------------------------------

alter table app_public.group_members enable row level security;

drop policy if exists group_member_is_read_by_whoever_reads_the_group on app_public.group_members;
create policy group_member_is_read_by_whoever_reads_the_group on app_public.group_members
  for select to bursar_user
  using (
    (select app_hidden.reads_every_organization())
    or organization_id in (select app_hidden.organizations_i_read())
    or group_id in (select app_hidden.my_groups())
  );

drop policy if exists group_member_is_added_by_whoever_manages_the_organization on app_public.group_members;
create policy group_member_is_added_by_whoever_manages_the_organization on app_public.group_members
  for insert to bursar_user
  with check (
    (select app_hidden.manages_every_organization())
    or organization_id in (select app_hidden.organizations_i_manage())
  );

drop policy if exists group_member_is_removed_by_whoever_manages_the_organization on app_public.group_members;
create policy group_member_is_removed_by_whoever_manages_the_organization on app_public.group_members
  for delete to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or organization_id in (select app_hidden.organizations_i_manage())
  );

grant select, delete on app_public.group_members to bursar_user;
grant insert (group_id, user_id) on app_public.group_members to bursar_user;
-- no insert of organization_id: it follows from the group. no update: a membership is added or removed

comment on table app_public.group_members is
  'Who belongs to a group. Everyone has no rows here: its members are the organization''s.';
comment on column app_public.group_members.organization_id is 'The group''s organization, filled in by the database.';
comment on column app_public.group_members.group_id is 'The group; never Everyone.';
comment on column app_public.group_members.user_id is 'The member; a member of the organization first.';
comment on column app_public.group_members.created_at is 'When they joined (UTC).';
comment on constraint group_member_belongs_to_a_group on app_public.group_members is
  E'@fieldName group\n@foreignFieldName members\nThe group.';
comment on constraint group_member_is_a_member_of_the_organization on app_public.group_members is
  E'@fieldName organizationMember\n@foreignFieldName groupMemberships\nThe membership in the organization on which this one rests.';

create or replace function app_private.place_group_member() returns trigger
language plpgsql volatile security invoker -- a group that the caller can't read does not exist for them
set search_path to pg_catalog, pg_temp
as $$
begin
  select organization_id into new.organization_id from app_public.groups where id = new.group_id;
  if not found then
    raise exception using
      errcode = 'BU404',
      message = 'Not found, or not yours to read or change.',
      hint = app_hidden.right_hint(
        'Members are added by owner, user_admin, and the organization''s organization_admin and organization_user_admin.'
      );
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

create or replace trigger place_group_member before insert on app_public.group_members
  for each row execute function app_private.place_group_member();
--! EndIncluded groups.sql
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
    (select app_hidden.manages_every_organization())
    or exists (
      select from app_public.groups g
      where g.id = group_id and g.organization_id in (select app_hidden.organizations_i_manage())
    )
  );

drop policy if exists budget_is_changed_by_whoever_manages_the_organization on app_public.group_ai_budgets;
create policy budget_is_changed_by_whoever_manages_the_organization on app_public.group_ai_budgets
  for update to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or exists (
      select from app_public.groups g
      where g.id = group_id and g.organization_id in (select app_hidden.organizations_i_manage())
    )
  );

drop policy if exists budget_is_deleted_by_whoever_manages_the_organization on app_public.group_ai_budgets;
create policy budget_is_deleted_by_whoever_manages_the_organization on app_public.group_ai_budgets
  for delete to bursar_user
  using (
    (select app_hidden.manages_every_organization())
    or exists (
      select from app_public.groups g
      where g.id = group_id and g.organization_id in (select app_hidden.organizations_i_manage())
    )
  );

grant select, delete on app_public.group_ai_budgets to bursar_user;
grant insert (group_id, spend_limit_micros), update (spend_limit_micros)
  on app_public.group_ai_budgets to bursar_user;

comment on table app_public.group_ai_budgets is E'@feature ai_bridge\n@behavior -insert -update -delete +aggregates\nWhat a group may spend on AI models. No row: no budget is enforced. A limit of 0: everything is blocked.';
comment on column app_public.group_ai_budgets.group_id is 'The group; at most one budget each.';
comment on column app_public.group_ai_budgets.spend_limit_micros is
  'Micros (millionths of a US dollar), 0 to 10^15 ($1 billion). 500000000 is $500.';
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
      hint = app_hidden.right_hint(
        'Budgets are set by owner, user_admin, and the organization''s organization_admin and organization_user_admin.'
      );
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

  insert into app_public.group_ai_budgets as b (group_id, spend_limit_micros)
  values (upsert_group_ai_budget.group_id, upsert_group_ai_budget.spend_limit_micros)
  on conflict (group_id) do update set spend_limit_micros = excluded.spend_limit_micros
  returning * into budget;
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
--! Included prices.sql
-- What each model costs.

alter table app_public.ai_model_prices enable row level security;

drop policy if exists price_is_read_by_whoever_is_signed_in on app_public.ai_model_prices;
create policy price_is_read_by_whoever_is_signed_in on app_public.ai_model_prices
  for select to bursar_user
  using ((select app_hidden.is_signed_in()));

drop policy if exists price_is_added_by_owners on app_public.ai_model_prices;
create policy price_is_added_by_owners on app_public.ai_model_prices
  for insert to bursar_user
  with check ((select app_hidden.is_site_owner()));

drop policy if exists price_is_changed_by_owners on app_public.ai_model_prices;
create policy price_is_changed_by_owners on app_public.ai_model_prices
  for update to bursar_user
  using ((select app_hidden.is_site_owner()));

drop policy if exists price_is_deleted_by_owners on app_public.ai_model_prices;
create policy price_is_deleted_by_owners on app_public.ai_model_prices
  for delete to bursar_user
  using ((select app_hidden.is_site_owner()));

grant select, delete on app_public.ai_model_prices to bursar_user;
grant
  insert (provider, model, input_price, output_price, cache_read_price, cache_write_price),
  update (input_price, output_price, cache_read_price, cache_write_price)
  on app_public.ai_model_prices to bursar_user;

comment on table app_public.ai_model_prices is E'@feature ai_bridge\n@behavior -insert -update -delete\nWhat a model costs, in micros per million tokens. Null is unknown, 0 is free: never the same thing.';
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

create or replace function app_public.ai_model_price(provider text, model text)
returns setof app_public.ai_model_prices
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

create or replace function app_hidden.price_seed_problem(seed jsonb, out message text, out field text)
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

create or replace function app_public.upsert_ai_model_prices(seed jsonb)
returns setof app_public.ai_model_prices
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
      hint = app_hidden.right_hint('The role owner in user_site_roles gives that right.');
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
  E'@feature ai_bridge\n@resultFieldName aiModelPrices\nWrites a list of prices, all or nothing: an array of {provider, model, input_price, output_price, cache_read_price, cache_write_price}, in micros per million tokens. A price that is missing or null becomes unknown, also over a known one. Models that the list does not name stay. Errors: BU400 names the element, 42501 for whoever is no owner.';
--! EndIncluded prices.sql
--! Included features.sql
-- Which parts of the product are on. The gate in front of GraphQL and REST follows this table.

alter table app_public.features enable row level security;

drop policy if exists feature_is_read_by_whoever_is_signed_in on app_public.features;
create policy feature_is_read_by_whoever_is_signed_in on app_public.features
  for select to bursar_user
  using ((select app_hidden.is_signed_in()));

drop policy if exists feature_is_set_by_owners on app_public.features;
create policy feature_is_set_by_owners on app_public.features
  for update to bursar_user
  using ((select app_hidden.is_site_owner()));

grant select on app_public.features to bursar_user;
grant update (entitlement, enabled) on app_public.features to bursar_user;
-- no insert, no delete: features come with the migrations that bring what they switch

comment on table app_public.features is E'@behavior -insert -update -delete\nA part of the product that can be switched. It is on when it is enabled and not `not_entitled`.';
comment on column app_public.features.name is 'What `@feature` in a comment names.';
comment on column app_public.features.entitlement is 'Whether the licence covers it; grace_period does, with a warning.';
comment on column app_public.features.enabled is 'Whether the owner has switched it on.';
comment on column app_public.features.created_at is 'When the feature came (UTC).';
comment on column app_public.features.updated_at is 'When it was last set (UTC).';
comment on type app_public.feature_entitlement is
  'entitled: covered. grace_period: covered for now, with a warning. not_entitled: off.';

create or replace function app_public.set_feature(
  name text,
  entitlement app_public.feature_entitlement default null,
  enabled boolean default null
)
returns app_public.features
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
      hint = app_hidden.right_hint('The role owner in user_site_roles gives that right.');
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

-- The rule itself. Security definer: the gate asks before it knows who is there.
create or replace function app_hidden.feature_states(
  out name text, out is_on boolean, out is_in_grace_period boolean
)
returns setof record
language sql stable security definer
set search_path to pg_catalog, pg_temp
as $$
  select name, enabled and entitlement <> 'not_entitled', entitlement = 'grace_period'
  from app_public.features
$$;

revoke all on function app_hidden.feature_states() from public;
-- no grant to bursar_user: only servers ask, see register_authenticator()
comment on function app_hidden.feature_states() is
  'For each feature whether it is on (enabled and not not_entitled) and whether it is so on borrowed time.';

create or replace function app_private.announce_features() returns trigger
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

create or replace trigger announce_features
  after insert or update or delete or truncate on app_public.features
  for each statement execute function app_private.announce_features();
--! EndIncluded features.sql

insert into app_public.features (name, entitlement, enabled) values ('ai_bridge', 'entitled', true);
