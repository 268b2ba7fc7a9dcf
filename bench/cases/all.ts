import type { Case } from '../bench.ts';
import { budgetUpsert } from './budget-upsert.ts';
import { groupsPage } from './groups-page.ts';
import { monthSpend } from './month-spend.ts';
import { oneBudget } from './one-budget.ts';
import { priceList } from './price-list.ts';
import { readableGroups } from './readable-groups.ts';
import { spendHotGroup } from './spend-hot-group.ts';
import { spendManyGroups } from './spend-many-groups.ts';
import { startUp } from './start-up.ts';
import { usageBatches } from './usage-batches.ts';

/** In the order in which they run: those that only read come first. */
export const CASES: readonly Case[] = [
  oneBudget,
  groupsPage,
  budgetUpsert,
  spendManyGroups,
  spendHotGroup,
  usageBatches,
  readableGroups,
  priceList,
  monthSpend,
  startUp,
];
