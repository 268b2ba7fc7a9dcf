import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createWriteStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Binaries, embeddedBinaries, program } from './embedded/binaries.ts';
import { type Cluster, openCluster, surroundings } from './embedded/cluster.ts';
import { alreadyRunning, ownerSetting, takeOver } from './embedded/postmaster.ts';
import { freePort } from './free-port.ts';

export type EmbeddedPostgres = {
  readonly host: string;
  readonly port: number;
  readonly superuserUrl: (database: string) => string;
  /** Settles only when PostgreSQL ends without stop(), with the reason. */
  readonly died: Promise<Error>;
  stop(): Promise<void>;
};

export type EmbeddedPostgresOptions = {
  dataFolder: string;
  /** By default those of the project. */
  binaries?: Binaries;
  /** By default a free one. */
  port?: number;
  /** Configuration parameters by name; where and how PostgreSQL listens is not among them. */
  settings?: Record<string, string>;
  /** By default lines go to postgres.log in the data folder. */
  log?: (line: string) => void;
};

const host = '127.0.0.1';
const readyWithinMs = 120_000;
const logKeptBytes = 10_000_000;

const defaults = { shared_buffers: '64MB', max_wal_size: '256MB', jit: 'off' };

/** Runs PostgreSQL for this process, which ends with it: for trying Bursar out, and for tests. */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const { dataFolder, binaries = embeddedBinaries(), settings = {} } = options;
  const cluster = await openCluster(dataFolder, binaries, settings.fsync !== 'off');
  await takeOver(cluster.folder);

  const log = options.log ?? logFile(join(dataFolder, 'postgres.log'));
  for (let patience = Date.now() + 5000; ; await sleep(100)) {
    const port = options.port ?? (await freePort(host));
    const server = new Server(cluster, port, settings, log);
    const failure = await server.ready();
    if (!failure) return server.handle();
    if (/lock file ".*" already exists/.test(failure)) throw alreadyRunning(cluster.folder);
    const lostPort = /could not bind/.test(failure);
    if (lostPort && options.port !== undefined)
      throw new Error(`PostgreSQL cannot listen on ${host}:${port}: another program has that port`);
    // Backends outlive a killed postmaster for a moment.
    const stillLeaving = /shared memory block .* is still in use/.test(failure);
    if (!(lostPort || stillLeaving) || Date.now() > patience) throw new Error(failure);
  }
}

class Server {
  readonly #cluster: Cluster;
  readonly #port: number;
  readonly #child: ChildProcess;
  readonly #lastLines: string[] = [];
  readonly #ended: Promise<string>;
  readonly #isReady: Promise<void>;
  #stopping: Promise<void> | undefined;

  constructor(
    cluster: Cluster,
    port: number,
    settings: Record<string, string>,
    log: (line: string) => void,
  ) {
    this.#cluster = cluster;
    this.#port = port;
    const fixed = {
      listen_addresses: host,
      port: String(port),
      unix_socket_directories: '',
      timezone: 'UTC',
      log_timezone: 'UTC',
      // Readiness and failures are read off the log.
      lc_messages: 'C',
      log_destination: 'stderr',
      logging_collector: 'off',
    };
    const parameters = {
      [ownerSetting]: String(process.pid),
      ...{ ...defaults, ...settings, ...fixed },
    };
    const args = Object.entries(parameters).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = spawn(program(cluster.binaries, 'postgres'), ['-D', cluster.folder, ...args], {
      ...cluster.user,
      ...surroundings(cluster.binaries),
      stdio: ['ignore', 'ignore', 'pipe'],
      // Ctrl-C reaches the whole foreground group; requests in flight still need their database.
      detached: true,
      windowsHide: true,
    });
    this.#child = child;

    // Left alone, PostgreSQL outlives a Bursar that crashes.
    const lastWord = () => void child.kill('SIGINT');
    process.once('exit', lastWord);
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => {
        const why = signal ?? `exit code ${code}`;
        // The last lines are still in the pipe, which backends of a killed postmaster keep open.
        const enough = setTimeout(() => resolve(why), 500);
        child.once('close', () => {
          clearTimeout(enough);
          resolve(why);
        });
      });
    });
    void this.#ended.then(() => process.off('exit', lastWord));

    this.#isReady = new Promise((resolve) => {
      if (!child.stderr) return;
      createInterface({ input: child.stderr }).on('line', (line) => {
        log(line);
        this.#lastLines.push(line);
        if (this.#lastLines.length > 20) this.#lastLines.shift();
        // A standby takes those that only read.
        if (/ready to accept (read-only )?connections/.test(line)) resolve();
      });
    });
  }

  /** Nothing when PostgreSQL takes connections, else why it does not. */
  async ready(): Promise<string | undefined> {
    const tooLate = new AbortController();
    const failure = await Promise.race([
      this.#isReady.then(() => undefined),
      this.#ended.then(
        (why) => `PostgreSQL did not start (${why}):\n${this.#lastLines.join('\n')}`,
      ),
      sleep(readyWithinMs, undefined, tooLate).then(
        () => `PostgreSQL did not start in time:\n${this.#lastLines.join('\n')}`,
        () => undefined,
      ),
    ]);
    tooLate.abort();
    if (failure) await this.stop();
    return failure;
  }

  handle(): EmbeddedPostgres {
    return {
      host,
      port: this.#port,
      superuserUrl: (database) =>
        `postgres://postgres:${this.#cluster.password}@${host}:${this.#port}/${encodeURIComponent(database)}`,
      died: new Promise((resolve) => {
        void this.#ended.then((why) => {
          if (this.#stopping) return;
          resolve(new Error(`PostgreSQL ended (${why}):\n${this.#lastLines.join('\n')}`));
        });
      }),
      stop: () => this.stop(),
    };
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#shutDown();
    return this.#stopping;
  }

  async #shutDown(): Promise<void> {
    if (process.platform === 'win32') this.#stopOnWindows();
    else this.#child.kill('SIGINT');
    const tooSlow = setTimeout(() => this.#child.kill('SIGQUIT'), 10_000);
    await this.#ended;
    clearTimeout(tooSlow);
  }

  // Windows has no signals, so that kill() would be the power cut.
  #stopOnWindows(): void {
    const { binaries, folder } = this.#cluster;
    spawnSync(program(binaries, 'pg_ctl'), ['stop', '-D', folder, '-m', 'fast', '-W']);
  }
}

function logFile(path: string): (line: string) => void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const file = createWriteStream(path, { flags: size > logKeptBytes ? 'w' : 'a', mode: 0o600 });
  // A full disk must not take the server down through its log.
  file.on('error', () => {});
  return (line) => void file.write(`${line}\n`);
}
