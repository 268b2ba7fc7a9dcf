import { commentOn, LEAVES, type Part, PLACE, type Query } from './part.ts';
import { RELATIONS } from './scope.ts';
import { broken, ourStyle, WIDTH } from './sql-text.ts';

type Trigger = {
  oid: string;
  catalogue: 'pg_trigger' | 'pg_rewrite';
  relation: string;
  relationName: string;
  name: string;
  /** None for a trigger that a partition has from its parent, and switches on or off for itself. */
  definition: string | null;
  enabled: keyof typeof SWITCH;
  constraintComment: string | null;
  comment: string | null;
};

const SWITCH = { O: 'enable', D: 'disable', R: 'enable replica', A: 'enable always' };

/** Triggers and rules. */
export async function readTriggers(query: Query): Promise<Part[]> {
  const triggers = await query<Trigger>(TRIGGERS);
  return triggers.map((trigger) => {
    const { name, relationName, enabled } = trigger;
    const kind = trigger.catalogue === 'pg_trigger' ? 'trigger' : 'rule';
    const turn = `alter table ${relationName} ${SWITCH[enabled]} ${kind} ${name};`;
    return {
      id: `${trigger.catalogue} ${trigger.oid}`,
      home: `pg_class ${trigger.relation}`,
      place: PLACE.trigger,
      name: `${kind} ${name}`,
      leaves: LEAVES.policyOrTrigger,
      write: () =>
        trigger.definition === null
          ? [turn]
          : [`${definition(trigger.definition)};`, ...(enabled === 'O' ? [] : [turn])],
      comments: [
        ...commentOn(`${kind} ${name} on ${relationName}`, trigger.comment),
        ...commentOn(`constraint ${name} on ${relationName}`, trigger.constraintComment),
      ],
    };
  });
}

function definition(sql: string): string {
  const ours = ourStyle(sql.replace(/;\s*$/, ''));
  if (ours.startsWith('create rule')) return ours;
  const two = broken(ours, / (?=not deferrable |deferrable |referencing |for each )/, 0);
  const fits = two.split('\n').every((line) => line.length <= WIDTH);
  return fits ? two : broken(two, / (?=execute function )/, 0);
}

const TRIGGERS = `
  select t.oid::text, 'pg_trigger' as catalogue, c.oid::text as relation, c.name as "relationName",
    quote_ident(t.tgname) as name, case when t.tgparentid = 0 then pg_get_triggerdef(t.oid, true) end as definition,
    t.tgenabled::text as enabled,
    case when t.tgparentid = 0 then obj_description(t.tgconstraint, 'pg_constraint') end as "constraintComment",
    case when t.tgparentid = 0 then obj_description(t.oid, 'pg_trigger') end as comment
  from ${RELATIONS} c
    join pg_trigger t on t.tgrelid = c.oid
    left join pg_trigger parent on parent.oid = t.tgparentid
  where not t.tgisinternal and t.tgenabled is distinct from parent.tgenabled
  union all
  select r.oid::text, 'pg_rewrite', c.oid::text, c.name, quote_ident(r.rulename), pg_get_ruledef(r.oid, true),
    r.ev_enabled::text, null, obj_description(r.oid, 'pg_rewrite')
  from ${RELATIONS} c join pg_rewrite r on r.ev_class = c.oid
  where r.rulename <> '_RETURN'`;
