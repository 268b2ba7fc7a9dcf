import { type Column, columnSettings } from './columns.ts';
import { withoutPrefixes } from './older-views.ts';
import { commentOn, type Part, PLACE, type Query, RANK } from './part.ts';
import { columnGrants, grants, type Privileges, privileges } from './privileges.ts';
import { otherOwner, RELATIONS } from './scope.ts';
import { ourStyle, outsideQuotes, parameters } from './sql-text.ts';
import { columnDefaults } from './tables.ts';

type View = {
  oid: string;
  name: string;
  isMaterialized: boolean;
  isFilled: boolean;
  owner: string | null;
  accessMethod: string | null;
  options: string[] | null;
  definition: string;
  /** Before PostgreSQL 16, columns came with the name of their table also where there is one table only. */
  hasPrefixes: boolean;
  clusteredOn: string | null;
  comment: string | null;
  typeComment: string | null;
  privileges: Privileges;
  typePrivileges: Privileges;
};

export async function readViews(query: Query, columns: readonly Column[]): Promise<Part[]> {
  const views = await query<View>(VIEWS);
  return views.flatMap((view) => {
    const own = columns.filter((c) => c.relation === view.oid);
    const kind = view.isMaterialized ? 'materialized view' : 'view';
    const { name } = view;
    const home = `pg_class ${view.oid}`;
    const head = [
      `create ${kind} ${name}`,
      ...(view.accessMethod === null ? [] : [`using ${view.accessMethod}`]),
      ...(view.options === null ? [] : [`with ${parameters(view.options)}`]),
    ].join(' ');
    const itself: Part = {
      id: home,
      home,
      rank: RANK.view,
      place: PLACE.itself,
      name,
      write: () => [
        `${head} as\n${definition(view)}${view.isFilled ? '' : '\n  with no data'};`,
        ...(view.owner === null ? [] : [`alter ${kind} ${name} owner to ${view.owner};`]),
        ...own.flatMap((column) => columnSettings(name, column)),
      ],
      comments: [
        ...commentOn(`${kind} ${name}`, view.comment),
        ...commentOn(`type ${name}`, view.typeComment),
        ...own.flatMap((c) => commentOn(`column ${name}.${c.name}`, c.comment)),
      ],
    };
    const clustered: Part = {
      id: `cluster of ${home}`,
      home,
      place: PLACE.index,
      name: '\uffff',
      write: () =>
        view.clusteredOn === null
          ? []
          : [`alter materialized view ${name} cluster on ${view.clusteredOn};`],
      comments: [],
    };
    const granted: Part = {
      id: `grants of ${home}`,
      home,
      place: PLACE.grant,
      name,
      write: () => [
        ...grants(`on ${name}`, view.privileges),
        ...columnGrants(
          name,
          own.map((c) => ({ column: c.name, privileges: c.privileges })),
        ),
        ...grants(`on type ${name}`, view.typePrivileges),
      ],
      comments: [],
    };
    return [itself, ...viewDefaults(name, home, own), clustered, granted];
  });
}

function definition({ definition: sql, hasPrefixes }: View): string {
  const query = ourStyle(sql.replace(/;\s*$/, ''));
  return hasPrefixes ? outsideQuotes(query, withoutPrefixes) : query;
}

/** What an insert through a view gets where it names no value. */
function viewDefaults(name: string, home: string, columns: readonly Column[]): Part[] {
  return columnDefaults(name, home, columns).map((part) => ({
    ...part,
    write: () => part.write(() => true),
  }));
}

const VIEWS = `
  select c.oid::text, c.name, c.relkind = 'm' as "isMaterialized", c.relispopulated as "isFilled",
    ${otherOwner('c.relowner')} as owner, c.reloptions::text[] as options,
    (select quote_ident(m.amname) from pg_am m where m.oid = c.relam and m.amname <> 'heap') as "accessMethod",
    pg_get_viewdef(c.oid, true) as definition,
    current_setting('server_version_num')::int < 160000 as "hasPrefixes",
    (
      select quote_ident(x.relname) from pg_index i join pg_class x on x.oid = i.indexrelid
      where i.indrelid = c.oid and i.indisclustered
    ) as "clusteredOn",
    obj_description(c.oid, 'pg_class') as comment, obj_description(c.reltype, 'pg_type') as "typeComment",
    ${privileges('table', 'c.relacl', 'c.relowner')} as privileges,
    (select ${privileges('type', 't.typacl', 't.typowner')} from pg_type t where t.oid = c.reltype) as "typePrivileges"
  from ${RELATIONS} c
  where c.relkind in ('v', 'm')`;
