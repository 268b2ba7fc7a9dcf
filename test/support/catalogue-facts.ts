import type { Client } from 'pg';

/**
 * What the catalogue says about our schemas, a line a fact, without oids. Expressions are printed with all their
 * brackets, where the dump leaves out those that are not needed.
 *
 * @param server The role whose rights the deployment grants.
 */
export async function catalogueFacts(client: Client, server: string): Promise<string[]> {
  await client.query(`begin; set local search_path to ''`);
  const { rows } = await client.query<{ fact: string }>(`${OURS} ${FACTS.join(' union all ')}`, [
    server,
  ]);
  await client.query('rollback');
  return rows.map(({ fact }) => (/^(routine|comment)/.test(fact) ? fact : flattened(fact))).sort();
}

/** `a and (b and c)` as `a and b and c`: which of them was written is not kept when the catalogue is printed. */
function flattened(sql: string): string {
  const strings: string[] = [];
  const groups: string[] = [];
  let text = sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, (s) => `‹s${strings.push(s) - 1}›`);
  for (let before = ''; before !== text; ) {
    before = text;
    text = text.replace(/\(([^()]*)\)/g, (_, inside: string) => {
      const merged = inside.replace(/‹g(\d+)›/g, (mark, n: string, at: number) => {
        const group = groups[Number(n)] ?? '';
        const joints = (part: string) => new Set(part.match(/ (?:AND|OR) /g));
        const around =
          inside.slice(0, at).match(/ (?:AND|OR) $/) ??
          inside.slice(at + mark.length).match(/^ (?:AND|OR) /);
        const own = joints(group);
        const same =
          around !== null && own.size === 1 && own.has(around[0]) && joints(inside).size === 1;
        return same ? group : mark;
      });
      return `‹g${groups.push(merged) - 1}›`;
    });
  }
  for (let before = ''; before !== text; ) {
    before = text;
    text = text.replace(/‹g(\d+)›/g, (_, n: string) => `(${groups[Number(n)]})`);
  }
  return text.replace(/‹s(\d+)›/g, (_, n: string) => strings[Number(n)] ?? '');
}

// Months are made by the traffic. What comes from a parent has names that PostgreSQL makes up.
const OURS = `
  with schemas as (select oid, nspname from pg_namespace where nspname in ('app_public', 'app_hidden', 'app_private')),
  relations as (
    select c.*, c.oid::regclass::text as name from pg_class c join schemas s on s.oid = c.relnamespace
    where c.relname !~ '_[0-9]{4}_[0-9]{2}(_.*)?$' and not (c.relkind in ('i', 'I') and c.relispartition)
  )`;

/** Rights in an order of their own; none is what PostgreSQL starts with. */
const acl = (column: string, kind: string, owner: string) =>
  `(select string_agg(a::text, ' ' order by a::text) from unnest(coalesce(${column}, acldefault(${kind}, ${owner}))) a
    where not starts_with(a::text, $1 || '='))`;

const sorted = (array: string) => `(select string_agg(x, ' ' order by x) from unnest(${array}) x)`;

const fact = (...parts: string[]) =>
  `select concat_ws(' | ', ${parts.map((p) => `coalesce((${p})::text, '-')`).join(', ')}) as fact`;

const FACTS = [
  `${fact(`'schema'`, 'n.nspname', acl('n.nspacl', `'n'`, 'n.nspowner'))} from pg_namespace n join schemas s on s.oid = n.oid`,
  `${fact(
    `'relation'`,
    'r.name',
    'r.relkind',
    'r.relpersistence',
    'r.relrowsecurity',
    'r.relforcerowsecurity',
    'r.relreplident',
    'r.relispopulated',
    sorted('r.reloptions'),
    `(select ${sorted('t.reloptions')} from pg_class t where t.oid = r.reltoastrelid)`,
    'pg_get_partkeydef(r.oid)',
    'pg_get_expr(r.relpartbound, r.oid)',
    `(select string_agg(h.inhparent::regclass::text, ' ' order by h.inhseqno) from pg_inherits h where h.inhrelid = r.oid)`,
    acl('r.relacl', `case r.relkind when 'S' then 's'::"char" else 'r' end`, 'r.relowner'),
  )} from relations r`,
  `${fact(
    `'column'`,
    'r.name',
    `case when r.relkind in ('i', 'I') then a.attnum::text else a.attname end`,
    '(select count(*) from pg_attribute b where b.attrelid = a.attrelid and b.attnum between 1 and a.attnum and not b.attisdropped)',
    'format_type(a.atttypid, a.atttypmod)',
    'a.attnotnull',
    'a.attidentity',
    'a.attgenerated',
    'a.attstorage',
    'a.attcompression',
    'nullif(a.attstattarget, -1)',
    sorted('a.attoptions'),
    'a.attcollation::regcollation',
    'a.attislocal',
    'a.attinhcount',
    `${sorted('a.attacl::text[]')}`,
    'pg_get_expr(d.adbin, d.adrelid)',
    `pg_get_serial_sequence(case when r.relkind in ('r', 'p') then r.name end, a.attname)`,
  )} from relations r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
     left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum`,
  `${fact(`'view'`, 'r.name', 'pg_get_viewdef(r.oid)')} from relations r where r.relkind in ('v', 'm')`,
  `${fact(`'constraint'`, 'r.name', 'k.conname', 'k.contype', 'pg_get_constraintdef(k.oid)', 'k.convalidated', 'k.condeferrable', 'k.condeferred', 'k.connoinherit', 'k.conislocal', 'k.coninhcount', 'obj_description(k.oid)')}
     from relations r join pg_constraint k on k.conrelid = r.oid where k.conparentid = 0`,
  `${fact(`'index'`, 'r.name', 'pg_get_indexdef(r.oid)', 'i.indisunique', 'i.indisclustered', 'i.indisreplident', 'i.indisvalid', 'i.indnullsnotdistinct')}
     from relations r join pg_index i on i.indexrelid = r.oid`,
  `${fact(`'trigger'`, 'r.name', 'pg_get_triggerdef(t.oid)', 't.tgenabled', 'obj_description(t.oid)')}
     from relations r join pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal`,
  `${fact(`'rule'`, 'r.name', 'pg_get_ruledef(w.oid)', 'w.ev_enabled')} from relations r join pg_rewrite w on w.ev_class = r.oid`,
  `${fact(`'policy'`, 'r.name', 'p.polname', 'p.polcmd', 'p.polpermissive', sorted('p.polroles::regrole[]::text[]'), 'pg_get_expr(p.polqual, p.polrelid)', 'pg_get_expr(p.polwithcheck, p.polrelid)')}
     from relations r join pg_policy p on p.polrelid = r.oid`,
  `${fact(`'sequence'`, 'r.name', 'format_type(q.seqtypid, null)', 'q.seqstart', 'q.seqincrement', 'q.seqmax', 'q.seqmin', 'q.seqcache', 'q.seqcycle')}
     from relations r join pg_sequence q on q.seqrelid = r.oid`,
  `${fact(`'statistics'`, 'pg_get_statisticsobjdef(s.oid)', 'nullif(s.stxstattarget, -1)')}
     from pg_statistic_ext s join schemas n on n.oid = s.stxnamespace`,
  `${fact(`'routine'`, 'p.oid::regprocedure', 'p.prokind', 'pg_get_function_arguments(p.oid)', 'pg_get_function_result(p.oid)', 'pg_get_function_sqlbody(p.oid)', 'p.provolatile', 'p.proparallel', 'p.prosecdef', 'p.proisstrict', 'p.prosupport', '(select l.lanname from pg_language l where l.oid = p.prolang)', 'p.prosrc', sorted('p.proconfig'), 'p.procost', 'p.prorows', 'p.proleakproof', acl('p.proacl', `'f'`, 'p.proowner'), `(select (to_jsonb(g) - 'aggfnoid')::text from pg_aggregate g where g.aggfnoid = p.oid)`)}
     from pg_proc p join schemas n on n.oid = p.pronamespace
     -- Constructors of a range keep the name under which they were made.
     where not exists (
       select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('i', 'e')
     )`,
  `${fact(`'type'`, 't.oid::regtype', 't.typtype', 't.typnotnull', 'format_type(t.typbasetype, t.typtypmod)', 'coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault)', 't.typcollation::regcollation', acl('t.typacl', `'T'`, 't.typowner'), `(select string_agg(e.enumlabel, ' ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid)`, `(select concat_ws(' ', g.rngsubtype::regtype, g.rngmultitypid::regtype, g.rngcollation::regcollation, g.rngsubdiff, (select o.opcname from pg_opclass o where o.oid = g.rngsubopc)) from pg_range g where g.rngtypid = t.oid)`)}
     from pg_type t join schemas n on n.oid = t.typnamespace
     where t.typcategory <> 'A' and t.typname !~ '_[0-9]{4}_[0-9]{2}$'`,
  `${fact(`'constraint of a domain'`, 'k.contypid::regtype', 'k.conname', 'pg_get_constraintdef(k.oid)', 'k.convalidated')}
     from pg_constraint k join schemas n on n.oid = k.connamespace where k.contypid <> 0`,
  `${fact(`'default privileges'`, 'd.defaclrole::regrole', 'd.defaclnamespace::regnamespace', 'd.defaclobjtype', sorted('d.defaclacl::text[]'))} from pg_default_acl d`,
  `${fact(`'comment'`, '(pg_identify_object(d.classoid, d.objoid, d.objsubid)).type', '(pg_identify_object(d.classoid, d.objoid, d.objsubid)).identity', 'd.description')}
     from pg_description d
     where (pg_identify_object(d.classoid, d.objoid, d.objsubid)).identity ~ '(^| |")app_(public|hidden|private)'
       and (pg_identify_object(d.classoid, d.objoid, d.objsubid)).identity !~ '_[0-9]{4}_[0-9]{2}($|[. ])'`,
  `${fact(`'extension'`, 'e.extname', 'e.extnamespace::regnamespace')} from pg_extension e`,
];
