// The connections to one replica: kept between requests, bounded in number and idle time. Those that wait idle may be closed by the replica at any moment,
// so what cannot be repeated gets one that was in use a moment ago, or a new one.
import { type Clock, type Timer } from '../../lib/clock.ts';
import { type Replica } from '../balance/balancer.ts';
import { IDLE_SOCKET_MS, MAX_IDLE_SOCKETS, MAX_REPLICA_SOCKETS, SURE_SOCKET_MS } from './limits.ts';
import { Upstream, type UpstreamHost, type UpstreamUser } from './upstream.ts';

export class Pool implements UpstreamHost {
  readonly #clock: Clock;
  readonly #open = new Set<Upstream>();
  /** The one that was in use last at the end. */
  #idle: Upstream[] = [];
  /** Those for whom there was none left, with where they want to go. */
  readonly #waiting = new Map<UpstreamUser, Replica>();
  #timer: Timer | undefined;
  #retired = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Gives the user a connection: within the call, or later where as many as may be are in use. */
  take(user: UpstreamUser, replica: Replica): void {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      // The replica has another address now.
      if (idle.host !== replica.host || idle.port !== replica.port) idle.destroy();
      else {
        idle.giveTo(user);
        return;
      }
    }
    if (this.#open.size >= MAX_REPLICA_SOCKETS) this.#waiting.set(user, replica);
    else this.#connect(user, replica);
  }

  /** The user waits no longer. */
  forget(user: UpstreamUser): void {
    this.#waiting.delete(user);
  }

  /** Back from a user whose answer is whole. */
  release(upstream: Upstream): void {
    if (this.#retired) {
      upstream.destroy();
      return;
    }
    const [next] = this.#waiting;
    if (next !== undefined) {
      this.#waiting.delete(next[0]);
      upstream.giveTo(next[0]);
      return;
    }
    if (this.#idle.length >= MAX_IDLE_SOCKETS) {
      upstream.destroy();
      return;
    }
    upstream.idleSinceMs = this.#clock.nowMs();
    this.#idle.push(upstream);
    if (this.#timer === undefined) this.#sweepLater(IDLE_SOCKET_MS);
  }

  gone(upstream: Upstream): void {
    if (!this.#open.delete(upstream)) return;
    const at = this.#idle.lastIndexOf(upstream);
    if (at >= 0) this.#idle.splice(at, 1);
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next[0]);
    this.#connect(...next);
  }

  /** Leaves idle only what was in use within the last moment. */
  dropDoubtful(): void {
    this.#dropIdleSince(this.#clock.nowMs() - SURE_SOCKET_MS);
  }

  dropIdle(): void {
    this.#dropIdleSince(Infinity);
  }

  /** The replica takes no more requests: connections close with those that are open. */
  retire(): void {
    this.#retired = true;
    this.dropIdle();
  }

  #connect(user: UpstreamUser, replica: Replica): void {
    const upstream = new Upstream(this, replica.host, replica.port);
    this.#open.add(upstream);
    upstream.giveTo(user);
  }

  #dropIdleSince(sinceMs: number): void {
    // Ascending by when they were used: those to drop are at the beginning.
    const kept = this.#idle.findIndex((upstream) => upstream.idleSinceMs > sinceMs);
    const dropped = this.#idle.splice(0, kept < 0 ? this.#idle.length : kept);
    for (const upstream of dropped) upstream.destroy();
  }

  #sweepLater(waitMs: number): void {
    this.#timer = this.#clock.after(
      waitMs,
      () => {
        this.#timer = undefined;
        const nowMs = this.#clock.nowMs();
        this.#dropIdleSince(nowMs - IDLE_SOCKET_MS);
        const [oldest] = this.#idle;
        if (oldest !== undefined) this.#sweepLater(oldest.idleSinceMs + IDLE_SOCKET_MS - nowMs);
      },
      true,
    );
  }
}
