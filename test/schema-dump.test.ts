import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { withClient } from '../src/database.ts';
import { dumpSchema } from '../src/schema-dump.ts';
import { asSuperuser, createTestDatabase, type TestDatabase } from './support/database.ts';
import { NEWEST_STEPS, STEPS } from './support/schema-of-everything.ts';
import { expectRoundTrip } from './support/schema-round-trip.ts';

let database: TestDatabase;
const made: string[] = [];

/** The URL of its owner. */
async function createEmptyDatabase(): Promise<string> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await asSuperuser('postgres', (client) =>
    client.query(`create database ${name} owner bursar_owner strategy file_copy`),
  );
  made.push(name);
  return `postgres://bursar_owner:owner@${inject('host')}/${name}`;
}

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database?.drop();
  await asSuperuser('postgres', async (client) => {
    for (const name of made) await client.query(`drop database ${name} with (force)`);
  });
});

describe('the schema', () => {
  test('is the one in schema.sql', async () => {
    await expect(await withClient(database.urls.owner, dumpSchema)).toMatchFileSnapshot(
      '../schema.sql',
    );
  });
  test('comes back', async () => {
    await expectRoundTrip(database.urls.owner, await createEmptyDatabase(), 'bursar_authenticator');
  });
});

test('everything', async () => {
  const [there, back, empty] = [
    await createEmptyDatabase(),
    await createEmptyDatabase(),
    await createEmptyDatabase(),
  ];
  const steps = [...STEPS, ...NEWEST_STEPS];
  await withClient(there, async (client) => {
    for (const step of steps)
      for (const s of step)
        await client.query(s).catch((e) => {
          throw new Error(`${s}: ${e.message}`);
        });
  });
  await withClient(back, async (client) => {
    for (const step of steps)
      for (const s of step.toReversed())
        await client.query(s).catch((e) => {
          throw new Error(`${s}: ${e.message}`);
        });
  });
  const dump = await withClient(there, dumpSchema);
  (await import('node:fs')).writeFileSync('/tmp/w/h1-everything.sql', dump);
  expect(await withClient(back, dumpSchema)).toBe(dump);
  await expectRoundTrip(there, empty);
});
