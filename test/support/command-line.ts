import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject } from 'vitest';
import { asSuperuser } from './database.ts';

export type Ended = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type Command = {
  readonly pid: number;
  /** Standard output so far. */
  stdout(): string;
  /** Waits until standard output has this, and says what matched; fails when the command ends before. */
  says(pattern: RegExp, withinMs?: number): Promise<string>;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
};

const COMMAND = join(import.meta.dirname, '../../src/bursar.ts');
/** What the npm scripts db:* run. */
export const DB_COMMAND = join(import.meta.dirname, '../../src/migrations/command-line.ts');
/** Whoever forgets to end a command must not keep it for longer than this. */
const LONGEST_MS = 90_000;

const running = new Set<ChildProcess>();

export type Options = {
  /** Standard input; none unless given. */
  input?: string;
  /** `bursar` unless given. */
  command?: string;
  /** How long it may run, in milliseconds. */
  longestMs?: number;
};

/** Runs the real command line in a process of its own, in an environment with nothing but what is given. */
export function start(
  args: string[],
  environment: Record<string, string> = {},
  { input, command = COMMAND, longestMs = LONGEST_MS }: Options = {},
): Command {
  const { PATH = '', TMPDIR = '/tmp', HOME = '/tmp', NODE_COMPILE_CACHE = '' } = process.env;
  const child = spawn(process.execPath, [command, ...args], {
    env: { PATH, TMPDIR, HOME, NODE_COMPILE_CACHE, ...environment },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    timeout: longestMs,
    killSignal: 'SIGKILL',
  });
  child.stdin?.end(input);
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]): Ended => {
    running.delete(child);
    return { code, signal, stdout, stderr };
  });
  return {
    pid: child.pid ?? 0,
    stdout: () => stdout,
    async says(pattern, withinMs = 45_000) {
      for (const end = Date.now() + withinMs; ; await sleep(20)) {
        const found = pattern.exec(stdout);
        if (found) return found[1] ?? found[0];
        if (!running.has(child) || Date.now() > end)
          expect.fail(
            `"bursar ${args.join(' ')}" did not say ${pattern} (${child.exitCode}, ${child.signalCode}):\n${stdout}\n${stderr}`,
          );
      }
    },
    kill: (signal) => void child.kill(signal),
    ended,
  };
}

export function run(
  args: string[],
  environment: Record<string, string> = {},
  options: Options = {},
): Promise<Ended> {
  return start(args, environment, options).ended;
}

/** What a command must not leave behind, whatever became of its test. */
export function endAllCommands(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** That a command failed, and told people why, and not programmers where. */
export function expectPlainWords(ended: Ended, words: RegExp): void {
  expect(ended).toMatchObject({ code: 1, signal: null });
  expect(`${ended.stdout}${ended.stderr}`).toMatch(words);
  expectNoStackTrace(ended);
}

export function expectNoStackTrace({ stdout, stderr }: Ended): void {
  expect(`${stdout}${stderr}`).not.toMatch(/\n\s+at |node_modules|file:\/\/|\.ts:\d|\[object/);
}

export type EmptyDatabase = {
  readonly name: string;
  /** DATABASE_URL of an owner who is no superuser, AUTH_DATABASE_URL of a role that does not exist yet. */
  readonly environment: { DATABASE_URL: string; AUTH_DATABASE_URL: string };
  readonly authenticator: string;
  query(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  drop(): Promise<void>;
};

/** A database with nothing in it, in the cluster of the tests. */
export async function createEmptyDatabase(
  login: { name?: string; password?: string } = {},
): Promise<EmptyDatabase> {
  const name = `cli_${randomBytes(6).toString('hex')}`;
  const { name: authenticator = `server_${name}`, password = 'server' } = login;
  const host = inject('host');
  await asSuperuser('postgres', (c) => c.query(`create database ${name} owner bursar_owner`));
  const encode = encodeURIComponent;
  return {
    name,
    authenticator,
    environment: {
      DATABASE_URL: `postgres://bursar_owner:owner@${host}/${name}`,
      AUTH_DATABASE_URL: `postgres://${encode(authenticator)}:${encode(password)}@${host}/${name}`,
    },
    query: (sql, values = []) =>
      asSuperuser(name, async (client) => (await client.query(sql, values)).rows),
    drop: () =>
      asSuperuser('postgres', async (client) => {
        await client.query(`drop database if exists ${name} with (force)`);
        await client.query(`drop role if exists ${client.escapeIdentifier(authenticator)}`);
      }),
  };
}
