import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';

// What holds for our schema alone; rules that any schema can keep are lints (test/lints.test.ts).

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.drop());

describe('the schema', () => {
  test('has no restrictive policies: what is allowed stands in one policy for each command', async () => {
    const { rows } = await database.owner.query(
      'select polrelid::regclass, polname from pg_policy where not polpermissive',
    );
    expect(rows).toEqual([]);
  });

  test('no role of the API has powers of its own', async () => {
    const { rows } = await database.owner.query(
      `select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolinherit, rolcanlogin
       from pg_roles where rolname in ('bursar_user', 'bursar_authenticator') order by rolname`,
    );
    const none = {
      rolsuper: false,
      rolbypassrls: false,
      rolcreaterole: false,
      rolcreatedb: false,
      rolreplication: false,
      rolinherit: false,
    };
    expect(rows).toEqual([
      { rolname: 'bursar_authenticator', ...none, rolcanlogin: true },
      { rolname: 'bursar_user', ...none, rolcanlogin: false },
    ]);
  });
});
