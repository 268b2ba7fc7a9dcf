import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../src/free-port.ts';
import {
  type Command,
  endAllCommands,
  expectNoStackTrace,
  expectPlainWords,
  run,
  start,
} from './support/command-line.ts';

// `npm start` with nothing else: PostgreSQL, prices, the demo, and what it prints. One story, told in order.

const PEOPLE = 'olivia uma audrey gateway adam ursula oscar mia ned sam'.split(' ');

let folder: string;
let environment: Record<string, string>;
let port: number;
let command: Command;
let postmaster: number;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const postmasterPid = () =>
  Number(readFileSync(join(folder, 'postgres/cluster/postmaster.pid'), 'utf8').split('\n')[0]);

async function stop(): Promise<void> {
  command.kill('SIGINT');
  const ended = await command.ended;
  expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(ended.stdout).toContain('Stopping …');
  expect(isAlive(postmaster)).toBe(false);
  expect(existsSync(join(folder, 'running.json'))).toBe(false);
}

/** The example commands as they were printed, whole. */
function curlCommands(): string[] {
  return [...command.stdout().matchAll(/^ {2}curl (?:.*\\\n)*.*$/gm)].map((match) => match[0]);
}

/** Runs one as it stands; without curl, does what it says. */
async function runCurl(text: string): Promise<unknown> {
  if (spawnSync('curl', ['--version']).status === 0) {
    const { stdout, status } = spawnSync('sh', ['-c', text], { encoding: 'utf8', timeout: 10_000 });
    expect(status).toBe(0);
    return JSON.parse(stdout);
  }
  return fetchAsCurl(text);
}

async function fetchAsCurl(text: string): Promise<unknown> {
  const flag = (name: string) => [...text.matchAll(new RegExp(`-${name} '([^']*)'`, 'g'))];
  const response = await fetch(/ (http:\S+)/.exec(text)?.[1] ?? '', {
    method: /-X (\w+)/.exec(text)?.[1] ?? 'POST',
    headers: flag('H').map(([, header = '']) => header.split(/: /, 2) as [string, string]),
    body: flag('d')[0]?.[1] ?? '',
  });
  return response.json();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bursar-start-'));
  // Under root PostgreSQL runs as another account, which must get to its files.
  await chmod(folder, 0o711);
  port = await freePort();
  environment = { BURSAR_DATA_FOLDER: folder, PORT: String(port) };
});

afterAll(async () => {
  if (command) {
    command.kill('SIGINT');
    await command.ended;
  }
  endAllCommands();
  await rm(folder, { recursive: true, force: true });
});

describe('npm start', () => {
  // 3 s is usual; npm run bench has the figures.
  test('is up within half a minute on any machine, and says where', {
    timeout: 120_000,
  }, async () => {
    const began = performance.now();
    command = start(['start'], environment);
    await command.says(/Ctrl-C stops it/, 45_000);
    const seconds = (performance.now() - began) / 1000;
    process.stdout.write(`npm start was up after ${seconds.toFixed(1)} s\n`);
    expect(seconds).toBeLessThan(30);
    postmaster = postmasterPid();

    const text = command.stdout();
    expect(text).toMatch(/Prices of @pydantic\/genai-prices [\d.]+: \d{4} added, 0 changed/);
    const url = `http://127.0.0.1:${port}`;
    expect(text).toContain(`GraphiQL  ${url}/\n`);
    expect(text).toContain(`GraphQL   ${url}/graphql\n`);
    expect(text).toMatch(new RegExp(`REST {6}${url}/api/v2/groups/[0-9a-f-]{36}/ai/budget\n`));
    const page = await fetch(`${url}/`, { headers: { accept: 'text/html' } });
    expect(page.status).toBe(200);
  });

  test('prints a token for each person of the demo, and each is let in', async () => {
    const subjects = new Set<unknown>();
    for (const person of PEOPLE) {
      const token = await command.says(new RegExp(`^${person} +\\S.*\\n +(ey\\S+)$`, 'm'));
      subjects.add(decodeJwt(token).sub);
      const answer = await fetch(`http://127.0.0.1:${port}/graphql`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{"query": "{ aiModelPrice(provider: \\"anthropic\\", model: \\"claude-sonnet-4-5\\") { model } }"}',
      });
      expect(await answer.json(), person).toEqual({
        data: { aiModelPrice: { model: 'claude-sonnet-4-5' } },
      });
    }
    expect(subjects.size).toBe(PEOPLE.length);
  });

  test('prints three commands, and each does what is said above it', async () => {
    const commands = curlCommands();
    expect(commands).toHaveLength(3);
    const [read = '', write = '', price = ''] = commands;
    const engineering = (limit: string) => ({
      data: { group: { name: 'Engineering', groupAiBudget: { spendLimitMicros: limit } } },
    });
    for (const perform of [runCurl, fetchAsCurl]) {
      expect(await perform(read)).toEqual(
        engineering(perform === runCurl ? '500000000' : '750000000'),
      );
      expect(await perform(write)).toEqual({
        group_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        spend_limit_micros: 750000000,
        created_at: expect.stringMatching(/^\d{4}-.*(Z|\+00:00)$/),
        updated_at: expect.stringMatching(/^\d{4}-.*(Z|\+00:00)$/),
      });
      expect(await perform(read)).toEqual(engineering('750000000'));
      expect(await perform(price)).toEqual({
        data: { aiModelPrice: { inputPrice: '3000000', outputPrice: '15000000' } },
      });
    }
  });

  test('lets another process use the database while it runs', async () => {
    const [token, check] = await Promise.all([
      run(['token', '--user', 'mia'], environment),
      run(['check'], environment),
    ]);
    expect(check).toMatchObject({ code: 0, stderr: '' });
    expect(token).toMatchObject({ code: 0, stderr: '' });
    const printed = await command.says(/^mia .*\n +(ey\S+)$/m);
    expect(decodeJwt(token.stdout.trim()).sub).toBe(decodeJwt(printed).sub);
    expect(isAlive(postmaster)).toBe(true);

    expectPlainWords(
      await run(['start'], { ...environment, PORT: String(await freePort()) }),
      /Another Bursar is already running on this data folder/,
    );
    const answer = await fetch(`http://127.0.0.1:${port}/graphql`, { method: 'POST' });
    expect(answer.status).toBeGreaterThan(0);
  });

  test('stops at Ctrl-C, with its PostgreSQL', async () => {
    await stop();
    // A command starts PostgreSQL for as long as it takes.
    const token = await run(['token', '--user', 'mia'], environment);
    expect(token).toMatchObject({ code: 0, stderr: '' });
    expect(existsSync(join(folder, 'postgres/cluster/postmaster.pid'))).toBe(false);
  });

  test('keeps its data, and makes no second demo', async () => {
    command = start(['start'], environment);
    await command.says(/Ctrl-C stops it/);
    postmaster = postmasterPid();
    expect(command.stdout()).toMatch(/: 0 added, \d+ changed, \d{4} left alone/);

    const ask = async (person: string, query: string) => {
      const token = await command.says(new RegExp(`^${person} .*\\n +(ey\\S+)$`, 'm'));
      const answer = await fetch(`http://127.0.0.1:${port}/graphql`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ query }),
      });
      return answer.json();
    };
    expect(
      await ask(
        'olivia',
        '{ organizations { totalCount } groups { totalCount } users { totalCount } }',
      ),
    ).toEqual({
      data: {
        organizations: { totalCount: 1 },
        groups: { totalCount: 5 },
        users: { totalCount: 10 },
      },
    });
    expect(
      await ask('mia', '{ groups { nodes { name groupAiBudget { spendLimitMicros } } } }'),
    ).toEqual({
      data: {
        groups: {
          nodes: expect.arrayContaining([
            { name: 'Engineering', groupAiBudget: { spendLimitMicros: '750000000' } },
          ]),
        },
      },
    });
    await stop();
  });

  test('a port that is taken stops PostgreSQL again', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => squatter.once('listening', resolve));
    const taken = String((squatter.address() as AddressInfo).port);
    const ended = await run(['start'], { ...environment, PORT: taken });
    squatter.close();
    expectPlainWords(ended, new RegExp(`Port ${taken} is taken by another program`));
    expect(existsSync(join(folder, 'postgres/cluster/postmaster.pid'))).toBe(false);
  });

  test('says that another version of PostgreSQL made the folder', async () => {
    await writeFile(join(folder, 'postgres/cluster/PG_VERSION'), '15\n');
    const ended = await run(['start'], environment);
    expectPlainWords(ended, /PostgreSQL 15 made the data folder .*move the folder away/);
    expectNoStackTrace(ended);
  });
});
