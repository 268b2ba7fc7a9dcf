import type { ClientBase } from 'pg';
import { readColumns } from './schema-dump/columns.ts';
import { constraintParts, readConstraints } from './schema-dump/constraints.ts';
import { readNeeds } from './schema-dump/dependencies.ts';
import { readFunctions } from './schema-dump/functions.ts';
import { readIndexes } from './schema-dump/indexes.ts';
import { inOrder, type Unit } from './schema-dump/order.ts';
import { PLACE, type Query, RANK } from './schema-dump/part.ts';
import { readPolicies } from './schema-dump/policies.ts';
import { readDefaultPrivileges, readExtensions, readSchemas } from './schema-dump/schemas.ts';
import { LEFT_OUT_SETTING } from './schema-dump/scope.ts';
import { readSequences } from './schema-dump/sequences.ts';
import { readStatistics } from './schema-dump/statistics.ts';
import { readTables } from './schema-dump/tables.ts';
import { readTriggers } from './schema-dump/triggers.ts';
import { readTypes } from './schema-dump/types.ts';
import { refuseTheUnwritten } from './schema-dump/unwritten.ts';
import { readViews } from './schema-dump/views.ts';

/**
 * The schema as SQL that makes it again in an empty database, for review: the same bytes for the same schema,
 * however and wherever it was made.
 *
 * @param client Of the database's owner, and not in a transaction.
 */
export async function dumpSchema(client: ClientBase): Promise<string> {
  await client.query('begin isolation level repeatable read, read only');
  try {
    await client.query(
      `select set_config(name, value, true) from json_each_text($1) as s (name, value)`,
      [JSON.stringify(SETTINGS)],
    );
    const query: Query = async <Row>(sql: string) => (await client.query(sql)).rows as Row[];
    await leaveOutServers(query);
    await refuseTheUnwritten(query);
    return await write(query);
  } finally {
    await client.query('rollback');
  }
}

/** What the catalogue prints depends on these. With an empty search_path every name comes with its schema. */
const SETTINGS = {
  search_path: '',
  quote_all_identifiers: 'off',
  standard_conforming_strings: 'on',
  bytea_output: 'hex',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '1',
  lc_monetary: 'C',
  // Compiling the queries takes longer than running them.
  jit: 'off',
  [LEFT_OUT_SETTING]: '{}',
};

/** Each deployment names its servers' roles for itself, and `bursar migrate` grants them what they need. */
async function leaveOutServers(query: Query): Promise<void> {
  const [found] = await query<{ exists: boolean }>(
    `select to_regclass('app_private.authenticators') is not null as exists`,
  );
  if (!found?.exists) return;
  await query(`
    select set_config('${LEFT_OUT_SETTING}', array(
      select r.oid from pg_catalog.pg_roles r where r.rolname in (select role_name from app_private.authenticators)
    )::text, true)`);
}

const HEADER = `\
-- The schema of a Bursar database, written from its catalogue: \`npm run db:dump\` writes it again. What a migration
-- changes shows here as a difference; nobody edits this file. Run by the owner of an empty database, with the role
-- of migrations/roles.sql at hand, it makes the schema. Bursar itself makes it with \`bursar migrate\`.
--
-- Each thing stands after what it needs, and else by kind and name. Left out is what a deployment makes: the months
-- of the ledger (app_private.ai_usage_events_2026_01 and so on), grants to the servers' login roles, and the rows;
-- and what PostgreSQL makes along with something else, such as the indexes that a partition has from its parent.

set client_encoding to 'UTF8';
set search_path to '';
-- Functions may speak of tables that come later.
set check_function_bodies to off;
`;

async function write(query: Query): Promise<string> {
  const columns = await readColumns(query);
  const constraints = await readConstraints(query);
  const schemas = await readSchemas(query);
  const parts = [
    ...(await readTypes(query, columns)),
    ...(await readSequences(query)),
    ...(await readFunctions(query)),
    ...(await readTables(query, columns, constraints)),
    ...constraintParts(constraints),
    ...(await readIndexes(query)),
    ...(await readStatistics(query)),
    ...(await readViews(query, columns)),
    ...(await readPolicies(query)),
    ...(await readTriggers(query)),
  ];
  const { units, apart } = inOrder(parts, await readNeeds(query, parts));
  const first = inOrder(schemas, new Map()).units;
  const extensions = await readExtensions(query);
  const defaults = await readDefaultPrivileges(query);
  return [
    HEADER,
    ...first.map((unit) => text(unit, apart)),
    ...(extensions.length === 0 ? [] : [`${extensions.join('\n')}\n`]),
    ...units.map((unit) => text(unit, apart)),
    // Last, so that they don't meet what stands above, where each thing says for itself what it grants.
    ...(defaults.length === 0 ? [] : [`${defaults.join('\n')}\n`]),
  ].join('\n');
}

/** Short statements that belong together stand together; everything else has a blank line before it. */
function text({ parts }: Unit, apart: ReadonlySet<string>): string {
  const isLarge = [RANK.table, RANK.view].includes(parts[0]?.rank ?? RANK.apart);
  const statements = [
    ...parts.flatMap((part) =>
      part.write((id) => apart.has(id)).map((sql) => ({ sql, place: isLarge ? part.place : 0 })),
    ),
    ...parts.flatMap((part) =>
      part.comments.map((sql) => ({ sql, place: isLarge ? PLACE.comment : 0 })),
    ),
  ];
  const isShort = (sql: string) => !sql.includes('\n') || sql.startsWith('comment on ');
  const lines = statements.map(({ sql, place }, i) => {
    const before = statements[i - 1];
    if (before === undefined) return sql;
    const follows = isShort(before.sql) && isShort(sql) && before.place === place;
    return `${follows ? '' : '\n'}${sql}`;
  });
  const title = isLarge ? `${`-- ${parts[0]?.name} `.padEnd(100, '-')}\n\n` : '';
  return lines.length === 0 ? '' : `${title}${lines.join('\n')}\n`;
}
