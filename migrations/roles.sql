-- The one role that policies and grants name. It is shared by a whole PostgreSQL cluster, so it is
-- made here, ahead of the migrations, and only where it is missing.

do $$
begin
  create role bursar_user nologin noinherit;
  comment on role bursar_user is
    'Bursar: whoever reaches the data through the API or psql. Row-level security decides what they see.';
exception
  when duplicate_object then null;
end
$$;
