import { readSigningSecret } from '../configuration.ts';
import { withClient } from '../database.ts';
import { signToken } from '../identity.ts';
import { say } from '../standard-output.ts';
import { findUser } from '../users.ts';
import { withDatabase } from './database.ts';

export async function tokenCommand(options: { user: string; ttl: string }): Promise<void> {
  const seconds = secondsOf(options.ttl);
  await withDatabase(async (urls, environment) => {
    const by = readSigningSecret(environment);
    const { id } = await withClient(urls.owner, (client) => findUser(client, options.user));
    say(await signToken(id, seconds, by));
  });
}

function secondsOf(ttl: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(ttl) ?? [];
  const seconds = Number(digits) * ({ s: 1, m: 60, h: 3600, d: 86400 }[unit] ?? Number.NaN);
  if (seconds > 0) return seconds;
  throw new Error(`--ttl must be a number with s, m, h or d, such as 1h, not "${ttl}".`);
}
