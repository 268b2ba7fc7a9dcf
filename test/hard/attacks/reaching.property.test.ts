import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import {
  buildClientSchema,
  type GraphQLSchema,
  getIntrospectionQuery,
  type IntrospectionQuery,
} from 'postgraphile/graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asSuperuser, createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { startTestServer } from '../../support/server.ts';
import { createWorld, type Person, type World } from '../../support/world.ts';
import { RandomQueries, type Values } from '../support/random-queries.ts';

// Whatever somebody asks by GraphQL, the answer is the one of a database in which there is nothing but what the table
// of rights lets them see: not a value, count, sum, order or cursor of what is hidden, and no error that tells of it.

const RUNS = 80 * Number(process.env.REACHING_RUNS ?? 1);
// What a change is checked by stays the same; another seed asks something else.
const seed = Number(process.env.REACHING_SEED ?? 1);

const abroad = (w: World) => [
  w.foreignOrganization,
  w.foreignGroup,
  w.foreigner,
  w.people.stranger,
];
const home = (w: World) => [
  w.organization,
  w.group,
  w.otherGroup,
  w.colleague,
  ...(
    ['member', 'organization_admin', 'organization_user_admin', 'organization_auditor'] as const
  ).map((person) => w.people[person]),
];

/** Who attacks, and what is hidden from them: ids of organizations, groups and people. */
const ATTACKERS: Record<
  string,
  { person: Person | null; sees: string[]; hidden: (w: World) => string[] }
> = {
  nobody: {
    person: null,
    sees: [],
    hidden: (w) => [...abroad(w), ...home(w)],
  },
  'a member': {
    person: 'member',
    sees: ['Home'],
    hidden: (w) => [...abroad(w), w.otherGroup],
  },
  'an admin of an organization': { person: 'organization_admin', sees: ['Home'], hidden: abroad },
  'an admin of its users': { person: 'organization_user_admin', sees: ['Home'], hidden: abroad },
  'an auditor of an organization': {
    person: 'organization_auditor',
    sees: ['Home'],
    hidden: abroad,
  },
  'somebody of the other organization': { person: 'stranger', sees: ['Abroad'], hidden: home },
};

let database: TestDatabase;
let world: World;
let schema: GraphQLSchema;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  const server = await startTestServer(database);
  const { owner, member, stranger } = world.people;
  await server.graphql(
    owner,
    'mutation { upsertAiModelPrices(input: { seed: [{ provider: "acme", model: "one", input_price: 1000000, output_price: 7 }] }) { aiModelPrices { model } } }',
  );
  const events = [
    [world.organization, world.group, member],
    [world.foreignOrganization, world.foreignGroup, world.foreigner],
    [world.foreignOrganization, world.foreignOrganization, stranger],
  ].flatMap(([organization_id, group_id, user_id], place) =>
    ['one', 'unpriced'].flatMap((model) =>
      [1, 2, 3].map((n) => ({
        id: randomUUID(),
        user_id,
        provider: 'acme',
        model,
        input_tokens: 1_000 * (place + 1) + n,
        output_tokens: n,
        organization_id,
        group_id,
      })),
    ),
  );
  const recorded = await server.request(owner, '/api/v2/ai/usage', {
    method: 'POST',
    body: JSON.stringify({ events }),
  });
  expect(await recorded.text()).toBe('{"recorded":18,"duplicates":0}');
  const { data } = await server.graphql(null, getIntrospectionQuery());
  schema = buildClientSchema(data as unknown as IntrospectionQuery);
  await server.stop();
});

afterAll(() => database?.drop());

/** A copy of the database in which whatever has one of these ids in any column has never been. */
async function without(hidden: readonly string[]): Promise<TestDatabase> {
  const name = new URL(database.urls.owner).pathname.slice(1);
  // Nobody may be connected to what is copied; the servers come back by themselves.
  const copy = await asSuperuser('postgres', async (superuser) => {
    for (let attempt = 1; ; attempt += 1) {
      await superuser.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1',
        [name],
      );
      try {
        return await createTestDatabase(name);
      } catch (error) {
        if (attempt === 20) throw error;
      }
    }
  });
  const client = new Client({ connectionString: copy.superuserUrl });
  await client.connect();
  // Rows go as if by themselves: no cascade, and no trail of it.
  await client.query('set session_replication_role = replica');
  await client.query('alter table app_public.audit_events disable trigger all');
  const { rows } = await client.query<{ name: string; columns: string[] }>(
    `select c.oid::regclass::text as name, array_agg(quote_ident(a.attname)) as columns
     from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace::regnamespace::text like 'app\\_%' and c.relkind in ('r', 'p') and not c.relispartition
       and a.atttypid = 'uuid'::regtype and not a.attisdropped
     group by c.oid`,
  );
  for (const { name, columns } of rows) {
    await client.query(
      `delete from ${name} where ${columns.map((column) => `${column} = any ($1)`).join(' or ')}`,
      [hidden],
    );
  }
  await client.end();
  return copy;
}

/** Half of what is asked for is hidden. */
function valuesFor(hidden: readonly string[]): Values {
  const ids = [...hidden, ...abroad(world), ...home(world), world.people.owner, randomUUID()];
  const text = (values: readonly string[]) => values.map((value) => JSON.stringify(value));
  const nodeIds = ids.flatMap((id) =>
    ['Organization', 'Group', 'User', 'GroupAiBudget'].map((type) =>
      Buffer.from(JSON.stringify([type, id])).toString('base64'),
    ),
  );
  return {
    UUID: text(ids),
    ID: text(nodeIds),
    String: text([
      'Abroad',
      'Home',
      'foreigner',
      'colleague',
      'member',
      'one',
      'unpriced',
      'acme',
      'a',
      'A%',
      '%o%',
      '',
    ]),
    BigInt: text(['0', '7000000', '9000000', '500000000', '2001', '3002']),
    BigFloat: text(['0', '1000.5', '2001', '9000000']),
    Int: ['0', '1', '2', '100'],
    Float: ['0', '1.5'],
    Boolean: ['true', 'false'],
    Datetime: text(['2020-01-01T00:00:00Z', '2030-01-01T00:00:00Z']),
    Date: text(['2020-01-01', '2030-01-01']),
    JSON: ['{}', '[]'],
  };
}

describe.each(Object.entries(ATTACKERS))('%s', (who, { person, sees, hidden }) => {
  test('is answered as if what is hidden from them were not there', async ({ task }) => {
    const seeded = seed + Object.keys(ATTACKERS).indexOf(who);
    const userId = person === null ? null : world.people[person];
    const copy = await without(hidden(world));
    const alone = await startTestServer(copy);
    const whole = await startTestServer(database);
    try {
      const queries = new RandomQueries(schema, valuesFor(hidden(world)), seeded);
      const { data } = await whole.graphql(userId, '{ organizations { nodes { name } } }');
      expect(data).toEqual({ organizations: { nodes: sees.map((name) => ({ name })) } });
      let answered = 0;
      let values = 0;
      for (let run = 0; run < RUNS; run += 1) {
        const query = queries.next();
        const [seen, expected] = await Promise.all(
          [whole, alone].map(async (server) => {
            const { status, data, errors } = await server.graphql(userId, query);
            return { status, data, errors };
          }),
        );
        expect(seen, `REACHING_SEED=${seed}, run ${run}, ${who}: ${query}`).toEqual(expected);
        expect(JSON.stringify(seen?.errors ?? [])).not.toContain('INTERNAL');
        if (seen?.errors === undefined) answered += 1;
        values += JSON.stringify(seen?.data ?? null).match(/":(?![{[])/g)?.length ?? 0;
      }
      // Most of what is asked must be answered, or the comparison says little.
      expect(answered).toBeGreaterThan(RUNS / 3);
      task.meta.figures = [
        `${RUNS} random queries by ${who}, ${answered} of them answered with ${values.toLocaleString('en')} values: each answer was that of a database in which what is hidden from them does not exist`,
      ];
    } finally {
      await whole.stop();
      await alone.stop();
      await copy.drop();
    }
  });
});
