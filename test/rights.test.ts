import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Column,
  type Place,
  READS,
  type Read,
  SPARE_FEATURE,
  WRITES,
  type Write,
} from './support/actions.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { type Door, graphqlDoor, restDoor, Sessions, sqlDoor } from './support/doors.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createStateKeeper, type State, type StateKeeper } from './support/state.ts';
import { createWorld, PEOPLE, type Person, type World } from './support/world.ts';

/**
 * Who may do what. The group and the second group are in the organization that organization roles and the
 * member belong to; the member is in the first alone. Abroad is another organization, the stranger's, in a
 * group of which the stranger is not. `everywhere` stands for all three.
 */
const TABLE = `
                                           | read                     write                   | prices       | features
person                  | aimed at         | group  members  budget   budget  members  groups | read  write  | write
owner                   | everywhere       | yes    yes      yes      yes     yes      yes    | yes   yes    | yes
user_admin              | everywhere       | yes    yes      yes      yes     yes      yes    | yes   no     | no
auditor                 | everywhere       | yes    yes      yes      no      no       no     | yes   no     | no
ai_gateway              | everywhere       | yes    yes      yes      no      no       no     | yes   no     | no
organization_admin      | the group        | yes    yes      yes      yes     yes      yes    | yes   no     | no
                        | the second group | yes    yes      yes      yes     yes      yes    |              |
                        | abroad           | no     no       no       no      no       no     |              |
organization_user_admin | the group        | yes    yes      yes      yes     yes      yes    | yes   no     | no
                        | the second group | yes    yes      yes      yes     yes      yes    |              |
                        | abroad           | no     no       no       no      no       no     |              |
organization_auditor    | the group        | yes    yes      yes      no      no       no     | yes   no     | no
                        | the second group | yes    yes      yes      no      no       no     |              |
                        | abroad           | no     no       no       no      no       no     |              |
member                  | the group        | yes    yes      yes      no      no       no     | yes   no     | no
                        | the second group | no     no       no       no      no       no     |              |
                        | abroad           | no     no       no       no      no       no     |              |
stranger                | everywhere       | no     no       no       no      no       no     | yes   no     | no
nobody                  | everywhere       | no     no       no       no      no       no     | no    no     | no
`;

const PLACES = ['the group', 'the second group', 'abroad'] as const;
type PlaceName = (typeof PLACES)[number];
type Cell = { person: Person | 'nobody'; column: Column; at: PlaceName | undefined; may: boolean };

const GROUP_COLUMNS: readonly Column[] = [
  'read the group',
  'read its members',
  'read its budget',
  'write its budget',
  'write members',
  'write groups',
];
const SITE_COLUMNS: readonly Column[] = ['read prices', 'write prices', 'write features'];

function readTable(): Cell[] {
  let person: Cell['person'] = 'nobody';
  return TABLE.trim()
    .split('\n')
    .slice(2)
    .flatMap((line) => {
      const [name, aim, ofGroup, ...ofSite] = line.split('|').map((part) => part.trim());
      person = (name || person) as Cell['person'];
      const places = aim === 'everywhere' ? PLACES : [aim as PlaceName];
      return [
        ...places.flatMap((at) => cells(person, GROUP_COLUMNS, ofGroup ?? '', at)),
        ...cells(person, SITE_COLUMNS, ofSite.join(' ').trim(), undefined),
      ];
    });
}

function cells(person: Cell['person'], columns: readonly Column[], text: string, at: Cell['at']) {
  const words = text.split(/\s+/).filter(Boolean);
  return words.map((word, index): Cell => {
    const column = columns[index];
    if (column === undefined || !/^(yes|no)$/.test(word)) throw new Error(`"${text}" is no row.`);
    return { person, column, at, may: word === 'yes' };
  });
}

const CELLS = readTable();

let database: TestDatabase;
let server: TestServer;
let sessions: Sessions;
let keeper: StateKeeper;
let world: World;
let places: Readonly<Record<PlaceName, Place>>;
/** As every test finds the database and leaves it. */
let initial: State;
let doors: Readonly<Record<DoorName, Door>>;

const DOORS = ['SQL', 'GraphQL', 'REST'] as const;
type DoorName = (typeof DOORS)[number];

beforeAll(async () => {
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  places = await findPlaces(world);
  await database.owner.query("insert into app_public.features values ($1, 'entitled', true)", [
    SPARE_FEATURE,
  ]);
  sessions = new Sessions(database);
  // A login is noted in the table of users: all of them before the first look at it.
  for (const person of PEOPLE) await sessions.of(world.people[person]);
  await sessions.of(null);
  server = await startTestServer(database);
  doors = { SQL: sqlDoor(sessions), GraphQL: graphqlDoor(server), REST: restDoor(server) };
  keeper = await createStateKeeper(database);
  initial = await keeper.take();
});

afterAll(async () => {
  await server?.stop();
  await sessions?.close();
  await keeper?.stop();
  await database?.drop();
});

async function findPlaces(w: World): Promise<Record<PlaceName, Place>> {
  const { rows } = await database.owner.query<{ id: string }>(
    "insert into app_public.users (username) values ('outsider'), ('researcher') returning id",
  );
  const [outsider = '', researcher = ''] = rows.map((row) => row.id);
  await database.owner.query('insert into app_public.organization_members values ($1, $2)', [
    w.organization,
    researcher,
  ]);
  await database.owner.query(
    `insert into app_public.group_members (group_id, user_id)
     values ($1, $3), ($2, $3)`,
    [w.group, w.otherGroup, researcher],
  );
  const home = {
    organization: w.organization,
    insider: researcher,
    candidate: w.colleague,
    outsider,
  };
  return {
    'the group': { ...home, group: w.group },
    'the second group': { ...home, group: w.otherGroup },
    abroad: {
      organization: w.foreignOrganization,
      group: w.foreignGroup,
      insider: w.foreigner,
      candidate: w.people.stranger,
      outsider,
    },
  };
}

function nameOf(door: DoorName, { person, column, at, may }: Cell): string {
  const where = at === undefined ? '' : ` (${at})`;
  return `${door}: ${person} ${may ? 'may' : 'may not'} ${column}${where}`;
}

const idOf = (person: Cell['person']) => (person === 'nobody' ? null : world.people[person]);
const placeOf = ({ at }: Cell) => places[at ?? 'the group'];

test('the table has a cell for everybody, everything and everywhere', () => {
  const told = new Set(CELLS.map(({ person, column, at }) => `${person}, ${column}, ${at}`));
  const people = PEOPLE.length + 1;
  expect(told.size).toBe(CELLS.length);
  expect(told.size).toBe(people * (PLACES.length * GROUP_COLUMNS.length + SITE_COLUMNS.length));
});

const isAtDoor = (door: DoorName) => (cell: Cell) =>
  door !== 'REST' || cell.column === 'read its budget' || cell.column === 'write its budget';

describe.each(DOORS)('%s', (door) => {
  const here = CELLS.filter(isAtDoor(door));

  for (const cell of here.filter((c) => c.column in READS)) {
    test(nameOf(door, cell), async () => {
      const read: Read = READS[cell.column as keyof typeof READS](placeOf(cell));
      const everything = await factsPastRowSecurity(read);
      expect(everything).not.toEqual([]);

      const ways = await doors[door].read(idOf(cell.person), read);

      expect(ways).not.toEqual([]);
      for (const facts of ways) expect(facts).toEqual(cell.may ? everything : []);
    });
  }

  for (const cell of here.filter((c) => c.column in WRITES)) {
    test(nameOf(door, cell), async () => {
      let tried = 0;
      for (const write of WRITES[cell.column as keyof typeof WRITES](placeOf(cell))) {
        if (await tryOut(door, cell, write)) tried += 1;
      }
      expect(tried).toBeGreaterThan(0);
    });
  }
});

async function factsPastRowSecurity({ sql: [way] }: Read): Promise<string[]> {
  const [text, ...values] = way ?? [''];
  const { rows } = await database.owner.query<{ fact: unknown }>(text, values);
  return rows.map((row) => String(row.fact)).sort();
}

async function isDone({ done: [text, ...values] }: Write): Promise<boolean> {
  return (await database.owner.query(text, values)).rowCount === 1;
}

/** Tries it, and leaves the database as it was. Says whether it can be tried at this door. */
async function tryOut(door: DoorName, cell: Cell, write: Write): Promise<boolean> {
  /** What is stored, unless that is not known. */
  let now: State | undefined = initial;
  try {
    if (write.before !== undefined) {
      now = undefined;
      const [text, ...values] = write.before;
      await database.owner.query(text, values);
      now = await keeper.take();
    }
    const before = now;
    expect(await isDone(write), `${write.name}: done before it was tried`).toBe(false);

    now = undefined;
    const wentThrough = await doors[door].write(idOf(cell.person), write);
    now = await keeper.take();

    if (wentThrough === undefined) return false;
    expect(wentThrough, write.name).toBe(cell.may);
    expect(await isDone(write), `${write.name}: done`).toBe(cell.may);
    if (!cell.may) expect(now, `${write.name}: what is stored`).toEqual(before);
    return true;
  } finally {
    await keeper.restore(initial, now ?? (await keeper.take()));
  }
}
