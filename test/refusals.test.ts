import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { Sessions } from './support/doors.ts';
import { createWorld, type World } from './support/world.ts';

// What psql is told about a refusal: what, for whom the session speaks, and who may.

let database: TestDatabase;
let world: World;
let sessions: Sessions;

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  sessions = new Sessions(database);
});

afterAll(async () => {
  await sessions?.close();
  await database?.drop();
});

const NIL = '00000000-0000-4000-8000-000000000000';

type Told = { severity?: string; code?: string; message?: string; detail?: string; hint?: string };

/** The notices of a statement. */
async function noticesOf(session: Client, sql: string): Promise<Told[]> {
  const notices: Told[] = [];
  const listen = ({ code, message, detail, hint }: Told) =>
    void notices.push({
      ...(code && { code }),
      ...(message && { message }),
      ...(detail && { detail }),
      ...(hint && { hint }),
    });
  session.on('notice', listen as never);
  await session.query('begin');
  await session.query(sql);
  await session.query('rollback');
  session.off('notice', listen as never);
  return notices;
}

const OWNER = /^(Site roles are given and taken|Prices are written|Features are set) by owner\.$/;
const MANAGERS =
  /(written|added and removed|set) by owner, user_admin, and the organization's organization_admin and organization_user_admin/;

/** What somebody who may not does to each table, and the hint. */
const TABLES: Record<string, { insert?: string; hint: RegExp }> = {
  users: { insert: "(username) values ('x')", hint: /^Users are written by owner and user_admin/ },
  user_site_roles: { insert: `(user_id, role) values ('${NIL}', 'owner')`, hint: OWNER },
  organizations: {
    insert: "(name) values ('x')",
    hint: /^Organizations are founded and closed by owner/,
  },
  organization_members: {
    insert: `(organization_id, user_id) values ('${NIL}', '${NIL}')`,
    hint: MANAGERS,
  },
  organization_member_roles: {
    insert: `(organization_id, user_id, role) values ('${NIL}', '${NIL}', 'organization_admin')`,
    hint: /^Organization roles are given and taken by owner, user_admin, and the organization's organization_admin\.$/,
  },
  groups: { insert: `(organization_id, name) values ('${NIL}', 'x')`, hint: MANAGERS },
  group_members: {
    insert: "(group_id, user_id) values ('GROUP', 'MEMBER')",
    hint: MANAGERS,
  },
  group_ai_budgets: {
    insert: `(group_id, spend_limit_micros) values ('${NIL}', 1)`,
    hint: MANAGERS,
  },
  ai_model_prices: { insert: "(provider, model) values ('x', 'y')", hint: OWNER },
  features: { hint: OWNER },
};

const detail = 'The session speaks for member.';

describe('direct SQL', () => {
  test.each(Object.entries(TABLES).filter(([, { insert }]) => insert))(
    'an insert into %s that a policy refuses says for whom the session speaks, and who may',
    async (table, { insert, hint }) => {
      const session = await sessions.of(world.people.member);
      const values = insert?.replace('MEMBER', world.colleague).replace('GROUP', world.group);
      await expect(
        session.query(`insert into app_public.${table} ${values}`),
      ).rejects.toMatchObject({
        code: '42501',
        message: `This row is not yours to add to ${table}.`,
        detail,
        hint: expect.stringMatching(hint),
      });
      const nobody = await sessions.of(null);
      await expect(nobody.query(`insert into app_public.${table} ${values}`)).rejects.toMatchObject(
        {
          // Nobody does not even learn that there is such a group.
          code: table === 'group_members' ? 'BU404' : '42501',
          detail: 'The session speaks for nobody.',
          hint: expect.stringMatching(/^The login role \w+ speaks for no user/),
        },
      );
    },
  );

  const KEYS: Record<string, string> = {
    users: 'username',
    organizations: 'name',
    groups: 'name',
    group_ai_budgets: 'spend_limit_micros',
    ai_model_prices: 'input_price',
    features: 'enabled',
  };
  test.each(Object.entries(TABLES))(
    'an update or a delete of %s that leaves nothing says that, and who may',
    async (table, { hint }) => {
      const session = await sessions.of(world.people.member);
      const told = (what: string) => [
        {
          code: '02000',
          message: `No row of ${table} was ${what}d: none matched, or none that is yours to ${what}.`,
          detail,
          hint: expect.stringMatching(hint),
        },
      ];
      const column = KEYS[table];
      if (column !== undefined) {
        const sql = `update app_public.${table} set ${column} = ${column}`;
        expect(await noticesOf(session, sql)).toEqual(told('change'));
      }
      if (table !== 'features') {
        expect(await noticesOf(session, `delete from app_public.${table}`)).toEqual(told('delete'));
      }
    },
  );

  test('whoever changes something is told nothing, and so is the owner of the database', async () => {
    const admin = await sessions.of(world.people.organization_admin);
    const group = `'${world.group}'`;
    for (const sql of [
      `update app_public.groups set name = 'Renamed' where id = ${group}`,
      `delete from app_public.groups where id = ${group}`,
      `select app_public.upsert_group_ai_budget(${group}, 5)`,
      `select app_public.delete_group_ai_budget(${group})`,
      // A function speaks for itself, whatever it tries within.
      `delete from app_public.group_ai_budgets; select app_public.upsert_group_ai_budget(${group}, 5)`,
      // It could have updated, and has inserted.
      `delete from app_public.group_ai_budgets;
       insert into app_public.group_ai_budgets (group_id, spend_limit_micros) values (${group}, 5)
       on conflict (group_id) do update set spend_limit_micros = 5`,
    ]) {
      expect(await noticesOf(admin, sql), sql).toEqual([]);
    }
    const owner = new Client({ connectionString: database.urls.owner });
    await owner.connect();
    expect(await noticesOf(owner, `delete from app_public.groups where false`)).toEqual([]);
    await owner.end();
  });
});

describe('the functions', () => {
  const REFUSED: Record<string, [sql: string, code: string, hint: RegExp]> = {
    upsert_group_ai_budget: ["('GROUP', 1)", 'BU404', MANAGERS],
    delete_group_ai_budget: ["('GROUP')", 'BU404', MANAGERS],
    set_group_ai_budget_terms: ["('GROUP', 'member')", 'BU404', MANAGERS],
    set_feature: ["('ai_bridge', null, false)", '42501', OWNER],
    upsert_ai_model_prices: ["('[]')", '42501', OWNER],
    authorize_ai_spend: [`('${NIL}', '${NIL}', 'a', 'b', 1, 1)`, '42501', /ai_gateway/],
    settle_ai_spend: [`('${NIL}', 1, 1)`, '42501', /ai_gateway/],
    release_ai_spend: [`('${NIL}')`, '42501', /ai_gateway/],
    record_ai_usage: ["('[]')", '42501', /ai_gateway/],
    price_unpriced_ai_usage: ['()', '42501', /ai_gateway/],
  };
  test.each(Object.entries(REFUSED))('%s says why', async (name, [args, code, hint]) => {
    const session = await sessions.of(world.people.member);
    const call = `select app_public.${name}${args.replace('GROUP', world.group)}`;
    await expect(session.query(call)).rejects.toMatchObject({
      code,
      detail,
      hint: expect.stringMatching(hint),
    });
  });

  test('every function that changes something is among them', async () => {
    const { rows } = await database.owner.query(
      `select proname as name from pg_proc
       where pronamespace = 'app_public'::regnamespace and provolatile = 'v' order by 1`,
    );
    expect(rows.map((row) => row.name)).toEqual(Object.keys(REFUSED).sort());
  });
});
