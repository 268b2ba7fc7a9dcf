/**
 * A gateway as a process of its own: `node ledger-client.ts JOB`, where JOB is a file with a ClientJob. It says
 * `ready`, waits for a line, and then says each answer as soon as it has it, a line of JSON each. It ends with
 * exit code 3 when the database goes away.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { connectGateway } from './gateway.ts';
import { type Row, rowOf } from './ledger.ts';

export type ClientOperation = {
  readonly key: string;
  readonly name: string;
  readonly args: Row;
  /** The key of an earlier authorization of the same lane: not to be done unless that was allowed. */
  readonly after?: string;
};
export type ClientJob = {
  readonly url: string;
  readonly userId: string;
  /** Each lane has its own connection and does one thing after the other. */
  readonly lanes: readonly (readonly ClientOperation[])[];
};
export type ClientAnswer = { readonly key: string; readonly answer?: Row; readonly error?: string };

async function main(path: string): Promise<void> {
  const job = JSON.parse(readFileSync(path, 'utf8')) as ClientJob;
  const gateways = await Promise.all(job.lanes.map(() => connectGateway(job.url, job.userId)));
  const say = (answer: ClientAnswer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
  process.stdout.write('ready\n');
  const input = createInterface({ input: process.stdin });
  await new Promise((resolve) => input.once('line', resolve));
  input.close();
  await Promise.all(
    job.lanes.map(async (operations, lane) => {
      const allowed = new Set<string>();
      for (const { key, name, args, after } of operations) {
        if (after !== undefined && !allowed.has(after)) continue;
        try {
          const answer = await gateways[lane]?.call((db) => rowOf(db, name, args));
          if (answer?.allowed === true) allowed.add(key);
          say({ key, answer: answer ?? {} });
        } catch (error) {
          const code = String((error as Row).code);
          // Not an answer: the connection broke, or the server is shutting down or not up yet.
          if (!/^[0-9A-Z]{5}$/.test(code) || /^(08|57P)/.test(code)) process.exit(3);
          say({ key, error: code });
        }
      }
    }),
  );
  await Promise.all(gateways.map((gateway) => gateway.end()));
  process.exit(0);
}

main(process.argv[2] ?? '').catch(() => process.exit(3));
