import { expect } from 'vitest';
import type { TestServer } from './server.ts';

/** The codes that callers can count on; there are no others. */
const CODES = [
  'UNAUTHENTICATED',
  'NOT_FOUND',
  'FEATURE_NOT_ENABLED',
  'VALIDATION_FAILED',
  'CONFLICT',
  'TIMEOUT',
  'INTERNAL',
];

export const JSON_TYPE = 'application/json';
export const GRAPHQL_TYPE = 'application/graphql-response+json';

export type RawAnswer = {
  status: number;
  headers: Headers;
  /** The media type, without its parameters. */
  type: string;
  text: string;
  data: Record<string, unknown> | null | undefined;
  errors: { message: string; path?: unknown[]; extensions: Record<string, unknown> }[];
};

/** Sends a body to `/graphql` as it is. Whatever is refused, each error must have one of the codes. */
export async function postGraphQL(
  server: TestServer,
  user: string | null,
  body: string | object,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  return readAnswer(
    await server.request(user, '/graphql', {
      method: 'POST',
      headers: { 'content-type': JSON_TYPE, accept: GRAPHQL_TYPE, ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    }),
  );
}

export async function readAnswer(response: Response): Promise<RawAnswer> {
  const text = await response.text();
  const { data, errors = [] } = JSON.parse(text) as Partial<Pick<RawAnswer, 'data' | 'errors'>>;
  if (!response.ok) expect(errors, text).not.toEqual([]);
  for (const error of errors) {
    expect(error.message, text).toEqual(expect.stringMatching(/\S/));
    expect(CODES, text).toContain(error.extensions?.code);
  }
  const [type = ''] = (response.headers.get('content-type') ?? '').split(/\s*;/);
  return { status: response.status, headers: response.headers, type, text, data, errors };
}
