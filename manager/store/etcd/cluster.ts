// The members of etcd and which of them is asked: one until it fails, then the next. Carries out calls that may be repeated.
import { backoff } from '../../../lib/backoff.ts';
import { type Clock, sleep } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { type Rng, randomInt } from '../../../lib/rng.ts';
import type { CallLimits, Endpoint } from './endpoint.ts';
import { EtcdFailure, failureError } from './failure.ts';

export const RETRY = { baseMs: 20, capMs: 500 };

export interface CallTimes {
  /** One attempt at one member. Healthy members answer in milliseconds, or a second while they elect. Default 1,500 ms. */
  readonly attemptMs: number;
  /** A whole call with all its attempts: longer than an election, and than two mute members in a row. Default 5,000 ms. */
  readonly callMs: number;
}

export const CALL_TIMES: CallTimes = { attemptMs: 1500, callMs: 5000 };

export interface ClusterOptions extends CallTimes {
  readonly endpoints: readonly Endpoint[];
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

export class Cluster {
  readonly #options: ClusterOptions;
  #index: number;
  #reachable = true;

  constructor(options: ClusterOptions) {
    this.#options = options;
    // Managers spread over the members.
    this.#index = randomInt(options.rng, options.endpoints.length);
  }

  get attemptMs(): number {
    return this.#options.attemptMs;
  }

  get callMs(): number {
    return this.#options.callMs;
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  current(): Endpoint {
    const endpoint = this.#options.endpoints[this.#index % this.#options.endpoints.length];
    if (endpoint === undefined) throw new ShoalError('invalid_argument', 'no etcd endpoint was given');
    return endpoint;
  }

  answered(): void {
    if (!this.#reachable) this.#options.log.info('etcd answers again', { endpoint: this.current().url });
    this.#reachable = true;
  }

  /** The next member is asked from now on, unless that has happened already. */
  failed(endpoint: Endpoint, failure: Error): void {
    if (this.#reachable) this.#options.log.warn('etcd does not answer', { endpoint: endpoint.url, error: failure.message });
    this.#reachable = false;
    if (this.current() === endpoint) this.#index = (this.#index + 1) % this.#options.endpoints.length;
  }

  /** Tells the cluster what came of one attempt; rethrows. */
  async attempt<T>(endpoint: Endpoint, run: () => Promise<T>): Promise<T> {
    try {
      const value = await run();
      this.answered();
      return value;
    } catch (error) {
      if (!(error instanceof EtcdFailure)) throw error;
      if (error.transient) this.failed(endpoint, error);
      else if (error.kind !== 'cancelled' && error.kind !== 'closed') this.answered();
      throw error;
    }
  }

  /** `run` may be carried out more than once. Rejects with ShoalErrors; within `callMs`, whatever the members do. */
  async call<T>(
    what: string,
    run: (endpoint: Endpoint, limits: CallLimits) => Promise<T>,
    signal?: AbortSignal,
    callMs = this.#options.callMs,
  ): Promise<T> {
    const { clock, rng } = this.#options;
    const endMs = clock.nowMs() + callMs;
    const retry = backoff(RETRY, rng);
    for (;;) {
      if (signal?.aborted) throw cancelled(what, signal);
      const endpoint = this.current();
      try {
        const timeoutMs = Math.min(this.attemptMs, endMs - clock.nowMs());
        return await this.attempt(endpoint, () => run(endpoint, { timeoutMs, signal }));
      } catch (error) {
        if (signal?.aborted) throw cancelled(what, signal);
        if (!(error instanceof EtcdFailure)) throw error;
        const waitMs = retry.nextMs();
        if (!error.transient || clock.nowMs() + waitMs >= endMs) throw failureError(what, error);
        await sleep(clock, waitMs, signal);
      }
    }
  }

  close(): void {
    for (const endpoint of this.#options.endpoints) endpoint.close();
  }
}

export function cancelled(what: string, signal: AbortSignal): ShoalError {
  const reason: unknown = signal.reason;
  return reason instanceof ShoalError ? reason : new ShoalError('cancelled', `${what}: cancelled`, { cause: reason });
}
