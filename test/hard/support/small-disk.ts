import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A disk of its own, in memory, which a test can fill without harm to anybody else. */
export type SmallDisk = {
  readonly folder: string;
  /** To the last byte. */
  fill(): void;
  empty(): void;
  remove(): void;
};

const PIECE = Buffer.alloc(64 * 1024);

/** Mounting takes rights that few have: why not, where it can't be. */
export function mountSmallDisk(megabytes: number): SmallDisk | { readonly whyNot: string } {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-disk-'));
  const mount = spawnSync(
    'mount',
    ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0711`, 'tmpfs', folder],
    { encoding: 'utf8' },
  );
  if (mount.status !== 0) {
    rmSync(folder, { recursive: true });
    return { whyNot: `no disk can be mounted: ${mount.error?.message ?? mount.stderr.trim()}` };
  }
  const filler = join(folder, 'filler');
  return {
    folder,
    fill() {
      const file = openSync(filler, 'a');
      try {
        for (let size = PIECE.length; size >= 512; ) {
          try {
            writeSync(file, PIECE, 0, size);
          } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
            size /= 2;
          }
        }
      } finally {
        closeSync(file);
      }
    },
    empty: () => rmSync(filler, { force: true }),
    remove() {
      spawnSync('umount', ['--lazy', folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
