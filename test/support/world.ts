import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';

/** One person for each row of the table of rights (docs/permissions.md). */
export const PEOPLE = [
  'owner',
  'user_admin',
  'auditor',
  'ai_gateway',
  'organization_admin',
  'organization_user_admin',
  'organization_auditor',
  'member',
  'stranger',
] as const;

export type Person = (typeof PEOPLE)[number];

export type World = {
  /** The organization in which the organization roles and the member are. */
  readonly organization: string;
  /** Its group with the member in it, and a budget of $500. */
  readonly group: string;
  /** A group of the same organization without the member, with a budget of $7. */
  readonly otherGroup: string;
  /** Another organization, its group with a budget of $9, and a person in both; the stranger is in it too. */
  readonly foreignOrganization: string;
  readonly foreignGroup: string;
  readonly foreigner: string;
  /** A member of the organization who is in none of its groups. */
  readonly colleague: string;
  readonly people: Readonly<Record<Person, string>>;
};

/** Two organizations with a person for each role. The stranger is signed in and belongs to the other one. */
export async function createWorld(owner: Pool): Promise<World> {
  const [organization, group, otherGroup, foreignOrganization, foreignGroup, foreigner, colleague] =
    Array.from({ length: 7 }, () => randomUUID()) as [
      string,
      string,
      string,
      string,
      string,
      string,
      string,
    ];
  const people = Object.fromEntries(PEOPLE.map((p) => [p, randomUUID()])) as Record<Person, string>;
  const users = [
    ...Object.entries(people).map(([username, id]) => ({ username, id })),
    { username: 'foreigner', id: foreigner },
    { username: 'colleague', id: colleague },
  ];
  const insert = (table: string, rows: object[]) =>
    owner.query(
      `insert into app_public.${table} (${Object.keys(rows[0] ?? {}).join(', ')})
       select ${Object.keys(rows[0] ?? {}).join(', ')}
       from jsonb_populate_recordset(null::app_public.${table}, $1)`,
      [JSON.stringify(rows)],
    );
  await insert('users', users);
  await insert(
    'user_site_roles',
    (['owner', 'user_admin', 'auditor', 'ai_gateway'] as const).map((role) => ({
      user_id: people[role],
      role,
    })),
  );
  await insert('organizations', [
    { id: organization, name: 'Home' },
    { id: foreignOrganization, name: 'Abroad' },
  ]);
  const organizationRoles = [
    'organization_admin',
    'organization_user_admin',
    'organization_auditor',
  ] as const;
  await insert('organization_members', [
    ...[...organizationRoles, 'member' as const].map((p) => ({
      organization_id: organization,
      user_id: people[p],
    })),
    { organization_id: organization, user_id: colleague },
    { organization_id: foreignOrganization, user_id: foreigner },
    { organization_id: foreignOrganization, user_id: people.stranger },
  ]);
  await insert(
    'organization_member_roles',
    organizationRoles.map((role) => ({
      organization_id: organization,
      user_id: people[role],
      role,
    })),
  );
  await insert('groups', [
    { id: group, organization_id: organization, name: 'Engineering' },
    { id: otherGroup, organization_id: organization, name: 'Research' },
    { id: foreignGroup, organization_id: foreignOrganization, name: 'Engineering' },
  ]);
  await insert('group_members', [
    { group_id: group, user_id: people.member },
    { group_id: foreignGroup, user_id: foreigner },
  ]);
  await insert('group_ai_budgets', [
    { group_id: group, spend_limit_micros: 500_000_000 },
    { group_id: otherGroup, spend_limit_micros: 7_000_000 },
    { group_id: foreignGroup, spend_limit_micros: 9_000_000 },
  ]);
  await insert('ai_model_prices', [
    { provider: 'acme', model: 'one', input_price: 3_000_000, output_price: 15_000_000 },
  ]);
  return {
    organization,
    group,
    otherGroup,
    foreignOrganization,
    foreignGroup,
    foreigner,
    colleague,
    people,
  };
}
