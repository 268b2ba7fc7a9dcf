import { randomUUID } from 'node:crypto';
import { withClient } from '../../src/database.ts';
import type { Bench, Case } from '../bench.ts';
import { each } from '../closed-loop.ts';
import { contest } from '../contest.ts';
import { gatewayId, groupOfUser, userId } from '../data/world.ts';
import { connectTo, tokenOf } from '../http-client.ts';
import { type Check, compared } from '../results.ts';
import { ledgerIsInOrder } from './ledger-in-order.ts';
import { authorizationOf, type Decision, MANY_GROUPS, ONE_GROUP } from './spending.ts';

const CONNECTIONS = 64;

export const spendHotGroup: Case = {
  name: 'spend-hot-group',
  title: 'Authorize and settle, one hot group, 64 connections',
  databases: ['small'],
  contenders: [ONE_GROUP, MANY_GROUPS],
  async run(bench) {
    const { measurements, ratio } = await contest(bench, this, {
      connections: CONNECTIONS,
      unit: 'pairs/s',
    });
    const hot = measurements.find(({ contender }) => contender === ONE_GROUP.name);
    return {
      name: this.name,
      title: this.title,
      measurements,
      comparisons: [
        compared('one group', 'many groups', ratio(ONE_GROUP.name, MANY_GROUPS.name), {
          atLeast: 0.5,
        }),
        compared('p99', 'p50', (hot?.p99 ?? Number.NaN) / (hot?.p50 ?? Number.NaN), { atMost: 10 }),
      ],
      checks: [await fitsExactly(bench, 100), await ledgerIsInOrder(bench)],
      notes: ['A refusal would have ended the case: the budget is ample.'],
    };
  },
};

/** A budget for so many calls, asked twice as often by all at once. */
async function fitsExactly(bench: Bench, calls: number): Promise<Check> {
  const spender = { user: userId(6, 0), group: groupOfUser(6, 0) };
  const { url } = await bench.server('bursar');
  const { owner } = await bench.database('small');
  const token = await tokenOf(gatewayId);
  const connections = Array.from({ length: CONNECTIONS }, () => connectTo(url));
  const setLimit = (expression: string) =>
    withClient(owner, (client) =>
      client.query(
        `update app_public.group_ai_budgets set spend_limit_micros = ${expression} where group_id = $1`,
        [spender.group],
      ),
    );
  const authorize = connections.map((connection) => async () => {
    const body = JSON.stringify(authorizationOf(spender, randomUUID()));
    return (await connection.ask('POST', '/api/v2/ai/spend/authorize', token, body)) as Decision;
  });
  try {
    const [first] = await each(authorize.slice(0, 1), 1);
    await setLimit(
      `(select ceil(s.spent_micros + s.held_micros) from app_public.ai_budget_status(group_id) s)
        + ${calls} * ${first?.estimate_micros ?? 0}`,
    );
    const decisions = await each(authorize, 2 * calls);
    const allowed = decisions.filter((decision) => decision.allowed).length;
    return {
      what: `calls allowed by a budget for ${calls}, asked ${2 * calls} times by ${CONNECTIONS} at once`,
      is: String(allowed),
      met: allowed === calls,
    };
  } finally {
    await setLimit('1000000000000');
    await Promise.all(connections.map((connection) => connection.close()));
  }
}
