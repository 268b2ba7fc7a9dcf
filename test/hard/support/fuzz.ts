import { Client } from 'pg';
import { expect } from 'vitest';
import type { TestDatabase } from '../../support/database.ts';

/** FUZZ_RUNS multiplies what is tried; another FUZZ_SEED tries something else. What a change is checked by stays the same. */
export const RUNS = Number(process.env.FUZZ_RUNS ?? 1);
export const SEED = Number(process.env.FUZZ_SEED ?? 1);

const AT_ONCE = 12;

/** One request: what was sent, to be sent again, and what came back. */
export type Exchange = {
  readonly request: string;
  readonly status: number;
  readonly body: string;
  /** The code of GraphQL, or the status of REST. */
  readonly refusedAs: string | undefined;
};

export type Tally = {
  readonly sent: number;
  readonly accepted: number;
  readonly refused: ReadonlyMap<string, number>;
};

/** What no answer may say: SQL, names of the inside, paths, stacks, the driver's and PostgreSQL's own wording. */
const INSIDE = [
  /\bapp_(?:public|private|hidden)\b/,
  /\b(?:select|insert into|update|delete from)\s[^"]{0,200}\b(?:from|values|where)\s/i,
  /node_modules|file:\/\/|\.(?:ts|js|mjs):\d+|\\n\s+at /,
  /violates|constraint \\"|relation \\"|column \\"|function \w+\(|PL\/pgSQL|CONTEXT:/,
  /Cannot (?:read|set) propert|is not a function|undefined \(/,
];

/** Why an answer is none that a caller may get, or undefined. */
export function faultOf({ status, body, refusedAs }: Exchange): string | undefined {
  if (status >= 500) return `status ${status}`;
  if (refusedAs === 'INTERNAL') return 'INTERNAL';
  if (body.includes(process.cwd())) return 'a path of the server';
  if (refusedAs === undefined) return undefined;
  const leak = INSIDE.find((pattern) => pattern.test(body));
  return leak === undefined ? undefined : `leaks ${leak.exec(body)?.[0]}`;
}

/** Sends all of them, some at a time. */
export async function sendAll<T>(
  cases: readonly T[],
  send: (one: T) => Promise<Exchange>,
): Promise<Exchange[]> {
  const answers: Exchange[] = [];
  const waiting = cases.entries();
  const worker = async () => {
    for (const [index, one] of waiting) answers[index] = await send(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return answers;
}

export function tallyOf(answers: readonly Exchange[]): Tally {
  const refused = new Map<string, number>();
  let accepted = 0;
  for (const { refusedAs } of answers) {
    if (refusedAs === undefined) accepted += 1;
    else refused.set(refusedAs, (refused.get(refusedAs) ?? 0) + 1);
  }
  return { sent: answers.length, accepted, refused };
}

/** Every answer that is at fault, once for each kind of fault, as it can be repeated. */
export function expectNoFault(
  answers: readonly Exchange[],
  fault: (answer: Exchange) => string | undefined = faultOf,
): void {
  const found = new Map<string, { times: number; request: string; answer: string }>();
  for (const answer of answers) {
    const what = fault(answer);
    if (what === undefined) continue;
    const known = found.get(what);
    const { request, body } = answer;
    if (known !== undefined) known.times += 1;
    else found.set(what, { times: 1, request: short(request), answer: short(body) });
  }
  expect(Object.fromEntries(found), `FUZZ_SEED=${SEED}`).toEqual({});
}

const short = (text: string) =>
  text.length > 1_500 ? `${text.slice(0, 1_200)} … (${text.length} characters)` : text;

export function figure(what: string, { sent, accepted, refused }: Tally): string {
  const reasons = [...refused]
    .sort(([, a], [, b]) => b - a)
    .map(([reason, times]) => `${count(times)} ${reason}`);
  return `${what}: ${count(sent)} hostile requests, ${count(accepted)} accepted, refused ${reasons.join(', ')}; none got a 5xx or learned of the inside`;
}

const count = (n: number) => n.toLocaleString('en');

export type Fingerprint = Readonly<Record<string, string>>;

export type Fingerprints = { take(): Promise<Fingerprint>; stop(): Promise<void> };

/** Of every table, public or private, how many rows it has and what they come to. */
export async function openFingerprints(database: TestDatabase): Promise<Fingerprints> {
  const client = new Client({ connectionString: database.superuserUrl });
  await client.connect();
  const { rows } = await client.query<{ name: string }>(
    `select relnamespace::regnamespace || '.' || quote_ident(relname) as name from pg_class
     where relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace)
       and relkind in ('r', 'p') and not relispartition
     order by 1`,
  );
  const text = rows
    .map(
      ({ name }) =>
        `select '${name}' as name, count(*) || ' ' || coalesce(sum(hashtextextended(r::text, 0)), 0) as mark from ${name} r`,
    )
    .join(' union all ');
  return {
    async take(): Promise<Fingerprint> {
      const marks = await client.query<{ name: string; mark: string }>({ name: 'marks', text });
      return Object.fromEntries(marks.rows.map(({ name, mark }) => [name, mark]));
    },
    stop: () => client.end(),
  };
}
