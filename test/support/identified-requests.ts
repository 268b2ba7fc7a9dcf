import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { expect } from 'vitest';
import { budgetPath } from './actions.ts';
import { asSuperuser, type TestDatabase } from './database.ts';
import type { World } from './world.ts';

/** A request that the server answers to somebody, on paper. */
export type IdentifiedRequest = {
  readonly method: string;
  readonly path: string;
  readonly type?: string;
  readonly body?: string;
};

/** Each route of REST with each of its methods, and GraphQL; what they write would be seen. */
export function identifiedRequests(world: World): Readonly<Record<string, IdentifiedRequest>> {
  const { group, people } = world;
  const call = { request_id: randomUUID(), input_tokens: 1 };
  const event = {
    ...{ id: randomUUID(), user_id: people.member, provider: 'acme', model: 'one' },
    ...{ input_tokens: 1, output_tokens: 1 },
  };
  const post = (path: string, body: object, type = 'application/json'): IdentifiedRequest => ({
    method: 'POST',
    path,
    type,
    body: JSON.stringify(body),
  });
  const graphql = (query: string) => post('/graphql', { query });
  return {
    'GET a budget': { method: 'GET', path: budgetPath(group) },
    'PUT a budget': { method: 'PUT', path: budgetPath(group), body: '{"spend_limit_micros": 1}' },
    'DELETE a budget': { method: 'DELETE', path: budgetPath(group) },
    'POST authorize': post('/api/v2/ai/spend/authorize', {
      ...{ ...call, user_id: people.member, provider: 'acme', model: 'one' },
      max_output_tokens: 1,
    }),
    'POST settle': post('/api/v2/ai/spend/settle', { ...call, output_tokens: 1 }),
    'POST release': post('/api/v2/ai/spend/release', { request_id: call.request_id }),
    'POST usage': post('/api/v2/ai/usage', { events: [event] }),
    'POST usage by lines': post('/api/v2/ai/usage', event, 'application/x-ndjson'),
    'GET spend': { method: 'GET', path: `/api/v2/groups/${group}/ai/spend` },
    'a route that there is not': { method: 'GET', path: '/api/v2/nothing' },
    'a GraphQL query': graphql('{ groups { nodes { id name } } }'),
    'a GraphQL mutation': graphql(
      `mutation { upsertGroupAiBudget(input: { groupId: "${group}", spendLimitMicros: "1" }) {
        groupAiBudget { groupId } } }`,
    ),
    'GraphQL without the database': graphql('{ __typename }'),
    'GraphQL that does not parse': graphql('{'),
  };
}

export type PlainAnswer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
};

export async function send(
  url: string,
  { method, path, type, body }: IdentifiedRequest,
  headers: Record<string, string> = {},
): Promise<PlainAnswer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...(type === undefined ? {} : { 'content-type': type }), ...headers },
    ...(body === undefined ? {} : { body }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/**
 * Sends header lines byte by byte, as no client that minds its manners would. Resolves with the answer, or with status
 * 0 when the server closes the connection without one.
 */
export function sendLines(
  url: string,
  { method, path, type, body = '' }: IdentifiedRequest,
  lines: readonly string[],
): Promise<PlainAnswer> {
  const { hostname, port, host } = new URL(url);
  const head = [
    ...[`${method} ${path} HTTP/1.1`, `Host: ${host}`],
    ...(type === undefined ? [] : [`Content-Type: ${type}`]),
    ...[`Content-Length: ${Buffer.byteLength(body)}`, ...lines],
  ];
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let received = '';
    socket.setEncoding('latin1');
    socket.setTimeout(5_000, () => socket.destroy(new Error('the connection was left hanging')));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // What the server did not read of a request, it resets once it has answered.
      if (!/^(ECONNRESET|EPIPE)$/.test(error.code ?? '')) reject(error);
    });
    socket.on('data', (text) => {
      received += text;
      const { headers, text: soFar } = answerIn(received);
      if (soFar.length === Number(headers.get('content-length') ?? Number.NaN)) socket.destroy();
    });
    socket.on('close', () => resolve(answerIn(received)));
    socket.write(Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1'));
  });
}

function answerIn(received: string): PlainAnswer {
  const [, start = '', text = ''] = /^(.*?)\r\n\r\n(.*)$/s.exec(received) ?? [];
  const [status = '', ...lines] = start.split('\r\n');
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(status)?.[1] ?? 0),
    headers: new Headers(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
      }),
    ),
    text,
  };
}

/** 401 in the form of the door, with a sentence for people and nothing of the inside. */
export function expectUnauthenticated({ path }: IdentifiedRequest, answer: PlainAnswer): void {
  expect(answer.status, answer.text).toBe(401);
  expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  expect(answer.headers.get('content-type')).toMatch(/^application\/json\b/);
  const message = expect.stringMatching(/^(The|Send a) [^\n]+\.$/);
  expect(JSON.parse(answer.text)).toEqual(
    path.startsWith('/api')
      ? { message }
      : { errors: [{ message, extensions: { code: 'UNAUTHENTICATED' } }] },
  );
  expectNothingOfTheInside(answer.text);
}

export function expectNothingOfTheInside(text: string): void {
  expect(text).not.toMatch(/\/|\.ts|node_modules|\bat \w|JW[STKE]|Error|jose|postgres/);
}

/** When connections for requests last began a statement: while it stays the same, nothing was executed. */
export function lastStatements(database: TestDatabase): Promise<readonly string[]> {
  const name = new URL(database.superuserUrl).pathname.slice(1);
  return asSuperuser(name, async (client) => {
    const { rows } = await client.query<{ statement: string }>(
      `select format('%s %s', pid, query_start) as statement from pg_stat_activity
       where datname = current_database() and application_name = 'bursar'
       order by pid`,
    );
    return rows.map((row) => row.statement);
  });
}

/** Connections that nobody used for a while are closed; any other change is a statement. */
export function expectNothingExecuted(before: readonly string[], after: readonly string[]): void {
  expect(after.filter((statement) => !before.includes(statement))).toEqual([]);
}
