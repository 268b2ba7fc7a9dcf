import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export type CutLine = {
  /** The same login and database, by way of this line. */
  readonly url: string;
  /** Breaks what is connected, and lets nobody in. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  stop(): Promise<void>;
};

/** A line to PostgreSQL that a test can cut. */
export async function startCutLine(target: string): Promise<CutLine> {
  const to = new URL(target);
  const sockets = new Set<Socket>();
  let server: Server;
  let port = 0;
  const mend = async () => {
    server = createServer((near) => {
      const far = connect(Number(to.port), to.hostname);
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  };
  const cut = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };
  await mend();
  const url = new URL(target);
  url.host = `127.0.0.1:${port}`;
  return { url: url.href, cut, mend, stop: cut };
}
