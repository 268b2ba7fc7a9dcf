import { laidOut } from './layout.ts';
import { commentOn, LEAVES, type Part, PLACE, type Query } from './part.ts';
import { RELATIONS } from './scope.ts';
import { broken, byCodeUnits, halves, ourStyle, parameters, WIDTH } from './sql-text.ts';

export type Constraint = {
  oid: string;
  table: string;
  tableName: string;
  name: string;
  kind: 'p' | 'u' | 'x' | 'c' | 'f';
  definition: string;
  isValid: boolean;
  /** Heirs for which it is not valid either: had they come later, they would have begun with it. */
  heirs: string[];
  comment: string | null;
  index: { name: string; options: string[] | null; comment: string | null } | null;
  /** Whether it came from a parent, and from nowhere else. */
  isInherited: boolean;
  /** Whether it can be a line of `create table`, which checks at once. */
  isInline: boolean;
  line: string;
};

const KINDS = ['p', 'u', 'x', 'c', 'f'];

/** Without those that are made with one of a partitioned table, and not null, which stands with its column. */
export async function readConstraints(query: Query): Promise<Constraint[]> {
  const found = await query<Omit<Constraint, 'line' | 'isInline'>>(CONSTRAINTS);
  return found
    .map((constraint) => ({
      ...constraint,
      isInline: constraint.isValid,
      line: line(constraint.name, ourStyle(constraint.definition)),
    }))
    .sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || byCodeUnits(a.name, b.name));
}

function line(name: string, definition: string): string {
  const short = `constraint ${name} ${definition}`;
  if (short.length <= WIDTH) return short;
  if (definition.startsWith('foreign key')) {
    return `constraint ${name}\n    ${broken(definition, / (?=references )/, WIDTH - 4).replace('\n', '\n    ')}`;
  }
  return `constraint ${name}\n${laidOut(definition, '    ')}`;
}

export function constraintParts(constraints: readonly Constraint[]): Part[] {
  return constraints
    .filter((constraint) => !constraint.isInherited)
    .map((constraint) => {
      const { name, tableName, index } = constraint;
      const id = `pg_constraint ${constraint.oid}`;
      return {
        id,
        home: `pg_class ${constraint.table}`,
        place: PLACE.constraint,
        needs: constraint.heirs,
        name: `${KINDS.indexOf(constraint.kind)} ${name}`,
        ...(constraint.kind === 'f' ? { leaves: LEAVES.foreignKey } : {}),
        ...(constraint.kind === 'c' || constraint.kind === 'x'
          ? { leaves: LEAVES.expression }
          : {}),
        write: (apart) => [
          ...(constraint.isInline && !apart(id)
            ? []
            : [`${halves(`alter table ${tableName}`, `add ${constraint.line}`)};`]),
          // An exclusion constraint says them itself.
          ...(index === null || index.options === null || constraint.kind === 'x'
            ? []
            : [`alter index ${index.name} set ${parameters(index.options)};`]),
        ],
        comments: [
          ...commentOn(`constraint ${name} on ${tableName}`, constraint.comment),
          ...(index === null ? [] : commentOn(`index ${index.name}`, index.comment)),
        ],
      };
    });
}

const CONSTRAINTS = `
  select k.oid::text, c.oid::text as table, c.name as "tableName", quote_ident(k.conname) as name,
    k.contype::text as kind, pg_get_constraintdef(k.oid, true) as definition, k.convalidated as "isValid",
    not k.conislocal as "isInherited",
    array(
      select 'pg_class ' || h.inhrelid
      from pg_inherits h join pg_constraint same on same.conrelid = h.inhrelid and same.conname = k.conname
      where h.inhparent = c.oid and not same.conislocal and not same.convalidated
    ) as heirs,
    obj_description(k.oid, 'pg_constraint') as comment,
    case when k.contype in ('p', 'u', 'x') then (
      select jsonb_build_object(
        'name', format('%I.%I', xn.nspname, x.relname), 'options', x.reloptions,
        'comment', obj_description(x.oid, 'pg_class')
      )
      from pg_class x join pg_namespace xn on xn.oid = x.relnamespace where x.oid = k.conindid
    ) end as index
  from ${RELATIONS} c join pg_constraint k on k.conrelid = c.oid
  where c.relkind in ('r', 'p') and k.contype in ('p', 'u', 'x', 'c', 'f') and k.conparentid = 0`;
