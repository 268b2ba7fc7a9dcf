import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PROJECT_FOLDER } from '../folders.ts';

/** The files that the workflow reads and writes. */
export type Project = {
  readonly folder: string;
  readonly migrations: string;
  /** The migration that is being written. */
  readonly current: string;
  readonly schemaSql: string;
  readonly schemaGraphql: string;
  /** Where changes of the GraphQL API that break clients are announced. */
  readonly breakingChanges: string;
  readonly lintRules: string;
};

export const SCHEMA_SQL = 'schema.sql';
export const SCHEMA_GRAPHQL = 'schema.graphql';
export const BREAKING_CHANGES = 'docs/breaking-changes.md';

export function projectAt(folder = PROJECT_FOLDER): Project {
  return {
    folder,
    migrations: join(folder, 'migrations'),
    current: join(folder, 'migrations/current.sql'),
    schemaSql: join(folder, SCHEMA_SQL),
    schemaGraphql: join(folder, SCHEMA_GRAPHQL),
    breakingChanges: join(folder, BREAKING_CHANGES),
    lintRules: join(folder, '.squawk.toml'),
  };
}

export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
