import { DATABASE_OWNER, LEFT_OUT_ROLES } from './scope.ts';
import { byCodeUnits, WIDTH } from './sql-text.ts';

export type Privilege = {
  change: 'grant' | 'revoke';
  privilege: string;
  role: string;
  withOption: boolean;
  /** Whoever granted it, where that was not the owner. */
  by: string | null;
};

/** What may be granted on a thing, and how its privileges differ from those of a new one. */
export type Privileges = { every: string[]; changes: Privilege[] } | null;

const LETTER = {
  table: 'r',
  column: 'c',
  sequence: 's',
  function: 'f',
  schema: 'n',
  type: 'T',
} as const;

/**
 * SQL for Privileges. The owner's name is nobody's business: the owner is current_user, who runs the dump.
 */
export function privileges(kind: keyof typeof LETTER, acl: string, owner: string): string {
  const letter = `'${LETTER[kind]}'`;
  return privilegesFrom(letter, `acldefault(${letter}, ${owner})`, acl, owner);
}

/**
 * @param letter Of the kind of things, as acldefault() takes it.
 * @param start What there is before anything is granted or revoked.
 */
export function privilegesFrom(letter: string, start: string, acl: string, owner: string): string {
  return `case when ${acl} is not null then (
    select jsonb_build_object(
      'every', array(
        select lower(initial.privilege_type) from aclexplode(acldefault(${letter}, ${owner})) initial
        where initial.grantee = ${owner}
      ),
      'changes', coalesce(jsonb_agg(jsonb_build_object(
        'change', each.change, 'privilege', lower(each.privilege_type), 'withOption', each.is_grantable,
        'role', case each.grantee
          when 0 then 'public'
          when ${DATABASE_OWNER} then 'current_user'
          else quote_ident(pg_get_userbyid(each.grantee)) end,
        'by', case when each.grantor <> ${owner} then quote_ident(pg_get_userbyid(each.grantor)) end
      )), '[]')
    )
    from (
      (select 'grant' as change, now.* from aclexplode(${acl}) now
       except select 'grant', initial.* from aclexplode(${start}) initial)
      union all
      (select 'revoke', initial.* from aclexplode(${start}) initial
       except select 'revoke', now.* from aclexplode(${acl}) now)
    ) each
    where each.grantee <> all (${LEFT_OUT_ROLES})
  ) end`;
}

const ORDER =
  `select insert update delete truncate references trigger maintain usage create execute`.split(
    ' ',
  );

const inOrder = (a: string, b: string) => ORDER.indexOf(a) - ORDER.indexOf(b);

/** `all` where it is all there is: which privileges a table has differs between versions of PostgreSQL. */
function words(granted: string[], every: readonly string[]): string {
  if (every.length > 1 && every.every((privilege) => granted.includes(privilege))) return 'all';
  return granted.sort(inOrder).join(', ');
}

/** Privileges that one statement changes. */
function statements(
  changes: readonly Privilege[],
  write: (privileges: Privilege[], change: string) => string,
): string[] {
  const together = new Map<string, Privilege[]>();
  for (const change of changes) {
    // Revoked first, and what the owner grants before what others pass on.
    const key = JSON.stringify([
      change.change === 'revoke' ? 0 : 1,
      change.by ?? '',
      change.role === 'public' ? '' : change.role,
      change.withOption,
    ]);
    together.set(key, [...(together.get(key) ?? []), change]);
  }
  return [...together]
    .sort(([a], [b]) => byCodeUnits(a, b))
    .map(([, same]) => {
      const { change, role, withOption, by } = same[0] as Privilege;
      const tail =
        change === 'grant' ? `to ${role}${withOption ? ' with grant option' : ''}` : `from ${role}`;
      const statement = `${change} ${write(same, change)} ${tail};`.replace(' \n', '\n');
      return by === null ? statement : `set role ${by};\n${statement}\nreset role;`;
    });
}

/** @param on As in `on table app_public.users`. */
export function grants(on: string, found: Privileges): string[] {
  return statements(found?.changes ?? [], (same, change) => {
    const granted = same.map(({ privilege }) => privilege);
    // `revoke all` says what is meant: nothing is left.
    const every = found?.every ?? [];
    const only = change === 'revoke' && every.length === 1 ? 'all' : words(granted, every);
    return `${only} ${on}`;
  });
}

export function columnGrants(
  table: string,
  columns: readonly { column: string; privileges: Privileges }[],
): string[] {
  const all = columns.flatMap(({ column, privileges: found }) =>
    (found?.changes ?? []).map((change) => ({ ...change, column })),
  );
  return statements(all, (same) => {
    const byPrivilege = new Map<string, string[]>();
    for (const { privilege, column } of same as typeof all) {
      byPrivilege.set(privilege, [...(byPrivilege.get(privilege) ?? []), column]);
    }
    const lists = [...byPrivilege]
      .sort(([a], [b]) => inOrder(a, b))
      .map(([privilege, names]) => `${privilege} (${names.join(', ')})`);
    const line = `${lists.join(', ')} on ${table}`;
    return line.length <= WIDTH - 30 ? line : `\n  ${lists.join(',\n  ')}\n  on ${table}`;
  });
}
