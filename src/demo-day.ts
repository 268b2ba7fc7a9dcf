/** One call of the day: who makes it when, what the gateway asks for, and what the model then used. */
export type DemoCall = {
  readonly username: string;
  /** When in the played day, such as `09:41`. */
  readonly clock: string;
  readonly asked: {
    readonly provider: string;
    readonly model: string;
    readonly input_tokens: number;
    readonly max_output_tokens: number;
    readonly cache_read_tokens: number;
  };
  readonly used: {
    readonly input_tokens: number;
    readonly output_tokens: number;
    readonly cache_read_tokens: number;
  };
};

const CALLS = 480;
const FROM_HOUR = 8;
const HOURS = 10;
const LONGEST_ANSWER = 4_000;

/** Models of the price list; the last one is sold by the minute, so nobody knows its price for tokens. */
const MODELS = [
  { provider: 'anthropic', model: 'claude-sonnet-4-5', weight: 35 },
  { provider: 'openai', model: 'gpt-5', weight: 25 },
  { provider: 'openai', model: 'gpt-4o', weight: 15 },
  { provider: 'anthropic', model: 'claude-haiku-4-5', weight: 14 },
  { provider: 'google', model: 'gemini-2.5-pro', weight: 10 },
  { provider: 'openai', model: 'whisper-1', weight: 1 },
] as const;

/** How busy people are; whoever is not named here calls no model. */
const BUSY: readonly { username: string; weight: number }[] = [
  { username: 'mia', weight: 40 },
  { username: 'ursula', weight: 40 },
  { username: 'oscar', weight: 15 },
  { username: 'ned', weight: 5 },
];

/** The calls of a working day, in order: the same ones every time. */
export function demoDay(usernames: readonly string[]): readonly DemoCall[] {
  const random = numbersFrom(1);
  const people = BUSY.filter(({ username }) => usernames.includes(username));
  if (people.length === 0) return [];
  return Array.from({ length: CALLS }, (_, index) => {
    const minute = FROM_HOUR * 60 + Math.floor((index / CALLS) * HOURS * 60);
    const { provider, model } = pick(MODELS, random());
    const prompt = 2_000 + Math.floor(random() * 30_000);
    const cached = random() < 0.4 ? Math.floor(prompt * 0.6) : 0;
    const tokens = { input_tokens: prompt - cached, cache_read_tokens: cached };
    return {
      username: pick(people, random()).username,
      clock: `${twoDigits(Math.floor(minute / 60))}:${twoDigits(minute % 60)}`,
      asked: { provider, model, ...tokens, max_output_tokens: LONGEST_ANSWER },
      used: { ...tokens, output_tokens: 100 + Math.floor(random() * (LONGEST_ANSWER - 100)) },
    };
  });
}

function pick<T extends { weight: number }>(from: readonly T[], at: number): T {
  let left = at * from.reduce((sum, { weight }) => sum + weight, 0);
  for (const one of from) {
    left -= one.weight;
    if (left < 0) return one;
  }
  throw new RangeError('There is nothing to pick from.');
}

function twoDigits(number: number): string {
  return String(number).padStart(2, '0');
}

/** Numbers from 0 to 1 that look random and come in the same order every time (mulberry32). */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
