// The server side of a store that lives in this process: puts requests in order, has their changes written down in groups, and
// only then lets anybody see them. Ends leases that nobody renews.
import type { Clock, Timer } from '../../../lib/clock.ts';
import { messageOf, ShoalError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Change } from '../engine/change.ts';
import type { Engine, Stage } from '../engine/engine.ts';
import type { LeaseId } from '../store.ts';

/**
 * Makes changes durable. Rejects with a ShoalError: `outcome_unknown` where they may yet come back after a restart,
 * any other code where they are certainly gone.
 */
export type Persist = (changes: readonly Change[]) => Promise<void>;

export interface LocalServerOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Logger;
  /** Without one, changes live in memory only and requests are answered at once. */
  readonly persist?: Persist;
}

/** How long a request waits for the disk. */
const REQUEST_DEADLINE_MS = 5000;
const MAX_WAITING = 10_000;
/** Requests that share one write to disk; bounds the size of what is written at once. */
const MAX_GROUP = 512;
const EXPIRY_RETRY_MS = 1000;

interface Request {
  readonly run: (stage: Stage) => unknown;
  readonly what: string;
  taken: boolean;
  settle: (outcome: Outcome) => void;
}

type Outcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

export class LocalServer {
  readonly engine: Engine;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #persist: Persist | undefined;
  readonly #leases = new Map<LeaseId, { ttlMs: number; expiresAtMs: number; timer: Timer }>();
  readonly #watchers = new Set<() => void>();
  #queue: Request[] = [];
  #working: Promise<void> | undefined;
  #closed = false;
  #healthy = true;

  constructor(options: LocalServerOptions) {
    this.engine = options.engine;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#persist = options.persist;
    // The holders of these are gone with the process that granted them, but their time was promised to readers too.
    for (const lease of this.engine.leases()) this.#startLease(lease.id, lease.ttlMs);
  }

  /** False while the last write failed. */
  get healthy(): boolean {
    return this.#healthy;
  }

  /** `onPublish` is called after each group became visible. Returns what ends that. */
  subscribe(onPublish: () => void): () => void {
    this.#watchers.add(onPublish);
    return () => this.#watchers.delete(onPublish);
  }

  /**
   * Runs against the state that all earlier requests left, and resolves once what it staged is durable and visible. Rejects with
   * `deadline_exceeded`, `cancelled` or `unavailable` (nothing happened), `outcome_unknown`, or what persist says.
   */
  request<T>(what: string, run: (stage: Stage) => T, signal?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) throw new ShoalError('unavailable', `${what}: the store is closed`);
      if (signal?.aborted) throw new ShoalError('cancelled', `${what}: cancelled`, { cause: signal.reason });
      if (this.#queue.length >= MAX_WAITING) {
        throw new ShoalError('unavailable', `${what}: ${MAX_WAITING} requests wait for the disk already; try again later`);
      }
      const settle = (outcome: Outcome): void => {
        timer?.cancel();
        signal?.removeEventListener('abort', onAbort);
        if (outcome.ok) resolve(outcome.value as T);
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- it is what run or persist threw
        else reject(outcome.error);
      };
      const request: Request = { run, what, taken: false, settle };
      const giveUp = (code: 'deadline_exceeded' | 'cancelled', why: string): void => {
        this.#queue = this.#queue.filter((other) => other !== request);
        const error = request.taken
          ? new ShoalError('outcome_unknown', `${what}: ${why} while it was being written; read back before you repeat it`)
          : new ShoalError(code, `${what}: ${why} before it was written; nothing happened`);
        settle({ ok: false, error });
      };
      const onAbort = (): void => {
        giveUp('cancelled', 'cancelled');
      };
      const timer =
        this.#persist === undefined
          ? undefined
          : this.#clock.after(REQUEST_DEADLINE_MS, () => {
              giveUp('deadline_exceeded', `the disk took longer than ${REQUEST_DEADLINE_MS / 1000} s`);
            });
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(request);
      this.#work();
    });
  }

  /** Throws as `request` does. */
  grant(ttlMs: number, signal?: AbortSignal): Promise<LeaseId> {
    return this.request('lease', (stage) => stage.grant(ttlMs), signal);
  }

  /** Full time again; false where the lease is gone. */
  renew(id: LeaseId): boolean {
    const lease = this.#leases.get(id);
    if (lease === undefined || this.#clock.nowMs() >= lease.expiresAtMs) return false;
    lease.expiresAtMs = this.#clock.nowMs() + lease.ttlMs;
    return true;
  }

  async revoke(id: LeaseId): Promise<void> {
    await this.request('revoke', (stage) => stage.end(id));
  }

  /** Refuses what comes, waits for what is being written. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const id of [...this.#leases.keys()]) this.#dropTimer(id);
    for (const request of this.#queue.splice(0)) {
      request.settle({ ok: false, error: new ShoalError('unavailable', `${request.what}: the store was closed; nothing happened`) });
    }
    await this.#working;
  }

  #work(): void {
    const persist = this.#persist;
    if (persist === undefined) {
      for (const request of this.#queue.splice(0)) this.#publish(this.#evaluate([request]));
      return;
    }
    this.#working ??= this.#workThrough(persist);
  }

  async #workThrough(persist: Persist): Promise<void> {
    // Requests of the same turn of the event loop share the first group.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, MAX_GROUP);
      const evaluated = this.#evaluate(group);
      try {
        if (evaluated.changes.length > 0) await persist(evaluated.changes);
        this.#healthy = true;
      } catch (error) {
        // Answers of the whole group may rest on what was not written.
        this.#healthy = false;
        for (const request of group) request.settle({ ok: false, error: ShoalError.from(error) });
        continue;
      }
      this.#publish(evaluated);
    }
    // In the same step that found the queue empty: a request that comes next must start anew.
    this.#working = undefined;
  }

  #evaluate(group: readonly Request[]): { readonly changes: readonly Change[]; readonly answers: readonly (() => void)[] } {
    const stage = this.engine.stage();
    const answers = group.map((request) => {
      request.taken = true;
      try {
        const value = request.run(stage);
        return () => {
          request.settle({ ok: true, value });
        };
      } catch (error) {
        return () => {
          request.settle({ ok: false, error });
        };
      }
    });
    return { changes: stage.changes, answers };
  }

  #publish(evaluated: { readonly changes: readonly Change[]; readonly answers: readonly (() => void)[] }): void {
    for (const change of evaluated.changes) {
      this.engine.apply(change);
      // Here and not where it was asked for: whoever asked may have given up waiting.
      if (change.type === 'grant') this.#startLease(change.leaseId, change.ttlMs);
      if (change.type === 'end') this.#dropTimer(change.leaseId);
    }
    for (const answer of evaluated.answers) answer();
    if (evaluated.changes.length > 0) this.wakeWatchers();
  }

  wakeWatchers(): void {
    for (const wake of [...this.#watchers]) wake();
  }

  #startLease(id: LeaseId, ttlMs: number): void {
    if (this.#closed) return;
    const check = (): void => {
      const remainingMs = lease.expiresAtMs - this.#clock.nowMs();
      if (remainingMs > 0) lease.timer = this.#clock.after(remainingMs, check, true);
      else void this.#expire(id);
    };
    const lease = { ttlMs, expiresAtMs: this.#clock.nowMs() + ttlMs, timer: this.#clock.after(ttlMs, check, true) };
    this.#leases.set(id, lease);
  }

  async #expire(id: LeaseId): Promise<void> {
    this.#dropTimer(id);
    try {
      await this.request('lease expiry', (stage) => stage.end(id));
    } catch (error) {
      if (this.#closed) return;
      this.#log.warn('a lease has expired, but that could not be written down; trying again', { lease: id, error: messageOf(error) });
      // Not renewable any more, but its keys stay until the end is written.
      const timer = this.#clock.after(EXPIRY_RETRY_MS, () => void this.#expire(id), true);
      this.#leases.set(id, { ttlMs: 0, expiresAtMs: -Infinity, timer });
    }
  }

  #dropTimer(id: LeaseId): void {
    this.#leases.get(id)?.timer.cancel();
    this.#leases.delete(id);
  }
}
