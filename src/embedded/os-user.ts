import { spawnSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync } from 'node:fs';

/** The account PostgreSQL runs under when Bursar itself runs as root, which PostgreSQL refuses. */
export type OsUser = { readonly uid: number; readonly gid: number };

// Not /var/tmp: its cleaners (systemd-tmpfiles) delete files that nobody touched for 30 days, and
// a table that nobody reads is such a file. Only root can write here, so no name can be squatted.
const rootOnlyHome = '/var/lib/bursar';

const accountName = 'postgres';

export function unprivilegedUser(): OsUser {
  const existing = lookUp();
  if (existing) return existing;
  const tried =
    attempt('groupadd', ['--system', '--force', accountName]) ??
    attempt('useradd', [
      '--system',
      ...['--gid', accountName],
      ...['--home-dir', '/nonexistent', '--no-create-home'],
      ...['--shell', '/bin/false'],
      accountName,
    ]);
  const created = lookUp();
  if (created) return created;
  throw new Error(
    `PostgreSQL refuses to run as root, and the OS user "${accountName}" for it could not be created (${tried ?? 'it did not appear'}): create that user, start Bursar as an ordinary user, or set DATABASE_URL and AUTH_DATABASE_URL`,
  );
}

function lookUp(): OsUser | undefined {
  const [uid, gid] = ['-u', '-g'].map((flag) => {
    const id = spawnSync('id', [flag, accountName], { encoding: 'utf8' });
    return id.status === 0 ? Number(id.stdout) : undefined;
  });
  return uid && gid ? { uid, gid } : undefined;
}

function attempt(command: string, args: string[]): string | undefined {
  const run = spawnSync(command, args, { encoding: 'utf8' });
  if (run.error) return `${command}: ${run.error.message}`;
  return run.status === 0 ? undefined : `${command}: ${run.stderr.trim()}`;
}

/** Asks the system instead of reading modes, so that access lists and mounts count too. */
export function canReach(user: OsUser, path: string, how: '-r' | '-x'): boolean {
  return spawnSync('test', [how, path], { ...user, cwd: '/', stdio: 'ignore' }).status === 0;
}

/** A folder that every OS user can traverse and only root can change. */
export function rootOnlyFolder(): string {
  const created = mkdirSync(rootOnlyHome, { recursive: true });
  if (created !== undefined) chmodSync(rootOnlyHome, 0o711);
  assertOnlyRootWrites(rootOnlyHome);
  return rootOnlyHome;
}

/** What lies below a folder that others can write may be their program, about to run as ours. */
export function assertOnlyRootWrites(folder: string): void {
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== 0 || (found.mode & 0o022) !== 0)
    throw new Error(
      `${folder} must be a folder that belongs to root and that nobody else can write: remove it or mend its owner and mode`,
    );
}
