import { Client } from 'pg';
import { withClient } from '../../src/database.ts';
import type { Bench, Case, DatabaseName } from '../bench.ts';
import { contestOf } from '../contest.ts';
import { adminId, organizationId } from '../data/world.ts';
import { statementsDuring } from '../plans.ts';
import { compared, meets } from '../results.ts';
import { speakFor, timings, type Work } from '../timings.ts';

const TIMES = 30;
const ORGANIZATION = 3;

export const MONTH_QUERY = `query Month($organizationId: UUID!, $from: Date!, $to: Date!) {
  aiSpendDailies(filter: {
    organizationId: { equalTo: $organizationId }, day: { greaterThanOrEqualTo: $from, lessThan: $to }
  }) {
    groupedAggregates(groupBy: [GROUP_ID, MODEL]) { keys sum { costMicros requests } }
  }
}`;

/** The last month that is over. */
export function lastMonth(now = new Date()): { from: string; to: string } {
  const first = (month: number) =>
    new Date(Date.UTC(now.getUTCFullYear(), month, 1)).toISOString().slice(0, 10);
  return { from: first(now.getUTCMonth() - 1), to: first(now.getUTCMonth()) };
}

export const monthSpend: Case = {
  name: 'month-spend',
  title: "A month's spend of an organization by group and model, database time",
  databases: ['small', 'large'],
  contenders: [],
  async run(bench) {
    const { smallLedger, largeLedger, rounds } = bench.settings;
    const short = `${smallLedger.toLocaleString('en')} rows`;
    const long = `${largeLedger.toLocaleString('en')} rows`;
    const small = await openMonth(bench, 'small', short);
    const large = await openMonth(bench, 'large', long);
    try {
      const works = [small.work, large.work];
      const times = Math.ceil(TIMES / rounds);
      const { measurements, ratio } = contestOf(await timings(this.name, works, { rounds, times }));
      const longest = measurements.find(({ contender }) => contender === long)?.value ?? Number.NaN;
      return {
        name: this.name,
        title: this.title,
        measurements,
        comparisons: [compared(long, short, ratio(long, short), { atMost: 3 })],
        checks: [
          {
            what: `${long}, at most 20 ms`,
            is: `${longest.toFixed(1)} ms`,
            met: meets(longest, { atMost: 20 }),
          },
        ],
        notes: [
          `The statement that the server sends, planned each time, as an admin under row-level security, with the way to the database and back. The organization's month has ${small.dailyRows.toLocaleString('en')} daily rows in the shorter ledger, and ${large.dailyRows.toLocaleString('en')} in the longer.`,
        ],
      };
    } finally {
      await Promise.all([small.close(), large.close()]);
    }
  },
};

type Month = { work: Work; dailyRows: number; close(): Promise<void> };

async function openMonth(bench: Bench, database: DatabaseName, name: string): Promise<Month> {
  const { authenticator, owner } = await bench.database(database);
  const month = lastMonth();
  const user = adminId(ORGANIZATION);
  const organization = organizationId(ORGANIZATION);
  const { statements } = await statementsDuring(bench, database, user, {
    query: MONTH_QUERY,
    variables: { organizationId: organization, ...month },
  });
  const statement = statements.find(({ text }) => /ai_spend_daily[\s\S]*group by/i.test(text));
  if (statement === undefined) throw new Error('The statement is not in the log of PostgreSQL.');
  const { rows } = await withClient(owner, (client) =>
    client.query<{ n: number }>(
      `select count(*)::int as n from app_public.ai_spend_daily
       where organization_id = $1 and day >= $2 and day < $3`,
      [organization, month.from, month.to],
    ),
  );
  const client = new Client({ connectionString: authenticator });
  await client.connect();
  await speakFor(client, user);
  return {
    dailyRows: rows[0]?.n ?? 0,
    work: {
      name,
      async run() {
        const answer = await client.query(statement.text, [...statement.parameters]);
        if (answer.rowCount === 0) throw new Error('The month is empty.');
      },
    },
    close: () => client.end(),
  };
}
