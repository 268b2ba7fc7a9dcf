#!/usr/bin/env -S node --max-semi-space-size=16 --heap-growing-percent=30
import './compile-cache.ts';
import './graphile-environment.ts';
import { Command } from 'commander';
import { explain } from './failures.ts';
import { letReadersLeave } from './standard-output.ts';

// A command's code is loaded when it is the one: to serve, most of the time to start is loading.
const program = new Command('bursar')
  .description('Spend budgets for AI models that live in PostgreSQL')
  .showHelpAfterError();

program
  .command('start')
  .description('serve with an embedded PostgreSQL and a demo, or the database that is named')
  .action(async () => (await import('./commands/start.ts')).startCommand());
program
  .command('serve')
  .description('the server alone (HOST, PORT)')
  .option('--workers <n>', 'this many processes at one port (WORKERS)')
  .action(async (options) => (await import('./commands/serve.ts')).serveCommand(options));
program
  .command('migrate')
  .description('create the roles that are missing, then run the committed migrations')
  .action(async () => (await import('./commands/migrate.ts')).migrateCommand());
program
  .command('prices')
  .description('what models cost')
  .command('sync')
  .description('load the price list that the installed package ships, and say what changed')
  .option('--from <file>', 'a JSON array of prices instead')
  .option('--dry-run', 'say what would change, and write nothing')
  .action(async (options) => (await import('./commands/prices.ts')).syncPricesCommand(options));
program
  .command('token')
  .description('print a token, signed with JWT_SECRET')
  .requiredOption('--user <name-or-id>', 'whom the token names')
  .option('--ttl <time>', 'how long it is valid: 90s, 15m, 1h, 7d', '1h')
  .action(async (options) => (await import('./commands/token.ts')).tokenCommand(options));
const dba = program.command('dba').description('people who work in psql');
dba
  .command('add <name>')
  .description('a login role that speaks for a user, with that user’s rights')
  .requiredOption('--user <name-or-id>', 'whom it speaks for')
  .option('--ask-password', 'ask for its password, or read it from standard input')
  .option('--no-ask-password', 'have a password made')
  .action(async (name, options) =>
    (await import('./commands/dba.ts')).addDbaCommand(name, options),
  );
dba
  .command('remove <name>')
  .description('the login role speaks for nobody, at once')
  .action(async (name) => (await import('./commands/dba.ts')).removeDbaCommand(name));
dba
  .command('list')
  .description('login roles, for whom they speak, and what those may do')
  .action(async () => (await import('./commands/dba.ts')).listDbasCommand());
program
  .command('check')
  .description('say whether the database has what this code needs')
  .action(async () => {
    const { checkCommand } = await import('./commands/check.ts');
    if (!(await checkCommand())) process.exitCode = 1;
  });
program
  .command('lint')
  .description('say what breaks a rule about the database schema (docs/lints.md)')
  .option('--schema <name>', 'instead of Bursar’s own schemas; may be repeated', appended)
  .option('--waivers <file>', 'a JSON array of {"key", "reason"}: what is meant to be so')
  .option('--json', 'print the whole report as JSON')
  .action(async (options) => {
    const { lintCommand } = await import('./commands/check.ts');
    if (!(await lintCommand(options))) process.exitCode = 1;
  });

function appended(value: string, before: string[] = []): string[] {
  return [...before, value];
}

letReadersLeave();
try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}
