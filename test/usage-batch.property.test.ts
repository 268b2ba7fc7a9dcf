import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';

// A batch is looked at twice: quickly, and closely where that leaves doubts. Whatever the quick look lets through, the
// close one must find nothing wrong with.

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database?.drop());

const UUID = '0b3e1f6a-9c4d-4e2b-8f7a-5d6c7b8a9f01';

/** What stands where something else belongs. */
const anything = fc.constantFrom<unknown>(
  null,
  true,
  0,
  -1,
  1.5,
  1e12,
  1_000_000_000_001,
  1e300,
  '',
  ' ',
  '\t\n',
  '\u00a0',
  '7',
  'x'.repeat(201),
  [],
  {},
  [UUID],
);
const uuid = fc.oneof(
  { weight: 4, arbitrary: fc.uuid() },
  fc.constantFrom(
    UUID.toUpperCase(),
    UUID.replaceAll('-', ''),
    `{${UUID}}`,
    `${UUID.slice(0, -1)}g`,
    `${UUID} `,
    `{${UUID.slice(0, -2)}}`,
    '0b3e-1f6-9c4d-4e2b-8f7a-5d6c7b8a9f01',
  ),
);
const text = fc.constantFrom('acme', 'claude-sonnet-4-5', 'x'.repeat(200), 'ü', ' a ');
const tokens = fc.oneof(fc.nat(), fc.constantFrom(0, 999_999_999_999, 1_000_000_000_000, 1e11));
const time = fc.constantFrom(
  '2026-11-23T12:00:00Z',
  '2026-11-23 12:00+02',
  '1999-12-31T23:59:59Z',
  '2000-01-01T00:00:00Z',
  '9999-01-01T00:00Z',
  '2026-02-30T00:00Z',
  'now',
  'infinity',
);

/** Mostly as it should be, so that single mistakes stand alone. */
const field = (good: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 30, arbitrary: good }, { weight: 1, arbitrary: anything });

const event = fc.oneof(
  {
    weight: 20,
    arbitrary: fc
      .record(
        {
          id: field(uuid),
          user_id: field(uuid),
          provider: field(text),
          model: field(text),
          input_tokens: field(tokens),
          output_tokens: field(tokens),
          cache_read_tokens: field(tokens),
          cache_write_tokens: field(tokens),
          group_id: field(uuid),
          organization_id: field(uuid),
          occurred_at: field(time),
          surprise: anything,
        },
        { requiredKeys: ['id', 'user_id', 'provider', 'model', 'input_tokens', 'output_tokens'] },
      )
      .map(({ surprise, ...rest }) => (surprise === true ? { ...rest, surprise } : rest)),
  },
  { weight: 1, arbitrary: anything },
);

test('what passes the quick look has no problem', { retry: 0 }, async () => {
  const events = fc.sample(event, { numRuns: 4_000 });
  const { rows } = await database.owner.query<{ event: unknown; sound: boolean; problem: string }>(
    `select e.event, app_private.usage_batch_is_sound(jsonb_build_array(e.event)) as sound, p.message as problem
     from jsonb_array_elements($1) as e (event)
       cross join lateral app_private.usage_batch_problem(jsonb_build_array(e.event)) p`,
    [JSON.stringify(events)],
  );
  expect(rows).toHaveLength(events.length);
  expect(rows.filter(({ sound, problem }) => sound && problem !== null)).toEqual([]);
  // Both answers are common, and the close look is for few of those that are all right.
  const sound = rows.filter((row) => row.sound).length;
  expect(sound).toBeGreaterThan(200);
  expect(rows.length - sound).toBeGreaterThan(200);
  expect(rows.filter((row) => !row.sound && row.problem === null).length).toBeLessThan(sound);
});
