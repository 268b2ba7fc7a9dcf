import { writeFile } from 'node:fs/promises';
import { withClient } from '../database.ts';
import type { DatabaseUrls, WorkflowUrls } from '../database-urls.ts';
import { migrate } from '../migrate.ts';
import { dumpSchema } from '../schema-dump.ts';
import { dumpApi } from './graphql-schema.ts';
import { isBlank, readCurrent } from './includes.ts';
import { type Project, SCHEMA_GRAPHQL, SCHEMA_SQL } from './project.ts';
import { runCurrent, withShadow } from './shadow.ts';

export function dumpDatabase(shadow: DatabaseUrls): Promise<string> {
  return withClient(shadow.owner, dumpSchema);
}

/** Writes what the committed migrations and current.sql make of an empty database. */
export async function writeDumps(
  project: Project,
  urls: WorkflowUrls,
  say: (line: string) => void,
): Promise<void> {
  const current = await readCurrent(project);
  const [sql, graphql] = await withShadow(urls, async (shadow) => {
    await migrate(shadow, () => {}, { folder: project.migrations });
    if (!isBlank(current)) await runCurrent(shadow.owner, project, current);
    return Promise.all([dumpDatabase(shadow), dumpApi(shadow.authenticator)]);
  });
  await writeFile(project.schemaSql, sql);
  await writeFile(project.schemaGraphql, graphql);
  say(`${SCHEMA_SQL} and ${SCHEMA_GRAPHQL} are written.`);
}
