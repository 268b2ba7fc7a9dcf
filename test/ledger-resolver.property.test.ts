import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import {
  authorize,
  callOf,
  createCompany,
  discrepancies,
  eventOf,
  explain,
  listModels,
  record,
  release,
} from './support/ledger.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await listModels(database.owner);
});
afterAll(() => database?.drop());

const budget = fc.option(
  fc.record({
    limit: fc.integer({ min: 0, max: 12 }),
    appliesTo: fc.constantFrom('group', 'member'),
    period: fc.constantFrom('day', 'week', 'month', 'quarter', 'year', 'lifetime'),
  }),
  { freq: 3 },
);
const GROUPS = ['a', 'b', 'c'] as const;
const plan = fc.record({
  Everyone: budget,
  groups: fc.tuple(...GROUPS.map(() => fc.record({ budget, joined: fc.constantFrom(null, 1, 2) }))),
  used: fc.array(
    fc.record({ by: fc.constantFrom('ann', 'bob'), group: fc.nat(2), tokens: fc.nat(4) }),
    { maxLength: 6 },
  ),
  named: fc.option(fc.constantFrom('a', 'b', 'c', 'Everyone'), { freq: 1 }),
  tokens: fc.nat(8),
});

type Group = {
  id: string;
  limit: number | null;
  appliesTo: string;
  since: number;
  isEveryone: boolean;
};

/** Whose budget, by the words of the issue. */
function chargedOf(groups: readonly Group[], named: string | undefined): Group | undefined {
  const inOrder = groups
    .filter((group) => group.limit !== null && !group.isEveryone)
    .sort(
      (a, b) => Number(b.limit) - Number(a.limit) || a.since - b.since || (a.id < b.id ? -1 : 1),
    );
  return (
    groups.find((group) => group.id === named) ??
    inOrder[0] ??
    groups.find((group) => group.isEveryone)
  );
}

test('explaining and authorizing agree with each other and with the rules', {
  retry: 0,
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(plan, async (given) => {
      const company = await createCompany(database.owner, {
        people: ['ann', 'bob'],
        groups: {
          ...(given.Everyone === null ? {} : { Everyone: { budget: given.Everyone } }),
          ...Object.fromEntries(
            given.groups.map((group, i) => [
              GROUPS[i] as string,
              {
                id: randomUUID(),
                members: group.joined === null ? ['bob'] : ['ann', 'bob'],
                ...(group.budget === null ? {} : { budget: group.budget }),
              },
            ]),
          ),
        },
      });
      for (const [i, { joined }] of given.groups.entries()) {
        await database.owner.query(
          `update app_public.group_members set created_at = $2 where group_id = $1`,
          [company.group(GROUPS[i] as string), `2026-01-0${joined ?? 1}`],
        );
      }
      const mine: Group[] = [
        {
          id: company.id,
          limit: given.Everyone?.limit ?? null,
          appliesTo: given.Everyone?.appliesTo ?? 'group',
          since: 0,
          isEveryone: true,
        },
        ...given.groups.flatMap((group, i) =>
          group.joined === null
            ? []
            : [
                {
                  id: company.group(GROUPS[i] as string),
                  limit: group.budget?.limit ?? null,
                  appliesTo: group.budget?.appliesTo ?? 'group',
                  since: group.joined,
                  isEveryone: false,
                },
              ],
        ),
      ];
      const named =
        given.named === null || !mine.some((group) => group.id === company.group(given.named ?? ''))
          ? undefined
          : company.group(given.named);
      const used = given.used
        .filter(({ by, group }) => by === 'bob' || given.groups[group]?.joined !== null)
        .map(({ by, group, tokens }) => ({
          by,
          group: company.group(GROUPS[group] as string),
          tokens,
        }));
      await record(
        database.owner,
        used.map(({ by, group, tokens }) =>
          eventOf(company.user(by), { group_id: group, input_tokens: tokens }),
        ),
      );
      const spentOf = (group: Group) =>
        used
          .filter(
            (use) =>
              (group.isEveryone || use.group === group.id) &&
              (group.appliesTo === 'group' || group.limit === null || use.by === 'ann'),
          )
          .reduce((sum, use) => sum + use.tokens, 0);

      const candidates = await explain(database.owner, {
        user_id: company.user('ann'),
        provider: 'acme',
        model: 'unit',
        ...(named === undefined ? {} : { group_id: named }),
      });
      const charged = chargedOf(mine, named);
      expect(candidates.map((c) => c.candidate_group_id).sort()).toEqual(
        mine.map((group) => group.id).sort(),
      );
      expect(candidates[0]).toMatchObject({ candidate_group_id: charged?.id, is_charged: true });
      expect(candidates.filter((c) => c.is_charged).length).toBe(1);
      for (const group of mine) {
        const spent = spentOf(group);
        expect(candidates.find((c) => c.candidate_group_id === group.id)).toMatchObject({
          limit_micros: group.limit === null ? null : String(group.limit),
          is_ceiling: group.isEveryone && group.limit !== null,
          spent_micros: String(spent),
          held_micros: '0',
          headroom_micros: group.limit === null ? null : String(group.limit - spent),
          is_priced: true,
        });
      }

      const call = callOf(company.user('ann'), {
        input_tokens: given.tokens,
        ...(named === undefined ? {} : { group_id: named }),
      });
      const decision = await authorize(database.owner, call);
      const refusing = candidates
        .filter((c) => c.limit_micros !== null && (c.is_charged || c.is_ceiling))
        .find((c) => c.limit_micros === '0' || Number(c.headroom_micros) < given.tokens);
      expect(decision).toMatchObject({
        allowed: refusing === undefined,
        group_id: charged?.id,
        estimate_micros: String(given.tokens),
      });
      if (refusing === undefined) {
        await release(database.owner, { request_id: call.request_id });
      } else {
        const { limit_micros, spent_micros, period_start, period_end } = refusing;
        expect(decision).toMatchObject({ limit_micros, spent_micros, period_start, period_end });
        expect(decision.reason).toBe(
          refusing.applies_to === 'member'
            ? 'MEMBER_BUDGET_EXCEEDED'
            : refusing.is_everyone
              ? 'ORGANIZATION_BUDGET_EXCEEDED'
              : 'GROUP_BUDGET_EXCEEDED',
        );
      }
    }),
    { numRuns: 60 },
  );
  expect(await discrepancies(database.owner)).toEqual([]);
});

test('the reasons are sentences', async () => {
  const company = await createCompany(database.owner, {
    people: ['ann'],
    groups: {
      Everyone: { budget: { limit: 9 } },
      large: { members: ['ann'], budget: { limit: 5 } },
      small: { members: ['ann'], budget: { limit: 4 } },
      open: { members: ['ann'] },
    },
  });
  const why = async (changes: object) =>
    Object.fromEntries(
      (
        await explain(database.owner, {
          user_id: company.user('ann'),
          provider: 'acme',
          model: 'half',
          ...changes,
        })
      ).map((c) => [c.group_name, [c.is_priced, c.why]]),
    );
  expect(await why({})).toEqual({
    large: [false, 'charged: the largest limit among the groups of the user that have a budget'],
    small: [
      false,
      'not charged: another group has a larger limit, or the same and the older membership',
    ],
    open: [false, 'not charged: no budget'],
    Everyone: [false, 'the ceiling of the organization: a call must fit here as well'],
  });
  expect(await why({ group_id: company.group('open') })).toMatchObject({
    open: [false, 'charged: the call names this group'],
    large: [false, 'not charged: the call names another group'],
  });
});
