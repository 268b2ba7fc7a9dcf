import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A line to PostgreSQL that a test makes bad, as networks are. */
export type Line = {
  /** The same login and database, by way of this line. */
  readonly url: string;
  /** Of so many answers one is lost, and its connection is reset instead; 0 for none. */
  loseOneOf(answers: number): void;
  /** Whatever passes is that much later. */
  delayBy(ms: number): void;
  /** Connections are accepted and nothing passes any more; afterwards it does, with what was held up. */
  stall(isStalled: boolean): void;
  /** Resets what is connected; what was held up is gone. */
  reset(): void;
  /** From now on it leads to another PostgreSQL, as an address does that moves to another machine. */
  leadTo(port: number): void;
  resets(): number;
  stop(): Promise<void>;
};

export async function startLine(target: string): Promise<Line> {
  const to = new URL(target);
  let port = Number(to.port);
  let lose = 0;
  let delay = 0;
  let resets = 0;
  let flowing = Promise.resolve();
  let flow = () => {};
  const pairs = new Set<() => void>();

  const server = createServer((near) => {
    const far = connect(port, to.hostname);
    const end = () => {
      pairs.delete(end);
      near.resetAndDestroy();
      far.resetAndDestroy();
    };
    pairs.add(end);
    pass(near, far, () => false);
    pass(far, near, () => {
      if (lose === 0 || randomInt(lose) !== 0) return false;
      resets += 1;
      end();
      return true;
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.setNoDelay();
      one.on('error', () => {});
      one.on('close', () => {
        pairs.delete(end);
        other.destroy();
      });
    }
  }).listen(0, '127.0.0.1');

  /** In order, each piece when its time has come. */
  function pass(from: Socket, to: Socket, isLost: () => boolean): void {
    let turn = Promise.resolve();
    from.on('data', (piece) => {
      const due = performance.now() + delay;
      turn = turn.then(async () => {
        await flowing;
        const early = due - performance.now();
        if (early > 0) await sleep(early);
        if (!to.destroyed && !isLost()) to.write(piece);
      });
    });
    from.on('end', () => void turn.then(() => to.end()));
  }

  await once(server, 'listening');
  const url = new URL(target);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const reset = () => {
    for (const end of pairs) {
      resets += 1;
      end();
    }
  };
  const stall = (isStalled: boolean) => {
    flow();
    if (!isStalled) return;
    flowing = new Promise((resolve) => {
      flow = resolve;
    });
  };
  return {
    url: url.href,
    loseOneOf(answers) {
      lose = answers;
    },
    delayBy(ms) {
      delay = ms;
    },
    stall,
    reset,
    leadTo(other) {
      port = other;
    },
    resets: () => resets,
    async stop() {
      stall(false);
      reset();
      server.close();
      await once(server, 'close');
    },
  };
}
