import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { PROJECT_FOLDER } from '../src/folders.ts';

export type ServerName = 'bursar' | 'express' | 'postgraphile';

export type ServerProcess = {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
};

const PROGRAMS: Readonly<Record<ServerName, readonly string[]>> = {
  bursar: ['--max-semi-space-size=16', '--heap-growing-percent=30', 'src/bursar.ts', 'serve'],
  express: ['bench/baselines/express.ts'],
  postgraphile: ['bench/baselines/postgraphile.ts'],
};

/** Signs and checks the tokens of every server here. */
export const JWT_SECRET = 'a secret for measuring on this machine alone';

const READY_WITHIN_MS = 60_000;

/** A server as a process of its own, as it would run in production. */
export function startServer(
  name: ServerName,
  options: { database: string; poolSize: number; workers?: number },
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [...PROGRAMS[name]], {
    cwd: PROJECT_FOLDER,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      NODE_ENV: 'production',
      GRAPHILE_ENV: 'production',
      HOST: '127.0.0.1',
      PORT: '0',
      AUTH_DATABASE_URL: options.database,
      DATABASE_POOL_SIZE: String(options.poolSize),
      WORKERS: String(options.workers ?? 1),
      JWT_SECRET,
    },
  });
  const last = () => void child.kill('SIGKILL');
  process.once('exit', last);
  child.once('exit', () => process.off('exit', last));
  return new Promise((resolve, reject) => {
    const tooLate = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`The server ${name} did not answer within ${READY_WITHIN_MS / 1000} s.`));
    }, READY_WITHIN_MS);
    child.once('exit', (code) => {
      clearTimeout(tooLate);
      reject(new Error(`The server ${name} ended before it answered (exit code ${code}).`));
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const url = / answers at (http:\S+)$/.exec(line)?.[1];
      if (url === undefined) return;
      clearTimeout(tooLate);
      resolve({ url, pid: child.pid ?? 0, stop: () => stop(child) });
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const tooSlow = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await ended;
  clearTimeout(tooSlow);
}
