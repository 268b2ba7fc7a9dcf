import { signingWith } from '../configuration.ts';
import { type DatabaseUrls, namesDatabase, readDatabaseUrls } from '../database-urls.ts';
import { openDevelopmentDatabase } from '../development.ts';

/** Runs a command on the database that the environment names, or else on the embedded one. */
export async function withDatabase(
  work: (urls: DatabaseUrls, environment: NodeJS.ProcessEnv) => Promise<void>,
): Promise<void> {
  if (namesDatabase(process.env)) return work(readDatabaseUrls(process.env), process.env);
  const database = await openDevelopmentDatabase();
  try {
    await work(database.urls, signingWith(database.jwtSecret, process.env));
  } finally {
    await database.stop();
  }
}
