/** What holds for every contender of a run, and is printed with its results. */

export type Settings = {
  readonly quick: boolean;
  /** Rows of the two ledgers that are compared; most cases work on the first. */
  readonly smallLedger: number;
  readonly largeLedger: number;
  /** Of the 100 organizations of the database with many groups. */
  readonly groupsOfAnOrganization: number;
  readonly rounds: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly poolSize: number;
};

export function settingsOf(given: {
  quick: boolean;
  seconds: number | undefined;
  rounds: number | undefined;
}): Settings {
  const { quick } = given;
  const seconds = given.seconds ?? (quick ? 0.4 : 4);
  return {
    quick,
    smallLedger: quick ? 20_000 : 1_000_000,
    largeLedger: quick ? 200_000 : 10_000_000,
    groupsOfAnOrganization: quick ? 50 : 1000,
    rounds: given.rounds ?? (quick ? 2 : 5),
    warmUpSeconds: Math.min(seconds, quick ? 0.2 : 1),
    seconds,
    connections: 16,
    poolSize: 10,
  };
}

/** PostgreSQL as a small server would run it: every commit is on the disk before it is answered. */
export const POSTGRES_SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '1GB',
  effective_cache_size: '4GB',
  maintenance_work_mem: '512MB',
  work_mem: '16MB',
  wal_buffers: '16MB',
  max_wal_size: '8GB',
  checkpoint_timeout: '15min',
  random_page_cost: '1.1',
  max_connections: '200',
  jit: 'off',
};
