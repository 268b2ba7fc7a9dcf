import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Each postmaster carries the process id of the Bursar that started it on its command line. */
export const ownerSetting = 'bursar.owner';

type Postmaster = { readonly pid: number; readonly owner: number; readonly ownerLives: boolean };

/** Refuses when a Bursar runs on this cluster; stops a PostgreSQL whose Bursar was killed. */
export async function takeOver(cluster: string): Promise<void> {
  const pid = lockHolder(cluster);
  if (pid === undefined || !alive(pid)) return;
  const postmaster = findPostmaster(pid, cluster);
  if (!postmaster) return markAsDead(cluster);
  if (postmaster.ownerLives) throw alreadyRunning(cluster);
  // Twice over: the process id may pass to another program once the postmaster has ended.
  for (const [signal, seconds] of [['SIGINT', 10] as const, ['SIGQUIT', 10] as const]) {
    if (alive(pid)) process.kill(pid, signal);
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(20))
      if (!alive(pid) || !findPostmaster(pid, cluster)) return;
  }
  throw new Error(
    `PostgreSQL (process ${pid}) was left over by a Bursar that is gone, and does not stop: end it by hand`,
  );
}

export function alreadyRunning(cluster: string): Error {
  const pid = lockHolder(cluster);
  const owner = pid === undefined ? undefined : findPostmaster(pid, cluster)?.owner;
  return new Error(
    `Another Bursar is already running on this data folder (process ${owner ?? pid ?? 'unknown'}). Stop that one, or choose another folder: BURSAR_DATA_FOLDER=… npm start`,
  );
}

export function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function lockHolder(cluster: string): number | undefined {
  const pid = Number.parseInt(lines(join(cluster, 'postmaster.pid'))[0] ?? '', 10);
  return pid > 0 ? pid : undefined;
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch (error) {
    // Below /proc, ESRCH is a process that ended between open and read.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

function findPostmaster(pid: number, cluster: string): Postmaster | undefined {
  const { parent, command } = describe(pid, cluster);
  if (!`${command} `.includes(` -D ${cluster} `)) return undefined;
  const owner = Number(new RegExp(`${ownerSetting}=(\\d+)`).exec(command)?.[1] ?? pid);
  // A parent cannot be forged by a reused process id. Whoever started a postmaster by hand, without
  // an owner, wants it to live.
  const ownerLives = owner === pid || (parent === undefined ? alive(owner) : parent === owner);
  return { pid, owner, ownerLives };
}

// From the command line, not the working folder: reading the latter of another OS user's process
// takes a capability that root in a container lacks. A zombie has neither.
function describe(pid: number, cluster: string): { parent: number | undefined; command: string } {
  if (process.platform === 'linux') {
    const stat = lines(`/proc/${pid}/stat`)[0] ?? '';
    const command = lines(`/proc/${pid}/cmdline`).join('\n').split('\0').join(' ');
    return { parent: Number(stat.slice(stat.lastIndexOf(')')).split(' ')[2]), command };
  }
  if (process.platform === 'win32') {
    const command = lines(join(cluster, 'postmaster.opts')).join(' ').replaceAll('"', '');
    return { parent: undefined, command };
  }
  const ps = spawnSync('ps', ['-ww', '-o', 'ppid=,command=', '-p', String(pid)], {
    encoding: 'utf8',
  });
  const [, parent, command] = /^\s*(\d+)\s+(.*)$/s.exec(ps.stdout ?? '') ?? [];
  return { parent: Number(parent), command: command ?? '' };
}

// After kill -9 or a power cut another program may have the recorded process id, and PostgreSQL
// would refuse to start. Not deleting the file keeps its other guard: the shared memory it names
// tells PostgreSQL whether orphaned backends still write to the cluster.
function markAsDead(cluster: string): void {
  const file = join(cluster, 'postmaster.pid');
  const beyondAnyProcessId = '2147483647';
  writeFileSync(file, [beyondAnyProcessId, ...lines(file).slice(1)].join('\n'));
}
