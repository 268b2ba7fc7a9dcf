import { Client } from 'pg';
import { speakingFor } from './as-user.ts';
import type { Connection } from './ledger.ts';

/** A lock or a statement that took too long. Nothing was written: a gateway sends it again, as docs/gateways.md says. */
const TOO_LATE: readonly unknown[] = ['55P03', '57014'];

/** A connection of its own that speaks for the gateway, as the server's connections do. */
export type Gateway = {
  /** Runs `work` in one transaction; again, when it did not come to its turn in time on a busy machine. */
  call<T>(work: (db: Connection) => Promise<T>): Promise<T>;
  end(): Promise<void>;
};

export async function connectGateway(url: string, userId: string): Promise<Gateway> {
  const client = new Client({ connectionString: url });
  // Without a listener, a connection that breaks would end Node; the query that waits is told anyway.
  client.on('error', () => {});
  await client.connect();
  const db = client as unknown as Connection;
  return {
    async call(work) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await speakingFor(client, userId, 'rest', () => work(db));
        } catch (error) {
          if (!TOO_LATE.includes((error as { code?: unknown }).code) || attempt === 5) throw error;
        }
      }
    },
    end: () => client.end(),
  };
}

export async function connectGateways(
  url: string,
  userId: string,
  count: number,
): Promise<Gateway[]> {
  return Promise.all(Array.from({ length: count }, () => connectGateway(url, userId)));
}
