import { commentOn, type Part, PLACE, type Query, RANK } from './part.ts';
import { grants, type Privileges, privileges } from './privileges.ts';
import { OURS, ofExtension, otherOwner } from './scope.ts';
import { byCodeUnits, dollarQuoted, enclosed, literal, ourStyle } from './sql-text.ts';

type Argument = {
  mode: 'i' | 'o' | 'b' | 'v' | 't';
  name: string | null;
  type: string;
  default: string | null;
};

type Setting = { name: string; values: { text: string; isName: boolean }[] };

type Routine = {
  oid: string;
  kind: 'f' | 'p' | 'w' | 'a';
  name: string;
  /** With the types of what is passed in: what tells overloaded ones apart. */
  signature: string;
  types: string;
  owner: string | null;
  arguments: Argument[] | null;
  returns: string;
  returnsSet: boolean;
  language: string;
  volatility: 'i' | 's' | 'v';
  parallel: 's' | 'r' | 'u';
  isDefiner: boolean;
  isStrict: boolean;
  isLeakproof: boolean;
  cost: number;
  rows: number;
  support: string | null;
  transforms: string[] | null;
  settings: Setting[] | null;
  source: string;
  library: string | null;
  sqlBody: string | null;
  aggregate: Record<string, string | number | boolean | null> | null;
  comment: string | null;
  privileges: Privileges;
};

/** Functions, procedures and aggregates. */
export async function readFunctions(query: Query): Promise<Part[]> {
  const routines = await query<Routine>(ROUTINES);
  return routines.map((found) => {
    const routine = { ...found, signature: ourStyle(found.signature) };
    const word = { f: 'function', w: 'function', p: 'procedure', a: 'aggregate' }[routine.kind];
    const what = `${word} ${routine.signature}`;
    // Grants know no aggregates.
    const granted = `${routine.kind === 'a' ? 'function' : word} ${routine.name}(${ourStyle(routine.types)})`;
    return {
      id: `pg_proc ${routine.oid}`,
      home: `pg_proc ${routine.oid}`,
      rank: RANK.function,
      place: PLACE.itself,
      name: routine.signature,
      write: () => [
        routine.kind === 'a' ? createAggregate(routine) : createFunction(routine, word),
        ...(routine.owner === null ? [] : [`alter ${what} owner to ${routine.owner};`]),
        ...grants(`on ${granted}`, routine.privileges),
      ],
      comments: commentOn(what, routine.comment),
    };
  });
}

const MODE = { i: '', o: 'out ', b: 'inout ', v: 'variadic ', t: '' };

function argumentWords({ mode, name, type, default: value }: Argument): string {
  return [
    MODE[mode],
    name === null ? '' : `${name} `,
    ourStyle(type),
    value === null ? '' : ` default ${ourStyle(value)}`,
  ].join('');
}

function createFunction(routine: Routine, word: string): string {
  const all = routine.arguments ?? [];
  const columns = all.filter(({ mode }) => mode === 't');
  const passed = all.filter(({ mode }) => mode !== 't');
  const head = enclosed(`create ${word} ${routine.name}`, passed.map(argumentWords));
  const returns = returnWords(routine, columns, passed);
  const line = `${head}${returns === '' ? '' : ` ${returns}`}`;
  return [
    // Its last line counts: the arguments may stand on lines of their own.
    (line.split('\n').at(-1) ?? '').length <= 110 ? line : `${head}\n${returns}`,
    `language ${attributes(routine, word === 'function').join(' ')}`,
    ...(routine.transforms === null
      ? []
      : [`transform ${routine.transforms.map((type) => `for type ${type}`).join(', ')}`]),
    ...(routine.settings ?? [])
      .map(({ name, values }) => `set ${name} to ${values.map(settingWords).join(', ')}`)
      .sort(byCodeUnits),
    body(routine),
  ].join('\n');
}

function settingWords({ text, isName }: Setting['values'][number]): string {
  return isName ? text : literal(text);
}

function returnWords(
  routine: Routine,
  columns: readonly Argument[],
  passed: readonly Argument[],
): string {
  if (routine.kind === 'p') return '';
  if (columns.length > 0) return enclosed('returns table ', columns.map(argumentWords));
  const isSaid = passed.some(({ mode }) => mode === 'o' || mode === 'b');
  if (isSaid && !routine.returnsSet) return '';
  return `returns ${routine.returnsSet ? 'setof ' : ''}${ourStyle(routine.returns)}`;
}

const VOLATILITY = { i: 'immutable', s: 'stable', v: 'volatile' };
const PARALLEL = { s: 'safe', r: 'restricted', u: 'unsafe' };

function attributes(routine: Routine, isFunction: boolean): string[] {
  const security = `security ${routine.isDefiner ? 'definer' : 'invoker'}`;
  if (!isFunction) return [routine.language, security];
  const isCompiled = routine.language === 'c' || routine.language === 'internal';
  return [
    routine.language,
    ...(routine.kind === 'w' ? ['window'] : []),
    VOLATILITY[routine.volatility],
    ...(routine.isLeakproof ? ['leakproof'] : []),
    ...(routine.isStrict ? ['strict'] : []),
    security,
    ...(routine.parallel === 'u' ? [] : [`parallel ${PARALLEL[routine.parallel]}`]),
    ...(routine.cost === (isCompiled ? 1 : 100) ? [] : [`cost ${routine.cost}`]),
    ...(routine.rows === (routine.returnsSet ? 1000 : 0) ? [] : [`rows ${routine.rows}`]),
    ...(routine.support === null ? [] : [`support ${routine.support}`]),
  ];
}

function body({ sqlBody, library, source }: Routine): string {
  if (sqlBody !== null) return `${ourStyle(sqlBody)};`;
  if (library !== null) return `as ${literal(library)}, ${literal(source)};`;
  return `as ${dollarQuoted(source)};`;
}

function createAggregate(routine: Routine): string {
  const options = Object.entries(routine.aggregate ?? {})
    .filter(([, value]) => value !== null)
    .map(([name, value]) => (value === true ? name : `${name} = ${value}`));
  if (routine.parallel !== 'u') options.push(`parallel = ${PARALLEL[routine.parallel]}`);
  return `${enclosed(`create aggregate ${routine.signature} `, options)};`;
}

// Settings that are lists: each word by itself is a name or a string.
const LISTS = `('search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries')`;

const TYPES = `coalesce((
  select string_agg(format_type(t.type, null), ', ' order by t.position)
  from unnest(p.proargtypes) with ordinality as t (type, position)
), '')`;

// The arguments of an aggregate are more than types: some are direct, and some are sorted by.
const SIGNATURE = `format('%I.%I(%s)', n.nspname, p.proname, case
  when p.prokind <> 'a' then ${TYPES}
  when p.pronargs = 0 then '*'
  else pg_get_function_identity_arguments(p.oid) end)`;

const namedSafely = (value: string) =>
  `(${value} ~ '^[a-z_][a-z0-9_]*$' and quote_ident(${value}) = ${value})`;

const ROUTINES = `
  select p.oid::text, p.prokind::text as kind, format('%I.%I', n.nspname, p.proname) as name,
    ${SIGNATURE} as signature, ${TYPES} as types, ${otherOwner('p.proowner')} as owner,
    (
      select jsonb_agg(jsonb_build_object(
        'mode', coalesce(p.proargmodes[a.position], 'i'),
        'name', nullif(quote_ident(p.proargnames[a.position]), '""'),
        'type', format_type(a.type, null),
        'default', pg_get_function_arg_default(p.oid, a.position::int)
      ) order by a.position)
      from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as a (type, position)
    ) as arguments,
    format_type(p.prorettype, null) as returns, p.proretset as "returnsSet", l.lanname::text as language,
    p.provolatile::text as volatility, p.proparallel::text as parallel, p.prosecdef as "isDefiner",
    p.proisstrict as "isStrict", p.proleakproof as "isLeakproof", p.procost as cost, p.prorows as rows,
    nullif(p.prosupport::oid, 0)::regproc::text as support,
    (
      select jsonb_agg(format_type(t.type, null) order by t.position)
      from unnest(p.protrftypes) with ordinality as t (type, position)
    ) as transforms,
    (
      select jsonb_agg(jsonb_build_object(
        'name', case when s.name ~ '^[A-Za-z_][A-Za-z0-9_]*$'
          and exists (select from pg_settings g where g.name = s.name) then lower(s.name)
          when s.name ~ '^[a-z_][a-z0-9_.]*$' then s.name else quote_ident(s.name) end,
        'values', case when s.name in ${LISTS} then (
          select jsonb_agg(jsonb_build_object('text', w.word, 'isName', ${namedSafely('w.word')}) order by w.position)
          from (
            select replace(regexp_replace(m.part[1], '^"(.*)"$', '\\1'), '""', '"') as word, m.position
            from regexp_matches(s.value, '("(?:[^"]|"")*"|[^",[:space:]]+)', 'g') with ordinality as m (part, position)
          ) w
        ) else jsonb_build_array(jsonb_build_object('text', s.value, 'isName', ${namedSafely('s.value')})) end
      ))
      from unnest(p.proconfig) as c (setting)
        cross join lateral (
          select split_part(c.setting, '=', 1), substr(c.setting, strpos(c.setting, '=') + 1)
        ) as s (name, value)
    ) as settings,
    p.prosrc as source, p.probin as library, pg_get_function_sqlbody(p.oid) as "sqlBody",
    (
      select json_build_object(
        'sfunc', g.aggtransfn, 'stype', format_type(g.aggtranstype, null),
        'sspace', nullif(g.aggtransspace, 0),
        'finalfunc', nullif(g.aggfinalfn::oid, 0)::regproc,
        'finalfunc_extra', nullif(g.aggfinalextra, false),
        'finalfunc_modify', case
          when g.aggfinalmodify <> case g.aggkind when 'n' then 'r' else 'w' end::"char" then
          case g.aggfinalmodify when 'r' then 'read_only' when 's' then 'shareable' else 'read_write' end end,
        'combinefunc', nullif(g.aggcombinefn::oid, 0)::regproc,
        'serialfunc', nullif(g.aggserialfn::oid, 0)::regproc,
        'deserialfunc', nullif(g.aggdeserialfn::oid, 0)::regproc,
        'initcond', quote_literal(g.agginitval),
        'msfunc', nullif(g.aggmtransfn::oid, 0)::regproc,
        'minvfunc', nullif(g.aggminvtransfn::oid, 0)::regproc,
        'mstype', format_type(nullif(g.aggmtranstype, 0), null),
        'msspace', nullif(g.aggmtransspace, 0),
        'mfinalfunc', nullif(g.aggmfinalfn::oid, 0)::regproc,
        'mfinalfunc_extra', nullif(g.aggmfinalextra, false),
        'mfinalfunc_modify', case
          when g.aggmfinalmodify <> case g.aggkind when 'n' then 'r' else 'w' end::"char" then
          case g.aggmfinalmodify when 'r' then 'read_only' when 's' then 'shareable' else 'read_write' end end,
        'minitcond', quote_literal(g.aggminitval),
        'sortop', (
          select format('operator(%I.%s)', s.nspname, o.oprname)
          from pg_operator o join pg_namespace s on s.oid = o.oprnamespace where o.oid = g.aggsortop
        ),
        'hypothetical', case g.aggkind when 'h' then true end
      )
      from pg_aggregate g where g.aggfnoid = p.oid
    ) as aggregate,
    obj_description(p.oid, 'pg_proc') as comment,
    ${privileges('function', 'p.proacl', 'p.proowner')} as privileges
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
  where n.oid in ${OURS} and not ${ofExtension('pg_proc', 'p.oid')}
    -- Range types make their constructors themselves.
    and not exists (
      select from pg_depend i
      where i.classid = 'pg_proc'::regclass and i.objid = p.oid and i.deptype = 'i'
    )`;
