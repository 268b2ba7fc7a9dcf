import type { Pool } from 'pg';
import { Gauge, type Registry } from 'prom-client';

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

/** For how long an answer of the database is good enough. */
const KEPT_MS = 15_000;

/**
 * Shows what holds, budgets and the ledger come to. While the database does not answer there is `bursar_database_up 0`
 * and nothing of the others, rather than what was true once.
 */
export function measureSpend(pool: Pool, registry: Registry): void {
  let refreshing: Promise<void> | undefined;
  let keptUntil = 0;

  const refresh = () => {
    if (refreshing === undefined || performance.now() > keptUntil) {
      keptUntil = performance.now() + KEPT_MS;
      refreshing = read(pool).then((row) => {
        // An absence ends sooner.
        if (row === undefined) keptUntil = 0;
        show(row);
      });
    }
    return refreshing;
  };

  const isUp = new Gauge({
    name: 'bursar_database_up',
    help: 'Whether the database says what holds, budgets and usage come to: 1, or 0.',
    registers: [registry],
    aggregator: 'min',
    collect: refresh,
  });
  const gauges = Object.entries(GAUGES).map(([column, { name, help, ...about }]) => ({
    column,
    unit: 'unit' in about ? about.unit : 1,
    // Each server of a database says the same.
    gauge: new Gauge({ name, help, registers: [registry], aggregator: 'max', collect: refresh }),
  }));

  const show = (row: Row | undefined) => {
    isUp.set(row === undefined ? 0 : 1);
    for (const { column, unit, gauge } of gauges) {
      const value = row?.[column];
      if (value === undefined) gauge.remove();
      else gauge.set(Number(value) / unit);
    }
  };
}

/** Nothing when the database does not answer in time, or is older than this code. */
async function read(pool: Pool): Promise<Row | undefined> {
  try {
    const { rows } = await pool.query<Row>('select * from app_hidden.spend_gauges()');
    return rows[0];
  } catch {
    return undefined;
  }
}
