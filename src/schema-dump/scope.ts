// Which things the dump speaks of. Each constant is a piece of SQL.

export const SCHEMAS = ['app_hidden', 'app_private', 'app_public'] as const;

export const OURS = `(select oid from pg_namespace where nspname in (${SCHEMAS.map((s) => `'${s}'`).join(', ')}))`;

/** What an extension brings comes with the extension. */
export const ofExtension = (catalogue: string, oid: string) =>
  `exists (
    select from pg_depend e
    where e.classid = '${catalogue}'::regclass and e.objid = ${oid} and e.deptype = 'e'
  )`;

/** The traffic makes the months of a partitioned table, so they depend on the day; months taken out of it stand alone. */
const isMonth = (relation: string) =>
  `(${relation}.relkind = 'r' and exists (
    select from pg_class whole
    where whole.relkind = 'p' and whole.relnamespace in ${OURS}
      and whole.relname = left(${relation}.relname, -8) and right(${relation}.relname, 8) ~ '^_[0-9]{4}_[0-9]{2}$'
  ))`;

/** Our tables, views, sequences and composite types, as rows of pg_class with their full names. */
export const RELATIONS = `(
  select c.*, format('%I.%I', n.nspname, c.relname) as name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.oid in ${OURS} and c.relkind in ('r', 'p', 'v', 'm', 'S', 'c')
    and not ${ofExtension('pg_class', 'c.oid')} and not ${isMonth('c')}
)`;

export const DATABASE_OWNER = '(select datdba from pg_database where datname = current_database())';

/** The owner, where it is another than the database's: that one is whoever runs the dump. */
export const otherOwner = (oid: string) =>
  `case when ${oid} <> ${DATABASE_OWNER} then quote_ident(pg_get_userbyid(${oid})) end`;

/** A collation, where it is another than that of the type. */
export const otherCollation = (collation: string, ofType: string) =>
  `(
    select format('%I.%I', n.nspname, l.collname)
    from pg_collation l join pg_namespace n on n.oid = l.collnamespace
    where l.oid = ${collation} and l.oid <> ${ofType}
  )`;

/** A setting of the dump's transaction: roles whose grants are the deployment's. */
export const LEFT_OUT_SETTING = 'bursar.roles_left_out_of_the_dump';

export const LEFT_OUT_ROLES = `current_setting('${LEFT_OUT_SETTING}')::oid[]`;
