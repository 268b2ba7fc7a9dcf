import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHttpClient, type HttpAnswer } from './http.ts';
import type { Shop } from './shop.ts';

type Kind = 'authorize' | 'settle' | 'usage' | 'budget' | 'group' | 'read';

/** One thing that a client wants done, always in the same words. */
export type Call = {
  readonly kind: Kind;
  /** The request's, the event's, or the group's. */
  readonly id: string;
  readonly token: string;
  readonly path: string;
  readonly body: object;
  /** The cost that is expected, or the limit that was set. */
  readonly amount?: number;
};

/** An answer other than the one that was wanted. */
export type Refusal = {
  readonly status: number;
  readonly code: string | undefined;
  readonly retryAfter: string | undefined;
  /** When the request began, and how long it took. */
  readonly began: number;
  readonly ms: number;
  readonly body: string;
};

export type Load = {
  /** Each call that was answered, with its first answer. */
  readonly acknowledged: ReadonlyMap<Call, string>;
  readonly refusals: readonly Refusal[];
  /** When requests began whose connection broke before an answer came. */
  readonly broken: readonly { readonly began: number; readonly why: string }[];
  /** What was answered: when it was asked, and how long that took. */
  readonly answers: readonly { readonly began: number; readonly ms: number }[];
  /** Calls that were sent again after their answer, and had another. */
  readonly contradictions: readonly string[];
  repeated(): number;
  /** Waits until so many more calls have been answered. */
  progress(count: number, withinMs?: number): Promise<void>;
  /** No new calls; those under way are sent until they are answered. */
  stop(): Promise<void>;
};

export type LoadOptions = {
  clients?: number;
  /** The number of its first client, where two loads run at once: the first clients have a budget each to change. */
  from?: number;
  keepAlive?: boolean;
};

/** Impatient clients: they are told 1 s. */
const RETRY_MS = 100;
const PAUSE_MS = 4;

/**
 * Clients that use the server as gateways, people and scripts do, each one thing after the other. Whatever gets no answer,
 * or 503, is sent again under the same id; of what was answered much is sent again as well.
 */
export function startLoad(
  url: string,
  shop: Shop,
  { clients = 8, from = 0, keepAlive = true }: LoadOptions = {},
): Load {
  const http = createHttpClient({ keepAlive });
  const acknowledged = new Map<Call, string>();
  const refusals: Refusal[] = [];
  const broken: { began: number; why: string }[] = [];
  const answers: { began: number; ms: number }[] = [];
  const contradictions: string[] = [];
  let repeated = 0;
  let stopping = false;

  /** Sends a call until it is answered, and gives the answer's body; nothing when it was refused for good. */
  const ask = async (call: Call): Promise<string | undefined> => {
    shop.sent.add(call.id);
    for (let attempt = 1; ; attempt += 1) {
      const began = performance.now();
      let answer: HttpAnswer;
      try {
        answer = await http.send('POST', `${url}${call.path}`, call.token, call.body);
      } catch (error) {
        broken.push({ began, why: (error as Error).message });
        await sleep(RETRY_MS);
        continue;
      }
      const ms = performance.now() - began;
      const code = codeOf(answer.body);
      if (answer.status === 200 && code === undefined) {
        answers.push({ began, ms });
        return answer.body;
      }
      // A group that was made although the answer was lost: its name tells.
      if (call.kind === 'group' && code === 'CONFLICT' && attempt > 1) return answer.body;
      refusals.push({ ...answer, code, began, ms });
      const comesAgain =
        answer.status === 503 || code === 'TIMEOUT' || /try again/.test(answer.body);
      if (!comesAgain) return undefined;
      await sleep(RETRY_MS);
    }
  };

  const acknowledge = async (call: Call): Promise<string | undefined> => {
    const answer = await ask(call);
    if (answer === undefined) return undefined;
    if (call.kind === 'read') return answer;
    acknowledged.set(call, answer);
    // As if the answer had been lost.
    if (call.kind !== 'group' && randomInt(4) === 0) {
      const again = await ask(call);
      repeated += 1;
      if (again !== undefined && !isSame(call, answer, again)) {
        contradictions.push(`${call.kind} ${call.id}: ${answer} then ${again}`);
      }
    }
    return answer;
  };

  const work = async (number: number) => {
    for (let turn = number; !stopping; turn += 1) {
      const { user, group } = shop.members[turn % shop.members.length] as Shop['members'][number];
      const byGraphql = turn % 3 === 0;
      switch (randomInt(8)) {
        case 0:
          await acknowledge(usageOf(shop, user));
          break;
        case 1:
          // A group that this client alone changes, so that what was answered last must be what is.
          if (number < shop.members.length) {
            const own = shop.members[number] as Shop['members'][number];
            await acknowledge(budgetOf(shop, own.group, number === 3 ? 5_000 : 900_000_000 + turn));
          } else await acknowledge(groupOf(shop));
          break;
        case 2:
          await acknowledge(readingOf(shop, group));
          break;
        default: {
          const id = randomUUID();
          const size = randomInt(1, 400);
          const answer = await acknowledge(authorizationOf(shop, id, user, size, byGraphql));
          if (answer === undefined || !/"allowed":true/.test(answer)) break;
          await acknowledge(settlementOf(shop, id, randomInt(size), byGraphql));
        }
      }
      await sleep(PAUSE_MS);
    }
  };
  const clientsDone = Promise.all(Array.from({ length: clients }, (_, n) => work(from + n)));

  return {
    acknowledged,
    refusals,
    broken,
    answers,
    contradictions,
    repeated: () => repeated,
    async progress(count, withinMs = 30_000) {
      const goal = answers.length + count;
      for (const end = performance.now() + withinMs; answers.length < goal; await sleep(5)) {
        if (performance.now() > end) {
          const last = refusals.at(-1)?.body ?? broken.at(-1)?.why;
          throw new Error(`${goal - answers.length} of ${count} calls were not answered: ${last}`);
        }
      }
    },
    async stop() {
      stopping = true;
      await clientsDone;
      http.close();
    },
  };
}

function codeOf(body: string): string | undefined {
  return /"errors":.*"code":"([A-Z_]+)"/.exec(body)?.[1];
}

/** What is asked a second time has the same answer, word for word; events that are there already are duplicates. */
function isSame({ kind }: Call, first: string, again: string): boolean {
  if (kind === 'usage') return /"recorded":0,"duplicates":1/.test(again);
  return kind === 'budget' || first === again;
}

const graphql = (query: string, input: object) => ({
  path: '/graphql',
  body: { query, variables: { input } },
});

function authorizationOf(
  { gateway }: Shop,
  id: string,
  user: string,
  size: number,
  byGraphql: boolean,
): Call {
  const call = { kind: 'authorize', id, token: gateway } as const;
  if (!byGraphql) {
    const body = { request_id: id, user_id: user, provider: 'acme', model: 'unit' };
    const tokens = { input_tokens: size, max_output_tokens: 10 };
    return { ...call, path: '/api/v2/ai/spend/authorize', body: { ...body, ...tokens } };
  }
  return {
    ...call,
    ...graphql(
      `mutation ($input: AuthorizeAiSpendInput!) { authorizeAiSpend(input: $input) {
        decision { allowed reason holdId estimateMicros spentMicros heldMicros } } }`,
      {
        requestId: id,
        userId: user,
        provider: 'acme',
        model: 'unit',
        inputTokens: String(size),
        maxOutputTokens: '10',
      },
    ),
  };
}

function settlementOf({ gateway }: Shop, id: string, used: number, byGraphql: boolean): Call {
  // A micro for a token.
  const call = { kind: 'settle', id, token: gateway, amount: used } as const;
  if (!byGraphql) {
    const body = { request_id: id, input_tokens: used, output_tokens: 0 };
    return { ...call, path: '/api/v2/ai/spend/settle', body };
  }
  return {
    ...call,
    ...graphql(
      `mutation ($input: SettleAiSpendInput!) { settleAiSpend(input: $input) {
        settlement { eventId groupId costMicros overageMicros } } }`,
      { requestId: id, inputTokens: String(used), outputTokens: '0' },
    ),
  };
}

function usageOf({ gateway }: Shop, user: string): Call {
  const amount = randomInt(400);
  const id = randomUUID();
  const what = { id, user_id: user, provider: 'acme', model: 'unit' };
  const body = { events: [{ ...what, input_tokens: amount, output_tokens: 0 }] };
  return { kind: 'usage', id, token: gateway, path: '/api/v2/ai/usage', body, amount };
}

function budgetOf({ site }: Shop, group: string, limit: number): Call {
  return {
    kind: 'budget',
    id: group,
    token: site,
    amount: limit,
    ...graphql(
      `mutation ($input: UpsertGroupAiBudgetInput!) { upsertGroupAiBudget(input: $input) {
        groupAiBudget { groupId spendLimitMicros } } }`,
      { groupId: group, spendLimitMicros: String(limit) },
    ),
  };
}

function groupOf({ site, company }: Shop): Call {
  const name = randomUUID();
  return {
    kind: 'group',
    // Its name, by which it is found again.
    id: name,
    token: site,
    ...graphql(
      'mutation ($input: CreateGroupInput!) { createGroup(input: $input) { group { id } } }',
      {
        group: { organizationId: company.id, name },
      },
    ),
  };
}

function readingOf({ site }: Shop, group: string): Call {
  return {
    kind: 'read',
    id: group,
    token: site,
    path: '/graphql',
    body: {
      query: `query ($id: UUID!) { group(id: $id) { name groupAiBudget { spendLimitMicros }
        aiBudgetStatus { limitMicros spentMicros heldMicros } } }`,
      variables: { id: group },
    },
  };
}
