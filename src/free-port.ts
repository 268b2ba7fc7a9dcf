import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** A port where nobody listens, as the system chooses it. Somebody else may take it before the caller does. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
