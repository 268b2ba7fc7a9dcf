import { type Column, columnLine } from './columns.ts';
import { commentOn, LEAVES, type Part, PLACE, type Query, RANK } from './part.ts';
import { grants, type Privileges, privileges } from './privileges.ts';
import { OURS, ofExtension, otherCollation, otherOwner, RELATIONS } from './scope.ts';
import { enclosed, halves, literal, ourStyle } from './sql-text.ts';

type Type = {
  oid: string;
  kind: 'e' | 'd' | 'r' | 'c';
  name: string;
  relation: string;
  owner: string | null;
  comment: string | null;
  privileges: Privileges;
  labels: string[];
  base: string;
  collation: string | null;
  default: string | null;
  range: Record<string, string | null> | null;
};

type DomainConstraint = {
  oid: string;
  type: string;
  domain: string;
  name: string;
  definition: string;
  isNotNull: boolean;
  /** Named as PostgreSQL would. */
  isNamedByDefault: boolean;
  isValid: boolean;
  comment: string | null;
};

/** Enums, domains, ranges and composite types. */
export async function readTypes(query: Query, columns: readonly Column[]): Promise<Part[]> {
  const types = await query<Type>(TYPES);
  const constraints = await readDomainConstraints(query);
  return [
    ...types.map((type): Part => {
      const own = columns.filter((column) => column.relation === type.relation);
      const keyword = type.kind === 'd' ? 'domain' : 'type';
      return {
        id: `pg_type ${type.oid}`,
        home: `pg_type ${type.oid}`,
        rank: RANK.type,
        place: PLACE.itself,
        name: type.name,
        write: (apart) => [
          createType(
            type,
            own,
            constraints.filter((c) => c.type === type.oid && c.isValid && !apart(idOf(c))),
          ),
          ...(type.owner === null ? [] : [`alter ${keyword} ${type.name} owner to ${type.owner};`]),
          ...grants(`on type ${type.name}`, type.privileges),
        ],
        comments: [
          ...commentOn(`${keyword} ${type.name}`, type.comment),
          ...own.flatMap((c) => commentOn(`column ${type.name}.${c.name}`, c.comment)),
        ],
      };
    }),
    ...constraints.map(
      (constraint): Part => ({
        id: idOf(constraint),
        home: `pg_type ${constraint.type}`,
        place: PLACE.constraint,
        name: constraint.name,
        ...(constraint.isNotNull ? {} : { leaves: LEAVES.expression }),
        write: (apart) =>
          constraint.isValid && !apart(idOf(constraint))
            ? []
            : [
                `alter domain ${constraint.domain} add constraint ${constraint.name} ${constraint.definition};`,
              ],
        comments: commentOn(
          `constraint ${constraint.name} on domain ${constraint.domain}`,
          constraint.comment,
        ),
      }),
    ),
  ];
}

const idOf = (constraint: DomainConstraint) => `pg_constraint ${constraint.oid}`;

function createType(
  type: Type,
  columns: readonly Column[],
  constraints: readonly DomainConstraint[],
): string {
  switch (type.kind) {
    case 'e':
      return `${enclosed(`create type ${type.name} as enum `, type.labels.map(literal))};`;
    case 'c':
      return `${enclosed(
        `create type ${type.name} as `,
        columns.map((column) => columnLine(column)),
      )};`;
    case 'r': {
      const options = Object.entries(type.range ?? {}).filter(([, value]) => value !== null);
      return `${enclosed(
        `create type ${type.name} as range `,
        options.map(([name, value]) => `${name} = ${ourStyle(value ?? '')}`),
      )};`;
    }
    default: {
      const collate = type.collation === null ? '' : ` collate ${type.collation}`;
      const clauses = [
        ...(type.default === null ? [] : [`default ${ourStyle(type.default)}`]),
        ...constraints.map((c) =>
          c.isNamedByDefault ? c.definition : `constraint ${c.name} ${c.definition}`,
        ),
      ];
      const head = `create domain ${type.name} as ${ourStyle(type.base)}${collate}`;
      return `${clauses.length === 1 ? halves(head, clauses[0] ?? '') : [head, ...clauses].join('\n  ')};`;
    }
  }
}

async function readDomainConstraints(query: Query): Promise<DomainConstraint[]> {
  const found = await query<DomainConstraint>(`
    select k.oid::text, t.oid::text as type, format('%I.%I', n.nspname, t.typname) as domain,
      quote_ident(k.conname) as name,
      case when k.contype = 'n' then 'not null' else pg_get_constraintdef(k.oid, true) end as definition,
      k.contype = 'n' as "isNotNull",
      k.contype = 'n' and k.conname = left(t.typname, 54) || '_not_null' as "isNamedByDefault",
      k.convalidated as "isValid", obj_description(k.oid, 'pg_constraint') as comment
    from pg_constraint k join pg_type t on t.oid = k.contypid join pg_namespace n on n.oid = t.typnamespace
    where n.oid in ${OURS}
    -- Before PostgreSQL 17 a domain's not null had no row.
    union all
    select 'not null of ' || t.oid, t.oid::text, format('%I.%I', n.nspname, t.typname), '', 'not null',
      true, true, true, null
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
    where n.oid in ${OURS} and t.typtype = 'd' and t.typnotnull
      and current_setting('server_version_num')::int < 170000`);
  return found
    .map((c) => ({ ...c, definition: c.isNotNull ? c.definition : ourStyle(c.definition) }))
    .sort((a, b) => Number(b.isNotNull) - Number(a.isNotNull) || (a.name < b.name ? -1 : 1));
}

const TYPES = `
  select t.oid::text, t.typtype::text as kind, format('%I.%I', n.nspname, t.typname) as name,
    t.typrelid::text as relation, ${otherOwner('t.typowner')} as owner,
    obj_description(t.oid, 'pg_type') as comment,
    ${privileges('type', 't.typacl', 't.typowner')} as privileges,
    array(
      select e.enumlabel::text from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder
    ) as labels,
    format_type(t.typbasetype, t.typtypmod) as base,
    ${otherCollation('t.typcollation', '(select b.typcollation from pg_type b where b.oid = t.typbasetype)')} as collation,
    coalesce(pg_get_expr(t.typdefaultbin, 0, true), t.typdefault) as default,
    (
      select json_build_object(
        'subtype', format_type(r.rngsubtype, null),
        'subtype_opclass', (
          select format('%I.%I', o.nspname, c.opcname)
          from pg_opclass c join pg_namespace o on o.oid = c.opcnamespace
          where c.oid = r.rngsubopc and not c.opcdefault
        ),
        'collation', ${otherCollation('r.rngcollation', '(select b.typcollation from pg_type b where b.oid = r.rngsubtype)')},
        'canonical', nullif(r.rngcanonical::oid, 0)::regproc,
        'subtype_diff', nullif(r.rngsubdiff::oid, 0)::regproc,
        'multirange_type_name', (
          select format('%I.%I', o.nspname, m.typname)
          from pg_type m join pg_namespace o on o.oid = m.typnamespace where m.oid = r.rngmultitypid
        )
      )
      from pg_range r where r.rngtypid = t.oid
    ) as range
  from pg_type t join pg_namespace n on n.oid = t.typnamespace
  where n.oid in ${OURS} and not ${ofExtension('pg_type', 't.oid')}
    and (t.typtype in ('e', 'd', 'r') or t.typrelid in (select c.oid from ${RELATIONS} c where c.relkind = 'c'))`;
