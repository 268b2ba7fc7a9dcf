#!/usr/bin/env node
/**
 * Plays a working day of the demo organization's calls to real models, as a gateway would make them: each is
 * authorized and settled over HTTP, until one group comes up against its limit.
 *
 * Uses the server that `npm start` runs in another terminal, or BURSAR_URL with BURSAR_TOKEN, which must be
 * that of an ai_gateway or owner.
 */
import { randomUUID } from 'node:crypto';
import { readSigningSecret, signingWith } from './configuration.ts';
import { withClient } from './database.ts';
import { type DemoCall, demoDay } from './demo-day.ts';
import { openDevelopmentDatabase } from './development.ts';
import { explain } from './failures.ts';
import { signToken } from './identity.ts';

const URL_OF_START = `http://${process.env.HOST ?? '127.0.0.1'}:${process.env.PORT ?? 5678}`;
const AT_ONCE = 6;

type Decision = { allowed: boolean; reason: string | null; group_id: string; spent_micros: number };
type Group = { id: string; name: string };
type Person = { id: string; username: string; organizationId: string };

/** What became of the calls of one group. */
type Tally = { calls: number; allowed: number; refused: Map<string, number> };

function say(text: string): void {
  process.stdout.write(text);
}

async function request(url: string, token: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** A token for the demo's gateway, signed as `bursar token` does. */
async function tokenOfDemoGateway(): Promise<string> {
  const database = await openDevelopmentDatabase();
  try {
    const id = await withClient(database.urls.owner, async (client) => {
      const { rows } = await client.query<{ id: string }>(
        `select id from app_public.users where username = 'gateway'`,
      );
      return rows[0]?.id;
    });
    if (id === undefined) throw new Error('The demo has no user "gateway" any more.');
    return await signToken(
      id,
      3600,
      readSigningSecret(signingWith(database.jwtSecret, process.env)),
    );
  } finally {
    await database.stop();
  }
}

async function requireServer(url: string): Promise<void> {
  await fetch(`${url}/api`).catch(() => {
    throw new Error(`Nothing answers at ${url}: run npm start in another terminal.`);
  });
}

/** The demo organization's people and groups; the token's owner reads all of them. */
async function readAcme(
  url: string,
  token: string,
): Promise<{ people: Person[]; groups: Group[] }> {
  const { data } = (await request(url, token, '/graphql', {
    query: `{ organizations { nodes { name
      groups { nodes { id name } }
      members { nodes { organizationId user { id username } } }
    } } }`,
  })) as {
    data: {
      organizations: {
        nodes: {
          name: string;
          groups: { nodes: Group[] };
          members: { nodes: { organizationId: string; user: { id: string; username: string } }[] };
        }[];
      };
    } | null;
  };
  const acme = data?.organizations.nodes.find(({ name }) => name === 'Acme');
  if (acme === undefined) throw new Error('There is no demo organization "Acme" here.');
  return {
    groups: acme.groups.nodes,
    people: acme.members.nodes.map(({ organizationId, user }) => ({ organizationId, ...user })),
  };
}

async function play(url: string, token: string): Promise<void> {
  const { people, groups } = await readAcme(url, token);
  const tallies = new Map<string, Tally>();
  const day = demoDay(people.map((person) => person.username));
  const total = day.length;
  let stopped: string | undefined;
  let played = 0;

  const one = async (call: DemoCall) => {
    const person = people.find(({ username }) => username === call.username);
    const request_id = randomUUID();
    const decision = (await request(url, token, '/api/v2/ai/spend/authorize', {
      ...call.asked,
      request_id,
      user_id: person?.id,
      organization_id: person?.organizationId,
    })) as Decision;
    const tally = tallies.get(decision.group_id) ?? { calls: 0, allowed: 0, refused: new Map() };
    tallies.set(decision.group_id, tally);
    tally.calls += 1;
    if (decision.allowed) {
      tally.allowed += 1;
      await request(url, token, '/api/v2/ai/spend/settle', { ...call.used, request_id });
    } else {
      const reason = decision.reason ?? '';
      tally.refused.set(reason, (tally.refused.get(reason) ?? 0) + 1);
      // A budget of nothing refuses all day: that is no limit that was hit.
      if (reason.endsWith('_BUDGET_EXCEEDED') && decision.spent_micros > 0) {
        stopped ??= `${call.clock}  ${nameOf(groups, decision.group_id)} hit its limit: ${reason}`;
      }
    }
    played += 1;
    progress(call.clock, played, total);
  };

  const queue = day.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const call of queue) {
        if (stopped !== undefined) return;
        await one(call);
      }
    }),
  );
  if (process.stdout.isTTY) say('\n');
  say(`\n${stopped ?? 'The day is over, and no group hit its limit.'}\n\n`);
  await printTable(url, token, groups, tallies);
}

const BAR = 30;
let shownHour = '';

function progress(clock: string, played: number, total: number): void {
  const bar = '#'.repeat(Math.round((played / total) * BAR)).padEnd(BAR, '.');
  const line = `${clock}  [${bar}]  ${String(played).padStart(4)} of ${total} calls`;
  if (process.stdout.isTTY) say(`\r${line}`);
  // In a log, a line an hour is enough.
  else if (clock.slice(0, 2) > shownHour) {
    shownHour = clock.slice(0, 2);
    say(`${line}\n`);
  }
}

async function printTable(
  url: string,
  token: string,
  groups: readonly Group[],
  tallies: ReadonlyMap<string, Tally>,
): Promise<void> {
  const rows = [['group', 'calls', 'allowed', 'refused', 'spent', 'limit', 'refused because']];
  for (const [id, { calls, allowed, refused }] of tallies) {
    const spend = (await request(url, token, `/api/v2/groups/${id}/ai/spend`)) as {
      spent_micros: number;
      limit_micros: number | null;
    };
    rows.push([
      nameOf(groups, id),
      String(calls),
      String(allowed),
      String(calls - allowed),
      dollars(spend.spent_micros),
      spend.limit_micros === null ? 'none' : dollars(spend.limit_micros),
      [...refused].map(([reason, count]) => `${reason} ${count}`).join(', '),
    ]);
  }
  const widths = rows[0]?.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of rows) {
    const cells = row.map((cell, column) => {
      const width = widths?.[column] ?? 0;
      return column > 0 && column < 6 ? cell.padStart(width) : cell.padEnd(width);
    });
    say(`${cells.join('  ').trimEnd()}\n`);
  }
  say(
    '\nEveryone’s calls are those of people without a budget; its spend is that of the organization.\n',
  );
}

function nameOf(groups: readonly Group[], id: string): string {
  return groups.find((group) => group.id === id)?.name ?? id;
}

function dollars(micros: number): string {
  return `$${(micros / 1e6).toFixed(4)}`;
}

try {
  const url = (process.env.BURSAR_URL ?? URL_OF_START).replace(/\/$/, '');
  await requireServer(url);
  await play(url, process.env.BURSAR_TOKEN ?? (await tokenOfDemoGateway()));
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}
