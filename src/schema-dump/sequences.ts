import { commentOn, type Part, PLACE, type Query, RANK } from './part.ts';
import { grants, type Privileges, privileges } from './privileges.ts';
import { otherOwner, RELATIONS } from './scope.ts';

export type SequenceOptions = {
  type: 'smallint' | 'integer' | 'bigint';
  start: string;
  increment: string;
  min: string;
  max: string;
  cache: string;
  cycle: boolean;
};

/** SQL for SequenceOptions, of a row of pg_sequence. */
export const sequenceOptions = (row: string) => `jsonb_build_object(
  'type', format_type(${row}.seqtypid, null), 'start', ${row}.seqstart::text,
  'increment', ${row}.seqincrement::text, 'min', ${row}.seqmin::text, 'max', ${row}.seqmax::text,
  'cache', ${row}.seqcache::text, 'cycle', ${row}.seqcycle
)`;

const LARGEST = { smallint: 2n ** 15n - 1n, integer: 2n ** 31n - 1n, bigint: 2n ** 63n - 1n };

/** What differs from a sequence of its type without options. */
export function sequenceWords(options: SequenceOptions): string[] {
  const up = !options.increment.startsWith('-');
  const largest = LARGEST[options.type];
  const min = String(up ? 1n : -largest - 1n);
  const max = String(up ? largest : -1n);
  return [
    ...(options.increment === '1' ? [] : [`increment by ${options.increment}`]),
    ...(options.min === min ? [] : [`minvalue ${options.min}`]),
    ...(options.max === max ? [] : [`maxvalue ${options.max}`]),
    ...(options.start === (up ? options.min : options.max) ? [] : [`start with ${options.start}`]),
    ...(options.cache === '1' ? [] : [`cache ${options.cache}`]),
    ...(options.cycle ? ['cycle'] : []),
  ];
}

type Sequence = {
  oid: string;
  name: string;
  isUnlogged: boolean;
  /** Whether the table is that it goes with. */
  isOfUnlogged: boolean | null;
  owner: string | null;
  options: SequenceOptions;
  /** The column that it goes with, and whether it is that column's identity. */
  table: string | null;
  column: string | null;
  isIdentity: boolean;
  comment: string | null;
  privileges: Privileges;
};

export async function readSequences(query: Query): Promise<Part[]> {
  const sequences = await query<Sequence>(`
    select c.oid::text, c.name, ${sequenceOptions('q')} as options, ${otherOwner('c.relowner')} as owner,
      c.relpersistence = 'u' as "isUnlogged", t.relpersistence = 'u' as "isOfUnlogged",
      d.refobjid::text as table,
      case when d.refobjid is not null then format('%I.%I.%I', tn.nspname, t.relname, a.attname) end as column,
      coalesce(d.deptype = 'i', false) as "isIdentity",
      obj_description(c.oid, 'pg_class') as comment,
      ${privileges('sequence', 'c.relacl', 'c.relowner')} as privileges
    from ${RELATIONS} c
      join pg_sequence q on q.seqrelid = c.oid
      left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid
        and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
      left join pg_class t on t.oid = d.refobjid
      left join pg_namespace tn on tn.oid = t.relnamespace
      left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid`);
  return sequences.flatMap((sequence) => {
    const { name, options } = sequence;
    const id = `pg_class ${sequence.oid}`;
    const table = `pg_class ${sequence.table}`;
    const given = grants(`on sequence ${name}`, sequence.privileges);
    const comments = commentOn(`sequence ${name}`, sequence.comment);
    if (sequence.isIdentity) {
      const part: Part = {
        id,
        home: table,
        place: PLACE.grant,
        name,
        write: () => [
          // It began as its table did.
          ...(sequence.isUnlogged === sequence.isOfUnlogged
            ? []
            : [`alter sequence ${name} set ${sequence.isUnlogged ? 'unlogged' : 'logged'};`]),
          ...given,
        ],
        comments,
      };
      return [part];
    }
    const words = [
      `create ${sequence.isUnlogged ? 'unlogged ' : ''}sequence ${name}`,
      ...(options.type === 'bigint' ? [] : [`as ${options.type}`]),
      ...sequenceWords(options),
    ];
    const parts: Part[] = [
      {
        id,
        home: id,
        rank: RANK.sequence,
        place: PLACE.itself,
        name,
        write: () => [
          `${words.join(' ')};`,
          ...(sequence.owner === null
            ? []
            : [`alter sequence ${name} owner to ${sequence.owner};`]),
          ...given,
        ],
        comments,
      },
    ];
    if (sequence.table !== null) {
      parts.push({
        id: `owner of ${id}`,
        home: table,
        needs: [id],
        place: PLACE.storage,
        name,
        write: () => [`alter sequence ${name} owned by ${sequence.column};`],
        comments: [],
      });
    }
    return parts;
  });
}
