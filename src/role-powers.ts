/**
 * Powers that no login of a person or a server may have, since no policy would bind it: as SQL, for `pg_roles r`,
 * as rows of (has, power). What a role may become counts as what it is.
 */
export const POWERS = `(
  select format('%s%s', case when p.oid <> r.oid then 'may become ' || p.rolname || ', which ' end, power) as power
  from pg_roles p
    cross join lateral (values
      (p.rolsuper, 'is a superuser'),
      (p.rolbypassrls, 'bypasses row security'),
      (p.rolcreaterole, 'may create roles'),
      (p.rolreplication, 'may replicate the whole cluster'),
      (p.oid = (select datdba from pg_database where datname = current_database()), 'owns the database'),
      (exists (
        select from pg_class c where c.relowner = p.oid
          and c.relnamespace in (to_regnamespace('app_public'), to_regnamespace('app_private'))
      ), 'owns tables of Bursar'),
      (p.rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'),
        'reaches data past the policies')
    ) as powers (has, power)
  where powers.has and pg_has_role(r.oid, p.oid, 'member')
    -- A superuser is a member of everything; its own power says enough.
    and (p.oid = r.oid or not r.rolsuper)
  order by p.oid <> r.oid, power
  limit 1
)`;
