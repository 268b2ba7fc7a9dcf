import { once } from 'node:events';
import { get } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type Balancer = {
  readonly url: string;
  /** Waits until this server takes part, or does not any more. */
  until(port: number, isReady: boolean): Promise<void>;
  stop(): Promise<void>;
};

const ASKED_EVERY_MS = 50;

/** Hands connections to whichever server says at /readyz that it is ready, one after the other. */
export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  const ready = new Set<number>();
  const sockets = new Set<Socket>();
  let turn = 0;
  let stopping = false;

  /** Who refuses a connection has not seen a request: the next one may have it. */
  const reach = (near: Socket, candidates: readonly number[]) => {
    const [port, ...others] = candidates;
    if (port === undefined) return near.resetAndDestroy();
    const far = connect(port, '127.0.0.1');
    far.once('error', () => {
      ready.delete(port);
      if (far.connecting || far.bytesRead === 0) reach(near, others);
    });
    far.once('connect', () => {
      far.removeAllListeners('error');
      far.on('error', () => near.destroy());
      sockets.add(far);
      far.once('close', () => {
        sockets.delete(far);
        near.end();
      });
      near.once('close', () => far.destroy());
      near.pipe(far).pipe(near);
    });
  };
  const server = createServer({ pauseOnConnect: true }, (near) => {
    sockets.add(near);
    near.on('error', () => {});
    near.once('close', () => sockets.delete(near));
    const up = ports.filter((port) => ready.has(port));
    turn += 1;
    const first = turn % Math.max(up.length, 1);
    reach(near, [...up.slice(first), ...up.slice(0, first)]);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  const watch = async (port: number) => {
    for (; !stopping; await sleep(ASKED_EVERY_MS)) {
      if (await saysReady(port)) ready.add(port);
      else ready.delete(port);
    }
  };
  const watching = ports.map(watch);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async until(port, isReady) {
      while (ready.has(port) !== isReady) await sleep(10);
    },
    async stop() {
      stopping = true;
      await Promise.all(watching);
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function saysReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = get(
      `http://127.0.0.1:${port}/readyz`,
      { agent: false, timeout: 2_000 },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      },
    );
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
  });
}
