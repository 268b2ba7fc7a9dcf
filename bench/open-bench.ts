import type { DatabaseUrls } from '../src/database-urls.ts';
import type { Bench } from './bench.ts';
import { contentOf, type DatabaseContent } from './data/databases.ts';
import { startPostgres } from './database.ts';
import { LoadProcess } from './load-process.ts';
import { progress } from './progress.ts';
import { type ServerProcess, startServer } from './servers.ts';
import type { Settings } from './settings.ts';

export type OpenBench = Bench & { close(): Promise<void> };

/** PostgreSQL and the processes that make load; databases and servers follow when somebody needs them. */
export async function openBench(settings: Settings, keep: string | undefined): Promise<OpenBench> {
  progress('starting PostgreSQL');
  const postgres = await startPostgres(keep);
  const load = new LoadProcess('load.ts');
  const direct = new LoadProcess('baselines/direct.ts');
  const databases = new Map<string, Promise<DatabaseUrls>>();
  const servers = new Map<string, Promise<ServerProcess>>();

  const open = (content: DatabaseContent): Promise<DatabaseUrls> => {
    const openNow = async () => {
      if (content.base !== undefined) await open(content.base);
      return postgres.open(content);
    };
    const found = databases.get(content.name) ?? openNow();
    databases.set(content.name, found);
    return found;
  };
  const database: Bench['database'] = (name) => open(contentOf(name, settings));
  return {
    settings,
    postgres,
    load,
    direct,
    database,
    superuserUrl: (name) => postgres.superuserUrl(contentOf(name, settings).name),
    async server(name, of = 'small') {
      const { authenticator } = await database(of);
      const key = `${name} on ${of}`;
      const found =
        servers.get(key) ??
        startServer(name, { database: authenticator, poolSize: settings.poolSize });
      servers.set(key, found);
      return found;
    },
    async close() {
      load.stop();
      direct.stop();
      const started = await Promise.allSettled(servers.values());
      for (const one of started) if (one.status === 'fulfilled') await one.value.stop();
      await postgres.stop();
    },
  };
}
