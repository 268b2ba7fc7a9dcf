import type { Client } from 'pg';
import { packagePrices, syncPrices } from '../../src/prices.ts';

/** Groups of the one person who belongs to all organizations. */
export const GROUPS_OF_THE_PERSON = 1_000;

/** 100 organizations of so many groups each, Everyone included. */
export async function loadManyGroups(client: Client, groups: number): Promise<void> {
  await syncPrices(client, packagePrices(new Date()));
  for (const statement of statementsFor(groups)) {
    await client.query(statement);
    // What triggers look up was planned when there was nothing yet.
    await client.query('analyze');
    await client.query('discard plans');
  }
  await client.query('vacuum (analyze)');
}

const statementsFor = (groups: number) => [
  `insert into app_public.users (id, username)
   select md5('user ' || o || '.' || r)::uuid, 'user-' || o || '-' || r
   from generate_series(0, 99) as o cross join generate_series(0, 99) as r
   union all values (md5('user of many')::uuid, 'user-of-many'), (md5('site owner')::uuid, 'site-owner')`,
  `insert into app_public.user_site_roles (user_id, role) values (md5('site owner')::uuid, 'owner')`,
  `insert into app_public.organizations (id, name)
   select md5('organization ' || o)::uuid, 'Organization ' || o from generate_series(0, 99) as o`,
  `insert into app_public.organization_members (organization_id, user_id)
   select md5('organization ' || o)::uuid, u
   from generate_series(0, 99) as o
     cross join lateral (
       select md5('user ' || o || '.' || r)::uuid from generate_series(0, 99) as r
       union all select md5('user of many')::uuid
     ) as users (u)`,
  // One organization, then more: a statement keeps the plans that it begins with.
  ...[
    [0, 0],
    [1, 3],
    [4, 15],
    [16, 99],
  ].map(
    ([first, last]) => `insert into app_public.groups (id, organization_id, name)
      select md5('group ' || o || '.' || k)::uuid, md5('organization ' || o)::uuid, 'Group ' || k
      from generate_series(${first}, ${last}) as o cross join generate_series(1, ${groups - 1}) as k`,
  ),
  // Everyone makes 100 of the person's groups; nine of each organization the others.
  `insert into app_public.group_members (organization_id, group_id, user_id)
   select md5('organization ' || o)::uuid, md5('group ' || o || '.' || k * ${Math.floor(groups / 9)} - 1)::uuid, md5('user of many')::uuid
   from generate_series(0, 99) as o cross join generate_series(1, 9) as k
   union all
   select md5('organization ' || o)::uuid, md5('group ' || o || '.' || (r * 9 + k) % ${groups - 1} + 1)::uuid, md5('user ' || o || '.' || r)::uuid
   from generate_series(0, 99) as o cross join generate_series(0, 99) as r cross join generate_series(1, 3) as k`,
];
