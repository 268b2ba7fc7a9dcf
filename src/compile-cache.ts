import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { PROJECT_FOLDER } from './folders.ts';

// What this process compiles from now on is there for the next one: a quarter of the time to start. The folder is the
// installation's own, since whoever can write there can put code into the server. Where it can't be written, nothing
// is kept.
enableCompileCache(join(PROJECT_FOLDER, 'node_modules/.cache/bursar'));
