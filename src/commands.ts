import { check } from './check.ts';
import {
  type DatabaseUrls,
  namesDatabase,
  readDatabaseUrl,
  readDatabaseUrls,
  readLockTimeout,
  readServerConfiguration,
  readSigningSecret,
} from './configuration.ts';
import { withClient } from './database.ts';
import { addDba, listDbas, psqlUrl, removeDba } from './dba.ts';
import { type Demo, makeDemo, readDemo } from './demo.ts';
import { openDevelopmentDatabase, startDevelopmentDatabase } from './development.ts';
import { signToken } from './identity.ts';
import { fails, LEVELS, lint, type Report } from './lint.ts';
import { migrate } from './migrate.ts';
import { askForPassword, generatePassword } from './password.ts';
import { type PriceChanges, packagePrices, pricesFromFile, syncPrices } from './prices.ts';
import { PATIENCE } from './run-migrations.ts';
import type { RunningServer } from './serve.ts';
import { findUser } from './users.ts';
import { readWaivers } from './waivers.ts';

/** The server's libraries take longer to load than most commands to run: only who serves loads them. */
const loadServer = () => import('./serve.ts');

const say = (line: string) => process.stdout.write(`${line}\n`);

/** `npm start`: everything, on a database of its own unless one is named. */
export async function start(): Promise<void> {
  if (namesDatabase(process.env)) return serveCommand();

  const began = performance.now();
  say('Starting PostgreSQL …');
  const database = await startDevelopmentDatabase();
  try {
    await migrate(database.urls, () => {});
    const demo = await withClient(database.urls.owner, async (client) => {
      const changes = await syncPrices(client, packagePrices(new Date()));
      say(summaryOf(changes));
      await makeDemo(client);
      return readDemo(client);
    });
    const environment = {
      ...process.env,
      AUTH_DATABASE_URL: database.urls.authenticator,
      JWT_SECRET: process.env.JWT_SECRET ?? database.jwtSecret,
    };
    const { serve } = await loadServer();
    const server = await serve(readServerConfiguration(environment, { graphiqlByDefault: true }));
    say(`Bursar is up after ${((performance.now() - began) / 1000).toFixed(1)} s.\n`);
    if (demo !== undefined) {
      const { secret, issuer, audience } = readSigningSecret(environment);
      const tokens = new Map<string, string>();
      for (const person of demo.people) {
        tokens.set(
          person.username,
          await signToken(person.id, 7 * 24 * 3600, { secret, issuer, audience }),
        );
      }
      introduce(server.url, demo, tokens);
    }
    await Promise.race([stopSignal(), database.died?.then((error) => Promise.reject(error))]);
    say('\nStopping …');
    await server.stop();
  } finally {
    await database.stop();
  }
}

export async function serveCommand(): Promise<void> {
  const configuration = readServerConfiguration(process.env, { graphiqlByDefault: false });
  const { serve } = await loadServer();
  const server: RunningServer = await serve(configuration);
  say(`Bursar answers at ${server.url}`);
  await stopSignal();
  await server.stop();
}

export async function migrateCommand(): Promise<void> {
  const lockTimeoutMs = readLockTimeout(process.env, PATIENCE.lockTimeoutMs);
  await withDatabase((urls) => migrate(urls, say, { patience: { ...PATIENCE, lockTimeoutMs } }));
}

export async function syncPricesCommand(options: {
  from?: string;
  dryRun?: boolean;
}): Promise<void> {
  await withDatabase((urls) =>
    withClient(urls.owner, async (client) => {
      const seed =
        options.from === undefined ? packagePrices(new Date()) : await pricesFromFile(options.from);
      const changes = await syncPrices(client, seed, { dryRun: options.dryRun ?? false });
      for (const model of changes.added) say(`+ ${model}`);
      for (const model of changes.changed) say(`~ ${model}`);
      for (const price of changes.unrepresentable)
        say(`! ${price} is finer than a micro: left unknown`);
      say(summaryOf(changes));
      if (options.dryRun) say('This was a dry run: nothing was written.');
    }),
  );
}

export async function tokenCommand(options: { user: string; ttl: string }): Promise<void> {
  const seconds = secondsOf(options.ttl);
  await withDatabase(async (urls, environment) => {
    const by = readSigningSecret(environment);
    const { id } = await withClient(urls.owner, (client) => findUser(client, options.user));
    say(await signToken(id, seconds, by));
  });
}

export async function addDbaCommand(
  name: string,
  options: { user: string; askPassword?: boolean },
): Promise<void> {
  await withDatabase((urls) =>
    withClient(urls.owner, async (client) => {
      const asks = options.askPassword ?? process.stdin.isTTY;
      let shown: string | undefined;
      const { username, made } = await addDba(client, name, options.user, async () => {
        const given = asks ? await askForPassword(name) : undefined;
        if (given === undefined) shown = generatePassword();
        return given ?? shown ?? '';
      });
      say(`The login role ${name} speaks for ${username}.`);
      if (!made) say('It existed already, and keeps its password.');
      if (shown !== undefined) say(`Password: ${shown} (it is shown this once)`);
      say(`psql ${await psqlUrl(client, name)}`);
    }),
  );
}

export async function removeDbaCommand(name: string): Promise<void> {
  await withDatabase((urls) =>
    withClient(urls.owner, async (client) => {
      const { username, dropped } = await removeDba(client, name);
      say(`The login role ${name} no longer speaks for ${username}.`);
      if (!dropped) say('The role itself stays, without rights in this database.');
    }),
  );
}

export async function listDbasCommand(): Promise<void> {
  await withDatabase((urls) =>
    withClient(urls.owner, async (client) => {
      const dbas = await listDbas(client);
      if (dbas.length === 0) say('No login role speaks for a user.');
      const width = Math.max(...dbas.map((dba) => dba.name.length));
      for (const { name, username, rights, canLogIn } of dbas) {
        const may = rights.length === 0 ? 'no roles' : rights.join(', ');
        say(`${name.padEnd(width)}  ${username}: ${may}${canLogIn ? '' : ' (can’t log in)'}`);
      }
    }),
  );
}

/** @returns Whether everything is there. */
export async function checkCommand(): Promise<boolean> {
  let complete = true;
  await withDatabase(async (urls) => {
    for (const finding of await check(urls)) {
      say(`${finding.missing.length === 0 ? 'ok     ' : 'MISSING'} ${finding.what}`);
      for (const missing of finding.missing) say(`          ${missing}`);
      complete &&= finding.missing.length === 0;
    }
  });
  return complete;
}

/** @returns Whether there is nothing to mend. Any login of the database will do. */
export async function lintCommand(options: {
  schema?: string[];
  waivers?: string;
  json?: boolean;
}): Promise<boolean> {
  const waivers = options.waivers === undefined ? [] : await readWaivers(options.waivers);
  let clean = true;
  const look = async (url: string) => {
    const report = await withClient(url, (client) =>
      lint(client, { waivers, ...(options.schema && { schemas: options.schema }) }),
    );
    if (options.json) say(JSON.stringify(report, null, 2));
    else sayReport(report);
    clean = !fails(report);
  };
  if (namesDatabase(process.env)) await look(readDatabaseUrl(process.env));
  else await withDatabase((urls) => look(urls.owner));
  return clean;
}

function sayReport({ schemas, lints, findings, waived }: Report): void {
  let lint: string | undefined;
  for (const finding of findings) {
    if (finding.lint !== lint)
      say(`${finding.level} ${finding.lint}: ${finding.title} (${finding.page})\n`);
    lint = finding.lint;
    say(`  ${finding.object}`);
    say(`    ${finding.detail}`);
    say(`    Remedy: ${finding.remedy}`);
    say(`    Key: ${finding.key}\n`);
  }
  const counts = LEVELS.map((level) => {
    const count = findings.filter((finding) => finding.level === level).length;
    return `${count} ${level}${count === 1 ? '' : 's'}`;
  });
  say(`${lints} lints on ${schemas.join(', ')}: ${counts.join(', ')}; ${waived.length} waived.`);
}

/** Runs a command on the database that the environment names, or else on the embedded one. */
async function withDatabase(
  work: (urls: DatabaseUrls, environment: NodeJS.ProcessEnv) => Promise<void>,
): Promise<void> {
  if (namesDatabase(process.env)) return work(readDatabaseUrls(process.env), process.env);
  const database = await openDevelopmentDatabase();
  try {
    await work(database.urls, {
      ...process.env,
      JWT_SECRET: process.env.JWT_SECRET ?? database.jwtSecret,
    });
  } finally {
    await database.stop();
  }
}

function summaryOf(changes: PriceChanges): string {
  const { source, added, changed, leftAlone, unlisted } = changes;
  const rest = unlisted === 0 ? '' : `, ${unlisted} that it does not name stay`;
  return `Prices of ${source}: ${added.length} added, ${changed.length} changed, ${leftAlone} left alone${rest}.`;
}

function secondsOf(ttl: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(ttl) ?? [];
  const seconds = Number(digits) * ({ s: 1, m: 60, h: 3600, d: 86400 }[unit] ?? Number.NaN);
  if (seconds > 0) return seconds;
  throw new Error(`--ttl must be a number with s, m, h or d, such as 1h, not "${ttl}".`);
}

/** The first ctrl-C or kill; a second one ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      process.once('SIGINT', () => process.exit(130));
      resolve();
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
  });
}

function introduce(url: string, demo: Demo, tokens: ReadonlyMap<string, string>): void {
  const column = Math.max(...demo.people.map((person) => person.username.length));
  say(`GraphiQL  ${url}/`);
  say(`GraphQL   ${url}/graphql`);
  say(`REST      ${url}/api/v2/groups/${demo.groupId}/ai/budget`);
  say('\nThe demo organization Acme, and a token for each of its people (valid for a week):\n');
  for (const { username, is } of demo.people) {
    say(`${username.padEnd(column)}  ${is}`);
    say(`${' '.repeat(column)}  ${tokens.get(username)}`);
  }
  say(`
Try it. What may Engineering spend? (mia, a member)

  curl -sw '\\n' ${url}/graphql \\
    -H 'Authorization: Bearer ${tokens.get('mia')}' \\
    -H 'Content-Type: application/json' \\
    -d '{"query": "{ group(id: \\"${demo.groupId}\\") { name groupAiBudget { spendLimitMicros } } }"}'

Give it $750. (adam, the organization's admin)

  curl -sw '\\n' -X PUT ${url}/api/v2/groups/${demo.groupId}/ai/budget \\
    -H 'Authorization: Bearer ${tokens.get('adam')}' \\
    -H 'Content-Type: application/json' \\
    -d '{"spend_limit_micros": 750000000}'

What does a model cost? (anybody who is signed in)

  curl -sw '\\n' ${url}/graphql \\
    -H 'Authorization: Bearer ${tokens.get('sam')}' \\
    -H 'Content-Type: application/json' \\
    -d '{"query": "{ aiModelPrice(provider: \\"anthropic\\", model: \\"claude-sonnet-4-5\\") { inputPrice outputPrice } }"}'

Ctrl-C stops it; the data stays in .bursar/.`);
}
