import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** What becomes of a request on its way. */
export type Fault =
  /** It arrives and is answered, and the answer is lost. */
  | 'answer lost'
  /** Somebody on the way says 503, in words of their own. */
  | 'turned away';

export type FaultyLine = {
  readonly url: string;
  /** What happens to the next requests, one after another; after that all is well again. */
  readonly faults: Fault[];
  /** The bodies that were sent, in order. */
  readonly sent: string[];
  stop(): void;
};

/** What stands between a client and the server, with faults when a test asks for them. */
export async function startFaultyLine(target: string): Promise<FaultyLine> {
  const faults: Fault[] = [];
  const sent: string[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    sent.push(body);
    const fault = faults.shift();
    if (fault === 'turned away') return response.writeHead(503).end('<h1>Back soon</h1>');
    const answer = await fetch(`${target}${request.url}`, {
      method: 'POST',
      headers: {
        authorization: request.headers.authorization ?? '',
        'content-type': 'application/json',
      },
      body,
    });
    const answered = await answer.text();
    if (fault === 'answer lost') return request.socket.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answered);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    sent,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
