import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';

export type HttpAnswer = {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
};

export type HttpClient = {
  /** @throws When no answer came: the connection was refused, or broke. */
  send(method: string, url: string, token: string, body?: object): Promise<HttpAnswer>;
  close(): void;
};

/** Longer than the server ever takes to say that the database is away. */
const HUNG_MS = 40_000;

/** Unlike fetch, it can be told to keep no connection, and says when one broke. */
export function createHttpClient({ keepAlive = true } = {}): HttpClient {
  const agent = new Agent({ keepAlive });
  return {
    send: (method, url, token, body) =>
      new Promise((resolve, reject) => {
        const sent = request(
          url,
          {
            agent,
            method,
            signal: AbortSignal.timeout(HUNG_MS),
            headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          },
          (response) => {
            text(response).then(
              (body) =>
                resolve({
                  status: response.statusCode ?? 0,
                  retryAfter: response.headers['retry-after'],
                  body,
                }),
              reject,
            );
          },
        );
        sent.on('error', reject);
        sent.end(body === undefined ? undefined : JSON.stringify(body));
      }),
    close: () => agent.destroy(),
  };
}
