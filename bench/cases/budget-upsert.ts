import type { Case } from '../bench.ts';
import { contest } from '../contest.ts';
import { adminId, groupId, MICROS_OF_A_GROUP } from '../data/world.ts';
import { askGraphql, type Connection, tokenOf } from '../http-client.ts';
import { compared } from '../results.ts';

export const UPSERT_MUTATION = `mutation SetBudget($groupId: UUID!, $spendLimitMicros: BigInt!) {
  upsertGroupAiBudget(input: { groupId: $groupId, spendLimitMicros: $spendLimitMicros }) {
    groupAiBudget { groupId spendLimitMicros updatedAt }
  }
}`;

/** Each connection is the admin of another organization, and sets the budgets of its groups in turn, up and down. */
async function admin(number: number) {
  const token = await tokenOf(adminId(number));
  let calls = 0;
  return {
    token,
    next() {
      calls += 1;
      return {
        group: groupId(number, calls % 10),
        limit: String(MICROS_OF_A_GROUP + BigInt(calls % 1000)),
      };
    },
  };
}

function mustBe(limit: string, answered: string | number | undefined): void {
  if (String(answered) !== limit) throw new Error(`The limit is ${answered} instead of ${limit}.`);
}

async function byGraphql(connection: Connection, number: number) {
  const { token, next } = await admin(number);
  type Answer = { upsertGroupAiBudget: { groupAiBudget: { spendLimitMicros: string } } };
  return async () => {
    const { group, limit } = next();
    const data = await askGraphql<Answer>(connection, token, UPSERT_MUTATION, {
      groupId: group,
      spendLimitMicros: limit,
    });
    mustBe(limit, data.upsertGroupAiBudget.groupAiBudget.spendLimitMicros);
  };
}

const byRest = (path: (group: string) => string) => async (connection: Connection, n: number) => {
  const { token, next } = await admin(n);
  return async () => {
    const { group, limit } = next();
    const body = `{"spend_limit_micros": ${limit}}`;
    const answer = await connection.ask('PUT', path(group), token, body);
    mustBe(limit, (answer as { spend_limit_micros: string | number }).spend_limit_micros);
  };
};

export const budgetUpsert: Case = {
  name: 'budget-upsert',
  title: 'A budget set, with its audit trail',
  databases: ['small'],
  contenders: [
    { name: 'Bursar, GraphQL', server: 'bursar', http: byGraphql },
    {
      name: 'Bursar, REST',
      server: 'bursar',
      http: byRest((group) => `/api/v2/groups/${group}/ai/budget`),
    },
    { name: 'Express', server: 'express', http: byRest((group) => `/groups/${group}/budget`) },
    { name: 'PostGraphile', server: 'postgraphile', http: byGraphql },
  ],
  async run(bench) {
    const { measurements, ratio } = await contest(bench, this);
    return {
      name: this.name,
      title: this.title,
      measurements,
      comparisons: [
        compared('by GraphQL', 'Express', ratio('Bursar, GraphQL', 'Express'), { atLeast: 1.2 }),
        compared('by GraphQL', 'PostGraphile', ratio('Bursar, GraphQL', 'PostGraphile')),
        compared('by REST', 'Express', ratio('Bursar, REST', 'Express')),
      ],
      checks: [],
      notes: ['Every contender calls upsert_group_ai_budget, triggers and audit trail included.'],
    };
  },
};
