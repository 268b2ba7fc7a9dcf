/**
 * How a gateway uses Bursar, from the question to the ledger:
 *
 *   authorize  may this call go ahead? An allowed call holds the most that it can cost.
 *   call       the provider answers, and says what it used in its own way.
 *   settle     what it really used is booked, and the hold goes.
 *
 * To try it while `npm start` runs in another terminal:
 *
 *   BURSAR_TOKEN=$(npx bursar token --user gateway) node examples/gateway.ts USER_ID
 */
import { randomUUID } from 'node:crypto';
import { calcPrice, extractUsage, findProvider } from '@pydantic/genai-prices';

/** Tokens as Bursar counts them: each one once, by what it costs. `input_tokens` are those not cached. */
export type TokenCounts = {
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
};

/**
 * What a provider's response says that it used. OpenAI counts cached tokens among `prompt_tokens`, Anthropic
 * beside `input_tokens`. extractUsage makes both the total, from which the cached ones are taken away here:
 * with the total, Bursar would charge each cached token twice.
 */
export function tokenCountsOf(provider: string, flavor: string, response: unknown): TokenCounts {
  const known = findProvider({ providerId: provider });
  if (known === undefined) throw new Error(`The price list has no provider ${provider}.`);
  const { usage } = extractUsage(known, response, flavor);
  const cacheRead = usage.cache_read_tokens ?? 0;
  const cacheWrite = usage.cache_write_tokens ?? 0;
  return {
    input_tokens: (usage.input_tokens ?? 0) - cacheRead - cacheWrite,
    output_tokens: usage.output_tokens ?? 0,
    cache_read_tokens: cacheRead,
    cache_write_tokens: cacheWrite,
  };
}

/** The name under which the price list has a model: `claude-sonnet-4-5-20250929` is `claude-sonnet-4-5`. */
export function pricedModel(provider: string, model: string): string {
  return calcPrice({}, model, { providerId: provider })?.model.id ?? model;
}

/** What OpenAI's chat completions answer, as far as it matters here. */
export const openaiResponse = {
  model: 'gpt-4o-2024-08-06',
  choices: [{ message: { role: 'assistant', content: 'Hello!' } }],
  usage: {
    prompt_tokens: 2006, // with the 1920 cached ones
    completion_tokens: 300,
    total_tokens: 2306,
    prompt_tokens_details: { cached_tokens: 1920 },
  },
};

/** What Anthropic's messages answer. */
export const anthropicResponse = {
  model: 'claude-sonnet-4-5-20250929',
  content: [{ type: 'text', text: 'Hello!' }],
  usage: {
    input_tokens: 50, // without the cached ones
    cache_read_input_tokens: 1920,
    cache_creation_input_tokens: 1000,
    output_tokens: 300,
  },
};

export type Decision = { allowed: boolean; reason: string | null; remaining_micros: number | null };
export type Settlement = { event_id: string; cost_micros: number | null; overage_micros: number };

export type Bursar = {
  authorize(body: object): Promise<Decision>;
  settle(body: object): Promise<Settlement>;
  release(body: object): Promise<{ released: boolean }>;
  /** Reports calls after the fact, thousands at a time. */
  record(events: readonly object[]): Promise<{ recorded: number; duplicates: number }>;
};

const ATTEMPTS = 4;

/**
 * A client. Everything that it sends has an id and may be sent again: what was done is not done twice.
 *
 * Amounts are exact in what is received; JSON.parse makes them doubles, which is fine for showing them.
 */
export function connect(url: string, token: string): Bursar {
  async function post<T>(path: string, type: string, body: string): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const response = await fetch(`${url}/api/v2/ai/${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': type },
        body,
        signal: AbortSignal.timeout(15_000),
      }).catch((error: unknown) => error as Error);
      if (response instanceof Response) {
        if (response.ok) return (await response.json()) as T;
        if (response.status < 500) {
          throw new Error(`${path}: ${response.status} ${await response.text()}`);
        }
      }
      if (attempt === ATTEMPTS) throw new Error(`${path}: no answer in ${ATTEMPTS} attempts`);
      await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt * Math.random()));
    }
  }
  const json = 'application/json';
  return {
    authorize: (body) => post('spend/authorize', json, JSON.stringify(body)),
    settle: (body) => post('spend/settle', json, JSON.stringify(body)),
    release: (body) => post('spend/release', json, JSON.stringify(body)),
    record: (events) =>
      post('usage', 'application/x-ndjson', events.map((e) => JSON.stringify(e)).join('\n')),
  };
}

export type Call = {
  user_id: string;
  provider: string;
  model: string;
  /** Which of the provider's ways of answering this is, in the words of the price list. */
  flavor: string;
  /** An upper bound: what the prompt can have at most, and what the provider is told to stop at. */
  input_tokens: number;
  max_output_tokens: number;
};

/** The life of a call. `send` calls the provider. */
export async function callThrough(
  bursar: Bursar,
  call: Call,
  send: () => Promise<unknown>,
): Promise<{ response: unknown; settlement: Settlement } | { refused: string }> {
  const { flavor, ...asked } = call;
  const request_id = randomUUID();
  const model = pricedModel(call.provider, call.model);
  const decision = await bursar.authorize({ ...asked, request_id, model });
  if (!decision.allowed) return { refused: decision.reason ?? 'refused' };

  let response: unknown;
  try {
    response = await send();
  } catch (error) {
    // Nothing was used, so nothing is held any longer. Without this the hold would expire by itself.
    await bursar.release({ request_id });
    throw error;
  }
  const counts = tokenCountsOf(call.provider, flavor, response);
  return { response, settlement: await bursar.settle({ request_id, ...counts }) };
}

/** An event for `record`, for a gateway that lets every call through and reports it afterwards. */
export function eventOf(
  provider: string,
  flavor: string,
  userId: string,
  response: { model: string },
): object {
  return {
    id: randomUUID(), // kept with the event until Bursar has answered
    user_id: userId,
    provider,
    model: pricedModel(provider, response.model),
    ...tokenCountsOf(provider, flavor, response),
    occurred_at: new Date().toISOString(),
  };
}

if (import.meta.main) {
  const userId = process.argv[2];
  const token = process.env.BURSAR_TOKEN;
  if (userId === undefined || token === undefined) {
    throw new Error('BURSAR_TOKEN=TOKEN node examples/gateway.ts USER_ID');
  }
  const bursar = connect(process.env.BURSAR_URL ?? 'http://127.0.0.1:5678', token);
  const sizes = { input_tokens: 4_000, max_output_tokens: 1_000 };
  const openai = { provider: 'openai', model: 'gpt-4o', flavor: 'chat' };
  const anthropic = { provider: 'anthropic', model: 'claude-sonnet-4-5', flavor: 'default' };
  console.log(
    await callThrough(bursar, { ...openai, ...sizes, user_id: userId }, async () => openaiResponse),
  );
  console.log(
    await callThrough(
      bursar,
      { ...anthropic, ...sizes, user_id: userId },
      async () => anthropicResponse,
    ),
  );
  const events = [
    eventOf('openai', 'chat', userId, openaiResponse),
    eventOf('anthropic', 'default', userId, anthropicResponse),
  ];
  console.log(await bursar.record(events), 'and the same again:', await bursar.record(events));
}
