import fc from 'fast-check';
import type { Pool } from 'pg';

export const SITE_ROLES = ['owner', 'user_admin', 'auditor', 'ai_gateway'] as const;
export const ORGANIZATION_ROLES = [
  'organization_admin',
  'organization_user_admin',
  'organization_auditor',
] as const;

/** Everything by number, so that what fails shrinks to a few small ones. Pairs are [user, …]. */
type Generated = {
  users: number;
  organizations: number;
  /** For each group, the organization in which it is. */
  groups: number[];
  siteRoles: [user: number, role: (typeof SITE_ROLES)[number]][];
  members: [user: number, organization: number][];
  organizationRoles: [
    user: number,
    organization: number,
    role: (typeof ORGANIZATION_ROLES)[number],
  ][];
  groupMembers: [user: number, group: number][];
  budgets: number[];
  budgetsOfEveryone: number[];
};

const number = (max: number) => fc.nat({ max });
const some = <T>(one: fc.Arbitrary<T>, maxLength: number) => fc.array(one, { maxLength });

/** Numbers wrap around: a user 5 of 2 users is user 1, so any part can shrink on its own. */
export const generated: fc.Arbitrary<Generated> = fc.record({
  users: fc.integer({ min: 1, max: 5 }),
  organizations: fc.integer({ min: 1, max: 3 }),
  groups: some(number(2), 4),
  siteRoles: some(fc.tuple(number(4), fc.constantFrom(...SITE_ROLES)), 2),
  members: some(fc.tuple(number(4), number(2)), 6),
  organizationRoles: some(
    fc.tuple(number(4), number(2), fc.constantFrom(...ORGANIZATION_ROLES)),
    4,
  ),
  groupMembers: some(fc.tuple(number(4), number(3)), 6),
  budgets: some(number(3), 4),
  budgetsOfEveryone: some(number(2), 2),
});

export type Group = { id: string; organization: string; hasBudget: boolean };
export type Universe = {
  users: string[];
  organizations: string[];
  groups: Group[];
  siteRoles: { user: string; role: string }[];
  members: { user: string; organization: string }[];
  organizationRoles: { user: string; organization: string; role: string }[];
  groupMembers: { user: string; group: string }[];
};

const id = (kind: number, n: number) =>
  `${String(kind).padStart(8, '0')}-0000-4000-8000-${String(n).padStart(12, '0')}`;

function unique<T>(rows: T[]): T[] {
  return [...new Map(rows.map((row) => [JSON.stringify(row), row])).values()];
}

export function build(g: Generated): Universe {
  const user = (n: number) => id(1, n % g.users);
  const organization = (n: number) => id(2, n % g.organizations);
  const inOrganization = g.groups.map((o, n) => ({ id: id(3, n), organization: organization(o) }));
  const groupMembers = g.groupMembers.flatMap(([u, n]) => {
    const group = inOrganization[n % inOrganization.length];
    return group === undefined ? [] : [{ user: user(u), ...group }];
  });
  const organizationRoles = g.organizationRoles.map(([u, o, role]) => ({
    user: user(u),
    organization: organization(o),
    role,
  }));
  const withBudget = new Set([
    ...g.budgets.map((n) => id(3, n)),
    ...g.budgetsOfEveryone.map(organization),
  ]);
  const organizations = Array.from({ length: g.organizations }, (_, n) => organization(n));
  const everyone = organizations.map((o) => ({ id: o, organization: o }));
  return {
    users: Array.from({ length: g.users }, (_, n) => user(n)),
    organizations,
    groups: [...everyone, ...inOrganization].map((group) => ({
      ...group,
      hasBudget: withBudget.has(group.id),
    })),
    siteRoles: unique(g.siteRoles.map(([u, role]) => ({ user: user(u), role }))),
    // Roles and groups are for members.
    members: unique([
      ...g.members.map(([u, o]) => ({ user: user(u), organization: organization(o) })),
      ...[...organizationRoles, ...groupMembers].map((row) => ({
        user: row.user,
        organization: row.organization,
      })),
    ]),
    organizationRoles: unique(organizationRoles),
    groupMembers: unique(groupMembers.map((row) => ({ user: row.user, group: row.id }))),
  };
}

/** Replaces everybody and everything in the database. */
export async function store(owner: Pool, u: Universe): Promise<void> {
  await owner.query('truncate app_public.users, app_public.organizations cascade');
  const insert = async (table: string, rows: object[]) => {
    const columns = Object.keys(rows[0] ?? {}).join(', ');
    if (columns === '') return;
    await owner.query(
      `insert into app_public.${table} (${columns})
       select ${columns} from jsonb_populate_recordset(null::app_public.${table}, $1)`,
      [JSON.stringify(rows)],
    );
  };
  await insert(
    'users',
    u.users.map((user) => ({ id: user, username: user })),
  );
  await insert(
    'organizations',
    u.organizations.map((o) => ({ id: o, name: o })),
  );
  await insert(
    'user_site_roles',
    u.siteRoles.map((r) => ({ user_id: r.user, role: r.role })),
  );
  await insert(
    'organization_members',
    u.members.map((m) => ({ organization_id: m.organization, user_id: m.user })),
  );
  await insert(
    'organization_member_roles',
    u.organizationRoles.map((r) => ({
      organization_id: r.organization,
      user_id: r.user,
      role: r.role,
    })),
  );
  await insert(
    'groups',
    u.groups
      .filter((group) => group.id !== group.organization)
      .map((group) => ({ id: group.id, organization_id: group.organization, name: group.id })),
  );
  await insert(
    'group_members',
    u.groupMembers.map((m) => ({ group_id: m.group, user_id: m.user })),
  );
  await insert(
    'group_ai_budgets',
    u.groups.filter((g) => g.hasBudget).map((g) => ({ group_id: g.id, spend_limit_micros: 1 })),
  );
}
