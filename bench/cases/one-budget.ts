import type { Case } from '../bench.ts';
import type { Contender } from '../caller.ts';
import { contest } from '../contest.ts';
import { groupOfUser, userId } from '../data/world.ts';
import { askGraphql, type Connection, tokenOf } from '../http-client.ts';
import { compared } from '../results.ts';

export const BUDGET_QUERY = `query Budget($groupId: UUID!) {
  groupAiBudget(groupId: $groupId) { groupId spendLimitMicros createdAt updatedAt }
}`;

type Budget = { group_id: string };

/** Each connection is another member, who reads the budgets of a group of theirs. */
const member = (number: number) => ({
  user: userId(number, number % 90),
  group: groupOfUser(number, number % 90),
});

function mustBe(group: string, answered: string | undefined): void {
  if (answered !== group) throw new Error(`The budget of ${group} was asked, not of ${answered}.`);
}

async function byGraphql(connection: Connection, number: number) {
  const { user, group } = member(number);
  const token = await tokenOf(user);
  type Answer = { groupAiBudget: { groupId: string } | null };
  return async () => {
    const data = await askGraphql<Answer>(connection, token, BUDGET_QUERY, { groupId: group });
    mustBe(group, data.groupAiBudget?.groupId);
  };
}

const byRest = (path: (group: string) => string) => async (connection: Connection, n: number) => {
  const { user, group } = member(n);
  const token = await tokenOf(user);
  return async () => {
    mustBe(group, ((await connection.ask('GET', path(group), token)) as Budget).group_id);
  };
};

const contenders: readonly Contender[] = [
  { name: 'Bursar, GraphQL', server: 'bursar', http: byGraphql },
  {
    name: 'Bursar, REST',
    server: 'bursar',
    http: byRest((group) => `/api/v2/groups/${group}/ai/budget`),
  },
  { name: 'Express', server: 'express', http: byRest((group) => `/groups/${group}/budget`) },
  { name: 'PostGraphile', server: 'postgraphile', http: byGraphql },
  {
    name: 'SQL, no HTTP',
    async sql(database, number) {
      const { user, group } = member(number);
      return async () => {
        const rows = await database.ask<Budget>(
          user,
          'budget',
          'select * from app_public.group_ai_budgets where group_id = $1',
          [group],
        );
        mustBe(group, rows[0]?.group_id);
      };
    },
  },
];

export const oneBudget: Case = {
  name: 'one-budget',
  title: 'One budget, under row-level security',
  databases: ['small'],
  contenders,
  async run(bench) {
    const { measurements, ratio } = await contest(bench, this);
    return {
      name: this.name,
      title: this.title,
      measurements,
      comparisons: [
        compared('by GraphQL', 'Express', ratio('Bursar, GraphQL', 'Express'), { atLeast: 1.3 }),
        compared('by GraphQL', 'PostGraphile', ratio('Bursar, GraphQL', 'PostGraphile'), {
          atLeast: 2.5,
        }),
        compared('by REST', 'Express', ratio('Bursar, REST', 'Express'), { atLeast: 1.8 }),
        compared('by GraphQL', 'SQL, no HTTP', ratio('Bursar, GraphQL', 'SQL, no HTTP')),
      ],
      checks: [],
      notes: [],
    };
  },
};
