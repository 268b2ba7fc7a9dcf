import type { Pool } from 'pg';
import { signToken } from '../../../src/identity.ts';
import { type Company, createCompany, listModels } from '../../support/ledger.ts';
import { SECRET } from '../../support/server.ts';
import { createWorld } from '../../support/world.ts';

/** Whom a load works for: a company of four groups, the gateway's token and the site owner's. */
export type Shop = {
  readonly owner: Pool;
  readonly company: Company;
  /** A member of each of its groups. */
  readonly members: readonly { readonly user: string; readonly group: string }[];
  readonly gateway: string;
  readonly site: string;
  /** The ids of everything that loads have ever sent. */
  readonly sent: Set<string>;
};

const NAMES = ['red', 'green', 'blue', 'grey'];

/** Budgets have room for whatever a load spends, but for one that is soon used up. */
export async function openShop(owner: Pool): Promise<Shop> {
  const world = await createWorld(owner);
  await listModels(owner);
  const company = await createCompany(owner, {
    people: NAMES,
    groups: {
      ...Object.fromEntries(
        NAMES.map((name) => [
          name,
          { members: [name], budget: { limit: name === 'grey' ? 5_000 : 900_000_000 } },
        ]),
      ),
      Everyone: { budget: { limit: 9_000_000_000, period: 'year' } },
    },
  });
  const tokenOf = (user: string) => signToken(user, 3600, { secret: SECRET });
  return {
    owner,
    company,
    members: NAMES.map((name) => ({ user: company.user(name), group: company.group(name) })),
    gateway: await tokenOf(world.people.ai_gateway),
    site: await tokenOf(world.people.owner),
    sent: new Set(),
  };
}
