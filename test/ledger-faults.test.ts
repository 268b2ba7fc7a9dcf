import { randomInt, randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Pool } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/embedded-postgres.ts';
import { migrate } from '../src/migrate.ts';
import { type RunningClient, startClient } from './support/client-process.ts';
import { killPostgres } from './support/kill-postgres.ts';
import {
  type Company,
  callOf,
  createCompany,
  discrepancies,
  eventOf,
  listModels,
  type Row,
} from './support/ledger.ts';
import type { ClientAnswer, ClientJob, ClientOperation } from './support/ledger-client.ts';
import { createWorld, type World } from './support/world.ts';

let folder: string;
let postgres: EmbeddedPostgres;
let owner: Pool;
let world: World;
let company: Company;

const NAMES = ['ann', 'bob', 'cy', 'dee', 'eve'] as const;
const urlOf = (login: string) => `postgres://${login}@${postgres.host}:${postgres.port}/bursar`;

async function start(): Promise<void> {
  postgres = await startEmbeddedPostgres({
    dataFolder: folder,
    // What is killed is the processes, not the machine: what was written stays with the system.
    settings: { fsync: 'off', synchronous_commit: 'on' },
  });
}

function openPool(): Pool {
  const pool = new Pool({ connectionString: urlOf('bursar_owner:owner'), max: 3 });
  pool.on('error', () => {});
  return pool;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bursar-faults-'));
  // Under root PostgreSQL runs as another account, which must get to its files.
  await chmod(folder, 0o711);
  await start();
  const client = new Client({ connectionString: postgres.superuserUrl('postgres') });
  await client.connect();
  await client.query("create role bursar_owner login createrole createdb password 'owner'");
  await client.query('create database bursar owner bursar_owner');
  await client.end();
  await migrate(
    {
      owner: urlOf('bursar_owner:owner'),
      authenticator: urlOf('bursar_authenticator:authenticator'),
    },
    () => {},
  );
  owner = openPool();
  world = await createWorld(owner);
  await listModels(owner);
  company = await createCompany(owner, {
    people: NAMES,
    groups: {
      red: { members: ['ann', 'bob'], budget: { limit: 40_000 } },
      blue: { members: ['cy', 'dee'], budget: { limit: 15_000, appliesTo: 'member' } },
      Everyone: { budget: { limit: 10_000_000, period: 'year' } },
    },
  });
}, 60_000);
afterAll(async () => {
  await owner?.end();
  await postgres?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

async function restart(): Promise<void> {
  await owner.end();
  await start();
  owner = openPool();
}

/** What lanes of a gateway have to say: always the same, under the same ids. */
function makeLanes(count: number, calls: number): ClientOperation[][] {
  const pool = Array.from({ length: 600 }, () =>
    eventOf(company.user(pick(NAMES)), {
      input_tokens: randomInt(100),
      output_tokens: randomInt(100),
      ...(randomInt(2) === 0
        ? {}
        : { occurred_at: new Date(Date.now() - randomInt(3e9)).toISOString() }),
    }),
  );
  return Array.from({ length: count }, () =>
    Array.from({ length: calls }, (): ClientOperation[] => {
      const id = randomUUID();
      if (randomInt(4) === 0) {
        // From anywhere in the pool: lanes report each other's events as well.
        const from = randomInt(pool.length - 40);
        const events = JSON.stringify(pool.slice(from, from + 40));
        return [{ key: `record ${id}`, name: 'record_ai_usage', args: { events } }];
      }
      const size = randomInt(1, 400);
      const authorization = {
        key: `authorize ${id}`,
        name: 'authorize_ai_spend',
        args: callOf(company.user(pick(NAMES)), { request_id: id, input_tokens: size }),
      };
      const what = randomInt(10);
      if (what < 2) return [authorization];
      const after = authorization.key;
      if (what < 4) {
        const args = { request_id: id };
        return [authorization, { key: `release ${id}`, name: 'release_ai_spend', args, after }];
      }
      const args = {
        request_id: id,
        input_tokens: randomInt(size),
        output_tokens: randomInt(100),
        ...(randomInt(2) === 0 ? {} : { occurred_at: new Date().toISOString() }),
      };
      return [authorization, { key: `settle ${id}`, name: 'settle_ai_spend', args, after }];
    }).flat(),
  );
}

const pick = <T>(of: readonly T[]): T => of[randomInt(of.length)] as T;
const tokensOf = (used: Row) => Number(used.input_tokens) + Number(used.output_tokens);
const plain = (value: unknown) => JSON.parse(JSON.stringify(value));

/** Everything that the ledger and the holds say about the company. */
async function books() {
  const { rows: events } = await owner.query<Row>(
    `select id, user_id, group_id, cost_micros::int as cost from app_public.ai_usage_events
     where organization_id = $1 order by id, occurred_at`,
    [company.id],
  );
  const { rows: requests } = await owner.query<Row>(
    `select request_id, state, decision, estimate_micros::int as estimate
     from app_private.ai_spend_requests where organization_id = $1 order by request_id`,
    [company.id],
  );
  return { events, requests };
}

test('a database and a client that are killed lose nothing and double nothing', {
  timeout: 90_000,
}, async () => {
  const lanes = makeLanes(8, 60);
  const operations = new Map(lanes.flat().map((operation) => [operation.key, operation]));
  const eventsOf = (key: string) => JSON.parse(String(operations.get(key)?.args.events)) as Row[];
  /** The first answer to each. */
  const acknowledged = new Map<string, Row>();
  let wake = () => {};
  const hear = ({ key, answer, error }: ClientAnswer) => {
    expect({ key, error }).toEqual({ key, error: undefined });
    const [name] = key.split(' ');
    const first = acknowledged.get(key);
    if (first === undefined) {
      acknowledged.set(key, answer as Row);
      wake();
    } else if (name === 'authorize' || name === 'settle') {
      expect(answer).toEqual(first);
    } else if (name === 'record') {
      expect(answer).toEqual({ recorded: '0', duplicates: '40' });
    } else {
      expect(answer).toEqual({ release_ai_spend: false });
    }
  };
  const problems: unknown[] = [];
  const run = (): Promise<RunningClient> => {
    const job: ClientJob = {
      url: urlOf('bursar_authenticator:authenticator'),
      userId: world.people.ai_gateway,
      lanes,
    };
    return startClient(job, join(folder, 'job.json'), (answer) => {
      try {
        hear(answer);
      } catch (error) {
        problems.push(error);
      }
    });
  };
  /** Waits until so many things have been acknowledged that were not before. */
  const progress = async (client: RunningClient, count: number) => {
    const goal = acknowledged.size + count;
    await new Promise<void>((resolve) => {
      wake = () => acknowledged.size >= goal && resolve();
      void client.ended.then(() => resolve());
    });
    // In the middle of something.
    await sleep(randomInt(5));
  };
  /** What was acknowledged is there, once, and nothing contradicts anything. */
  const check = async () => {
    expect(problems).toEqual([]);
    expect(await discrepancies(owner)).toEqual([]);
    const { events, requests } = await books();
    const ids = new Map(events.map((event) => [event.id, event]));
    expect(ids.size).toBe(events.length);
    const known = new Map(requests.map((request) => [request.request_id, request]));
    const lost: string[] = [];
    for (const [key, answer] of acknowledged) {
      const [name, id] = key.split(' ') as [string, string];
      if (name === 'record') {
        if (!eventsOf(key).every((event) => ids.has(event.id))) lost.push(key);
      } else if (name === 'authorize') {
        if ((known.get(id)?.decision as Row)?.hold_id !== answer.hold_id) lost.push(key);
      } else if (name === 'settle') {
        if (ids.get(id)?.cost !== Number(answer.cost_micros)) lost.push(key);
      } else if (known.get(id)?.state !== 'released') lost.push(key);
    }
    expect(lost).toEqual([]);
    return { events, requests };
  };

  for (const killed of ['database', 'client', 'database', 'both'] as const) {
    const client = await run();
    client.begin();
    await progress(client, 120);
    expect(client.child.exitCode).toBe(null);
    if (killed !== 'database') client.child.kill('SIGKILL');
    if (killed !== 'client') await killPostgres(postgres, folder);
    expect(await client.ended).toBe(killed === 'database' ? 3 : null);
    if (killed !== 'client') await restart();
    await check();
  }

  // From the start again, this time to the end; and once more.
  const complete = async () => {
    const client = await run();
    client.begin();
    expect(await client.ended).toBe(0);
    return check();
  };
  const { events, requests } = await complete();
  const expected = new Map<unknown, number>();
  const states = new Map<string, string>();
  for (const [key, answer] of acknowledged) {
    const [name, id] = key.split(' ') as [string, string];
    const args = operations.get(key)?.args as Row;
    if (name === 'record')
      for (const event of eventsOf(key)) expected.set(event.id, tokensOf(event));
    if (name === 'settle') expected.set(id, tokensOf(args));
    if (name === 'settle') states.set(id, 'settled');
    if (name === 'release') states.set(id, 'released');
    if (name === 'authorize' && !states.has(id))
      states.set(id, answer.allowed ? 'held' : 'refused');
  }
  expect(new Map(events.map(({ id, cost }) => [id, cost]))).toEqual(expected);
  expect(new Map(requests.map(({ request_id: id, state }) => [id, state]))).toEqual(states);
  expect([...new Set(states.values())].sort()).toEqual(['held', 'refused', 'released', 'settled']);
  const { rows: held } = await owner.query<Row>(
    'select held_micros::int as micros from app_public.ai_budget_status($1)',
    [company.id],
  );
  const left = [...states].filter(([, state]) => state === 'held');
  expect(held).toEqual([
    {
      micros: left
        .map(([id]) => Number(operations.get(`authorize ${id}`)?.args.input_tokens))
        .reduce((a, b) => a + b, 0),
    },
  ]);
  expect(plain(await complete())).toEqual(plain({ events, requests }));
});
