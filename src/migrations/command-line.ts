import '../graphile-environment.ts';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { readLockTimeout } from '../database-urls.ts';
import { explain } from '../failures.ts';
import { migrate } from '../migrate.ts';
import { PATIENCE, RUNNER_KEEPS_POOL_MS } from '../run-migrations.ts';
import { letReadersLeave, say } from '../standard-output.ts';
import { withWorkflowDatabase, withWorkflowDatabases } from './databases.ts';
import { type Project, projectAt } from './project.ts';

// Linters and comparisons are loaded by the commands that need them.

const program = new Command('db')
  .description('Write, check and commit migrations')
  .option('--project <folder>', 'where migrations/, schema.sql and schema.graphql are')
  .showHelpAfterError();

function project(): Project {
  const found = projectAt(program.opts<{ project?: string }>().project);
  if (existsSync(join(found.migrations, 'committed'))) return found;
  throw new Error('There is no migrations/committed in the folder that --project names.');
}

program
  .command('migrate')
  .description('create the roles that are missing, then run the committed migrations')
  .action(async () => {
    const lockTimeoutMs = readLockTimeout(process.env, PATIENCE.lockTimeoutMs);
    await withWorkflowDatabase((urls) =>
      migrate(urls, say, {
        folder: project().migrations,
        patience: { ...PATIENCE, lockTimeoutMs },
      }),
    );
  });
program
  .command('watch')
  .description('run current.sql each time that it or a fixture changes')
  .option('--once', 'run it now, and end')
  .action(async ({ once = false }: { once?: boolean }) => {
    const { watchCurrent } = await import('./watch.ts');
    await withWorkflowDatabase(async (urls, died) => {
      await watchCurrent(project(), urls, { once }, say);
      if (once) return;
      say('Watching. Ctrl-C ends it.');
      const ended = died?.then((error) => Promise.reject(error));
      await Promise.race(ended === undefined ? [stopSignal()] : [stopSignal(), ended]);
      await sleep(RUNNER_KEEPS_POOL_MS);
    });
    // The watcher never ends by itself.
    process.exit(0);
  });
program
  .command('commit')
  .description('make current.sql the next committed migration')
  .option('-m, --message <text>', 'what it is about')
  .action(async ({ message }: { message?: string }) => {
    const { commitCurrent } = await import('./commit.ts');
    await withWorkflowDatabases((urls) => commitCurrent(project(), urls, message, say));
  });
program
  .command('uncommit')
  .description('take the last migration, which nobody else has run, back into current.sql')
  .action(async () => {
    const { uncommitLast } = await import('./commit.ts');
    await withWorkflowDatabases((urls) => uncommitLast(project(), urls, say));
  });
program
  .command('dump')
  .description('write schema.sql and schema.graphql')
  .action(async () => {
    const { writeDumps } = await import('./dumps.ts');
    await withWorkflowDatabases((urls) => writeDumps(project(), urls, say));
  });
program
  .command('check')
  .description('what every change must pass')
  .option('--branch <name>', 'the branch that the change is for')
  .option('--base <ref>', 'what the change is compared with')
  .action(async (options: { branch?: string; base?: string }) => {
    const { checkProject } = await import('./check-project.ts');
    const { report } = await import('./finding.ts');
    await withWorkflowDatabases(async (urls) => {
      if (!report(await checkProject(project(), urls, options), say)) process.exitCode = 1;
    });
  });

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

letReadersLeave();
try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  // A watcher would keep the process.
  process.exit(1);
}
