import { afterAll, beforeAll, expect, test } from 'vitest';
import { budgetPath } from '../../support/actions.ts';
import { createLair, INTRUDERS, type Lair } from '../../support/intruders.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

// Any session may notify bursar_features. A server takes it for a reason to read the features again, and for no more.

let lair: Lair;
let server: TestServer;

beforeAll(async () => {
  lair = await createLair();
  server = await startTestServer(lair.database);
});
afterAll(async () => {
  await server?.stop();
  await lair?.leave();
});

const PAYLOADS = ['', 'ai_bridge', '{"ai_bridge":true}', '{"ai_bridge":false}', "ai_bridge'; --"];

test('a forged notification turns no feature on or off', async ({ task }) => {
  const { people, group } = lair.world;
  const status = async () => (await server.request(people.member, budgetPath(group))).status;
  let sent = 0;
  for (const enabled of [false, true]) {
    await lair.database.owner.query(
      "update app_public.features set enabled = $1 where name = 'ai_bridge'",
      [enabled],
    );
    const right = enabled ? 200 : 403;
    await expect.poll(status).toBe(right);
    for (const who of INTRUDERS) {
      for (const payload of PAYLOADS) {
        const text = `select pg_notify('bursar_features', '${payload.replaceAll("'", "''")}')`;
        expect((await lair.attack(who, text)).code).toBe('ok');
        expect(await status(), `${payload} by ${who}`).toBe(right);
        sent += 1;
      }
    }
  }
  task.meta.figures = [
    `${sent} forged notifications of features, by ${INTRUDERS.length} kinds of session, while the feature was off and while it was on: none changed what the server answered`,
  ];
});
