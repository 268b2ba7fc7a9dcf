import { once } from 'node:events';
import { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { inTransaction } from '../../src/database.ts';
import type { Case } from '../bench.ts';
import { contestOf } from '../contest.ts';
import { ownerId } from '../data/world.ts';
import { type Comparison, compared, type Measurement } from '../results.ts';
import { speakFor, timings } from '../timings.ts';

const PRICES = ['input_price', 'output_price', 'cache_read_price', 'cache_write_price'] as const;
const COLUMNS = ['provider', 'model', ...PRICES].join(', ');

type Price = { provider: string; model: string } & Record<(typeof PRICES)[number], number | null>;

/** A made-up list; another `base` changes each row. */
function listOf(models: number, provider: string, base: number): Price[] {
  return Array.from({ length: models }, (_, n) => ({
    provider,
    model: `model-${n}`,
    input_price: base + n,
    output_price: base + 5 * n,
    cache_read_price: n % 3 === 0 ? null : base,
    cache_write_price: null,
  }));
}

const TABLES = {
  'COPY + insert, no triggers': 'bench_prices',
  'COPY + insert, the real table': 'app_public.ai_model_prices',
} as const;
const OURS = 'upsert_ai_model_prices';

/** Each contender starts with a list of a provider of its own, then has it changed, then sent again as it is. */
export const priceList: Case = {
  name: 'price-list',
  title: 'A price list upserted',
  databases: ['many groups'],
  contenders: [],
  async run(bench) {
    const { authenticator, owner } = await bench.database('many groups');
    const siteOwner = new Client({ connectionString: authenticator });
    const root = new Client({ connectionString: owner });
    await Promise.all([siteOwner.connect(), root.connect()]);
    const models = bench.settings.quick ? 2_000 : 100_000;
    const measurements: Measurement[] = [];
    const comparisons: Comparison[] = [];
    try {
      await speakFor(siteOwner, ownerId);
      // On a slow machine more time than a server gives a request.
      await siteOwner.query('set statement_timeout to 0');
      await root.query('drop table if exists bench_prices');
      await root.query(
        `create table bench_prices (like app_public.ai_model_prices including defaults, primary key (provider, model))`,
      );
      const base = new Map<string, number>();
      let round = 0;
      for (const what of ['new', 'changed', 'unchanged']) {
        const send = async (name: string) => {
          const turn = (base.get(name) ?? 0) + (what === 'unchanged' ? 0 : 1);
          base.set(name, turn);
          if (what === 'new') round += 1;
          // The real table must not see the list of one contender as that of another.
          const provider = what === 'new' ? `bench ${name} ${round}` : `bench ${name}`;
          const list = listOf(models, provider, 1000 * turn);
          if (name === OURS) await upsert(siteOwner, list);
          else await copyAndInsert(root, TABLES[name as keyof typeof TABLES], list);
        };
        const names = [OURS, ...Object.keys(TABLES)];
        const works = names.map((name) => ({
          name,
          run: () => send(name),
        }));
        const rounds = Math.min(3, bench.settings.rounds);
        const part = contestOf(await timings(`${this.name}, ${what}`, works, { rounds, times: 1 }));
        measurements.push(
          ...part.measurements.map((one) => ({ ...one, contender: `${one.contender}, ${what}` })),
        );
        const [strict = '', real = ''] = Object.keys(TABLES);
        comparisons.push(
          compared(`all ${what}`, strict, part.ratio(OURS, strict), { atMost: 2 }),
          compared(`all ${what}`, real, part.ratio(OURS, real)),
        );
      }
    } finally {
      await root.query('drop table if exists bench_prices');
      // The audit trail and the history of prices keep what they saw; this database is for nothing else.
      await root.query(`delete from app_public.ai_model_prices where provider like 'bench %'`);
      await Promise.all([siteOwner.end(), root.end()]);
    }
    return {
      name: this.name,
      title: this.title,
      measurements,
      comparisons,
      checks: [],
      notes: [
        `${models.toLocaleString('en')} rows.`,
        'Times include the way of the list to the database: JSON for the function, COPY text for the others. The table without triggers has the same columns and the primary key; the real one keeps its history of prices and its audit trail.',
      ],
    };
  },
};

async function upsert(client: Client, list: readonly Price[]): Promise<void> {
  const { rows } = await client.query<{ n: number }>(
    'select count(*)::int as n from app_public.upsert_ai_model_prices($1)',
    [JSON.stringify(list)],
  );
  if (rows[0]?.n !== list.length)
    throw new Error(`${rows[0]?.n} of ${list.length} prices were written.`);
}

async function copyAndInsert(client: Client, table: string, list: readonly Price[]): Promise<void> {
  const text = list.map((price) =>
    Object.values(price)
      .map((value) => value ?? '\\N')
      .join('\t'),
  );
  await inTransaction(client, async () => {
    await client.query(
      `create temporary table sent on commit drop as
       select ${COLUMNS} from app_public.ai_model_prices with no data`,
    );
    const copy = client.query(copyFrom('copy sent from stdin'));
    copy.end(`${text.join('\n')}\n`);
    await once(copy, 'finish');
    await client.query(
      `insert into ${table} as p (${COLUMNS}) select ${COLUMNS} from sent
       on conflict (provider, model) do update set
         ${PRICES.map((price) => `${price} = excluded.${price}`).join(', ')}, updated_at = now()`,
    );
  });
}
