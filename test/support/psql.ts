import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

type Environment = Readonly<Record<string, string | undefined>>;

const programIn = ({ PSQL = 'psql' }: Environment) => PSQL;

/** Where psql is required, its tests run without it too, and fail. */
export function psqlIsIn(environment: Environment): boolean {
  const { CI, BURSAR_NEEDS_PSQL } = environment;
  const isRequired = CI === 'true' || BURSAR_NEEDS_PSQL === '1';
  return isRequired || spawnSync(programIn(environment), ['--version']).status === 0;
}

/** For `describe.skipIf(!psqlIsHere)`. */
export const psqlIsHere = psqlIsIn(process.env);

export type PsqlRun = {
  /** With the password: psql gets it where a list of processes doesn't show it. */
  readonly url: string;
  /** Beside what psql has anyway, which is nothing of this process's. */
  readonly env?: Readonly<Record<string, string>>;
  /** By default psql ends with 3 at the first error. */
  readonly stopOnError?: boolean;
  /** Such as `--tuples-only`, or `--set=VERBOSITY=verbose`. */
  readonly args?: readonly string[];
} & ({ readonly sql: string } | { readonly file: string });

export type PsqlEnded = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** Runs a script as psql of a person would, statement by statement, but for what their own settings change. */
export async function runPsql(run: PsqlRun): Promise<PsqlEnded> {
  const url = new URL(run.url);
  const password = decodeURIComponent(url.password);
  url.password = '';
  const { PATH = '' } = process.env;
  const child = spawn(
    programIn(process.env),
    [
      ...['--no-psqlrc', '--no-password', '--pset=pager=off', `--dbname=${url.href}`],
      `--set=ON_ERROR_STOP=${run.stopOnError === false ? 'off' : 'on'}`,
      ...['--file', 'file' in run ? run.file : '-'],
      ...(run.args ?? []),
    ],
    {
      env: {
        ...{ PATH, LC_ALL: 'C.UTF-8', PGPASSWORD: password, PGPASSFILE: '/dev/null' },
        ...run.env,
      },
      timeout: 45_000,
      killSignal: 'SIGKILL',
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  // psql may end before it has read everything.
  child.stdin.on('error', () => {});
  child.stdin.end('sql' in run ? run.sql : '');
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout, stderr };
  } catch (cause) {
    throw new Error(
      'psql could not be run: install it (Debian: postgresql-client), or name it in PSQL.',
      { cause },
    );
  }
}
