import { laidOut } from './layout.ts';
import { commentOn, LEAVES, type Part, PLACE, type Query } from './part.ts';
import { DATABASE_OWNER, RELATIONS } from './scope.ts';
import { byCodeUnits, ourStyle } from './sql-text.ts';

type Policy = {
  oid: string;
  table: string;
  tableName: string;
  name: string;
  command: keyof typeof COMMAND;
  isPermissive: boolean;
  roles: string[];
  using: string | null;
  check: string | null;
  comment: string | null;
};

const COMMAND = { r: 'select', a: 'insert', w: 'update', d: 'delete', '*': 'all' };

export async function readPolicies(query: Query): Promise<Part[]> {
  const policies = await query<Policy>(`
    select p.oid::text, c.oid::text as table, c.name as "tableName", quote_ident(p.polname) as name,
      p.polcmd::text as command, p.polpermissive as "isPermissive",
      array(
        select case r.role
          when 0 then 'public'
          when ${DATABASE_OWNER} then 'current_user'
          else quote_ident(pg_get_userbyid(r.role)) end
        from unnest(p.polroles) as r (role)
      ) as roles,
      pg_get_expr(p.polqual, p.polrelid, true) as using, pg_get_expr(p.polwithcheck, p.polrelid, true) as check,
      obj_description(p.oid, 'pg_policy') as comment
    from ${RELATIONS} c join pg_policy p on p.polrelid = c.oid`);
  return policies.map((policy) => ({
    id: `pg_policy ${policy.oid}`,
    home: `pg_class ${policy.table}`,
    place: PLACE.policy,
    name: policy.name,
    leaves: LEAVES.policyOrTrigger,
    write: () => [
      `${[
        `create policy ${policy.name} on ${policy.tableName}`,
        ...(policy.isPermissive ? [] : ['as restrictive']),
        `for ${COMMAND[policy.command]} to ${policy.roles.sort(byCodeUnits).join(', ')}`,
        ...condition('using', policy.using),
        ...condition('with check', policy.check),
      ].join('\n  ')};`,
    ],
    comments: commentOn(`policy ${policy.name} on ${policy.tableName}`, policy.comment),
  }));
}

function condition(clause: string, sql: string | null): string[] {
  return sql === null ? [] : [laidOut(`${clause} (${ourStyle(sql)})`, '  ').trimStart()];
}
