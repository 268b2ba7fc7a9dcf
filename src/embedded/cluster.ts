import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type Binaries, majorOf, program, reachableBinaries } from './binaries.ts';
import { canReach, type OsUser, rootOnlyFolder, unprivilegedUser } from './os-user.ts';
import { alive } from './postmaster.ts';

export type Cluster = {
  readonly folder: string;
  readonly password: string;
  readonly binaries: Binaries;
  /** Set when Bursar runs as root. */
  readonly user: OsUser | undefined;
};

/**
 * `<dataFolder>/postgres` holds the cluster and the superuser's password: one folder, so that one
 * rename brings both into being. Below a parent that PostgreSQL's OS user cannot enter it is a
 * link to a folder of root's.
 */
export async function openCluster(
  dataFolder: string,
  installed: Binaries,
  sync: boolean,
): Promise<Cluster> {
  const home = makeDataFolder(dataFolder);
  const isRoot = process.geteuid?.() === 0;
  const isNew = !existsSync(join(home, 'postgres'));
  if (isNew) assertNoBrokenLink(join(home, 'postgres'));
  const newOwner = isRoot && isNew ? unprivilegedUser() : undefined;
  if (isNew) {
    const binaries = newOwner ? reachableBinaries(installed, newOwner) : installed;
    await makeCluster(home, binaries, newOwner, sync);
  }

  const postgres = realpathSync(join(home, 'postgres'));
  const folder = join(postgres, 'cluster');
  const user = ownerOf(folder, isRoot);
  assertMadeBy(majorOf(installed), folder, dataFolder);
  if (user && !canReach(user, folder, '-x'))
    throw new Error(
      `PostgreSQL runs as the OS user ${user.uid}, which cannot enter ${folder}: give the folders above it the mode o+x, or move the data folder`,
    );
  return {
    folder,
    user,
    binaries: user ? reachableBinaries(installed, user) : installed,
    password: readFileSync(join(postgres, 'superuser-password'), 'utf8').trim(),
  };
}

function makeDataFolder(dataFolder: string): string {
  const path = resolve(dataFolder);
  const made = mkdirSync(path, { recursive: true });
  if (made !== undefined) chmodSync(path, process.geteuid?.() === 0 ? 0o711 : 0o700);
  return realpathSync(path);
}

function assertNoBrokenLink(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }))
    throw new Error(
      `the database is gone from ${readlinkSync(path)}, where ${path} leads: bring it back, or remove the link to begin with an empty one`,
    );
}

async function makeCluster(
  home: string,
  binaries: Binaries,
  user: OsUser | undefined,
  sync: boolean,
): Promise<void> {
  const elsewhere = user && !canReach(user, home, '-x') ? rootOnlyFolder() : undefined;
  const parent = elsewhere ?? home;
  sweepInterrupted(parent);
  if (elsewhere) sweepOrphans(elsewhere);
  const unfinished = mkdtempSync(join(parent, `unfinished-${process.pid}-`));
  try {
    await initdb(unfinished, binaries, user, sync);
    if (elsewhere) {
      const finished = join(elsewhere, `postgres-${basename(unfinished).split('-')[2]}`);
      writeFileSync(join(unfinished, 'data-folder'), home);
      renameSync(unfinished, finished);
      try {
        symlinkSync(finished, join(home, 'postgres'));
      } catch (error) {
        rmSync(finished, { recursive: true, force: true });
        throw error;
      }
    } else {
      renameSync(unfinished, join(home, 'postgres'));
    }
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    // Another first start was faster: its cluster is as good, and who may run is settled later.
    if (!existsSync(join(home, 'postgres'))) throw error;
  }
}

function sweepInterrupted(parent: string): void {
  for (const name of readdirSync(parent)) {
    const maker = /^unfinished-(\d+)-/.exec(name)?.[1];
    if (maker && Number(maker) !== process.pid && !alive(Number(maker)))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
}

/** Whoever removes a data folder means its database as well, which lies elsewhere. */
function sweepOrphans(parent: string): void {
  for (const name of readdirSync(parent)) {
    const folder = join(parent, name);
    const home = readIfThere(join(folder, 'data-folder'));
    if (home === undefined || linkOf(join(home, 'postgres')) === folder) continue;
    const running = Number.parseInt(
      readIfThere(join(folder, 'cluster', 'postmaster.pid')) ?? '',
      10,
    );
    if (running > 0 && alive(running)) continue;
    rmSync(folder, { recursive: true, force: true });
  }
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function linkOf(path: string): string | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()
    ? readlinkSync(path)
    : undefined;
}

async function initdb(
  folder: string,
  binaries: Binaries,
  user: OsUser | undefined,
  sync: boolean,
): Promise<void> {
  const cluster = join(folder, 'cluster');
  const passwordFile = join(folder, 'superuser-password');
  mkdirSync(cluster, { mode: 0o700 });
  writeFileSync(passwordFile, `${randomBytes(24).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
  if (user) {
    chmodSync(folder, 0o711);
    lchownSync(cluster, user.uid, user.gid);
    lchownSync(passwordFile, user.uid, user.gid);
  }
  await run(
    program(binaries, 'initdb'),
    [
      ...['--pgdata', cluster, '--username', 'postgres', '--pwfile', passwordFile],
      ...['--encoding=UTF8', '--locale=C', '--locale-provider=libc', '--auth=scram-sha-256'],
      ...['--no-instructions', ...(sync ? [] : ['--no-sync'])],
    ],
    binaries,
    user,
  );
}

function run(
  command: string,
  args: string[],
  binaries: Binaries,
  user: OsUser | undefined,
): Promise<void> {
  return new Promise((done, failed) => {
    const child = spawn(command, args, {
      ...user,
      ...surroundings(binaries),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    const explain = (why: string) =>
      failed(new Error(`initdb could not make a new database folder (${why}):\n${output.trim()}`));
    child.once('error', (error) => explain(error.message));
    child.once('close', (code, signal) => {
      if (code === 0) done();
      else explain(signal ?? `exit code ${code}`);
    });
  });
}

/** Without Bursar's own environment: it holds secrets, and PG* variables would change defaults. */
export function surroundings(binaries: Binaries): { cwd: string; env: NodeJS.ProcessEnv } {
  const env: NodeJS.ProcessEnv = { LC_ALL: 'C' };
  for (const name of ['PATH', 'SystemRoot', 'TEMP', 'TMP', 'TMPDIR'])
    if (process.env[name] !== undefined) env[name] = process.env[name];
  return { cwd: join(binaries.folder, 'bin'), env };
}

// PostgreSQL insists on running as the cluster's owner. Root can play any owner, so that a folder
// that an ordinary user made still serves that user after one start with sudo.
function ownerOf(folder: string, isRoot: boolean): OsUser | undefined {
  const { uid, gid } = statSync(folder);
  if (process.platform === 'win32') return undefined;
  if (isRoot && uid !== 0) return { uid, gid };
  if (isRoot || uid !== process.geteuid?.())
    throw new Error(
      `the database folder ${folder} belongs to the OS user ${uid}: start Bursar as ${isRoot ? 'the user who made it, or give the folder to an ordinary user' : 'that user or as root'}, or use another data folder`,
    );
  return undefined;
}

function assertMadeBy(major: string, folder: string, dataFolder: string): void {
  // Root and the owner are the only ones who come this far, so a failure to read is damage.
  const made = readFileSync(join(folder, 'PG_VERSION'), 'utf8').trim();
  if (made !== major)
    throw new Error(
      `PostgreSQL ${made} made the data folder ${dataFolder}, and this is PostgreSQL ${major}, which cannot read it: move the folder away to begin with an empty one, or start the Bursar that came with PostgreSQL ${made}`,
    );
}
