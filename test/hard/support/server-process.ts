import { readFileSync } from 'node:fs';
import { freePort } from '../../../src/free-port.ts';
import { type Command, start } from '../../support/command-line.ts';
import { SECRET } from '../../support/server.ts';

export const POOL_SIZE = 5;

/** A line of the log, by the level's name or number. */
const ERROR = /"level":("error"|"fatal"|50|60)/;

export type ServerProcess = {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Megabytes that it has in memory. */
  memory(): number;
  kill(): Promise<void>;
  /** As whoever rolls out a new version stops it. Fails when it did not end well, or has logged an error of its own. */
  stop(): Promise<void>;
};

/** `bursar serve` in a process of its own, which can be killed and measured. */
export async function startServer(
  authDatabaseUrl: string,
  environment: Record<string, string> = {},
): Promise<ServerProcess> {
  const port = Number(environment.PORT ?? (await freePort()));
  const command: Command = start(
    ['serve'],
    {
      AUTH_DATABASE_URL: authDatabaseUrl,
      JWT_SECRET: SECRET,
      DATABASE_POOL_SIZE: String(POOL_SIZE),
      ...environment,
      PORT: String(port),
    },
    { longestMs: 110_000 },
  );
  const url = await command.says(/answers at (\S+)/, 60_000);
  return {
    url,
    port,
    pid: command.pid,
    memory() {
      const status = readFileSync(`/proc/${command.pid}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
    },
    async kill() {
      command.kill('SIGKILL');
      await command.ended;
    },
    async stop() {
      command.kill('SIGTERM');
      const { code, signal, stderr } = await command.ended;
      if (code !== 0) throw new Error(`The server ended with ${signal ?? code}: ${stderr}`);
      const errors = stderr.split('\n').filter((line) => ERROR.test(line));
      if (errors.length > 0) throw new Error(`The server has logged ${errors.join('\n')}`);
    },
  };
}
