import {
  type DatabaseUrls,
  namesDatabase,
  readDatabaseUrls,
  readWorkflowUrls,
  type WorkflowUrls,
  withDatabase,
} from '../database-urls.ts';
import { openDevelopmentDatabase } from '../development.ts';

/** The databases that the environment names, or else those of the embedded PostgreSQL. */
export async function withWorkflowDatabases<T>(
  work: (urls: WorkflowUrls) => Promise<T>,
): Promise<T> {
  if (namesDatabase(process.env)) return work(readWorkflowUrls(process.env));
  return withEmbedded((urls) =>
    work({
      ...urls,
      shadow: withDatabase(urls.owner, 'bursar_shadow'),
      root: withDatabase(urls.owner, 'postgres'),
    }),
  );
}

/** For what needs no shadow. */
export async function withWorkflowDatabase<T>(
  work: (urls: DatabaseUrls, died: Promise<Error> | undefined) => Promise<T>,
): Promise<T> {
  if (namesDatabase(process.env)) return work(readDatabaseUrls(process.env), undefined);
  return withEmbedded(work);
}

async function withEmbedded<T>(
  work: (urls: DatabaseUrls, died: Promise<Error> | undefined) => Promise<T>,
): Promise<T> {
  const database = await openDevelopmentDatabase();
  try {
    return await work(database.urls, database.died);
  } finally {
    await database.stop();
  }
}
