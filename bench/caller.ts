import type { Call } from './closed-loop.ts';
import type { Connection } from './http-client.ts';
import type { ServerName } from './servers.ts';

/** How one contender of a case is asked: by HTTP, or straight at the database. */
export type Contender = {
  readonly name: string;
  readonly server?: ServerName;
  readonly http?: (connection: Connection, number: number) => Promise<Call>;
  readonly sql?: (database: Database, number: number) => Promise<Call>;
};

/** The database without HTTP. */
export type Database = {
  /** One statement on behalf of a user, in a transaction of its own, sent in one go with all around it. */
  ask<Row>(userId: string, name: string, text: string, values: unknown[]): Promise<Row[]>;
};
