import type { Case } from '../bench.ts';
import { meets } from '../results.ts';
import { startServer } from '../servers.ts';
import { timings } from '../timings.ts';

const PROCESSES = [1, 2];

const nameOf = (count: number) => (count === 1 ? 'one process' : `${count} workers`);

/** From the command to the first answer, on a database that has been migrated. */
export const startUp: Case = {
  name: 'start-up',
  title: 'Start-up on an existing database',
  databases: ['small'],
  contenders: [],
  async run(bench) {
    const { authenticator } = await bench.database('small');
    const { poolSize, rounds } = bench.settings;
    const works = PROCESSES.map((workers) => ({
      name: nameOf(workers),
      async run() {
        const server = await startServer('bursar', { database: authenticator, poolSize, workers });
        const answer = await fetch(`${server.url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{"query": "{ groups { totalCount } }"}',
        });
        if (!answer.ok) throw new Error(`The answer was ${answer.status}.`);
        return server.stop;
      },
    }));
    const measurements = await timings(this.name, works, { rounds, times: 1 });
    const [one = Number.NaN] = measurements.map(({ value }) => value);
    return {
      name: this.name,
      title: this.title,
      measurements,
      comparisons: [],
      checks: [
        {
          what: 'one process answers within 2 s',
          is: `${(one / 1000).toFixed(2)} s`,
          met: meets(one, { atMost: 2_000 }),
        },
      ],
      notes: [
        'From starting the command to the first answer by GraphQL. Nothing is compiled beforehand.',
      ],
    };
  },
};
