import { randomUUID } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';

/** A row as the driver gives it: amounts and 64-bit numbers are strings, times are dates. */
export type Row = Record<string, unknown>;

export type Connection = Pick<Pool | PoolClient, 'query'>;

/** Calls a function of the API with named arguments, and gives its rows. */
export async function rowsOf(db: Connection, name: string, args: Row = {}): Promise<Row[]> {
  const keys = Object.keys(args).filter((key) => args[key] !== undefined);
  const { rows } = await db.query<Row>(
    `select * from app_public.${name}(${keys.map((key, i) => `${key} => $${i + 1}`).join(', ')})`,
    keys.map((key) => args[key]),
  );
  return rows;
}

export async function rowOf(db: Connection, name: string, args: Row = {}): Promise<Row> {
  const rows = await rowsOf(db, name, args);
  if (rows.length !== 1) throw new Error(`${name} gave ${rows.length} rows`);
  return rows[0] as Row;
}

/** A call that is about to be made: one token of model `unit` costs one micro. */
export const callOf = (userId: string, changes: Row = {}): Row => ({
  request_id: randomUUID(),
  user_id: userId,
  provider: 'acme',
  model: 'unit',
  input_tokens: 0,
  max_output_tokens: 0,
  ...changes,
});

/** An event as gateways report it. */
export const eventOf = (userId: string, changes: Row = {}): Row => ({
  id: randomUUID(),
  user_id: userId,
  provider: 'acme',
  model: 'unit',
  input_tokens: 0,
  output_tokens: 0,
  ...changes,
});

export const authorize = (db: Connection, call: Row) => rowOf(db, 'authorize_ai_spend', call);
export const settle = (db: Connection, args: Row) => rowOf(db, 'settle_ai_spend', args);
export const explain = (db: Connection, args: Row) => rowsOf(db, 'explain_ai_budget', args);
export const record = (db: Connection, events: unknown) =>
  rowOf(db, 'record_ai_usage', { events: JSON.stringify(events) });

export async function release(db: Connection, args: Row): Promise<unknown> {
  return (await rowOf(db, 'release_ai_spend', args)).release_ai_spend;
}

export async function statusOf(db: Connection, groupId: string): Promise<Row> {
  return rowOf(db, 'ai_budget_status', { group_id: groupId });
}

export async function discrepancies(db: Connection): Promise<Row[]> {
  return (await db.query<Row>('select * from app_public.ai_ledger_discrepancies')).rows;
}

/** The SQLSTATE, message and column that a call fails with. */
export async function failure(work: Promise<unknown>): Promise<Row> {
  try {
    await work;
  } catch (error) {
    const { code, message, column } = error as Row;
    return column === undefined ? { code, message } : { code, message, column };
  }
  throw new Error('it was expected to fail');
}

export type Budget = { limit: number; appliesTo?: string; period?: string };
export type Company = {
  readonly id: string;
  readonly users: Readonly<Record<string, string>>;
  readonly groups: Readonly<Record<string, string>>;
  user(name: string): string;
  group(name: string): string;
  setBudget(group: string, budget: Budget | null): Promise<void>;
  change(columns: Row): Promise<void>;
};

/** An organization; its group Everyone goes by that name. The order of members is that of their joining. */
export async function createCompany(
  owner: Pool,
  plan: {
    settings?: Row;
    people?: Record<string, string> | readonly string[];
    groups?: Record<string, { members?: readonly string[]; budget?: Budget; id?: string }>;
  },
): Promise<Company> {
  const id = randomUUID();
  const users: Record<string, string> = {};
  const groups: Record<string, string> = { Everyone: id };
  const named = (of: Record<string, string>, name: string): string => {
    const found = of[name];
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  };
  const company: Company = {
    id,
    users,
    groups,
    user: (name) => named(users, name),
    group: (name) => named(groups, name),
    async setBudget(group, budget) {
      const groupId = named(groups, group);
      if (budget === null) {
        await rowOf(owner, 'delete_group_ai_budget', { group_id: groupId });
        return;
      }
      await rowOf(owner, 'upsert_group_ai_budget', {
        group_id: groupId,
        spend_limit_micros: budget.limit,
      });
      await rowOf(owner, 'set_group_ai_budget_terms', {
        group_id: groupId,
        applies_to: budget.appliesTo ?? 'group',
        period: budget.period ?? 'month',
      });
    },
    async change(columns) {
      const keys = Object.keys(columns);
      await owner.query(
        `update app_public.organizations set ${keys.map((key, i) => `${key} = $${i + 2}`).join(', ')} where id = $1`,
        [id, ...keys.map((key) => columns[key])],
      );
    },
  };
  await owner.query('insert into app_public.organizations (id, name) values ($1, $2)', [id, id]);
  if (plan.settings !== undefined) await company.change(plan.settings);
  const people = Array.isArray(plan.people)
    ? Object.fromEntries(plan.people.map((name: string) => [name, randomUUID()]))
    : (plan.people ?? {});
  for (const [name, userId] of Object.entries(people as Record<string, string>)) {
    users[name] = userId;
    await owner.query(
      'insert into app_public.users (id, username) values ($1, $2) on conflict (id) do nothing',
      [userId, `${name} ${userId}`],
    );
    await owner.query(
      'insert into app_public.organization_members (organization_id, user_id) values ($1, $2)',
      [id, userId],
    );
  }
  for (const [name, group] of Object.entries(plan.groups ?? {})) {
    if (name !== 'Everyone') {
      const groupId = group.id ?? randomUUID();
      groups[name] = groupId;
      await owner.query(
        'insert into app_public.groups (id, organization_id, name) values ($1, $2, $3)',
        [groupId, id, name],
      );
      for (const member of group.members ?? []) {
        await owner.query(
          'insert into app_public.group_members (organization_id, group_id, user_id) values ($1, $2, $3)',
          [id, groupId, named(users, member)],
        );
      }
    }
    if (group.budget !== undefined) await company.setBudget(name, group.budget);
  }
  return company;
}

export async function setPrices(owner: Pool, seed: readonly Row[]): Promise<void> {
  await rowsOf(owner, 'upsert_ai_model_prices', { seed: JSON.stringify(seed) });
}

/** unit: a micro for a token of any kind. free: known to cost nothing. half: its output has no price. */
export async function listModels(owner: Pool): Promise<void> {
  const all = (price: number) => ({
    input_price: price,
    output_price: price,
    cache_read_price: price,
    cache_write_price: price,
  });
  await setPrices(owner, [
    { provider: 'acme', model: 'unit', ...all(1_000_000) },
    { provider: 'acme', model: 'free', ...all(0) },
    { provider: 'acme', model: 'half', input_price: 1_000_000 },
    { provider: 'acme', model: 'fine', ...all(1) },
  ]);
}
