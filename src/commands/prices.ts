import { withClient } from '../database.ts';
import { type PriceChanges, packagePrices, pricesFromFile, syncPrices } from '../prices.ts';
import { say } from '../standard-output.ts';
import { withDatabase } from './database.ts';

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

export function summaryOf(changes: PriceChanges): string {
  const { source, added, changed, leftAlone, unlisted } = changes;
  const rest = unlisted === 0 ? '' : `, ${unlisted} that it does not name stay`;
  return `Prices of ${source}: ${added.length} added, ${changed.length} changed, ${leftAlone} left alone${rest}.`;
}
