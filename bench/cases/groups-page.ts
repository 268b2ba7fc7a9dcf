import type { Case } from '../bench.ts';
import { contest } from '../contest.ts';
import { adminId, LARGE_ORGANIZATIONS, organizationId } from '../data/world.ts';
import { askGraphql, type Connection, tokenOf } from '../http-client.ts';
import { statementsDuring } from '../plans.ts';
import { compared } from '../results.ts';

export const GROUPS_QUERY = `query Groups($organizationId: UUID!) {
  groups(first: 50, orderBy: NAME_ASC, filter: { organizationId: { equalTo: $organizationId } }) {
    nodes {
      id name
      groupAiBudget { spendLimitMicros appliesTo period }
      aiBudgetStatus { spentMicros heldMicros remainingMicros }
    }
  }
}`;

/** Each connection is the admin of one of the organizations that have pages of groups. */
const admin = (number: number) => {
  const organization = number % LARGE_ORGANIZATIONS;
  return { user: adminId(organization), organization: organizationId(organization) };
};

function mustBeWhole(groups: readonly { budget: unknown; status: unknown }[]): void {
  const whole = groups.filter(({ budget, status }) => budget && status);
  if (whole.length !== 50) throw new Error(`${whole.length} of 50 groups came with all of theirs.`);
}

async function byGraphql(connection: Connection, number: number) {
  const { user, organization } = admin(number);
  const token = await tokenOf(user);
  type Group = { groupAiBudget: unknown; aiBudgetStatus: unknown };
  return async () => {
    const { groups } = await askGraphql<{ groups: { nodes: Group[] } }>(
      connection,
      token,
      GROUPS_QUERY,
      {
        organizationId: organization,
      },
    );
    mustBeWhole(
      groups.nodes.map(({ groupAiBudget, aiBudgetStatus }) => ({
        budget: groupAiBudget,
        status: aiBudgetStatus,
      })),
    );
  };
}

const byExpress = (page: string) => async (connection: Connection, number: number) => {
  const { user, organization } = admin(number);
  const token = await tokenOf(user);
  return async () => {
    const path = `/organizations/${organization}/${page}`;
    mustBeWhole(
      (await connection.ask('GET', path, token)) as { budget: unknown; status: unknown }[],
    );
  };
};

export const groupsPage: Case = {
  name: 'groups-page',
  title: 'A page of 50 groups with budget and status',
  databases: ['small'],
  contenders: [
    { name: 'Bursar, GraphQL', server: 'bursar', http: byGraphql },
    { name: 'Express, a query per relation', server: 'express', http: byExpress('groups') },
    {
      name: 'Express, queries per group',
      server: 'express',
      http: byExpress('groups-one-by-one'),
    },
    { name: 'PostGraphile', server: 'postgraphile', http: byGraphql },
  ],
  async run(bench) {
    const { measurements, ratio } = await contest(bench, this);
    const ours = 'Bursar, GraphQL';
    const { user, organization } = admin(0);
    const { statements } = await statementsDuring(bench, 'small', user, {
      query: GROUPS_QUERY,
      variables: { organizationId: organization },
    });
    const selects = statements.filter(({ text }) => text.includes('"app_public"."groups"'));
    return {
      name: this.name,
      title: this.title,
      measurements,
      comparisons: [
        compared(
          'by GraphQL',
          'a query per relation',
          ratio(ours, 'Express, a query per relation'),
          {
            atLeast: 2,
          },
        ),
        compared('by GraphQL', 'queries per group', ratio(ours, 'Express, queries per group')),
        compared('by GraphQL', 'PostGraphile', ratio(ours, 'PostGraphile')),
      ],
      checks: [
        {
          what: 'one SQL statement reads the page',
          is: `${selects.length} of ${statements.length} statements`,
          met: selects.length === 1,
        },
      ],
      notes: [
        'Where Express asks once for each relation, it gets the status of all 50 groups as Bursar does: by a query with which their status is planned. One group at a time, a function with a plan of its own is asked.',
      ],
    };
  },
};
