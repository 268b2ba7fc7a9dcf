import { spawnSync } from 'node:child_process';
import type { Environment } from '../settings.ts';

/** What a change is compared with: the commit at which its branch left another one. */
export type Base = {
  readonly name: string;
  read(path: string): string | undefined;
  list(folder: string): readonly string[];
};

const MAIN_BRANCHES = ['main', 'master'];

function git(folder: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', ['-C', folder, ...args], {
    encoding: 'utf8',
    maxBuffer: 100_000_000,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return status === 0 ? stdout : undefined;
}

/**
 * @param ref By default what a pull request is for, or the main branch, as the remote has it or else as it is here.
 * @returns Nothing where there is no history to compare with.
 */
export function findBase(
  folder: string,
  ref: string | undefined,
  environment: Environment = process.env,
): Base | undefined {
  const branches = [environment.GITHUB_BASE_REF, ...MAIN_BRANCHES].filter((branch) => branch);
  const refs = ref === undefined ? branches.flatMap((b) => [`origin/${b}`, `${b}`]) : [ref];
  const found = refs.find(
    (one) =>
      git(folder, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${one}^{commit}`) !==
      undefined,
  );
  if (found === undefined) {
    if (ref === undefined) return undefined;
    throw new Error(
      `--base ${ref}: git knows no such commit here. Fetch it first (git fetch origin; on GitHub, fetch-depth: 0), or name another.`,
    );
  }
  // What the other branch has gained meanwhile is not what this one takes away.
  const commit = (
    git(folder, 'merge-base', found, 'HEAD') ??
    git(folder, 'rev-parse', found) ??
    ''
  ).trim();
  return {
    name: found,
    read: (path) => git(folder, 'show', `${commit}:./${path}`),
    list: (path) =>
      (git(folder, 'ls-tree', '--name-only', commit, `./${path}/`) ?? '')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.slice(line.lastIndexOf('/') + 1)),
  };
}

/** The branch that a change is for, or nothing when nobody says. */
export function findBranch(
  folder: string,
  named: string | undefined,
  environment: Environment = process.env,
): string | undefined {
  const { GITHUB_BASE_REF, GITHUB_REF_NAME } = environment;
  const branch =
    named || GITHUB_BASE_REF || GITHUB_REF_NAME || git(folder, 'symbolic-ref', '--short', 'HEAD');
  return branch?.trim();
}

/** Whoever does not know must take it for the main branch, of which more is asked. */
export function isMain(branch: string | undefined): boolean {
  return branch === undefined || MAIN_BRANCHES.includes(branch);
}
