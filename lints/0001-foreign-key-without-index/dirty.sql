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
create index on app_public.desks (neighbour_id) where is_spare;
create index on app_public.desks (twin_group_id, twin_organization_id);
create index on app_public.desks (owner_id) where owner_id is not null;
create index on app_public.desks (payer_id, id);
