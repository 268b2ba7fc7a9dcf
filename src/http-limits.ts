import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** What one caller can take of the server by holding on to it. */
export type HttpLimits = {
  /** Connections that are open at once. */
  readonly connections: number;
  /** How long a request may take to arrive, body included. */
  readonly requestSeconds: number;
};

/** Longer than the proxies that stand before servers keep theirs, so that they are the ones who end them. */
const KEPT_ALIVE_MS = 75_000;
const LATE_ONES_LOOKED_FOR_MS = 1_000;

/** For `createServer`: a request that is late is answered 408, and its connection ends; so does one that stands still. */
export function timeLimits({ requestSeconds }: HttpLimits) {
  return {
    requestTimeout: requestSeconds * 1_000,
    headersTimeout: Math.min(requestSeconds, 10) * 1_000,
    keepAliveTimeout: KEPT_ALIVE_MS,
    // On which nothing moves in either direction: somebody who does not read the answer.
    timeout: 2 * requestSeconds * 1_000,
    connectionsCheckingInterval: LATE_ONES_LOOKED_FOR_MS,
  };
}

/** Long enough to read why, whoever sends on meanwhile. */
const REFUSED_WITHIN_MS = 1_000;
const FULL = 'The server has as many connections as it takes: try again in a moment.';

/** Whoever comes while the server is full is told so, at once. */
export function limitConnections(server: Server, { connections }: HttpLimits): void {
  const [accept] = server.listeners('connection');
  server.removeAllListeners('connection');
  let open = 0;
  server.on('connection', (socket: Socket) => {
    if (open >= connections) return refuse(socket);
    open += 1;
    socket.once('close', () => {
      open -= 1;
    });
    accept?.call(server, socket);
  });
}

function refuse(socket: Socket): void {
  const tooLate = setTimeout(() => socket.destroy(), REFUSED_WITHIN_MS);
  socket.on('error', () => {}).once('close', () => clearTimeout(tooLate));
  // What it sends is read and dropped: closed over unread data, it would not read the answer.
  socket
    .resume()
    .end(
      [
        'HTTP/1.1 503 Service Unavailable',
        'Content-Type: application/json; charset=utf-8',
        'Retry-After: 1',
        'Connection: close',
        '',
        JSON.stringify({ message: FULL }),
      ].join('\r\n'),
    );
}
