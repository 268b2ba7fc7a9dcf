import { commentOn, type Part, PLACE, type Query, RANK } from './part.ts';
import { grants, type Privileges, privileges, privilegesFrom } from './privileges.ts';
import { OURS, otherOwner } from './scope.ts';
import { byCodeUnits } from './sql-text.ts';

type Schema = {
  oid: string;
  name: string;
  owner: string | null;
  comment: string | null;
  privileges: Privileges;
};

export async function readSchemas(query: Query): Promise<Part[]> {
  const schemas = await query<Schema>(`
    select oid::text, quote_ident(nspname) as name, ${otherOwner('nspowner')} as owner,
      obj_description(oid, 'pg_namespace') as comment,
      ${privileges('schema', 'nspacl', 'nspowner')} as privileges
    from pg_namespace where oid in ${OURS}`);
  return schemas.map((schema) => ({
    id: `pg_namespace ${schema.oid}`,
    home: `pg_namespace ${schema.oid}`,
    rank: RANK.schema,
    place: PLACE.itself,
    name: schema.name,
    write: () => [
      `create schema ${schema.name};`,
      ...(schema.owner === null ? [] : [`alter schema ${schema.name} owner to ${schema.owner};`]),
      ...grants(`on schema ${schema.name}`, schema.privileges),
    ],
    comments: commentOn(`schema ${schema.name}`, schema.comment),
  }));
}

/** Every extension but plpgsql, which each database has. */
export async function readExtensions(query: Query): Promise<string[]> {
  const extensions = await query<{ name: string; schema: string; comment: string | null }>(`
    select quote_ident(extname) as name, quote_ident(nspname) as schema,
      nullif(
        obj_description(e.oid, 'pg_extension'),
        (select a.comment from pg_available_extensions a where a.name = e.extname)
      ) as comment
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where extname <> 'plpgsql'`);
  return extensions
    .sort((a, b) => byCodeUnits(a.name, b.name))
    .flatMap(({ name, schema, comment }) => [
      `create extension if not exists ${name} with schema ${schema};`,
      ...commentOn(`extension ${name}`, comment),
    ]);
}

/** What things that come next are granted, in our schemas and everywhere. */
export async function readDefaultPrivileges(query: Query): Promise<string[]> {
  const kind = `case d.defaclobjtype
    when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
    when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end`;
  // Those of one schema are added to those that hold everywhere: they begin with nothing, as a column's do.
  const start = `acldefault(
    case when d.defaclnamespace <> 0 then 'c' when d.defaclobjtype = 'S' then 's' else d.defaclobjtype end, d.defaclrole
  )`;
  const found = await query<{
    kind: string;
    role: string | null;
    schema: string | null;
    privileges: Privileges;
  }>(`
    select ${kind} as kind, ${otherOwner('d.defaclrole')} as role,
      (select quote_ident(nspname) from pg_namespace where oid = d.defaclnamespace) as schema,
      ${privilegesFrom(`case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end`, start, 'd.defaclacl', 'd.defaclrole')} as privileges
    from pg_default_acl d
    where d.defaclnamespace = 0 or d.defaclnamespace in ${OURS}`);
  return found
    .map(({ kind, role, schema, privileges: changes }) => {
      const head = [
        'alter default privileges',
        ...(role === null ? [] : [`for role ${role}`]),
        ...(schema === null ? [] : [`in schema ${schema}`]),
      ].join(' ');
      return {
        key: `${head} ${kind}`,
        lines: grants(`on ${kind}`, changes).map((grant) => `${head} ${grant}`),
      };
    })
    .sort((a, b) => byCodeUnits(a.key, b.key))
    .flatMap(({ lines }) => lines);
}
