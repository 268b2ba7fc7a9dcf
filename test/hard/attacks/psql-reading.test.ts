import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLair, expectNoSecret, INTRUDERS, type Lair } from '../../support/intruders.ts';

// Reading what is others' in SQL. Each attack is also run by a superuser, who has to find something: an attack that
// could not see anything proves nothing.

let lair: Lair;

beforeAll(async () => {
  lair = await createLair();
});
afterAll(async () => {
  await lair?.leave();
});

const TABLES = [
  'organizations',
  'groups',
  'group_ai_budgets',
  'organization_members',
  'group_members',
  'users',
  'ai_usage_events',
  'ai_spend_daily',
  'audit_events',
  'audit_trail',
] as const;

/** Costs nothing, as PostgreSQL believes: what a planner would rather ask before a policy. */
const spy = (body: string) =>
  `create function pg_temp.spy(seen text) returns boolean language plpgsql cost 0.0000001 as $$ begin ${body} end $$`;
const TELLS = spy("raise notice 'seen %', seen; return true;");
const RAISES = (trace: string) =>
  spy(`if seen ~ '${trace}' then raise exception 'seen %', seen; end if; return true;`);

/** @param trace Matches rows of others: halves of ids, so that a whole one can come from an answer alone. */
type Reading = (table: string, trace: string) => readonly string[] | null;
const READINGS: Readonly<Record<string, Reading>> = {
  'a function that tells each row': (t) => [
    TELLS,
    `select from app_public.${t} t where pg_temp.spy(t::text)`,
  ],
  'a function that claims to be immutable, and tells': (t) => [
    TELLS.replace('cost', 'immutable cost'),
    `select from app_public.${t} t where pg_temp.spy(t::text)`,
  ],
  'a function that fails with the row in its message': (t, trace) => [
    RAISES(trace),
    `select from app_public.${t} t where pg_temp.spy(t::text)`,
  ],
  'a function in order by': (t) => [
    TELLS,
    `select from app_public.${t} t order by pg_temp.spy(t::text) limit 0 + 1000`,
  ],
  'an operator of its own': (t) => [
    TELLS.replace('seen text', 'seen text, text'),
    'create operator pg_temp.<<<< (leftarg = text, rightarg = text, function = pg_temp.spy)',
    `select from app_public.${t} t where t::text operator(pg_temp.<<<<) ''`,
  ],
  'a cast that fails with the value': (t, trace) => [
    `select t::text::int from app_public.${t} t where t::text ~ '${trace}'`,
  ],
  'a view of its own': (t) => [
    `create temp view mine as select * from app_public.${t}`,
    'select * from mine',
  ],
  'a security barrier view of its own': (t) => [
    `create temp view mine with (security_barrier) as select * from app_public.${t}`,
    'select * from mine',
  ],
  'a table made of it': (t) => [
    `create temp table mine as select * from app_public.${t}`,
    'select * from mine',
  ],
  'a security definer function of its own': (t) => [
    `create function pg_temp.all_of() returns setof app_public.${t} language sql security definer as 'select * from app_public.${t}'`,
    'select * from pg_temp.all_of()',
  ],
  'a do block': (t) => [
    `do $$ declare r record; begin for r in select * from app_public.${t} loop raise notice '%', r; end loop; end $$`,
  ],
  'a cursor with hold': (t) => [
    `declare held cursor with hold for select * from app_public.${t}`,
    'fetch all from held',
  ],
  'a scrollable cursor, read backwards': (t) => [
    'begin',
    `declare scrolled scroll cursor for select * from app_public.${t}`,
    'move all from scrolled',
    'fetch backward all from scrolled',
  ],
  'a prepared statement with a generic plan': (t) => [
    'set plan_cache_mode = force_generic_plan',
    `prepare mine as select * from app_public.${t}`,
    'execute mine',
  ],
  'copy to the client': (t) => [`copy (select * from app_public.${t}) to stdout`],
  query_to_xml: (t) => [`select query_to_xml('select * from app_public.${t}', true, false, '')`],
  table_to_xml: (t) => [`select table_to_xml('app_public.${t}', true, false, '')`],
  'schema_to_xml, of everything': (t) =>
    t === 'users' ? ["select schema_to_xml('app_public', true, false, '')"] : null,
  'a recursive query': (t) => [
    `with recursive r as (select to_jsonb(t) j from app_public.${t} t union select j from r) select * from r`,
  ],
  'a lateral join with its own': (t) => [
    `select * from (values (1)) v left join lateral (select * from app_public.${t}) t on true`,
  ],
  // a table of months has nothing in itself
  'only the table itself': (t) =>
    t === 'ai_usage_events' ? null : [`select * from only app_public.${t}`],
  'another way of looking for it': (t) => [
    'set enable_seqscan = off',
    'set enable_bitmapscan = off',
    `select * from app_public.${t}`,
  ],
  // to start workers takes long
  'workers beside it': (t) =>
    t === 'groups' || t === 'users'
      ? ['set debug_parallel_query = on', `select * from app_public.${t}`]
      : null,
  // a view has no place on disk
  'ctid after ctid': (t) =>
    t === 'audit_trail' ? null : [`select * from app_public.${t} where ctid >= '(0,0)'`],
  'explain, analyze and verbose': (t) => [
    `explain (analyze, verbose, settings, buffers, format json) select * from app_public.${t}`,
  ],
};
/** Plans show no rows to anybody. */
const NOTHING_TO_SEE = /explain/;
let tried = 0;

describe('rows of others are read by', () => {
  test.each(Object.entries(READINGS))('%s: by nobody', async (name, reading) => {
    const { foreignOrganization, foreignGroup, foreigner } = lair.world;
    const trace = [foreignOrganization, foreignGroup, foreigner]
      .map((id) => id.slice(0, 23))
      .join('|');
    for (const table of TABLES) {
      const statements = reading(table, trace);
      if (statements === null) continue;
      for (const who of INTRUDERS) {
        const answer = await lair.attack(who, statements);
        const what = `${name} of ${table} as ${who}`;
        expectNoSecret(lair, answer, statements, what);
        if (who === 'server') expect(answer.code, `${what}: ${answer.text}`).toBe('42501');
        tried += 1;
      }
      if (NOTHING_TO_SEE.test(name)) continue;
      const { text } = await lair.asSuperuser(statements);
      const seen = lair.secrets.filter((secret) => text.includes(secret));
      expect(seen, `${name} of ${table} as superuser: ${text}`).not.toEqual([]);
    }
  });

  test('how many attacks that was', ({ task }) => {
    task.meta.figures = [
      `${tried} attempts to read others' rows in SQL, ${Object.keys(READINGS).length} ways at ${TABLES.length} tables by ${INTRUDERS.length} kinds of session: no value of another organization came back in rows, notices, plans or errors`,
    ];
  });
});
