/**
 * A budget from its limit to what was spent of it, with the client of this folder. While `npm start` runs in
 * another terminal, with the group's id that it prints:
 *
 *   BURSAR_TOKEN=$(npx bursar token --user olivia) npm run -s example:client -- GROUP_ID
 *
 * olivia owns the site, and so may do all of it; the group has its budget back at the end.
 */
import { randomUUID } from 'node:crypto';
import { dollars, exact, micros } from './amounts.ts';
import { BursarError, connect } from './bursar.ts';

const [groupId] = process.argv.slice(2);
const { BURSAR_TOKEN: token, BURSAR_URL: url = 'http://127.0.0.1:5678' } = process.env;
if (groupId === undefined || token === undefined) {
  console.error('BURSAR_TOKEN=TOKEN npm run -s example:client -- GROUP_ID');
  process.exit(1);
}
const bursar = connect(url, token);

const group = await bursar.group(groupId);
const userId = group?.members.nodes[0]?.userId;
if (group === null || userId === undefined) throw new Error('No such group, or nobody is in it.');
const before = await bursar.budget(groupId);
const limit = before === null ? 'anything' : dollars(before.spendLimitMicros);
console.log(`${group.name} may spend ${limit}`);

try {
  // $750: micros are millionths of a dollar, and strings here, so that no digit is lost.
  await bursar.setBudget(groupId, '750000000');
  const terms = await bursar.setTerms({ groupId, appliesTo: 'group', period: 'week' });
  console.log(`now ${dollars(terms?.spendLimitMicros ?? '0')} a ${terms?.period}`);

  const model = { provider: 'example', model: 'small' };
  await bursar.loadPrices([{ ...model, input_price: 3_000_000, output_price: 15_000_000 }]);

  // One id for one call to a model, whatever happens: sent again, it is the same request.
  const requestId = randomUUID();
  const call = { requestId, userId, groupId, ...model };
  const atMost = { inputTokens: '2000', maxOutputTokens: '1000' };
  const decision = await bursar.authorize({ ...call, ...atMost });
  if (!decision.allowed) throw new Error(`Refused: ${decision.reason}`);
  console.log(`may cost up to ${decision.estimateMicros} micros, which are held`);
  // … here the model is called …
  const usage = { requestId, inputTokens: '2000', outputTokens: '214' };
  const settled = await bursar.settle(usage);
  console.log(`cost ${settled.costMicros} micros`);
  console.log(`the same again: ${(await bursar.settle(usage)).eventId === settled.eventId}`);

  const tooMuch = { ...call, requestId: randomUUID(), inputTokens: '1000000000' };
  const refused = await bursar.authorize({ ...tooMuch, maxOutputTokens: '1' });
  console.log(`a call that is too large: ${refused.reason}`);

  let spent = 0n;
  for await (const row of bursar.dailySpend(group.organizationId)) {
    if (row.groupId === groupId) spent += exact(row.costMicros);
  }
  console.log(`${group.name} has spent ${micros(spent)} micros so far`);

  await bursar.setBudget(groupId, '-1').catch((error: unknown) => {
    if (!(error instanceof BursarError)) throw error;
    console.log(`${error.code} of ${error.field}: ${error.message}`);
  });
} finally {
  if (before === null) {
    // It may not have come to a budget, and what stopped it is to be seen.
    await bursar.removeBudget(groupId).catch(() => {});
  } else {
    const { spendLimitMicros, appliesTo, period } = before;
    await bursar.setBudget(groupId, spendLimitMicros);
    await bursar.setTerms({ groupId, appliesTo, period });
  }
}
