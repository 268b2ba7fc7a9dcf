import type { Client } from 'pg';
import { inTransaction } from '../../src/database.ts';
import { packagePrices, syncPrices } from '../../src/prices.ts';
import {
  LARGE_ORGANIZATIONS,
  MICROS_OF_A_GROUP,
  ORGANIZATIONS,
  USERS_OF_AN_ORGANIZATION,
} from './world.ts';

/** Organizations, users, groups, members, budgets and the real price list: what the ids of world.ts stand for. */
export async function loadPeople(client: Client): Promise<void> {
  await syncPrices(client, packagePrices(new Date()));
  await inTransaction(client, async () => {
    for (const statement of STATEMENTS) await client.query(statement);
  });
  await client.query('vacuum (analyze)');
}

const EACH_ORGANIZATION = `generate_series(0, ${ORGANIZATIONS - 1}) as o`;
const EACH_USER = `generate_series(0, ${USERS_OF_AN_ORGANIZATION - 1}) as r`;
const GROUPS_OF_O = `case when o < ${LARGE_ORGANIZATIONS} then 100 else 10 end`;
const EACH_GROUP = `generate_series(0, ${GROUPS_OF_O} - 1) as k`;

const STATEMENTS = [
  `insert into app_public.users (id, username)
   select md5('user ' || o || '.' || r)::uuid, 'user-' || o || '-' || r
   from ${EACH_ORGANIZATION} cross join ${EACH_USER}
   union all
   select md5('site ' || role)::uuid, 'site-' || role from unnest(array['owner', 'gateway']) as role`,
  `insert into app_public.user_site_roles (user_id, role)
   values (md5('site owner')::uuid, 'owner'), (md5('site gateway')::uuid, 'ai_gateway')`,
  `insert into app_public.organizations (id, name)
   select md5('organization ' || o)::uuid, 'Organization ' || o from ${EACH_ORGANIZATION}`,
  `insert into app_public.organization_members (organization_id, user_id)
   select md5('organization ' || o)::uuid, md5('user ' || o || '.' || r)::uuid
   from ${EACH_ORGANIZATION} cross join ${EACH_USER}`,
  `insert into app_public.organization_member_roles (organization_id, user_id, role)
   select md5('organization ' || o)::uuid, md5('user ' || o || '.0')::uuid, 'organization_admin'
   from ${EACH_ORGANIZATION}`,
  `insert into app_public.groups (id, organization_id, name)
   select md5('group ' || o || '.' || k)::uuid, md5('organization ' || o)::uuid, 'Group ' || to_char(k, 'FM000')
   from ${EACH_ORGANIZATION} cross join ${EACH_GROUP}`,
  // Two groups for each person, and for a few of them one.
  `insert into app_public.group_members (organization_id, group_id, user_id)
   select distinct md5('organization ' || o)::uuid, md5('group ' || o || '.' || k % ${GROUPS_OF_O})::uuid,
     md5('user ' || o || '.' || r)::uuid
   from ${EACH_ORGANIZATION} cross join ${EACH_USER} cross join unnest(array[r, r * 7 + 3]) as k`,
  // Every fifth budget is each member's own; nobody reaches any of them.
  `insert into app_public.group_ai_budgets (group_id, spend_limit_micros, applies_to)
   select md5('group ' || o || '.' || k)::uuid, ${MICROS_OF_A_GROUP} + k * 1000000,
     case when k % 5 = 4 then 'member' else 'group' end::app_public.budget_scope
   from ${EACH_ORGANIZATION} cross join ${EACH_GROUP}
   union all
   select md5('organization ' || o)::uuid, 100 * ${MICROS_OF_A_GROUP}, 'group' from ${EACH_ORGANIZATION}`,
];
