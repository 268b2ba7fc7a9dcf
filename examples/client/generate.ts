/**
 * `npm run codegen`: writes generated/graphql.ts. It does what the command line of graphql-codegen does with
 * codegen.ts, by way of its core alone, which is a fifth of the packages.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { buildSchema, parse } from 'postgraphile/graphql';
import codegenConfig from './codegen.ts';

const ROOT = join(import.meta.dirname, '../..');

const FOLDER = 'examples/client/generated/';

/** The file with the types and the documents, and what belongs in it. */
export async function generate(): Promise<{ path: string; content: string }> {
  const { schema: schemaPath, documents: location, generates } = codegenConfig;
  const { presetConfig, config } = generates[FOLDER];
  const schema = await readFile(join(ROOT, schemaPath), 'utf8');
  const operations = await readFile(join(ROOT, location), 'utf8');
  // The other files that the preset knows are for documents that are written in TypeScript.
  const [types] = await preset.buildGeneratesSection({
    baseOutputDir: FOLDER,
    presetConfig,
    config,
    schema: parse(schema),
    schemaAst: buildSchema(schema),
    documents: [{ location, document: parse(operations), rawSDL: operations }],
    plugins: [],
    pluginMap: {},
  });
  if (types === undefined) throw new Error('The preset has nothing to write.');
  return { path: join(ROOT, types.filename), content: await codegen(types) };
}

if (import.meta.main) {
  const { path, content } = await generate();
  await writeFile(path, content);
}
