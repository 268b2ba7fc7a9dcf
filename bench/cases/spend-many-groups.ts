import { measurePgbench } from '../baselines/pgbench.ts';
import type { Case } from '../bench.ts';
import { contest } from '../contest.ts';
import { compared } from '../results.ts';
import { ledgerIsInOrder } from './ledger-in-order.ts';
import { FUNCTIONS_ALONE, MANY_GROUPS } from './spending.ts';

export const spendManyGroups: Case = {
  name: 'spend-many-groups',
  title: 'Authorize and settle, many groups, by REST',
  databases: ['small'],
  contenders: [MANY_GROUPS, FUNCTIONS_ALONE],
  async run(bench) {
    const { measurements, ratio } = await contest(bench, this, { unit: 'pairs/s' });
    const pgbench = await measurePgbench(bench);
    const bursar = measurements.find(({ contender }) => contender === MANY_GROUPS.name);
    return {
      name: this.name,
      title: this.title,
      measurements: pgbench === undefined ? measurements : [...measurements, pgbench],
      comparisons: [
        compared('by REST', FUNCTIONS_ALONE.name, ratio(MANY_GROUPS.name, FUNCTIONS_ALONE.name), {
          atLeast: 0.5,
        }),
        ...(pgbench === undefined || bursar === undefined
          ? []
          : [compared('by REST', pgbench.contender, bursar.value / pgbench.value)]),
      ],
      checks: [await ledgerIsInOrder(bench)],
      notes: ['A pair is one call authorized and settled: two requests, one after the other.'],
    };
  },
};
