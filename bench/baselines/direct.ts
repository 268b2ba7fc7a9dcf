import { Client } from 'pg';
import type { Database } from '../caller.ts';
import { callersOf } from '../cases/callers.ts';
import { closedLoop } from '../closed-loop.ts';
import { answerJobs } from '../load-process.ts';

/**
 * The limit: the same SQL without HTTP, on connections that send all statements of a transaction at once.
 * Callers share the connections, so that the next transaction is there when one has ended.
 */
answerJobs(async (job) => {
  const makeCall = callersOf(job.caseName, job.contender).sql;
  if (makeCall === undefined) throw new Error('This contender does not work without a server.');
  const clients = await Promise.all(
    Array.from({ length: Math.min(job.poolSize, job.connections) }, () => connect(job.url)),
  );
  try {
    const calls = await Promise.all(
      Array.from({ length: job.connections }, (_, number) => {
        const client = clients[number % clients.length];
        if (client === undefined) throw new Error('There is no connection.');
        return makeCall(databaseOf(client), number);
      }),
    );
    return await closedLoop(calls, job.warmUpSeconds, job.seconds);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
});

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString, pipeline: true } as ConstructorParameters<
    typeof Client
  >[0]);
  await client.connect();
  return client;
}

function databaseOf(client: Client): Database {
  return {
    async ask(userId, name, text, values) {
      // Not awaited one by one: all four are on their way before the first is answered.
      const [, , answer] = await Promise.all([
        client.query('begin'),
        client.query({
          name: 'speak_for_user',
          text: `select set_config('role', 'bursar_user', true), set_config('bursar.user_id', $1, true), set_config('bursar.door', 'rest', true)`,
          values: [userId],
        }),
        client.query({ name, text, values }),
        client.query('commit'),
      ]);
      return answer.rows;
    },
  };
}
