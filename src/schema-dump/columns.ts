import type { Query } from './part.ts';
import { type Privileges, privileges } from './privileges.ts';
import { otherCollation, RELATIONS } from './scope.ts';
import { type SequenceOptions, sequenceOptions, sequenceWords } from './sequences.ts';
import { madeUpName, ourStyle, parameters } from './sql-text.ts';

export type Column = {
  /** The oid of the table, view or composite type. */
  relation: string;
  number: number;
  name: string;
  type: string;
  collation: string | null;
  expression: string | null;
  /** The oid of the default. */
  defaultOid: string | null;
  generated: '' | 's' | 'v';
  identity: '' | 'a' | 'd';
  sequence: (SequenceOptions & { name: string; isNamedByDefault: boolean }) | null;
  isNotNull: boolean;
  /** From PostgreSQL 18 on, it has a name. */
  notNull: {
    oid: string;
    name: string;
    isNamedByDefault: boolean;
    isValid: boolean;
    isInherited: boolean;
    inherit: boolean;
    comment: string | null;
  } | null;
  storage: string;
  typeStorage: string;
  compression: string;
  statistics: number | null;
  options: string[] | null;
  isLocal: boolean;
  comment: string | null;
  privileges: Privileges;
};

type Found = Column & {
  bare: { schema: string; table: string; column: string; notNull: string | null };
  sequence: (SequenceOptions & { name: string; bare: { schema: string; name: string } }) | null;
};

export async function readColumns(query: Query): Promise<Column[]> {
  const found = await query<Found>(COLUMNS);
  return found.map(({ bare, sequence, notNull, ...column }) => ({
    ...column,
    sequence: sequence && {
      ...sequence,
      isNamedByDefault:
        sequence.bare.schema === bare.schema &&
        sequence.bare.name === madeUpName(bare.table, bare.column, 'seq'),
    },
    notNull: notNull && {
      ...notNull,
      isNamedByDefault: bare.notNull === madeUpName(bare.table, bare.column, 'not_null'),
    },
  }));
}

/** A line of `create table`. */
export function columnLine(column: Column, hasDefault = true): string {
  return [
    column.name,
    ourStyle(column.type),
    ...(column.collation === null ? [] : [`collate ${column.collation}`]),
    ...(column.notNull?.isValid === false ? [] : notNullWords(column)),
    ...(hasDefault ? defaultWords(column) : []),
    ...identityWords(column),
  ].join(' ');
}

function notNullWords({ isNotNull, notNull }: Column): string[] {
  if (!isNotNull) return [];
  const name = notNull === null || notNull.isNamedByDefault ? '' : `constraint ${notNull.name} `;
  return [`${name}not null${notNull?.inherit === false ? ' no inherit' : ''}`];
}

function defaultWords({ expression, generated }: Column): string[] {
  if (expression === null) return [];
  if (generated === '') return [`default ${ourStyle(expression)}`];
  return [
    `generated always as (${ourStyle(expression)}) ${generated === 's' ? 'stored' : 'virtual'}`,
  ];
}

function identityWords({ identity, sequence }: Column): string[] {
  if (identity === '') return [];
  const options = [
    ...(sequence === null || sequence.isNamedByDefault ? [] : [`sequence name ${sequence.name}`]),
    ...(sequence === null ? [] : sequenceWords(sequence)),
  ];
  const when = identity === 'a' ? 'always' : 'by default';
  return [`generated ${when} as identity${options.length === 0 ? '' : ` (${options.join(' ')})`}`];
}

const STORAGE: Record<string, string> = {
  p: 'plain',
  e: 'external',
  m: 'main',
  x: 'extended',
};

/** How a column differs from one that has just been made, or come from a parent. */
export function columnSettings(table: string, column: Column, parent?: Column): string[] {
  const alter = (what: string) => `alter table ${table} alter column ${column.name} ${what};`;
  const compression = (c: Column) =>
    c.compression === '' ? 'default' : COMPRESSION[c.compression];
  const start = parent ?? { ...column, storage: column.typeStorage, compression: '' };
  return [
    ...(column.storage === start.storage ? [] : [alter(`set storage ${STORAGE[column.storage]}`)]),
    ...(column.compression === start.compression
      ? []
      : [alter(`set compression ${compression(column)}`)]),
    ...(column.statistics === null ? [] : [alter(`set statistics ${column.statistics}`)]),
    ...(column.options === null ? [] : [alter(`set ${parameters(column.options)}`)]),
  ];
}

const COMPRESSION: Record<string, string> = { p: 'pglz', l: 'lz4' };

/** What a partition or a heir has otherwise than its parent. */
export function differences(
  table: string,
  column: Column,
  parent: Column,
  hasDefault: boolean,
): string[] {
  const alter = (what: string) => `alter table ${table} alter column ${column.name} ${what};`;
  const found: string[] = [];
  if (hasDefault && column.expression !== parent.expression && column.generated === '') {
    found.push(
      alter(
        column.expression === null ? 'drop default' : `set default ${ourStyle(column.expression)}`,
      ),
    );
  }
  if (column.isNotNull && !parent.isNotNull) {
    found.push(
      column.notNull === null || column.notNull.isNamedByDefault
        ? alter('set not null')
        : `alter table ${table} add constraint ${column.notNull.name} not null ${column.name};`,
    );
  }
  return found;
}

const COLUMNS = `
  select jsonb_build_object(
      'schema', c.relnamespace::regnamespace::text, 'table', c.relname, 'column', a.attname,
      'notNull', (
        select k.conname from pg_constraint k
        where k.conrelid = a.attrelid and k.contype = 'n' and k.conkey = array[a.attnum]
      )
    ) as bare,
    a.attrelid::text as relation, a.attnum::int as number, quote_ident(a.attname) as name,
    format_type(a.atttypid, a.atttypmod) as type,
    ${otherCollation('a.attcollation', 't.typcollation')} as collation,
    pg_get_expr(d.adbin, d.adrelid, true) as expression, d.oid::text as "defaultOid",
    a.attgenerated::text as generated, a.attidentity::text as identity,
    case when a.attidentity <> '' then (
      select jsonb_build_object(
        'name', format('%I.%I', sn.nspname, s.relname),
        'bare', jsonb_build_object('schema', s.relnamespace::regnamespace::text, 'name', s.relname)
      ) || ${sequenceOptions('q')}
      from pg_depend p
        join pg_class s on s.oid = p.objid and s.relkind = 'S'
        join pg_namespace sn on sn.oid = s.relnamespace
        join pg_sequence q on q.seqrelid = s.oid
      where p.classid = 'pg_class'::regclass and p.refclassid = 'pg_class'::regclass
        and p.refobjid = a.attrelid and p.refobjsubid = a.attnum and p.deptype = 'i'
    ) end as sequence,
    a.attnotnull as "isNotNull",
    (
      select jsonb_build_object(
        'oid', k.oid::text, 'name', quote_ident(k.conname), 'isValid', k.convalidated,
        'isInherited', not k.conislocal, 'inherit', not k.connoinherit,
        'comment', obj_description(k.oid, 'pg_constraint')
      )
      from pg_constraint k
      where k.conrelid = a.attrelid and k.contype = 'n' and k.conkey = array[a.attnum]
    ) as "notNull",
    a.attstorage::text as storage, t.typstorage::text as "typeStorage", a.attcompression::text as compression,
    -- Before PostgreSQL 17, -1 is none.
    nullif(a.attstattarget, -1) as statistics, a.attoptions::text[] as options, a.attislocal as "isLocal",
    col_description(a.attrelid, a.attnum) as comment,
    ${privileges('column', 'a.attacl', 'c.relowner')} as privileges
  from ${RELATIONS} c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where c.relkind <> 'S'
  order by a.attrelid, a.attnum`;
