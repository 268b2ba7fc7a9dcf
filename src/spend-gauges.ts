import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, QueryConfig } from 'pg';
import { Gauge, type Registry } from 'prom-client';
import { logRepeated } from './log.ts';

/** What `app_hidden.spend_gauges()` returns, in its columns' names: text where pg has no exact number. */
type Row = Readonly<Record<string, string>>;

/** By the column that each shows. */
const GAUGES = {
  open_holds: {
    name: 'bursar_open_holds',
    help: 'Holds that are neither settled, released nor expired.',
  },
  held_micros: {
    name: 'bursar_held_dollars',
    help: 'What open holds keep, in US dollars.',
    unit: 1e6,
  },
  unpriced_events: {
    name: 'bursar_unpriced_usage_events',
    help: 'Usage events whose cost is not known yet.',
  },
  budgets: { name: 'bursar_budgets', help: 'Budgets that there are.' },
  budgets_over_80_percent: {
    name: 'bursar_budgets_over_80_percent',
    help: 'Budgets of which more than 80 % is spent in their period, by the group, or by a member where each has the limit.',
  },
} satisfies Record<string, { name: string; help: string; unit?: number }>;

/** How old an answer of the database may be before it is asked anew, and before it is shown no more. */
const FRESH_MS = 15_000;
const SHOWN_MS = 180_000;
/**
 * With a hundred thousand budgets and holds it takes seconds: whoever scrapes waits for so long, and then gets the
 * answer before; and the database has ten times as long a rest.
 */
const WAITED_FOR_MS = 1_000;
const ANSWERED_WITHIN_MS = 12_000;

/**
 * Shows what holds, budgets and the ledger come to. When the database can't say, nothing of them is shown after a while,
 * rather than what was true once; `bursar_database_up` tells whether it answers at all.
 */
export function measureSpend(pool: Pool, registry: Registry): void {
  let asking: Promise<void> | undefined;
  let askAgainAt = Number.NEGATIVE_INFINITY;
  let answeredAt = Number.NEGATIVE_INFINITY;
  const refresh = async () => {
    if (asking === undefined && performance.now() > askAgainAt) {
      const began = performance.now();
      asking = read(pool).then((row) => {
        asking = undefined;
        const took = performance.now() - began;
        askAgainAt = performance.now() + Math.max(FRESH_MS, 10 * took);
        if (row === undefined) return;
        answeredAt = performance.now();
        show(row);
      });
    }
    if (asking !== undefined) {
      await Promise.race([asking, sleep(WAITED_FOR_MS, undefined, { ref: false })]);
    }
    if (performance.now() - answeredAt > SHOWN_MS) show({});
  };

  new Gauge({
    name: 'bursar_database_up',
    help: 'Whether the database answers: 1, or 0.',
    registers: [registry],
    async collect() {
      this.set(await answers(pool));
    },
  });
  const gauges = Object.entries(GAUGES).map(([column, { name, help, ...about }]) => ({
    column,
    unit: 'unit' in about ? about.unit : 1,
    gauge: new Gauge({ name, help, registers: [registry], collect: refresh }),
  }));

  const show = (row: Row) => {
    for (const { column, unit, gauge } of gauges) {
      const value = row[column];
      if (value === undefined) gauge.remove();
      else gauge.set(Number(value) / unit);
    }
  };
}

const answers = (pool: Pool): Promise<0 | 1> =>
  pool.query('select').then(
    () => 1,
    () => 0,
  );

async function read(pool: Pool): Promise<Row | undefined> {
  try {
    const { rows } = await pool.query<Row>({
      text: 'select * from app_hidden.spend_gauges()',
      query_timeout: ANSWERED_WITHIN_MS,
    } as QueryConfig);
    return rows[0];
  } catch (error) {
    logRepeated('What holds, budgets and usage come to could not be read.', error as Error);
    return undefined;
  }
}
