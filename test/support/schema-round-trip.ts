import { expect } from 'vitest';
import { withClient } from '../../src/database.ts';
import { dumpSchema } from '../../src/schema-dump.ts';
import { catalogueFacts } from './catalogue-facts.ts';

/**
 * The dump of a database makes, in an empty one, a schema with the same dump, and with the same catalogue, which is
 * read here without the dump's help.
 *
 * @param filled The owner's URL of the database with the schema.
 * @param empty The owner's URL of one without.
 * @param server The role of the server that is registered in the first one.
 * @returns The dump.
 */
export async function expectRoundTrip(
  filled: string,
  empty: string,
  server = 'nobody',
): Promise<string> {
  const [dump, facts] = await withClient(filled, async (client) => [
    await dumpSchema(client),
    await catalogueFacts(client, server),
  ]);
  await withClient(empty, (client) => client.query(dump));
  const [again, factsAgain] = await withClient(empty, async (client) => [
    await dumpSchema(client),
    await catalogueFacts(client, server),
  ]);
  expect(again).toBe(dump);
  expect(factsAgain).toEqual(facts);
  return dump;
}
