// A lease in etcd: granted by a plain call, renewed over a stream to whichever member answers.
import type { Clock } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Rng } from '../../../lib/rng.ts';
import { type HeldLease, holdLease } from '../held-lease.ts';
import type { Cluster } from './cluster.ts';
import type { Endpoint, KeepAliveStream } from './endpoint.ts';

export interface LeaseContext {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

export async function grantLease(context: LeaseContext, ttlMs: number, signal?: AbortSignal): Promise<HeldLease> {
  const { cluster, clock, rng, log } = context;
  if (!(ttlMs > 0)) throw new ShoalError('invalid_argument', `lease: a TTL of ${ttlMs} ms; it must be above 0`);
  // A grant whose answer was lost leaves a lease that nobody renews.
  const { grantedMs, id } = await cluster.call(
    'lease',
    async (endpoint, limits) => {
      const sentMs = clock.nowMs();
      const response = await endpoint.leases(limits).leaseGrant({ TTL: Math.ceil(ttlMs / 1000) });
      return { grantedMs: sentMs, id: response.ID };
    },
    signal,
  );
  const keepAlive = new KeepAlive(cluster, id);
  const lease = holdLease({
    clock,
    rng,
    log,
    id,
    ttlMs,
    grantedMs,
    renew: (renewSignal) => keepAlive.renew(renewSignal),
    async revoke() {
      await cluster.call('revoke', (endpoint, limits) => endpoint.leases(limits).leaseRevoke({ ID: id }));
    },
  });
  lease.lost.addEventListener(
    'abort',
    () => {
      keepAlive.close();
    },
    { once: true },
  );
  return lease;
}

interface Answer {
  readonly resolve: (alive: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** One renewal at a time over one stream; a stream that failed or did not answer in time is dropped, with all its late answers. */
class KeepAlive {
  readonly #cluster: Cluster;
  readonly #id: string;
  #stream: KeepAliveStream | undefined;
  #endpoint: Endpoint | undefined;
  #answer: Answer | undefined;

  constructor(cluster: Cluster, id: string) {
    this.#cluster = cluster;
    this.#id = id;
  }

  async renew(signal: AbortSignal): Promise<boolean> {
    const stream = this.#stream ?? (await this.#open(signal));
    return new Promise<boolean>((resolve, reject) => {
      this.#answer = { resolve, reject };
      signal.addEventListener(
        'abort',
        () => {
          if (this.#stream === stream && this.#answer !== undefined) this.#drop(new Error('no answer in time'));
        },
        { once: true },
      );
      stream.write({ ID: this.#id });
    });
  }

  close(): void {
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#settle((answer) => {
      answer.reject(new Error('closed'));
    });
  }

  async #open(signal: AbortSignal): Promise<KeepAliveStream> {
    const endpoint = this.#cluster.current();
    const stream = await endpoint.openKeepAlive({ timeoutMs: this.#cluster.attemptMs, signal });
    if (signal.aborted) {
      stream.on('error', () => undefined);
      stream.cancel();
      throw new Error('the renewal was given up');
    }
    stream.on('error', (error) => {
      if (this.#stream === stream) this.#drop(error);
    });
    stream.on('end', () => {
      if (this.#stream === stream) this.#drop(new Error('the stream ended'));
    });
    stream.on('data', (response) => {
      this.#cluster.answered();
      this.#settle((answer) => {
        answer.resolve(Number(response.TTL) > 0);
      });
    });
    this.#endpoint = endpoint;
    this.#stream = stream;
    return stream;
  }

  #drop(error: Error): void {
    this.#stream?.cancel();
    this.#stream = undefined;
    if (this.#endpoint !== undefined) {
      this.#endpoint.reset('Lease');
      this.#endpoint.note(error.message);
      this.#cluster.failed(this.#endpoint, error);
    }
    this.#settle((answer) => {
      answer.reject(error);
    });
  }

  #settle(use: (answer: Answer) => void): void {
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer !== undefined) use(answer);
  }
}
