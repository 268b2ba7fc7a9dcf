/**
 * A typed client of Bursar's GraphQL API. The types and documents come from `schema.graphql` and
 * operations.graphql by `npm run codegen`; what is written by hand is how to ask, and when to ask again.
 * It needs fetch and nothing else.
 *
 * Amounts are strings of digits, as they come: `BigInt(budget.spendLimitMicros)` computes with them, and a
 * number would round what is over 2^53.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AuthorizeDocument,
  type AuthorizeMutationVariables,
  BudgetOfGroupDocument,
  DailySpendDocument,
  type DailySpendQuery,
  GroupWithMembersDocument,
  LoadPricesDocument,
  ReleaseDocument,
  RemoveBudgetDocument,
  SetBudgetDocument,
  SetBudgetTermsDocument,
  type SetBudgetTermsMutationVariables,
  SettleDocument,
  type SettleMutationVariables,
  type TypedDocumentString,
} from './generated/graphql.ts';

/** docs/clients.md says what each asks of a client. NO_ANSWER is the client's own: nothing came back. */
export type Code =
  | 'UNAUTHENTICATED'
  | 'NOT_FOUND'
  | 'FEATURE_NOT_ENABLED'
  | 'VALIDATION_FAILED'
  | 'CONFLICT'
  | 'TIMEOUT'
  | 'UNAVAILABLE'
  | 'INTERNAL'
  | 'NO_ANSWER';

type About = { field?: string; feature?: string; id?: string };

/** What Bursar said of a request that failed. The message is for people, the rest for programs. */
export class BursarError extends Error {
  override readonly name = 'BursarError';
  readonly code: Code;
  /** Of VALIDATION_FAILED: where the bad value stood. */
  readonly field: string | undefined;
  /** Of FEATURE_NOT_ENABLED: which one. */
  readonly feature: string | undefined;
  /** Of INTERNAL: under which id Bursar's log has it. */
  readonly id: string | undefined;

  constructor(code: Code, message: string, about: About = {}) {
    super(message);
    this.code = code;
    this.field = about.field;
    this.feature = about.feature;
    this.id = about.id;
  }
}

/**
 * Micros per million tokens; null or left out is unknown, 0 is free. A price list is JSON, as `bursar prices
 * sync --from FILE` reads it too: its prices are whole numbers.
 */
export type Price = {
  provider: string;
  model: string;
  input_price?: number | null;
  output_price?: number | null;
  cache_read_price?: number | null;
  cache_write_price?: number | null;
};

const PATIENCE_MS = 15_000;
const ATTEMPTS = 4;

/**
 * Nothing was written, or nobody knows. CONFLICT is among them because two transactions at odds say so too;
 * one about other content under the same request_id has the same answer again, and does no harm.
 */
const WORTH_ANOTHER_TRY: ReadonlySet<Code> = new Set([
  'NO_ANSWER',
  'TIMEOUT',
  'UNAVAILABLE',
  'INTERNAL',
  'CONFLICT',
]);

export type Bursar = ReturnType<typeof connect>;

export function connect(url: string, token: string) {
  async function askOnce<Result, Variables>(
    document: TypedDocumentString<Result, Variables>,
    variables: Variables,
  ): Promise<Result> {
    const noAnswer = (why: string) => new BursarError('NO_ANSWER', why);
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ query: document.toString(), variables }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    }).catch((error: Error) => noAnswer(error.message));
    if (response instanceof BursarError) throw response;

    const warning = response.headers.get('warning');
    if (warning !== null) console.warn(`Bursar warns: ${warning}`);
    const { data, errors } = (await response
      .json()
      // What is between here and Bursar has answered instead.
      .catch(() => Promise.reject(noAnswer(`HTTP ${response.status}`)))) as Answer<Result>;
    const [error] = errors ?? [];
    if (error !== undefined) {
      const { code } = error.extensions ?? {};
      if (code === undefined) throw noAnswer(`HTTP ${response.status}`);
      throw new BursarError(code, error.message, error.extensions);
    }
    if (!data) throw noAnswer('An answer without data');
    return data;
  }

  /** For what has the same effect however often it is asked: the variables, ids included, stay the same. */
  async function ask<Result, Variables>(
    document: TypedDocumentString<Result, Variables>,
    variables: Variables,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await askOnce(document, variables);
      } catch (error) {
        const again = error instanceof BursarError && WORTH_ANOTHER_TRY.has(error.code);
        if (!again || attempt === ATTEMPTS) throw error;
        await sleep(50 * 2 ** attempt * Math.random());
      }
    }
  }

  return {
    /** Null when there is no such group, or it is not yours to read. */
    group: async (groupId: string) => (await ask(GroupWithMembersDocument, { groupId })).group,

    /** Null when no budget is enforced. */
    budget: async (groupId: string) =>
      (await ask(BudgetOfGroupDocument, { groupId })).groupAiBudget,

    setBudget: async (groupId: string, spendLimitMicros: string) =>
      given((await ask(SetBudgetDocument, { groupId, spendLimitMicros })).upsertGroupAiBudget)
        .groupAiBudget,

    setTerms: async (terms: SetBudgetTermsMutationVariables) =>
      given((await ask(SetBudgetTermsDocument, terms)).setGroupAiBudgetTerms).groupAiBudget,

    /** Asked once: the second time there would be nothing to remove, which is NOT_FOUND. */
    removeBudget: async (groupId: string) =>
      given((await askOnce(RemoveBudgetDocument, { groupId })).deleteGroupAiBudget).groupAiBudget,

    /** All of them or none. */
    loadPrices: async (prices: readonly Price[]) =>
      given(given((await ask(LoadPricesDocument, { prices })).upsertAiModelPrices).aiModelPrices),

    /** Make the requestId once for each call to a model, and keep it until the call is settled or released. */
    authorize: async (call: AuthorizeMutationVariables['call']) =>
      given(given((await ask(AuthorizeDocument, { call })).authorizeAiSpend).decision),

    settle: async (usage: SettleMutationVariables['usage']) =>
      given(given((await ask(SettleDocument, { usage })).settleAiSpend).settlement),

    release: async (requestId: string) =>
      given((await ask(ReleaseDocument, { requestId })).releaseAiSpend).released,

    /** What each member of an organization spent, by day and model: every row, fetched a page at a time. */
    async *dailySpend(organizationId: string, pageSize = 100): AsyncGenerator<DailySpend> {
      let after: string | null = null;
      do {
        const asked = { organizationId, first: pageSize, after };
        const page: SpendPage = given((await ask(DailySpendDocument, asked)).aiSpendDailies);
        yield* page.nodes;
        after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
      } while (after !== null);
    },
  };
}

type Answer<Result> = {
  data?: Result | null;
  errors?: { message: string; extensions: About & { code: Code } }[];
};

type SpendPage = NonNullable<DailySpendQuery['aiSpendDailies']>;
export type DailySpend = SpendPage['nodes'][number];

/** What an answer without errors has, although its type can't promise it. */
function given<T>(value: T | null): T {
  if (value === null) throw new BursarError('INTERNAL', 'An answer lacks what it should have.');
  return value;
}
