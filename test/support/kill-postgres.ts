import { execFileSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { EmbeddedPostgres } from '../../src/embedded-postgres.ts';

/** SIGKILL for PostgreSQL: its main process and every other one, so that nobody gets to finish anything. */
export async function killPostgres(postgres: EmbeddedPostgres, dataFolder: string): Promise<void> {
  const postmaster = postmasterOf(dataFolder);
  for (const pid of [postmaster, ...childrenOf(postmaster)]) kill(pid);
  await postgres.died;
}

/** SIGKILL for one that serves a connection, after which PostgreSQL ends all others and starts again by itself. */
export function killBackend(pid: number, dataFolder: string): void {
  if (childrenOf(postmasterOf(dataFolder)).includes(pid)) kill(pid);
}

function postmasterOf(dataFolder: string): number {
  const cluster = join(realpathSync(join(dataFolder, 'postgres')), 'cluster');
  return Number(readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')[0]);
}

function childrenOf(postmaster: number): number[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === postmaster)
    .map(([pid]) => pid as number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // One that has ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
