import type { DatabaseUrls } from '../src/database-urls.ts';
import type { Contender } from './caller.ts';
import type { BenchPostgres } from './database.ts';
import type { LoadProcess } from './load-process.ts';
import type { CaseResult } from './results.ts';
import type { ServerName, ServerProcess } from './servers.ts';
import type { Settings } from './settings.ts';

/**
 * `small` and `large` have the same people and two lengths of ledger; `many groups` has 100,000 groups, and
 * takes price lists.
 */
export type DatabaseName = 'small' | 'large' | 'many groups';

/** What a case has at hand. Databases are loaded and servers started when somebody first asks for them. */
export type Bench = {
  readonly settings: Settings;
  readonly postgres: BenchPostgres;
  readonly load: LoadProcess;
  readonly direct: LoadProcess;
  database(name: DatabaseName): Promise<DatabaseUrls>;
  superuserUrl(name: DatabaseName): string;
  server(name: ServerName, database?: DatabaseName): Promise<ServerProcess>;
};

export type Case = {
  readonly name: string;
  readonly title: string;
  /** What is loaded before the first case is measured. */
  readonly databases: readonly DatabaseName[];
  /** Whom the processes that make load must know. */
  readonly contenders: readonly Contender[];
  run(bench: Bench): Promise<CaseResult>;
};
