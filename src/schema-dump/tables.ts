import { type Column, columnLine, columnSettings, differences } from './columns.ts';
import type { Constraint } from './constraints.ts';
import { commentOn, LEAVES, type Part, PLACE, type Query, RANK } from './part.ts';
import { columnGrants, grants, type Privileges, privileges } from './privileges.ts';
import { otherOwner, RELATIONS } from './scope.ts';
import { halves, ourStyle, parameters } from './sql-text.ts';

type Table = {
  oid: string;
  name: string;
  isUnlogged: boolean;
  owner: string | null;
  accessMethod: string | null;
  options: string[] | null;
  toastOptions: string[] | null;
  partitionedBy: string | null;
  /** As in `for values …`, for a partition. */
  bound: string | null;
  parents: { oid: string; name: string }[];
  hasRowSecurity: boolean;
  bindsOwner: boolean;
  /** The index's name for `i`. */
  replicaIdentity: 'd' | 'n' | 'f' | 'i';
  replicaIndex: string | null;
  clusteredOn: string | null;
  comment: string | null;
  typeComment: string | null;
  privileges: Privileges;
  typePrivileges: Privileges;
};

export async function readTables(
  query: Query,
  columns: readonly Column[],
  constraints: readonly Constraint[],
): Promise<Part[]> {
  const tables = await query<Table>(TABLES);
  return tables.flatMap((table) => {
    const own = columns.filter((c) => c.relation === table.oid);
    const parents = table.parents.map(({ oid }) => columns.filter((c) => c.relation === oid));
    const inline = constraints.filter((c) => c.table === table.oid && c.isInline);
    return [
      tableItself(table, own, parents, inline),
      ...columnDefaults(table.name, `pg_class ${table.oid}`, own),
      ...tableSettings(table, own),
    ];
  });
}

function tableItself(
  table: Table,
  columns: readonly Column[],
  parents: readonly (readonly Column[])[],
  constraints: readonly Constraint[],
): Part {
  const { name } = table;
  const id = `pg_class ${table.oid}`;
  const inheritedFrom = (column: Column) =>
    parents.flat().find((parent) => parent.name === column.name);
  return {
    id,
    home: id,
    rank: RANK.table,
    place: PLACE.itself,
    name,
    write: (apart) => [
      ...create(
        table,
        columns,
        parents,
        constraints.filter((c) => !apart(`pg_constraint ${c.oid}`)),
        (column) => !apart(`pg_attrdef ${column.defaultOid}`),
      ),
      ...(table.owner === null ? [] : [`alter table ${name} owner to ${table.owner};`]),
      ...columns.flatMap((column) => {
        const parent = inheritedFrom(column);
        // An attached partition was made with all that is its own.
        const isMadeByParent =
          parent !== undefined &&
          !column.isLocal &&
          !(table.bound !== null && hasOwnOrder(columns, parents));
        return [
          ...columnSettings(name, column, isMadeByParent ? parent : undefined),
          ...(isMadeByParent
            ? differences(name, column, parent, !apart(`pg_attrdef ${column.defaultOid}`))
            : []),
        ];
      }),
      ...columns
        .filter(({ notNull }) => notNull !== null && !notNull.isValid && !notNull.isInherited)
        .map(
          (c) =>
            `alter table ${name} add constraint ${c.notNull?.name} not null ${c.name} not valid;`,
        ),
      ...(table.toastOptions === null
        ? []
        : [
            `alter table ${name} set ${parameters(table.toastOptions.map((option) => `toast.${option}`))};`,
          ]),
    ],
    comments: [
      ...commentOn(`table ${name}`, table.comment),
      ...commentOn(`type ${name}`, table.typeComment),
      ...columns.flatMap((c) => commentOn(`column ${name}.${c.name}`, c.comment)),
      ...columns
        .filter((c) => c.notNull !== null && !c.notNull.isInherited)
        .flatMap((c) =>
          commentOn(`constraint ${c.notNull?.name} on ${name}`, c.notNull?.comment ?? null),
        ),
    ],
  };
}

function create(
  table: Table,
  columns: readonly Column[],
  parents: readonly (readonly Column[])[],
  constraints: readonly Constraint[],
  hasDefault: (column: Column) => boolean,
): string[] {
  const { name, bound } = table;
  const local = constraints.filter((constraint) => !constraint.isInherited);
  const isAttached = bound !== null && hasOwnOrder(columns, parents);
  const head = `create ${table.isUnlogged ? 'unlogged ' : ''}table ${name}`;
  const lines = (written: readonly Column[]) => [
    ...written.map((column) => columnLine(column, hasDefault(column))),
    ...(isAttached ? constraints : local).map((constraint) => constraint.line),
  ];
  const tail = [
    ...(table.partitionedBy === null ? [] : [`partition by ${ourStyle(table.partitionedBy)}`]),
    ...(table.accessMethod === null ? [] : [`using ${table.accessMethod}`]),
    ...(table.options === null ? [] : [`with ${parameters(table.options)}`]),
  ];
  const close = (rest: readonly string[]) => (rest.length === 0 ? ';' : ` ${rest.join(' ')};`);
  const [parent] = table.parents;
  if (bound === null || parent === undefined) {
    const inherits =
      table.parents.length === 0
        ? []
        : [`inherits (${table.parents.map((p) => p.name).join(', ')})`];
    const own = columns.filter((column) => column.isLocal);
    return [`${head} ${list(lines(own))}${close([...inherits, ...tail])}`];
  }
  if (!isAttached) {
    const extra =
      local.length === 0 ? '' : ` ${list(local.map((c) => c.line)).replaceAll('\n', '\n  ')}`;
    return [`${head}\n  partition of ${parent.name}${extra} ${ourStyle(bound)}${close(tail)}`];
  }
  return [
    `${head} ${list(lines(columns))}${close(tail)}`,
    `${halves(`alter table ${parent.name} attach partition ${name}`, ourStyle(bound))};`,
  ];
}

/** A partition whose columns stand in another order than those of the whole was a table first. */
function hasOwnOrder(columns: readonly Column[], parents: readonly (readonly Column[])[]): boolean {
  return columns.some((column, i) => column.name !== parents[0]?.[i]?.name);
}

const list = (lines: readonly string[]) =>
  lines.length === 0 ? '()' : `(\n${lines.map((line) => `  ${line}`).join(',\n')}\n)`;

/** Defaults that are set after the table is made, because what they call needs the table. */
export function columnDefaults(name: string, home: string, columns: readonly Column[]): Part[] {
  return columns
    .filter((column) => column.defaultOid !== null && column.expression !== null)
    .map((column) => {
      const id = `pg_attrdef ${column.defaultOid}`;
      return {
        id,
        home,
        place: PLACE.storage,
        name: column.name,
        ...(column.generated === '' ? { leaves: LEAVES.expression } : {}),
        write: (apart) =>
          apart(id)
            ? [
                `alter table ${name} alter column ${column.name} set default ${ourStyle(column.expression ?? '')};`,
              ]
            : [],
        comments: [],
      };
    });
}

function tableSettings(table: Table, columns: readonly Column[]): Part[] {
  const { name } = table;
  const home = `pg_class ${table.oid}`;
  const part = (place: number, write: () => string[]): Part => ({
    id: `${place} of ${home}`,
    home,
    place,
    // After the indexes, among which one is named.
    name: '\uffff',
    write,
    comments: [],
  });
  const identity = { d: null, n: 'nothing', f: 'full', i: `using index ${table.replicaIndex}` };
  return [
    part(PLACE.index, () => [
      ...(table.clusteredOn === null
        ? []
        : [`alter table ${name} cluster on ${table.clusteredOn};`]),
      ...(table.replicaIdentity === 'd'
        ? []
        : [`alter table ${name} replica identity ${identity[table.replicaIdentity]};`]),
    ]),
    part(PLACE.rowSecurity, () => [
      ...(table.hasRowSecurity ? [`alter table ${name} enable row level security;`] : []),
      ...(table.bindsOwner ? [`alter table ${name} force row level security;`] : []),
    ]),
    part(PLACE.grant, () => [
      ...grants(`on ${name}`, table.privileges),
      ...columnGrants(
        name,
        columns.map((c) => ({ column: c.name, privileges: c.privileges })),
      ),
      ...grants(`on type ${name}`, table.typePrivileges),
    ]),
  ];
}

const TABLES = `
  select c.oid::text, c.name, c.relpersistence = 'u' as "isUnlogged", ${otherOwner('c.relowner')} as owner,
    (select quote_ident(m.amname) from pg_am m where m.oid = c.relam and m.amname <> 'heap') as "accessMethod",
    c.reloptions::text[] as options,
    (select t.reloptions::text[] from pg_class t where t.oid = c.reltoastrelid) as "toastOptions",
    pg_get_partkeydef(c.oid) as "partitionedBy", pg_get_expr(c.relpartbound, c.oid, true) as bound,
    coalesce((
      select jsonb_agg(jsonb_build_object('oid', p.oid::text, 'name', format('%I.%I', pn.nspname, p.relname)) order by h.inhseqno)
      from pg_inherits h join pg_class p on p.oid = h.inhparent join pg_namespace pn on pn.oid = p.relnamespace
      where h.inhrelid = c.oid
    ), '[]') as parents,
    c.relrowsecurity as "hasRowSecurity", c.relforcerowsecurity as "bindsOwner", c.relreplident::text as "replicaIdentity",
    (
      select quote_ident(x.relname) from pg_index i join pg_class x on x.oid = i.indexrelid
      where i.indrelid = c.oid and i.indisreplident
    ) as "replicaIndex",
    (
      select quote_ident(x.relname) from pg_index i join pg_class x on x.oid = i.indexrelid
      where i.indrelid = c.oid and i.indisclustered
    ) as "clusteredOn",
    obj_description(c.oid, 'pg_class') as comment, obj_description(c.reltype, 'pg_type') as "typeComment",
    ${privileges('table', 'c.relacl', 'c.relowner')} as privileges,
    (select ${privileges('type', 't.typacl', 't.typowner')} from pg_type t where t.oid = c.reltype) as "typePrivileges"
  from ${RELATIONS} c
  where c.relkind in ('r', 'p')`;
