import { readServerConfiguration, readSigningSecret, signingWith } from '../configuration.ts';
import { withClient } from '../database.ts';
import { namesDatabase } from '../database-urls.ts';
import { type Demo, makeDemo, readDemo } from '../demo.ts';
import { startDevelopmentDatabase } from '../development.ts';
import { signToken } from '../identity.ts';
import { migrate } from '../migrate.ts';
import { packagePrices, syncPrices } from '../prices.ts';
import { say } from '../standard-output.ts';
import { summaryOf } from './prices.ts';
import { serveCommand, stopSignal } from './serve.ts';

/** `npm start`: everything, on a database of its own unless one is named. */
export async function startCommand(): Promise<void> {
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
      ...signingWith(database.jwtSecret, process.env),
      AUTH_DATABASE_URL: database.urls.authenticator,
    };
    const { serve } = await import('../serve.ts');
    const server = await serve(readServerConfiguration(environment, { isEmbedded: true }));
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
