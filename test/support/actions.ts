/** What the columns of the table of rights mean, in the words of each door. */

/** A group to aim at, and whom to add to it or remove from it. */
export type Place = {
  readonly organization: string;
  readonly group: string;
  /** In the group. */
  readonly insider: string;
  /** In the organization, and not in the group. */
  readonly candidate: string;
  /** In no organization. */
  readonly outsider: string;
};

export type Statement = readonly [text: string, ...values: unknown[]];

/** Each way shows the same facts, under the name `fact`: all of them or none. */
export type Read = {
  readonly sql: readonly Statement[];
  readonly graphql: readonly string[];
  /** The path, and the member of the answer that is the fact. */
  readonly rest?: readonly [path: string, member: string];
};

export type Write = {
  readonly name: string;
  /** What the owner of the database does first. */
  readonly before?: Statement;
  readonly sql?: Statement;
  readonly graphql?: string;
  readonly rest?: { readonly method: string; readonly path: string; readonly body?: string };
  /** Whether it has happened. */
  readonly done: Statement;
};

export const SPARE_FEATURE = 'spare';

export const READS = {
  'read the group': ({ group }: Pick<Place, 'group'>): Read => ({
    sql: [['select name as fact from app_public.groups where id = $1', group]],
    graphql: [
      `{ group(id: "${group}") { fact: name } }`,
      `{ groups(condition: { id: "${group}" }) { nodes { fact: name } } }`,
    ],
  }),
  'read its members': ({ group }: Pick<Place, 'group'>): Read => ({
    sql: [['select user_id as fact from app_public.group_members where group_id = $1', group]],
    graphql: [
      `{ groupMembers(condition: { groupId: "${group}" }) { nodes { fact: userId } } }`,
      `{ group(id: "${group}") { members { nodes { fact: userId } } } }`,
    ],
  }),
  'read its budget': ({ group }: Pick<Place, 'group'>): Read => ({
    sql: [
      [
        'select spend_limit_micros as fact from app_public.group_ai_budgets where group_id = $1',
        group,
      ],
      ['select spend_limit_micros as fact from app_public.group_ai_budget($1)', group],
    ],
    graphql: [
      `{ groupAiBudget(groupId: "${group}") { fact: spendLimitMicros } }`,
      `{ groupAiBudgets(condition: { groupId: "${group}" }) { nodes { fact: spendLimitMicros } } }`,
      `{ groups(condition: { id: "${group}" }) {
           nodes { groupAiBudget { fact: spendLimitMicros } } } }`,
    ],
    rest: [budgetPath(group), 'spend_limit_micros'],
  }),
  'read prices': (): Read => ({
    sql: [
      ["select input_price as fact from app_public.ai_model_prices where provider = 'acme'"],
      ["select input_price as fact from app_public.ai_model_price('acme', 'one')"],
    ],
    graphql: [
      '{ aiModelPrices(condition: { provider: "acme" }) { nodes { fact: inputPrice } } }',
      '{ aiModelPrice(provider: "acme", model: "one") { fact: inputPrice } }',
    ],
  }),
};

export const WRITES = {
  'write its budget': ({ group }: Pick<Place, 'group'>): Write[] => {
    const upsert = {
      sql: ['select * from app_public.upsert_group_ai_budget($1, 123)', group],
      graphql: `mutation { upsertGroupAiBudget(input: { groupId: "${group}", spendLimitMicros: "123" }) {
        groupAiBudget { groupId } } }`,
      rest: { method: 'PUT', path: budgetPath(group), body: '{"spend_limit_micros":123}' },
      done: [
        'select from app_public.group_ai_budgets where group_id = $1 and spend_limit_micros = 123',
        group,
      ],
    } satisfies Omit<Write, 'name'>;
    const remove = 'delete from app_public.group_ai_budgets where group_id = $1';
    const isGone = [
      'select where not exists (select from app_public.group_ai_budgets where group_id = $1)',
      group,
    ] as const;
    return [
      { name: 'replace it', ...upsert },
      { name: 'set the first', ...upsert, before: [remove, group] },
      {
        name: 'delete it',
        sql: ['select * from app_public.delete_group_ai_budget($1)', group],
        graphql: `mutation { deleteGroupAiBudget(input: { groupId: "${group}" }) {
          groupAiBudget { groupId } } }`,
        rest: { method: 'DELETE', path: budgetPath(group) },
        done: isGone,
      },
      {
        name: 'insert the row',
        before: [remove, group],
        sql: [
          'insert into app_public.group_ai_budgets (group_id, spend_limit_micros) values ($1, 123)',
          group,
        ],
        done: upsert.done,
      },
      {
        name: 'update the row',
        sql: [
          'update app_public.group_ai_budgets set spend_limit_micros = 123 where group_id = $1',
          group,
        ],
        done: upsert.done,
      },
      { name: 'delete the row', sql: [remove, group], done: isGone },
    ];
  },

  'write members': ({ organization, group, insider, candidate, outsider }: Place): Write[] => [
    {
      name: 'add to the group',
      sql: [
        'insert into app_public.group_members (group_id, user_id) values ($1, $2)',
        group,
        candidate,
      ],
      graphql: `mutation { createGroupMember(input: { groupMember: {
        groupId: "${group}", userId: "${candidate}" } }) { groupMember { userId } } }`,
      done: isThere('group_members', 'group_id', group, candidate),
    },
    {
      name: 'remove from the group',
      sql: [
        'delete from app_public.group_members where group_id = $1 and user_id = $2',
        group,
        insider,
      ],
      graphql: `mutation { deleteGroupMember(input: {
        groupId: "${group}", userId: "${insider}" }) { groupMember { userId } } }`,
      done: isGone('group_members', 'group_id', group, insider),
    },
    {
      name: 'add to the organization',
      sql: [
        'insert into app_public.organization_members (organization_id, user_id) values ($1, $2)',
        organization,
        outsider,
      ],
      graphql: `mutation { createOrganizationMember(input: { organizationMember: {
        organizationId: "${organization}", userId: "${outsider}" } }) { organizationMember { userId } } }`,
      done: isThere('organization_members', 'organization_id', organization, outsider),
    },
    {
      name: 'remove from the organization',
      sql: [
        'delete from app_public.organization_members where organization_id = $1 and user_id = $2',
        organization,
        insider,
      ],
      graphql: `mutation { deleteOrganizationMember(input: {
        organizationId: "${organization}", userId: "${insider}" }) { organizationMember { userId } } }`,
      // Whoever leaves the organization leaves its groups.
      done: isGone('group_members', 'group_id', group, insider),
    },
  ],

  'write groups': ({ organization, group }: Place): Write[] => [
    {
      name: 'create one',
      sql: [
        "insert into app_public.groups (organization_id, name) values ($1, 'New')",
        organization,
      ],
      graphql: `mutation { createGroup(input: { group: {
        organizationId: "${organization}", name: "New" } }) { group { id } } }`,
      done: [
        "select from app_public.groups where organization_id = $1 and name = 'New'",
        organization,
      ],
    },
    {
      name: 'rename it',
      sql: ["update app_public.groups set name = 'New' where id = $1", group],
      graphql: `mutation { updateGroup(input: { id: "${group}", patch: { name: "New" } }) {
        group { id } } }`,
      done: ["select from app_public.groups where id = $1 and name = 'New'", group],
    },
    {
      name: 'delete it',
      sql: ['delete from app_public.groups where id = $1', group],
      graphql: `mutation { deleteGroup(input: { id: "${group}" }) { group { id } } }`,
      done: ['select where not exists (select from app_public.groups where id = $1)', group],
    },
  ],

  'write prices': (): Write[] => [
    {
      name: 'load a new one',
      sql: priceLoad('two'),
      graphql: `mutation { upsertAiModelPrices(input: { seed: [{ provider: "acme", model: "two", input_price: 1 }] }) {
        aiModelPrices { model } } }`,
      done: ["select from app_public.ai_model_prices where model = 'two' and input_price = 1"],
    },
    {
      name: 'load over a known one',
      sql: priceLoad('one'),
      graphql: `mutation { upsertAiModelPrices(input: { seed: [{ provider: "acme", model: "one", input_price: 1 }] }) {
        aiModelPrices { model } } }`,
      done: ["select from app_public.ai_model_prices where model = 'one' and input_price = 1"],
    },
    {
      name: 'insert the row',
      sql: ["insert into app_public.ai_model_prices (provider, model) values ('acme', 'two')"],
      done: ["select from app_public.ai_model_prices where model = 'two'"],
    },
    {
      name: 'update the row',
      sql: ["update app_public.ai_model_prices set input_price = 1 where model = 'one'"],
      done: ["select from app_public.ai_model_prices where model = 'one' and input_price = 1"],
    },
    {
      name: 'delete the row',
      sql: ["delete from app_public.ai_model_prices where model = 'one'"],
      done: [
        "select where not exists (select from app_public.ai_model_prices where model = 'one')",
      ],
    },
  ],

  'write features': (): Write[] => [
    {
      name: 'switch it off',
      sql: ['select * from app_public.set_feature($1, enabled => false)', SPARE_FEATURE],
      graphql: `mutation { setFeature(input: { name: "${SPARE_FEATURE}", enabled: false }) {
        feature { name } } }`,
      done: ['select from app_public.features where name = $1 and not enabled', SPARE_FEATURE],
    },
    {
      name: 'update the row',
      sql: [
        "update app_public.features set entitlement = 'grace_period' where name = $1",
        SPARE_FEATURE,
      ],
      done: [
        "select from app_public.features where name = $1 and entitlement = 'grace_period'",
        SPARE_FEATURE,
      ],
    },
  ],
};

export type Column = keyof typeof READS | keyof typeof WRITES;

export function budgetPath(group: string): string {
  return `/api/v2/groups/${group}/ai/budget`;
}

export function isThere(table: string, key: string, id: string, userId: string): Statement {
  return [`select from app_public.${table} where ${key} = $1 and user_id = $2`, id, userId];
}

export function isGone(table: string, key: string, id: string, userId: string): Statement {
  const [text, ...values] = isThere(table, key, id, userId);
  return [`select where not exists (${text})`, ...values];
}

function priceLoad(model: string): Statement {
  const seed = JSON.stringify([{ provider: 'acme', model, input_price: 1 }]);
  return ['select * from app_public.upsert_ai_model_prices($1)', seed];
}
