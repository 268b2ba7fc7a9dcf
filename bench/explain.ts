import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench } from './bench.ts';
import { UPSERT_MUTATION } from './cases/budget-upsert.ts';
import { GROUPS_QUERY } from './cases/groups-page.ts';
import { lastMonth, MONTH_QUERY } from './cases/month-spend.ts';
import { BUDGET_QUERY } from './cases/one-budget.ts';
import { adminId, gatewayId, groupId, MODEL, organizationId, userId } from './data/world.ts';
import { statementsDuring, suspectsIn } from './plans.ts';
import { progress } from './progress.ts';

type Operation = { name: string; user: string; query: string; variables: () => object };

const ORGANIZATION = 3;
const GROUP = groupId(ORGANIZATION, 0);
const ADMIN = adminId(ORGANIZATION);

const OPERATIONS: readonly Operation[] = [
  { name: 'one-budget', user: ADMIN, query: BUDGET_QUERY, variables: () => ({ groupId: GROUP }) },
  {
    name: 'groups-page',
    user: ADMIN,
    query: GROUPS_QUERY,
    variables: () => ({ organizationId: organizationId(ORGANIZATION) }),
  },
  {
    name: 'budget-upsert',
    user: ADMIN,
    query: UPSERT_MUTATION,
    variables: () => ({ groupId: GROUP, spendLimitMicros: '1000000000000' }),
  },
  {
    name: 'authorize',
    user: gatewayId,
    query: `mutation Authorize($input: AuthorizeAiSpendInput!) {
      authorizeAiSpend(input: $input) { decision { allowed } }
    }`,
    variables: () => ({
      input: {
        requestId: crypto.randomUUID(),
        userId: userId(ORGANIZATION, 1),
        ...MODEL,
        inputTokens: '1000',
        maxOutputTokens: '100',
      },
    }),
  },
  {
    name: 'month-spend',
    user: ADMIN,
    query: MONTH_QUERY,
    variables: () => ({ organizationId: organizationId(ORGANIZATION), ...lastMonth() }),
  },
];

/** Writes the plans of what each operation runs, functions' own statements included, and says what deserves a look. */
export async function explain(bench: Bench, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { name, user, query, variables } of OPERATIONS) {
    progress(`plans of ${name}`);
    const { statements } = await statementsDuring(
      bench,
      'small',
      user,
      { query, variables },
      { nested: true },
    );
    const file = join(folder, `${name}.txt`);
    await writeFile(
      file,
      statements
        .map(
          ({ text, parameters, plan }) => `${text}\n-- ${JSON.stringify(parameters)}\n\n${plan}\n`,
        )
        .join(`\n${'-'.repeat(100)}\n\n`),
    );
    process.stdout.write(`${name}: ${statements.length} statements, ${file}\n`);
    for (const suspect of new Set(statements.flatMap(({ plan }) => suspectsIn(plan)))) {
      process.stdout.write(`  ${suspect}\n`);
    }
  }
}
