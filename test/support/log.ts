import { vi } from 'vitest';

export type LogEntry = Readonly<Record<string, unknown>>;

/** What `work` made the server write to its log. Nothing of it reaches the terminal. */
export async function logOf<T>(work: () => Promise<T>): Promise<{ result: T; log: LogEntry[] }> {
  const written: string[] = [];
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    written.push(String(chunk));
    return true;
  });
  try {
    const result = await work();
    const lines = written.join('').split('\n').filter(Boolean);
    return { result, log: lines.map((line) => JSON.parse(line) as LogEntry) };
  } finally {
    spy.mockRestore();
  }
}
