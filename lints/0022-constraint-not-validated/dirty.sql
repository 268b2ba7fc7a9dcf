alter table app_public.users add constraint username_has_a_letter check (username ~ '[a-z]') not valid;
alter table app_public.features add column user_id uuid;
alter table app_public.features
  add constraint feature_is_of_a_user foreign key (user_id) references app_public.users not valid;
create domain app_public.amount as int;
alter domain app_public.amount add constraint amount_is_positive check (value > 0) not valid;
-- not found
alter table app_public.users add constraint username_has_an_end check (username <> '');
-- found once, and not for each child
create table app_public.lamps (day date primary key, name text) partition by range (day);
create table app_private.lamps_of_2026 partition of app_public.lamps for values from ('2026-01-01') to ('2027-01-01');
alter table app_public.lamps add constraint lamp_has_a_name check (name is not null) not valid;
