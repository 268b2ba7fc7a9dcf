import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Serves until it is told to end, and says where as `bursar serve` does. */
export async function listen(
  name: string,
  app: RequestListener,
  end: () => Promise<unknown> | unknown,
  server: Server = createServer(app),
): Promise<void> {
  await new Promise<void>((resolve) =>
    server.listen(Number(process.env.PORT), process.env.HOST, resolve),
  );
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${name} answers at http://${process.env.HOST}:${port}\n`);
  process.once('SIGTERM', async () => {
    server.close();
    server.closeAllConnections();
    await end();
  });
}
