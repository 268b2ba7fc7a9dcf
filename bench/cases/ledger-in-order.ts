import { withClient } from '../../src/database.ts';
import type { Bench } from '../bench.ts';
import type { Check } from '../results.ts';

/** The check of the ledger, after all that was done to it. */
export async function ledgerIsInOrder(bench: Bench): Promise<Check> {
  const { owner } = await bench.database('small');
  const { rows } = await withClient(owner, (client) =>
    client.query<{ n: number }>('select count(*)::int as n from app_hidden.ledger_discrepancies()'),
  );
  const found = rows[0]?.n ?? Number.NaN;
  return { what: 'discrepancies of the ledger afterwards', is: String(found), met: found === 0 };
}
