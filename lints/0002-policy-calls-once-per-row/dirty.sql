create table app_public.desks (id uuid primary key, organization_id uuid, user_id uuid, "a {brace} (and more)" text);

create function app_hidden.is_mine(id uuid) returns boolean
language sql stable set search_path to pg_catalog, pg_temp as 'select id is not null';
create function app_hidden.says_no(words text) returns boolean
language plpgsql stable set search_path to pg_catalog, pg_temp as 'begin raise exception using message = words; end';
create function app_hidden.nil() returns uuid
language sql immutable set search_path to pg_catalog, pg_temp as 'select gen_random_uuid()';
create function app_hidden.desks_i_use() returns table (organization_id uuid, user_id uuid)
language sql stable set search_path to pg_catalog, pg_temp as 'select gen_random_uuid(), gen_random_uuid()';

-- found
create policy compares_with_a_call on app_public.desks for select to bursar_user
  using (user_id = app_hidden.current_user_id());
create policy asks_a_setting on app_public.desks for select to bursar_user
  using ("a {brace} (and more)" = '{' || current_setting('app.braces', true) || '}');
create policy gives_it_a_column on app_public.desks for delete to bursar_user
  using (app_hidden.is_mine(id));
create policy gives_it_a_column_in_a_subselect on app_public.desks for delete to bursar_user
  using ((select app_hidden.is_mine(id)));
create policy calls_beside_the_row on app_public.desks for select to bursar_user
  using (exists (
    select from app_public.organization_members m
    where m.organization_id = desks.organization_id and m.user_id = app_hidden.current_user_id()
  ));
create policy calls_for_each_row_of_another_table on app_public.desks for select to bursar_user
  using (organization_id in (
    select m.organization_id from app_public.organization_members m where m.user_id = app_hidden.current_user_id()
  ));
create policy calls_in_both_clauses on app_public.desks for update to bursar_user
  using (app_hidden.is_site_owner()) with check (app_hidden.is_site_owner() or app_hidden.is_mine(id));
create policy calls_for_each_row_laterally on app_public.desks for select to bursar_user
  using (organization_id in (
    select m.organization_id
    from app_public.organization_members m, lateral app_hidden.is_mine(m.user_id) as mine
    where mine
  ));

-- not found
create policy calls_in_a_subselect on app_public.desks for select to bursar_user
  using (user_id = (select app_hidden.current_user_id()) or (select current_setting('app.all', true)) = 'yes');
create policy calls_in_a_list on app_public.desks for select to bursar_user
  using (
    organization_id in (select app_hidden.my_organizations())
    or organization_id = any (array(select app_hidden.my_organizations()))
  );
create policy calls_once_beside_the_row on app_public.desks for select to bursar_user
  using (exists (
    select from app_public.groups g
    where g.id = desks.organization_id and g.organization_id in (select app_hidden.organizations_i_manage())
  ));
create policy reads_from_a_call on app_public.desks for select to bursar_user
  using ((organization_id, user_id) in (select r.organization_id, r.user_id from app_hidden.desks_i_use() r));
create policy calls_what_is_worked_out_before on app_public.desks for select to bursar_user
  using (user_id = app_hidden.nil() and lower("a {brace} (and more)") = 'me');
create policy refuses_with_words on app_public.desks for insert to bursar_user
  with check (case when (select app_hidden.is_site_owner()) then true else app_hidden.says_no('For owners.') end);

-- found: not in an "else", and beside a call that is read from
create policy raises_at_once on app_public.desks for insert to bursar_user
  with check (app_hidden.says_no('For nobody.'));
create policy calls_for_each_row_of_a_call on app_public.desks for select to bursar_user
  using (organization_id in (
    select r.organization_id from app_hidden.desks_i_use() r where r.user_id = app_hidden.current_user_id()
  ));
-- found: a column beside the words
create policy refuses_with_a_column on app_public.desks for insert to bursar_user
  with check (case when id is null then true else app_hidden.is_mine(id) end);
