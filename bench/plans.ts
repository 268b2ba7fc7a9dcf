import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Bench, DatabaseName } from './bench.ts';
import { askGraphql, connectTo, tokenOf } from './http-client.ts';
import { startServer } from './servers.ts';

/** A statement that ran, as auto_explain's log has it. */
export type Statement = {
  readonly text: string;
  /** What $1, $2 … were, as text. */
  readonly parameters: readonly (string | null)[];
  readonly plan: string;
};

/**
 * The statements that a fresh server sends for one GraphQL operation, with their plans; those that functions run
 * themselves come with `nested`.
 */
export async function statementsDuring(
  bench: Bench,
  database: DatabaseName,
  userId: string,
  operation: { query: string; variables: object | (() => object) },
  { nested = false } = {},
): Promise<{ statements: readonly Statement[] }> {
  const urls = await bench.database(database);
  const root = new Client({ connectionString: bench.superuserUrl(database) });
  await root.connect();
  const name = root.escapeIdentifier(new URL(urls.owner).pathname.slice(1));
  const set = async (settings: Record<string, string>) => {
    for (const [setting, value] of Object.entries(settings)) {
      await root.query(`alter database ${name} set ${setting} = ${root.escapeLiteral(value)}`);
    }
  };
  const lines: string[] = [];
  try {
    // Settings of a library that is not loaded need a superuser, and hold for connections to come.
    await set({
      session_preload_libraries: 'auto_explain',
      'auto_explain.log_min_duration': '0',
      'auto_explain.log_analyze': 'on',
      'auto_explain.log_buffers': 'on',
      'auto_explain.log_nested_statements': nested ? 'on' : 'off',
    });
    const server = await startServer('bursar', {
      database: urls.authenticator,
      poolSize: bench.settings.poolSize,
    });
    const connection = connectTo(server.url);
    try {
      const token = await tokenOf(userId);
      const ask = () => {
        const { query, variables } = operation;
        const given = typeof variables === 'function' ? variables() : variables;
        return askGraphql(connection, token, query, given);
      };
      // The second time nothing is looked up that is kept.
      await ask();
      await sleep(200);
      const deaf = bench.postgres.listen((line) => lines.push(line));
      await ask();
      await sleep(200);
      deaf();
    } finally {
      await connection.close();
      await server.stop();
    }
  } finally {
    await root.query(`alter database ${name} reset all`);
    await root.end();
  }
  return { statements: statementsIn(lines) };
}

/** Entries of the log go on in lines that begin with a tab. */
export function statementsIn(lines: readonly string[]): readonly Statement[] {
  const entries: string[][] = [];
  let isPlan = false;
  for (const line of lines) {
    if (!line.startsWith('\t')) {
      isPlan = /LOG: {2}duration: [\d.]+ ms {2}plan:/.test(line);
      if (isPlan) entries.push([]);
    } else if (isPlan) {
      entries.at(-1)?.push(line.slice(1));
    }
  }
  return entries.map((entry) => {
    const beginOfPlan = entry.findIndex((line) => /\(cost=\d/.test(line));
    const head = entry.slice(0, beginOfPlan);
    const parameterLine = head.find((line) => line.startsWith('Query Parameters: ')) ?? '';
    const text = head
      .filter((line) => line !== parameterLine)
      .join('\n')
      .replace(/^Query Text: /, '');
    const parameters = [...parameterLine.matchAll(/\$\d+ = (?:NULL|'((?:[^']|'')*)')/g)].map(
      ([, value]) => value?.replaceAll("''", "'") ?? null,
    );
    return { text, parameters, plan: entry.slice(beginOfPlan).join('\n') };
  });
}

/** What deserves a look: sequential scans that throw rows away, and functions that are called for each row. */
export function suspectsIn(plan: string): readonly string[] {
  const lines = plan.split('\n');
  return lines.flatMap((line, at) => {
    const scan = /Seq Scan on (\S+)/.exec(line);
    if (scan === null) {
      return /^\s*(Filter|Join Filter): .*app_(hidden|private)\.\w+\(/.test(line)
        ? [`a function in a filter: ${line.trim()}`]
        : [];
    }
    const removed = /Rows Removed by Filter: (\d+)/.exec(lines.slice(at, at + 4).join('\n'))?.[1];
    return Number(removed ?? 0) >= 1000
      ? [`a sequential scan over ${scan[1]} threw ${removed} rows away`]
      : [];
  });
}
