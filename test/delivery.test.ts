import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { access, constants, readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { isBuiltin } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { PROJECT_FOLDER } from '../src/folders.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { startTestServer, type TestServer } from './support/server.ts';

// What runs elsewhere, as far as it can be tried here: neither GitHub nor Docker is at hand.

const read = (file: string) => readFile(join(PROJECT_FOLDER, file), 'utf8');
const packageJson = JSON.parse(await read('package.json')) as {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
};

/** The npm scripts that a text tells somebody to run. */
function scriptsIn(text: string): string[] {
  return [...text.matchAll(/npm run (?:--silent )?([a-z]+(?::[a-z]+)*)/g)].map(([, s]) => s ?? '');
}

/** What a file of ours imports, at once or later, and what those do: our files, and the packages. */
async function importsOf(entry: string): Promise<{ files: string[]; packages: string[] }> {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const follow = async (file: string): Promise<void> => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = await readFile(file, 'utf8');
    const imports = text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g);
    for (const [statement, name = ''] of imports) {
      // A type is gone before the code runs.
      const before = text.slice(0, text.indexOf(statement));
      if (/import type [^;]*$/.test(before)) continue;
      if (name.startsWith('.')) await follow(join(dirname(file), name));
      else if (!isBuiltin(name)) packages.add(name.match(/^(@[^/]+\/)?[^/]+/)?.[0] ?? name);
    }
  };
  await follow(join(PROJECT_FOLDER, entry));
  const files = [...seen].map((file) => relative(PROJECT_FOLDER, file));
  return { files, packages: [...packages].sort() };
}

test('who serves loads neither the price list nor what runs migrations', async () => {
  const { files, packages } = await importsOf('src/commands/serve.ts');
  expect(files).toContain('src/serve.ts');
  expect(packages).toContain('postgraphile');
  expect(packages).not.toContain('@pydantic/genai-prices');
  expect(packages).not.toContain('graphile-migrate');
});

test('the workflow of GitHub runs what there is', async () => {
  const workflow = parse(await read('.github/workflows/ci.yml'));
  expect(Object.keys(workflow.on)).toEqual(['pull_request', 'push']);
  const steps = Object.values<{ steps: { run?: string }[] }>(workflow.jobs).flatMap((j) => j.steps);
  const runs = steps.flatMap(({ run }) => (run === undefined ? [] : [run]));
  expect(runs).toHaveLength(1);
  const [program = ''] = runs[0]?.split(' ') ?? [];
  expect(program).toBe('.ci/run');
  await access(join(PROJECT_FOLDER, program), constants.X_OK);
});

test('the lock file names what each platform needs: npm ci refuses one that does not', async () => {
  const { packages } = JSON.parse(await read('package-lock.json')) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  const missing = Object.entries(packages).flatMap(([of, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) =>
        !(`node_modules/${name}` in packages) && !(`${of}/node_modules/${name}` in packages),
    ),
  );
  expect(missing).toEqual([]);
});

test.each(['.ci/run', 'README.md', 'docs/migrations.md', 'src/migrations/commit.ts'])(
  '%s names scripts that there are',
  async (file) => {
    const scripts = scriptsIn(await read(file));
    expect(scripts).not.toEqual([]);
    for (const script of scripts) expect(packageJson.scripts).toHaveProperty([script]);
  },
);

describe('the image', () => {
  let database: TestDatabase;
  let server: TestServer;
  let dockerfile: string;
  const word = (name: string) => new RegExp(`^\\s*${name} (.*)$`, 'gm');

  beforeAll(async () => {
    dockerfile = await read('Dockerfile');
    database = await createTestDatabase();
    server = await startTestServer(database);
  });

  afterAll(async () => {
    await server?.stop();
    await database?.drop();
  });

  test('is given files that there are, and that .dockerignore lets in', async () => {
    const ignore = await read('.dockerignore');
    const copied = [...dockerfile.matchAll(word('COPY'))].flatMap(([, files = '']) =>
      files.split(' ').slice(0, -1),
    );
    // What the code imports is looked at below; the rest it reads when it runs.
    expect(copied.sort()).toEqual([
      'lints',
      'migrations',
      'package-lock.json',
      'package.json',
      'plugins',
      'src',
    ]);
    for (const file of copied) {
      expect(existsSync(join(PROJECT_FOLDER, file)), file).toBe(true);
      expect(ignore.split('\n'), file).toContain(`!${file}`);
    }
  });

  test('needs nothing that it has not: neither tools of development nor how migrations are written', async () => {
    const [, start = '[]'] = /^CMD (\[.*\])$/m.exec(dockerfile) ?? [];
    const entry = (JSON.parse(start) as string[]).find((word) => word.endsWith('.ts'));
    const { files, packages } = await importsOf(entry ?? '');
    expect(files).toContain('src/serve.ts');
    expect(files.filter((file) => file.startsWith('src/migrations/'))).toEqual([]);
    expect(files.filter((file) => !/^(src|plugins)\//.test(file))).toEqual([]);
    expect(packages).toEqual(packages.filter((name) => name in packageJson.dependencies));
  });

  test('has compiled what the server starts with', async () => {
    const [, run = '[]'] = /^RUN (\[.*\])$/m.exec(dockerfile) ?? [];
    const [program, ...args] = JSON.parse(
      run.replaceAll('/bursar/', `${PROJECT_FOLDER}/`),
    ) as string[];
    expect(program).toBe('node');
    // NODE_COMPILE_CACHE would be obeyed instead.
    const { NODE_COMPILE_CACHE: _, ...env } = process.env;
    const ran = await promisify(execFile)(
      process.execPath,
      [
        ...args.slice(0, -1),
        `${args.at(-1)}; console.log((await import('node:module')).getCompileCacheDir())`,
      ],
      { cwd: PROJECT_FOLDER, env },
    );
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toContain(join(PROJECT_FOLDER, 'node_modules/.cache/bursar'));
    expect(await readdir(ran.stdout.trim())).not.toEqual([]);
  });

  test('gives Node the same limits of memory as every other way to start a server', async () => {
    const flags = / ((?:--\S+ )+)/;
    const of = async (file: string) => readFile(join(PROJECT_FOLDER, file), 'utf8');
    const [shebang = ''] = (await of('src/bursar.ts')).split('\n');
    const wanted = flags.exec(`${shebang.replace('#!/usr/bin/env -S', '')} `)?.[1]?.trim();
    expect(wanted).toContain('--heap-growing-percent=30');
    expect(packageJson.scripts.start).toBe(`node ${wanted} src/bursar.ts start`);
    expect(packageJson.scripts.bursar).toBe(`node ${wanted} src/bursar.ts`);
    for (const file of ['Dockerfile', 'bench/servers.ts']) {
      const words = (await of(file)).replace(/["',]/g, '');
      expect(words, file).toContain(`${wanted} src/bursar.ts serve`);
    }
  });

  test('runs as somebody who is not root, and is asked whether it is well', async () => {
    expect(dockerfile).toMatch(/^USER node$/m);
    const [, health = '[]'] = /HEALTHCHECK [^\n]*\\\n\s*CMD (\[.*\])$/m.exec(dockerfile) ?? [];
    const [program, ...args] = JSON.parse(health) as string[];
    expect(program).toBe('node');
    const ask = (port: string) =>
      promisify(execFile)(process.execPath, args, { env: { PORT: port }, timeout: 10_000 });
    await expect(ask(new URL(server.url).port)).resolves.toMatchObject({ stderr: '' });
    const unwell = createServer((_request, response) => response.writeHead(500).end());
    await once(unwell.listen(0, '127.0.0.1'), 'listening');
    await expect(ask(String((unwell.address() as AddressInfo).port))).rejects.toMatchObject({
      code: 1,
    });
    unwell.close();
    // Nobody listens there.
    await expect(ask('1')).rejects.toMatchObject({ code: 1 });
  });
});
