import { join } from 'node:path';

/** Where this code lies, and what comes with it. */
export const PROJECT_FOLDER = join(import.meta.dirname, '..');
export const MIGRATIONS_FOLDER = join(PROJECT_FOLDER, 'migrations');
