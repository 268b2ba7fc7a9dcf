import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { buildSchema, parse, validate } from 'postgraphile/graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERROR_TABLE, STATUS_OF_CODE } from '../src/errors.ts';
import { graceWarning } from '../src/features.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { startTestServer, type TestServer } from './support/server.ts';
import { createWorld, type World } from './support/world.ts';

// What docs/clients.md shows is what happens.

const ROOT = join(import.meta.dirname, '..');
const COMPILER = join(ROOT, 'node_modules/relay-compiler/cli.js');
const run = promisify(execFile);
const read = (path: string) => readFile(join(ROOT, path), 'utf8');

type Block = { readonly language: string; readonly path: string; readonly text: string };

let page: string;
let blocks: Block[];
let database: TestDatabase;
let world: World;
let server: TestServer;

beforeAll(async () => {
  page = await read('docs/clients.md');
  blocks = [...page.matchAll(/^```(\w*) ?(\S*)\n(.*?)^```$/gms)].map(
    ([, language = '', path = '', text = '']) => ({ language, path, text }),
  );
  database = await createTestDatabase();
  world = await createWorld(database.owner);
  server = await startTestServer(database);
});

afterAll(async () => {
  await server?.stop();
  await database?.drop();
});

const blocksIn = (language: string) => blocks.filter((block) => block.language === language);

test('every block is one that is run or compared below', () => {
  const count = (language: string) => blocksIn(language).length;
  expect(blocks).toHaveLength(
    count('sh') + count('json') + count('ts') + count('js') + count('graphql') + count(''),
  );
  expect(count('sh')).toBe(4);
  expect(blocksIn('').map(({ text }) => text.trim())).toEqual([
    `Warning: ${graceWarning(['ai_bridge'])}`,
  ]);
});

test('the commands answer what stands below them', async () => {
  const tokenOf = async (user: string) => (await server.tokenOf(user)) ?? '';
  const env = {
    ...process.env,
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    GROUP: world.group,
    ADAM: await tokenOf(world.people.organization_admin),
    MIA: await tokenOf(world.people.member),
    OLIVIA: await tokenOf(world.people.owner),
    BURSAR_URL: server.url,
  };
  for (const [index, { language, text }] of blocks.entries()) {
    if (language !== 'sh') continue;
    const command = text.replaceAll('http://127.0.0.1:5678', server.url);
    const { stdout } = await run('bash', ['-euc', command], { env, cwd: ROOT });
    const below = blocks[index + 1];
    if (below?.language === 'json' && below.path === '') {
      expect(JSON.parse(stdout)).toEqual(JSON.parse(below.text));
    } else {
      expect(stdout).toMatch(/has spent \d+ micros so far/);
    }
  }
});

test('the queries are valid', async () => {
  const schema = buildSchema(await read('schema.graphql'));
  for (const { text } of blocksIn('graphql')) expect(validate(schema, parse(text))).toEqual([]);
});

test('the TypeScript is that of the example, which is type-checked and tested', async () => {
  const trimmed = (text: string) =>
    text
      .split('\n')
      .map((line) => line.trim())
      .join('\n');
  const names = ['amounts.ts', 'bursar.ts', 'codegen.ts', 'main.ts'];
  const files = await Promise.all(names.map((name) => read(`examples/client/${name}`)));
  for (const { text } of blocksIn('ts')) {
    expect(
      files.map(trimmed).some((file) => file.includes(trimmed(text))),
      text,
    ).toBe(true);
  }
});

test('the table of errors has every code', () => {
  for (const code of Object.keys(STATUS_OF_CODE)) expect(page).toContain(`| \`${code}\` |`);
  for (const { code } of ERROR_TABLE) expect(page).toContain(`| \`${code}\` |`);
});

test('the server answers introspection', async () => {
  const { data } = await server.graphql(null, '{ __schema { queryType { name } } }');
  expect(data).toEqual({ __schema: { queryType: { name: 'Query' } } });
});

test('pages have every row once, also where all are equal by their order, and cursors of their own', async () => {
  const models = ['a', 'b', 'c', 'd', 'e'];
  await database.owner.query(
    `insert into app_public.ai_spend_daily (organization_id, day, group_id, user_id, provider, model,
       requests, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_micros,
       overage_micros, unpriced_requests)
     select $1, '2026-01-01', $1, $2, 'acme', model, 1, 0, 0, 0, 0, 0, 0, 0
     from unnest($3::text[]) as model`,
    [world.foreignOrganization, world.foreigner, models],
  );
  const ask = (orderBy: string, after: string | null) =>
    server.graphql(
      world.foreigner,
      `query ($after: Cursor) {
        aiSpendDailies(orderBy: ${orderBy}, first: 2, after: $after) {
          nodes { model } pageInfo { hasNextPage endCursor }
        }
      }`,
      { after },
    );
  const seen: string[] = [];
  let after: string | null = null;
  do {
    const { data } = await ask('DAY_DESC', after);
    const { nodes, pageInfo } = (data as { aiSpendDailies: SpendPage }).aiSpendDailies;
    seen.push(...nodes.map(({ model }) => model));
    if (seen.length === 2) {
      const { errors } = await ask('MODEL_ASC', pageInfo.endCursor);
      expect(errors).toMatchObject([{ extensions: { code: 'VALIDATION_FAILED', field: 'after' } }]);
    }
    after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
  } while (after !== null);
  expect(seen.toSorted()).toEqual(models);
});

describe('Relay', () => {
  let folder: string;

  const compile = () =>
    run(process.execPath, [COMPILER, 'relay.config.json'], { cwd: folder }).then(
      ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
  const write = async (path: string, text: string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  const artifact = (name: string) =>
    readFile(join(folder, `src/__generated__/${name}.graphql.ts`), 'utf8');
  /** The operation that Relay would send. */
  const operation = async (name: string) => {
    const [, text = '""'] = /^ +"text": (".+")$/m.exec(await artifact(name)) ?? [];
    return JSON.parse(text) as string;
  };
  const ask = async (name: string, variables: Record<string, unknown>) => {
    const { data, errors } = await server.graphql(
      world.people.organization_admin,
      await operation(name),
      variables,
    );
    expect(errors).toBeUndefined();
    return data ?? {};
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bursar-relay-'));
    await write('schema.graphql', await read('schema.graphql'));
    for (const { path, text } of blocks) if (path !== '') await write(path, text);
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('compiles the schema as it is, with the scalars typed', async () => {
    expect(await compile()).toMatchObject({ code: 0 });
    expect(await readdir(join(folder, 'src/__generated__'))).toEqual(
      expect.arrayContaining(['GroupListPageQuery.graphql.ts', 'GroupRowQuery.graphql.ts']),
    );
    expect(await artifact('GroupRow_group')).toMatch(/readonly spendLimitMicros: string;/);
    expect(await artifact('GroupListQuery')).not.toMatch(/: any\b/);
  });

  test('asks for pages and single things through node, and for changes', async () => {
    const first = await ask('GroupListQuery', { organizationId: world.organization });
    expect(first).toMatchObject({
      organization: { name: 'Home', nodeId: expect.any(String), groups: { edges: [{}, {}, {}] } },
    });
    const { nodeId } = first.organization as { nodeId: string };

    const names: unknown[] = [];
    for (let after: string | null = null, more = true; more; ) {
      const page = await ask('GroupListPageQuery', { nodeId, count: 1, after });
      const { edges, pageInfo } = (page.node as { groups: Connection }).groups;
      names.push(...edges.map(({ node }) => node.name));
      after = pageInfo.endCursor;
      more = pageInfo.hasNextPage;
    }
    expect(names).toEqual(['Engineering', 'Everyone', 'Research']);

    const group = { organizationId: world.organization, name: 'Design' };
    const added = await ask('GroupListAddMutation', { input: { group }, connections: [] });
    const { id, nodeId: addedNodeId } = (added.createGroup as { group: Row }).group;
    await ask('GroupRowSetBudgetMutation', { input: { groupId: id, spendLimitMicros: '5' } });
    expect(await ask('GroupRowQuery', { nodeId: addedNodeId })).toMatchObject({
      node: { name: 'Design', groupAiBudget: { spendLimitMicros: '5' } },
    });
    const removed = await ask('GroupListRemoveMutation', { input: { id }, connections: [] });
    expect(removed).toMatchObject({ deleteGroup: { deletedGroupNodeId: addedNodeId } });
  });

  test('needs the name of the id, and refuses a field that is none', async () => {
    const config = blocks.find(({ path }) => path === 'relay.config.json')?.text ?? '';
    const { schemaConfig: _without, ...rest } = JSON.parse(config) as Record<string, unknown>;
    await write('relay.config.json', JSON.stringify(rest));
    expect((await compile()).code).not.toBe(0);

    await write('relay.config.json', config);
    const wrong = 'graphql`fragment Wrong_group on Group { spendLimit }`;';
    await write('src/Wrong.ts', `import { graphql } from 'react-relay';\n${wrong}\n`);
    const { code, stdout, stderr } = await compile();
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain('spendLimit');
  });
});

type Row = { id: string; nodeId: string; name: string };
type PageInfo = { endCursor: string | null; hasNextPage: boolean };
type Connection = { edges: { node: Row }[]; pageInfo: PageInfo };
type SpendPage = { nodes: { model: string }[]; pageInfo: PageInfo };
