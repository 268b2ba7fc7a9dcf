import '../graphile-environment.ts';
import { Pool } from 'pg';
import { makeSchema } from 'postgraphile';
import { type GraphQLSchema, lexicographicSortSchema, printSchema } from 'postgraphile/graphql';
import { createPreset } from '../../plugins/preset.ts';

/** The API of a database without a gate in front of it. */
export function makeApi(pool: Pool): ReturnType<typeof makeSchema> {
  const gate = { name: 'NoGate', version: '1.0.0' };
  return makeSchema(createPreset({ pool, gate, log: () => {}, graphiql: false }));
}

/** The text of schema.graphql. */
export function printApi(schema: GraphQLSchema): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}

/** @param authenticator The server's login: the API is made of what it may reach. */
export async function dumpApi(authenticator: string): Promise<string> {
  const pool = new Pool({ connectionString: authenticator, max: 2 });
  pool.on('error', () => {});
  try {
    return printApi((await makeApi(pool)).schema);
  } finally {
    await pool.end();
  }
}
