import { Client } from 'pg';
import { speakingFor } from './as-user.ts';
import type { Connection } from './ledger.ts';

/** Nothing was written: a gateway sends it again, as docs/gateways.md says. */
const LOCK_TIMEOUT = '55P03';

/** A connection of its own that speaks for the gateway, as the server's connections do. */
export type Gateway = {
  /** Runs `work` in one transaction; again, when a lock did not come in time on a busy machine. */
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
          if ((error as { code?: unknown }).code !== LOCK_TIMEOUT || attempt === 5) throw error;
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
