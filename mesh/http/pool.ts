// The connections to one replica: kept between requests, bounded in number and idle time. Those that wait idle may be closed by the replica at any moment,
// so what cannot be repeated gets one that was in use a moment ago, or a new one.
import { Agent } from 'node:http';
import { type Socket } from 'node:net';
import { type Duplex } from 'node:stream';
import { type Clock } from '../../lib/clock.ts';
import { IDLE_SOCKET_MS, MAX_IDLE_SOCKETS, MAX_REPLICA_SOCKETS, SURE_SOCKET_MS } from './limits.ts';

/** Node's types have no result for it; its documentation and code do. */
const AGENT = Agent.prototype as unknown as { keepSocketAlive(this: Agent, socket: Duplex): boolean };

export class Pool extends Agent {
  readonly #clock: Clock;
  readonly #idleSinceMs = new WeakMap<Duplex, number>();
  #retired = false;

  constructor(clock: Clock) {
    super({
      keepAlive: true,
      maxSockets: MAX_REPLICA_SOCKETS,
      maxFreeSockets: MAX_IDLE_SOCKETS,
      timeout: IDLE_SOCKET_MS,
      scheduling: 'lifo',
    });
    this.#clock = clock;
  }

  /** Asked by Node whether a connection whose answer is complete is kept. */
  override keepSocketAlive(socket: Duplex): boolean {
    if (this.#retired) return false;
    this.#idleSinceMs.set(socket, this.#clock.nowMs());
    return AGENT.keepSocketAlive.call(this, socket);
  }

  /** Leaves idle only what was in use within the last moment. */
  dropDoubtful(): void {
    const sinceMs = this.#clock.nowMs() - SURE_SOCKET_MS;
    for (const socket of this.#idle()) {
      if ((this.#idleSinceMs.get(socket) ?? -Infinity) < sinceMs || socket.destroyed) this.#drop(socket);
    }
  }

  dropIdle(): void {
    for (const socket of this.#idle()) this.#drop(socket);
  }

  /** The replica takes no more requests: connections close with those that are open. */
  retire(): void {
    this.#retired = true;
    this.dropIdle();
  }

  #idle(): Socket[] {
    return Object.values(this.freeSockets).flatMap((sockets) => [...(sockets ?? [])]);
  }

  /** At once from the list too, which otherwise learns it with the socket's close, after the next request. */
  #drop(socket: Socket): void {
    socket.destroy();
    socket.emit('agentRemove');
  }
}
