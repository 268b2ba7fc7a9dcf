import type { Pool } from 'pg';
import type {
  PgClient,
  PgClientQuery,
  PgClientResult,
  WithPgClient,
} from 'postgraphile/@dataplan/pg';
import { makePgService } from 'postgraphile/adaptors/pg';
import type { Statement } from '../src/introduced-query.ts';
import { type Answer, ask, Caller, inTransactionOf, type Transaction } from '../src/on-behalf.ts';

/**
 * How PostGraphile reaches the database. Its `pgSettings` are the request's Caller; what says on whose behalf a
 * statement runs goes with it in one write. A statement outside of `withTransaction` is a transaction of its own.
 *
 * Without a Caller, as while the schema is built, the connection speaks for the server alone, which may read nothing
 * of anybody's.
 */
export function createPgService(pool: Pool): GraphileConfig.PgServiceConfiguration {
  const service = makePgService({ pool, schemas: ['app_public'], pubsub: false });
  const withPgClient: WithPgClient = async (settings, work) => work(clientOf(pool, settings));
  // The types promise node-postgres' client as well, which nothing here asks for.
  const createWithPgClient = (() =>
    withPgClient) as unknown as typeof service.adaptor.createWithPgClient;
  return { ...service, adaptor: { ...service.adaptor, createWithPgClient } };
}

/** What PostGraphile hands on to the adaptor, and does not look into. */
export function pgSettingsOf(caller: Caller): Record<string, string | undefined> {
  return caller as unknown as Record<string, string | undefined>;
}

function clientOf(pool: Pool, settings: unknown): PgClient {
  if (settings === null || settings === undefined) return serverClient(pool);
  if (!(settings instanceof Caller)) throw new Error('A statement runs on behalf of a Caller.');
  const caller = settings;
  return {
    query: async <Row>(query: PgClientQuery) =>
      resultOf(await ask<Row>(pool, caller, statementOf(query))),
    withTransaction: (work) =>
      inTransactionOf(pool, caller, (transaction) => work(transactionClient(transaction))),
  };
}

function transactionClient(transaction: Transaction): PgClient {
  return {
    query: async <Row>(query: PgClientQuery) =>
      resultOf(await transaction.query<Row>(statementOf(query))),
    withTransaction: (work) => transaction.savepoint((inner) => work(transactionClient(inner))),
  };
}

function serverClient(pool: Pool): PgClient {
  return {
    query: async <Row>({ text, values }: PgClientQuery) => {
      const { rows, rowCount } = await pool.query(text, values);
      return resultOf({ rows: rows as Row[], rowCount });
    },
    withTransaction() {
      throw new Error('The server writes nothing of its own.');
    },
  };
}

function statementOf({ text, values = [], arrayMode }: PgClientQuery): Statement {
  return arrayMode === true ? { text, values, rowMode: 'array' } : { text, values };
}

const NO_NOTICES: NonNullable<PgClientResult<never>['notices']> = [];

function resultOf<Row>({ rows, rowCount }: Answer<Row>): PgClientResult<Row> {
  return { rows, rowCount, notices: NO_NOTICES };
}
