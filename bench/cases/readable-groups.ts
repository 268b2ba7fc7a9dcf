import { createHash } from 'node:crypto';
import { Client } from 'pg';
import type { Case } from '../bench.ts';
import { contestOf } from '../contest.ts';
import { GROUPS_OF_THE_PERSON } from '../data/many-groups.ts';
import { askGraphql, connectTo, tokenOf } from '../http-client.ts';
import { compared } from '../results.ts';
import { speakFor, timings } from '../timings.ts';

const PERSON = createHash('md5')
  .update('user of many')
  .digest('hex')
  .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

const UNDER_POLICIES = 'select id, name from app_public.groups';
const WITHOUT = `
  select g.id, g.name
  from (
      select m.group_id from app_public.group_members m where m.user_id = $1
      union all
      select m.organization_id from app_public.organization_members m where m.user_id = $1
    ) as mine
    join app_public.groups g on g.id = mine.group_id`;
const BY_GRAPHQL = '{ groups { nodes { id name } } }';

function mustBeAll(count: number | null): void {
  if (count !== GROUPS_OF_THE_PERSON) {
    throw new Error(`${count} groups were read instead of ${GROUPS_OF_THE_PERSON}.`);
  }
}

export const readableGroups: Case = {
  name: 'readable-groups',
  title: 'groups under policies, for a person with 1,000 of them',
  databases: ['many groups'],
  contenders: [],
  async run(bench) {
    const { authenticator, owner } = await bench.database('many groups');
    const person = new Client({ connectionString: authenticator });
    const root = new Client({ connectionString: owner });
    await Promise.all([person.connect(), root.connect()]);
    const connection = connectTo((await bench.server('bursar', 'many groups')).url);
    try {
      await speakFor(person, PERSON);
      const token = await tokenOf(PERSON);
      type Answer = { groups: { nodes: unknown[] } };
      const { measurements, ratio } = contestOf(
        await timings(
          this.name,
          [
            {
              name: 'under policies',
              run: async () =>
                mustBeAll((await person.query({ name: 'mine', text: UNDER_POLICIES })).rowCount),
            },
            {
              name: 'without row security',
              run: async () =>
                mustBeAll(
                  (await root.query({ name: 'theirs', text: WITHOUT, values: [PERSON] })).rowCount,
                ),
            },
            {
              name: 'by GraphQL',
              run: async () => {
                const answer = await askGraphql<Answer>(connection, token, BY_GRAPHQL, {});
                mustBeAll(answer.groups.nodes.length);
              },
            },
          ],
          { rounds: bench.settings.rounds, times: 20 },
        ),
      );
      return {
        name: this.name,
        title: this.title,
        measurements,
        comparisons: [
          compared(
            'under policies',
            'without row security',
            ratio('under policies', 'without row security'),
            { atMost: 1.5 },
          ),
        ],
        checks: [],
        notes: [
          `There are ${(100 * bench.settings.groupsOfAnOrganization).toLocaleString('en')} groups.`,
          'Every contender fetches all 1,000 rows; GraphQL is for information.',
        ],
      };
    } finally {
      await connection.close();
      await Promise.all([person.end(), root.end()]);
    }
  },
};
