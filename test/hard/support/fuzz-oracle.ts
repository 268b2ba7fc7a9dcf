import { expect } from 'vitest';

/** How often each code of an error was answered, or `accepted`. */
export type Tally = Map<string, number>;

/** Reads an answer, and counts what it says. */
export async function tallied(tally: Tally, answer: Response): Promise<string> {
  const text = await answer.text();
  const code = /"code":"(\w+)"/.exec(text)?.[1];
  const what = code ?? (answer.ok ? 'accepted' : `refused with ${answer.status}`);
  tally.set(what, (tally.get(what) ?? 0) + 1);
  return text;
}

/** What an answer never has, whatever was asked: a failure of ours, or a word of the inside. */
export function expectClean(status: number, text: string, sent: string): void {
  const seen = `${sent}\n${status} ${text.slice(0, 1_000)}`;
  if (status >= 500 || /"code":"(INTERNAL|UNAVAILABLE|TIMEOUT)"/.test(text)) {
    throw new Error(`A failure of ours: ${seen}`);
  }
  for (const { message } of messagesOf(text)) {
    expect(message, seen).toMatch(/\S/);
    if (INSIDE.test(message)) throw new Error(`It tells of the inside: ${seen}`);
  }
}

/** SQL, paths, stacks, and names of what no caller knows. */
const INSIDE =
  /\bselect\b.*\bfrom\b|\binsert into\b|\bapp_(private|hidden)\b|relation "|column "|operator does not exist|syntax error at|node_modules|\/src\/|\.ts:\d|\bat \w+ \(|pg_catalog|violates|PL\/pgSQL/;

function messagesOf(text: string): { message: string }[] {
  if (text === '') return [];
  const answer = JSON.parse(text) as { message?: string; errors?: { message: string }[] };
  return answer.errors ?? (answer.message === undefined ? [] : [{ message: answer.message }]);
}
