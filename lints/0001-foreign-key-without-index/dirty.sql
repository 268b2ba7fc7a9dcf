create table app_public.desks (
  id uuid primary key,
  -- found: no index at all
  user_id uuid constraint desk_is_of_a_user references app_public.users,
  -- found: an index that begins with something else
  organization_id uuid,
  group_id uuid,
  constraint desk_is_of_a_group foreign key (organization_id, group_id) references app_public.groups (organization_id, id),
  -- found: a partial index that leaves out more than what refers to nothing
  neighbour_id uuid constraint desk_has_a_neighbour references app_public.desks,
  -- not found: an index in another order, one that leaves nulls out, one that goes on
  is_spare boolean,
  twin_organization_id uuid,
  twin_group_id uuid,
  constraint desk_has_a_twin foreign key (twin_organization_id, twin_group_id)
    references app_public.groups (organization_id, id),
  owner_id uuid constraint desk_has_an_owner references app_public.users,
  payer_id uuid constraint desk_has_a_payer references app_public.users
);
create index on app_public.desks (is_spare, organization_id, group_id);
create index on app_public.desks (organization_id) include (group_id);
create index on app_public.desks (neighbour_id) where is_spare;
create index on app_public.desks (twin_group_id, twin_organization_id);
create index on app_public.desks (owner_id) where owner_id is not null;
create index on app_public.desks (payer_id, id);

-- found: kinds of index that don't serve it, columns that are only included, an index that is not whole
create table app_public.chairs (
  id uuid primary key,
  user_id uuid constraint chair_is_of_a_user references app_public.users,
  desk_id uuid constraint chair_is_at_a_desk references app_public.desks,
  organization_id uuid constraint chair_is_of_an_organization references app_public.organizations
);
create index on app_public.chairs using brin (user_id);
create index on app_public.chairs (id) include (desk_id);
-- not found: what serves one column
create index on app_public.chairs using hash (organization_id);
-- found once, and not for each partition
create table app_public.lamps (day date primary key, desk_id uuid constraint lamp_is_on_a_desk references app_public.desks)
  partition by range (day);
create table app_private.lamps_of_2026 partition of app_public.lamps for values from ('2026-01-01') to ('2027-01-01');
create index on only app_public.lamps (desk_id);
