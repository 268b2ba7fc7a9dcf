import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import type { Case } from '../bench.ts';
import { contestOf } from '../contest.ts';
import { gatewayId, MODEL, userId } from '../data/world.ts';
import { compared, type Measurement } from '../results.ts';
import { speakFor, timings } from '../timings.ts';
import { ledgerIsInOrder } from './ledger-in-order.ts';

const BATCH = 1000;

const events = (users: number) =>
  JSON.stringify(
    Array.from({ length: BATCH }, (_, n) => ({
      id: randomUUID(),
      user_id: userId(n % Math.min(users, 100), Math.floor(n / 100) % Math.max(1, users / 100)),
      ...MODEL,
      input_tokens: 1000 + n,
      output_tokens: 50,
      occurred_at: new Date().toISOString(),
    })),
  );

// The same columns from the same JSON; nothing is looked up, checked or kept unique.
const BARE = `
  insert into bench_bare_events
    (organization_id, id, occurred_at, group_id, user_id, provider, model,
     input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
     input_price, output_price, cache_read_price, cache_write_price, cost_micros)
  select gen_random_uuid(), e.id, e.occurred_at, gen_random_uuid(), e.user_id, e.provider, e.model,
    e.input_tokens, e.output_tokens, 0, 0, 3000000, 15000000, 300000, 3750000,
    e.input_tokens * 3 + e.output_tokens * 15
  from jsonb_to_recordset($1::jsonb) as e (
    id uuid, user_id uuid, provider text, model text, input_tokens bigint, output_tokens bigint, occurred_at timestamptz)`;

export const usageBatches: Case = {
  name: 'usage-batches',
  title: 'record_ai_usage, batches of 1,000',
  databases: ['small'],
  contenders: [],
  async run(bench) {
    const { owner, authenticator } = await bench.database('small');
    const gateway = new Client({ connectionString: authenticator });
    const root = new Client({ connectionString: owner });
    await Promise.all([gateway.connect(), root.connect()]);
    try {
      await speakFor(gateway, gatewayId);
      await root.query('drop table if exists bench_bare_events');
      await root.query(
        'create table bench_bare_events (like app_public.ai_usage_events including defaults)',
      );
      const record = (users: number) => async () => {
        const { rows } = await gateway.query({
          name: 'record',
          text: 'select recorded from app_public.record_ai_usage($1)',
          values: [events(users)],
        });
        if (Number(rows[0]?.recorded) !== BATCH) {
          throw new Error(`${rows[0]?.recorded} of ${BATCH} events were recorded.`);
        }
      };
      const measured = await timings(
        this.name,
        [
          { name: 'one user', run: record(1) },
          { name: '1,000 users', run: record(BATCH) },
          {
            name: 'bare insert',
            run: async () => {
              await root.query({ name: 'bare', text: BARE, values: [events(BATCH)] });
            },
          },
        ],
        { rounds: bench.settings.rounds, times: bench.settings.quick ? 4 : 20 },
      );
      const { measurements, ratio } = contestOf(measured.map(asRate));
      return {
        name: this.name,
        title: this.title,
        measurements,
        comparisons: [
          compared('one user', 'bare insert', ratio('one user', 'bare insert'), { atLeast: 0.5 }),
          compared('1,000 users', 'bare insert', ratio('1,000 users', 'bare insert'), {
            atLeast: 0.5,
          }),
        ],
        checks: [await ledgerIsInOrder(bench)],
        notes: [
          'The bare table is logged and has neither index nor constraint nor trigger; it gets the same JSON the same way.',
        ],
      };
    } finally {
      await root.query('drop table if exists bench_bare_events');
      await Promise.all([gateway.end(), root.end()]);
    }
  },
};

function asRate(measurement: Measurement): Measurement {
  const rate = (ms: number) => (BATCH * 1000) / ms;
  return {
    ...measurement,
    unit: 'rows/s',
    value: rate(measurement.value),
    rounds: measurement.rounds.map(rate),
  };
}
