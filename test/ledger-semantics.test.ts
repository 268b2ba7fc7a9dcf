import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import {
  authorize,
  callOf,
  createCompany,
  discrepancies,
  eventOf,
  failure,
  listModels,
  record,
  statusOf,
} from './support/ledger.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await listModels(database.owner);
});
afterEach(async () => {
  expect(await discrepancies(database.owner)).toEqual([]);
});
afterAll(() => database?.drop());

const REFUSED = { allowed: false, hold_id: null, expires_at: null };

describe('whose budget', () => {
  test('the group that the call names, also with a smaller limit or with none', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann'],
      groups: {
        large: { members: ['ann'], budget: { limit: 1000 } },
        small: { members: ['ann'], budget: { limit: 10 } },
        open: { members: ['ann'] },
      },
    });
    const of = (group: string) =>
      authorize(
        database.owner,
        callOf(company.user('ann'), { input_tokens: 5, group_id: company.group(group) }),
      );
    expect(await of('small')).toMatchObject({
      allowed: true,
      group_id: company.group('small'),
      limit_micros: '10',
    });
    expect(await of('open')).toMatchObject({
      allowed: true,
      group_id: company.group('open'),
      limit_micros: null,
      remaining_micros: null,
      held_micros: '5',
    });
    expect(await of('Everyone')).toMatchObject({ allowed: true, group_id: company.id });
  });

  test('a group that is not the person’s, or of another organization, is refused', async () => {
    const company = await createCompany(database.owner, { people: ['ann'], groups: { away: {} } });
    const other = await createCompany(database.owner, { people: ['eve'], groups: { far: {} } });
    const of = (changes: object) =>
      failure(authorize(database.owner, callOf(company.user('ann'), { ...changes })));
    expect(await of({ group_id: company.group('away') })).toEqual({
      code: 'BU400',
      message: `group_id: The user ${company.user('ann')} does not belong to the group ${company.group('away')}.`,
      column: 'group_id',
    });
    expect(await of({ group_id: other.group('far') })).toMatchObject({
      code: 'BU400',
      column: 'group_id',
    });
    expect(await of({ group_id: other.group('far'), organization_id: company.id })).toMatchObject({
      code: 'BU400',
      column: 'group_id',
    });
    expect(await of({ group_id: randomUUID() })).toMatchObject({
      code: 'BU400',
      column: 'group_id',
    });
    expect(await of({ user_id: randomUUID() })).toMatchObject({
      code: 'BU400',
      column: 'user_id',
    });
  });

  test('else the one with the largest limit, then the older membership, then the smaller id', async () => {
    const [first, second] = [randomUUID(), randomUUID()].sort() as [string, string];
    const company = await createCompany(database.owner, {
      people: ['ann'],
      groups: {
        open: { members: ['ann'] },
        second: { id: second, members: ['ann'], budget: { limit: 10 } },
        first: { id: first, members: ['ann'], budget: { limit: 10 } },
        large: { members: ['ann'], budget: { limit: 11 } },
      },
    });
    const charged = async () =>
      (await authorize(database.owner, callOf(company.user('ann')))).group_id;
    expect(await charged()).toBe(company.group('large'));
    await company.setBudget('large', { limit: 9 });
    expect(await charged()).toBe(second);
    await database.owner.query(
      `update app_public.group_members set created_at = '2026-01-01' where user_id = $1`,
      [company.user('ann')],
    );
    expect(await charged()).toBe(first);
    for (const group of ['first', 'second', 'large']) await company.setBudget(group, null);
    expect(await charged()).toBe(company.id);
  });

  test('Everyone’s budget is the ceiling: a call must fit both, and is charged once', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann', 'bob', 'cleo'],
      groups: {
        Everyone: { budget: { limit: 100 } },
        red: { members: ['ann'], budget: { limit: 80 } },
        blue: { members: ['bob'], budget: { limit: 10 } },
      },
    });
    const of = (name: string, tokens: number) =>
      authorize(database.owner, callOf(company.user(name), { input_tokens: tokens }));
    expect(await of('ann', 80)).toMatchObject({
      allowed: true,
      group_id: company.group('red'),
      limit_micros: '80',
      held_micros: '80',
      remaining_micros: '0',
    });
    expect(await of('ann', 1)).toMatchObject({ ...REFUSED, reason: 'GROUP_BUDGET_EXCEEDED' });
    expect(await of('bob', 10)).toMatchObject({ allowed: true, group_id: company.group('blue') });
    // Cleo is in no group: Everyone is charged.
    expect(await of('cleo', 11)).toMatchObject({
      ...REFUSED,
      reason: 'ORGANIZATION_BUDGET_EXCEEDED',
      group_id: company.id,
      limit_micros: '100',
      held_micros: '90',
      remaining_micros: '10',
    });
    expect(await of('cleo', 10)).toMatchObject({ allowed: true, group_id: company.id });
    await company.setBudget('blue', { limit: 20 });
    expect(await of('bob', 1)).toMatchObject({
      ...REFUSED,
      reason: 'ORGANIZATION_BUDGET_EXCEEDED',
      group_id: company.group('blue'),
      limit_micros: '100',
      held_micros: '100',
      remaining_micros: '0',
    });
  });

  test('a person in several organizations names the organization or the group', async () => {
    const home = await createCompany(database.owner, { people: ['ann'], groups: { red: {} } });
    const abroad = await createCompany(database.owner, {
      people: { ann: home.user('ann') },
      groups: { blue: { members: ['ann'] } },
    });
    const of = (changes: object) =>
      authorize(database.owner, callOf(home.user('ann'), { ...changes }));
    expect(await failure(of({}))).toEqual({
      code: 'BU400',
      message: `organization_id: The user ${home.user('ann')} belongs to 2 organizations: name organization_id or group_id.`,
      column: 'organization_id',
    });
    expect(await of({ organization_id: home.id })).toMatchObject({ group_id: home.id });
    expect(await of({ group_id: abroad.group('blue') })).toMatchObject({
      group_id: abroad.group('blue'),
    });
    expect(await of({ group_id: abroad.id })).toMatchObject({ group_id: abroad.id });
    const stranger = await createCompany(database.owner, {});
    expect(await failure(of({ organization_id: stranger.id }))).toMatchObject({ code: 'BU400' });
  });
});

describe('pool or per member', () => {
  test('a pool is one for all, a budget for each member is theirs alone', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann', 'bob'],
      groups: { red: { members: ['ann', 'bob'], budget: { limit: 10 } } },
    });
    const of = (name: string, tokens: number) =>
      authorize(database.owner, callOf(company.user(name), { input_tokens: tokens }));
    expect(await of('ann', 7)).toMatchObject({ allowed: true });
    expect(await of('bob', 4)).toMatchObject({ ...REFUSED, reason: 'GROUP_BUDGET_EXCEEDED' });
    await company.setBudget('red', { limit: 10, appliesTo: 'member' });
    expect(await of('ann', 4)).toMatchObject({
      ...REFUSED,
      reason: 'MEMBER_BUDGET_EXCEEDED',
      held_micros: '7',
      remaining_micros: '3',
    });
    expect(await of('bob', 10)).toMatchObject({ allowed: true, held_micros: '10' });
    await company.setBudget('red', { limit: 17 });
    expect(await of('bob', 1)).toMatchObject({ ...REFUSED, held_micros: '17' });
  });

  test('a ceiling for each member binds them across groups', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann', 'bob'],
      groups: {
        Everyone: { budget: { limit: 5, appliesTo: 'member' } },
        red: { members: ['ann', 'bob'], budget: { limit: 100 } },
        blue: { members: ['ann'], budget: { limit: 50 } },
      },
    });
    const of = (name: string, group: string, tokens: number) =>
      authorize(
        database.owner,
        callOf(company.user(name), { input_tokens: tokens, group_id: company.group(group) }),
      );
    expect(await of('ann', 'red', 3)).toMatchObject({ allowed: true });
    expect(await of('ann', 'blue', 3)).toMatchObject({
      ...REFUSED,
      reason: 'MEMBER_BUDGET_EXCEEDED',
      group_id: company.group('blue'),
      limit_micros: '5',
    });
    expect(await of('bob', 'red', 5)).toMatchObject({ allowed: true });
  });
});

describe('what fits', () => {
  test('the estimate is input, cache and the most output, at the price of the moment', async () => {
    const company = await createCompany(database.owner, { people: ['ann'] });
    const call = callOf(company.user('ann'), {
      model: 'fine',
      input_tokens: 1,
      max_output_tokens: 2_000_000,
      cache_read_tokens: 30,
      cache_write_tokens: 400,
    });
    expect(await authorize(database.owner, call)).toMatchObject({ estimate_micros: '2.000431' });
  });

  test('a limit is reached exactly, and not exceeded by a millionth of a micro', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 1 } } },
    });
    const of = (tokens: number) =>
      authorize(
        database.owner,
        callOf(company.user('ann'), { model: 'fine', input_tokens: tokens }),
      );
    expect(await of(1_000_001)).toMatchObject({ ...REFUSED, estimate_micros: '1.000001' });
    expect(await of(999_999)).toMatchObject({ allowed: true, remaining_micros: '0.000001' });
    expect(await of(2)).toMatchObject(REFUSED);
    expect(await of(1)).toMatchObject({ allowed: true, held_micros: '1', remaining_micros: '0' });
  });

  test('a limit of 0 blocks a free model too; no budget never blocks', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann', 'bob'],
      groups: { red: { members: ['ann'], budget: { limit: 0 } } },
    });
    expect(
      await authorize(database.owner, callOf(company.user('ann'), { model: 'free' })),
    ).toMatchObject({ ...REFUSED, reason: 'GROUP_BUDGET_EXCEEDED', estimate_micros: '0' });
    const much = { input_tokens: 1_000_000_000_000, max_output_tokens: 1_000_000_000_000 };
    for (const model of ['unit', 'unheard of']) {
      expect(
        await authorize(database.owner, callOf(company.user('bob'), { ...much, model })),
      ).toMatchObject({ allowed: true, limit_micros: null, remaining_micros: null });
    }
  });

  test('what is already spent and what is held count; refused calls hold nothing', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 10 } } },
    });
    await record(database.owner, [eventOf(company.user('ann'), { input_tokens: 4 })]);
    const of = (tokens: number) =>
      authorize(database.owner, callOf(company.user('ann'), { input_tokens: tokens }));
    expect(await of(7)).toMatchObject({ ...REFUSED, spent_micros: '4', held_micros: '0' });
    expect(await of(5)).toMatchObject({ allowed: true, spent_micros: '4', held_micros: '5' });
    expect(await of(2)).toMatchObject(REFUSED);
    expect(await statusOf(database.owner, company.group('red'))).toMatchObject({
      spent_micros: '4',
      held_micros: '5',
      remaining_micros: '1',
    });
  });

  test('an unpriced model is refused where a budget applies, unless the organization allows it', async () => {
    const company = await createCompany(database.owner, {
      people: ['ann'],
      groups: { red: { members: ['ann'], budget: { limit: 10 } } },
    });
    const of = (changes: object) =>
      authorize(database.owner, callOf(company.user('ann'), { ...changes }));
    const unpriced = { ...REFUSED, reason: 'UNPRICED_MODEL', estimate_micros: null };
    expect(await of({ model: 'unheard of' })).toMatchObject(unpriced);
    expect(await of({ model: 'half', max_output_tokens: 1 })).toMatchObject(unpriced);
    expect(await of({ model: 'half', input_tokens: 1, cache_read_tokens: 1 })).toMatchObject(
      unpriced,
    );
    // A kind of token that the call does not use needs no price.
    expect(await of({ model: 'half', input_tokens: 1 })).toMatchObject({
      allowed: true,
      estimate_micros: '1',
    });
    await company.change({ unpriced_usage: 'allow' });
    expect(await of({ model: 'unheard of' })).toMatchObject({
      allowed: true,
      reason: null,
      estimate_micros: null,
      held_micros: '1',
    });
    await company.setBudget('red', { limit: 0 });
    expect(await of({ model: 'unheard of' })).toMatchObject({
      ...REFUSED,
      reason: 'GROUP_BUDGET_EXCEEDED',
    });
  });
});
