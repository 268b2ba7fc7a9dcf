import { chmodSync, mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { alive } from '../../src/embedded/postmaster.ts';

const MEMORY = '/dev/shm';
const NAME = /^bursar-tests-(\d+)$/;
/** The clusters and databases of a run have taken half a gigabyte at most. */
const ROOM = 3e9;

/**
 * A folder for everything that this run writes, in memory, and gone with this process: making and removing
 * the many files of databases on a disk takes a fifth of the processors' time. Nothing where there is no room.
 */
export function memoryFolder(): string | undefined {
  if (!hasRoom()) return undefined;
  sweep();
  const folder = join(MEMORY, `bursar-tests-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  // Like /tmp: under root PostgreSQL runs as another account.
  chmodSync(folder, 0o1777);
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function hasRoom(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize > ROOM && process.availableMemory() > ROOM;
  } catch {
    return false;
  }
}

/** A run that was killed has left its folder. */
function sweep(): void {
  for (const name of readdirSync(MEMORY)) {
    const maker = NAME.exec(name)?.[1];
    if (maker !== undefined && !alive(Number(maker)))
      rmSync(join(MEMORY, name), { recursive: true, force: true });
  }
}
