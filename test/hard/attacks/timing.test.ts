import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createWorld, type World } from '../../support/world.ts';

// Whether the time that a 404 takes tells what is hidden from what is not there.

const PAIRS = 250;

let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

const median = (times: number[]) => times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;

const DOORS: Record<string, (group: string) => Promise<unknown>> = {
  REST: async (group) =>
    (await server.request(world.people.member, `/api/v2/groups/${group}/ai/budget`)).text(),
  GraphQL: (group) =>
    server.graphql(
      world.people.member,
      'query($id: UUID!) { group(id: $id) { name groupAiBudget { spendLimitMicros } } }',
      { id: group },
    ),
};

test.each(Object.entries(DOORS))('by %s it does not', async (door, ask) => {
  const timeOf = async (group: string) => {
    const began = performance.now();
    await ask(group);
    return performance.now() - began;
  };
  const hidden: number[] = [];
  const absent: number[] = [];
  for (let n = 0; n < PAIRS; n += 1) {
    // In turns, so that whatever else the machine does meets both.
    hidden.push(await timeOf(world.foreignGroup));
    absent.push(await timeOf(randomUUID()));
  }
  const ratio = median(hidden) / median(absent);
  figures.push(
    `${PAIRS} pairs of 404 by ${door}, in turns: for a group that is hidden ${median(hidden).toFixed(2)} ms, for one that is not there ${median(absent).toFixed(2)} ms (medians)`,
  );
  expect(ratio).toBeGreaterThan(0.6);
  expect(ratio).toBeLessThan(1.7);
});

const figures: string[] = [];
test('the figures', ({ task }) => {
  task.meta.figures = figures;
});
