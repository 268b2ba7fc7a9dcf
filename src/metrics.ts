import type { Pool } from 'pg';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type EndedRequest, OTHER_OPERATION } from './request.ts';
import { measureSpend } from './spend-gauges.ts';

/** So many names of operations are told apart; the others are counted together. */
const MOST_OPERATIONS = 200;

/** Is told of each decision about a call that is answered; `reason` is null for an allowed one. */
export type OnDecision = (allowed: boolean, reason: string | null) => void;

/** What Prometheus is told of one server. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #operations = new Set<string>();
  readonly #requests: Counter<'door' | 'operation' | 'outcome'>;
  readonly #seconds: Histogram<'door' | 'operation'>;
  readonly #authorizations: Counter<'allowed' | 'reason'>;

  /**
   * @param pool Whose connections are told.
   * @param watchPool By which the database is asked.
   */
  constructor(pool: Pool, watchPool: Pool) {
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: 'bursar_requests_total',
      help: 'Requests that have ended, by the name of their operation or their route, and what became of them: ok, aborted, or the code of the error.',
      labelNames: ['door', 'operation', 'outcome'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'bursar_request_duration_seconds',
      help: 'From the arrival of a request to the end of its answer.',
      labelNames: ['door', 'operation'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    this.#authorizations = new Counter({
      name: 'bursar_authorizations_total',
      help: 'Decisions about calls that were answered: allowed, or refused and why. A request that comes again is answered again.',
      labelNames: ['allowed', 'reason'],
      registers,
    });
    this.#measurePool(pool);
    measureSpend(watchPool, this.#registry);
  }

  /** To be called when a request has ended. */
  requestEnded(request: EndedRequest): void {
    const { door, outcome, milliseconds } = request;
    // Routes are as many as the code has; clients name what they ask by GraphQL as they like.
    const name = door === 'graphql' ? this.#nameOf(request) : request.operation;
    this.#requests.inc({ door, operation: name, outcome });
    this.#seconds.observe({ door, operation: name }, milliseconds / 1_000);
  }

  readonly onDecision: OnDecision = (allowed, reason) => {
    this.#authorizations.inc({ allowed: String(allowed), reason: reason ?? '' });
  };

  /** What this server has to tell, with what its process does. */
  get registry(): Registry {
    return Registry.merge([this.#registry, metricsOfProcess()]);
  }

  /** What succeeded for somebody who is known gets a name of its own, so that no stranger fills the list. */
  #nameOf({ operation, outcome, isKnown }: EndedRequest): string {
    if (this.#operations.has(operation)) return operation;
    if (outcome !== 'ok' || !isKnown || this.#operations.size >= MOST_OPERATIONS) {
      return OTHER_OPERATION;
    }
    this.#operations.add(operation);
    return operation;
  }

  #measurePool(pool: Pool): void {
    const registers = [this.#registry];
    new Gauge({
      name: 'bursar_pool_connections',
      help: 'Connections to the database, by what they do.',
      labelNames: ['state'],
      registers,
      collect() {
        this.set({ state: 'idle' }, pool.idleCount);
        this.set({ state: 'busy' }, pool.totalCount - pool.idleCount);
      },
    });
    new Gauge({
      name: 'bursar_pool_connections_max',
      help: 'How many connections to the database there may be.',
      registers,
      collect() {
        this.set(pool.options.max);
      },
    });
    new Gauge({
      name: 'bursar_pool_waiting_requests',
      help: 'Statements that wait for a connection.',
      registers,
      collect() {
        this.set(pool.waitingCount);
      },
    });
  }
}

let ofProcess: Registry | undefined;

function metricsOfProcess(): Registry {
  if (ofProcess === undefined) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
  }
  return ofProcess;
}
