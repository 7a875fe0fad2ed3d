// The network between hosts: messages of one stream arrive in order, those of different streams as they will. A direction that is cut holds what is sent
// over it, as TCP does; a connection that is cut for long breaks by its keepalive, on each side by itself.
import type { Rng } from '../../../lib/rng.ts';
import type { SimProcess } from './process.ts';
import { between, delayMs } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** What travels one way of one stream. */
export interface Channel {
  readonly from: SimProcess;
  readonly to: SimProcess;
  lastAtMs: number;
  /** Held back by a cut, in order. */
  held: (() => void)[];
}

/** Something between two processes that ends when either goes, or the network keeps them apart. */
export interface Wire {
  readonly client: SimProcess;
  readonly server: SimProcess;
  /** One side's view: it learns that the other is not there any more. */
  broken(side: SimProcess, reason: string): void;
}

export interface NetworkOptions {
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly typicalMs: number;
  readonly longMs: number;
}

/** When gRPC's keepalive (lib/rpc) gives up after a cut; there it may be two seconds earlier. */
const KEEPALIVE_MS = { first: 10_000, last: 13_000 };

export class Network {
  readonly #options: NetworkOptions;
  readonly #cuts = new Map<string, number>();
  readonly #held = new Set<Channel>();
  readonly #wires = new Set<Wire>();
  /** Multiplies every delay. */
  slowness = 1;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** One direction; cuts add up. Returns what heals it. */
  cut(from: string, to: string): () => void {
    const key = `${from}>${to}`;
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
    for (const wire of this.#wires) {
      if (isBetween(wire, from, to)) this.#doubt(wire);
    }
    let healed = false;
    return () => {
      if (healed) return;
      healed = true;
      const left = (this.#cuts.get(key) ?? 1) - 1;
      if (left > 0) {
        this.#cuts.set(key, left);
        return;
      }
      this.#cuts.delete(key);
      for (const channel of [...this.#held]) {
        if (channel.from.host.name !== from || channel.to.host.name !== to) continue;
        this.#held.delete(channel);
        for (const deliver of channel.held.splice(0)) this.#send(channel, deliver);
      }
    };
  }

  isCut(from: string, to: string): boolean {
    return from !== to && this.#cuts.has(`${from}>${to}`);
  }

  isWhole(one: string, other: string): boolean {
    return !this.isCut(one, other) && !this.isCut(other, one);
  }

  channel(from: SimProcess, to: SimProcess): Channel {
    return { from, to, lastAtMs: 0, held: [] };
  }

  delayMs(): number {
    const { rng, typicalMs, longMs } = this.#options;
    return delayMs(rng, typicalMs, longMs) * this.slowness;
  }

  /** `deliver` runs at the other end, if that is alive then. */
  send(channel: Channel, deliver: () => void): void {
    if (!channel.from.alive) return;
    this.#send(channel, deliver);
  }

  /** From now on it ends with its ends. */
  watch(wire: Wire): void {
    this.#wires.add(wire);
    if (!this.isWhole(wire.client.host.name, wire.server.host.name) || !wire.server.host.on) this.#doubt(wire);
  }

  forget(wire: Wire): void {
    this.#wires.delete(wire);
  }

  /** A process is gone: where its host stands, the others hear of it at once. */
  gone(process: SimProcess): void {
    for (const wire of [...this.#wires]) {
      if (wire.client !== process && wire.server !== process) continue;
      const other = wire.client === process ? wire.server : wire.client;
      if (!process.host.on || this.isCut(process.host.name, other.host.name)) {
        this.#doubt(wire);
        continue;
      }
      this.#wires.delete(wire);
      this.#options.scheduler.after(other, this.delayMs(), () => {
        wire.broken(other, 'the peer closed the connection');
      });
    }
  }

  /** Breaks connections as routers do: both sides hear of it, what was on the way is lost. Returns how many there were. */
  reset(one: string, other: string): number {
    let count = 0;
    for (const wire of [...this.#wires]) {
      if (!isBetween(wire, one, other) && !isBetween(wire, other, one)) continue;
      this.#break(wire, 'connection reset', 0);
      count++;
    }
    return count;
  }

  #send(channel: Channel, deliver: () => void): void {
    const { scheduler } = this.#options;
    const atMs = Math.max(channel.lastAtMs, scheduler.nowMs + this.delayMs());
    channel.lastAtMs = atMs;
    scheduler.after(channel.to, atMs - scheduler.nowMs, () => {
      if (channel.held.length > 0 || this.isCut(channel.from.host.name, channel.to.host.name)) {
        channel.held.push(deliver);
        this.#held.add(channel);
        return;
      }
      deliver();
    });
  }

  /** Breaks unless both ends are there, and in reach of one another, when the keepalive gives up. */
  #doubt(wire: Wire): void {
    const { scheduler, rng } = this.#options;
    for (const side of [wire.client, wire.server]) {
      const other = side === wire.client ? wire.server : wire.client;
      scheduler.after(side, between(rng, KEEPALIVE_MS.first, KEEPALIVE_MS.last), () => {
        if (!this.#wires.has(wire)) return;
        if (other.alive && this.isWhole(side.host.name, other.host.name)) return;
        wire.broken(side, 'keepalive timeout');
      });
    }
  }

  #break(wire: Wire, reason: string, withinMs: number): void {
    this.#wires.delete(wire);
    for (const side of [wire.client, wire.server]) {
      this.#options.scheduler.after(side, withinMs + this.delayMs(), () => {
        wire.broken(side, reason);
      });
    }
  }
}

function isBetween(wire: Wire, from: string, to: string): boolean {
  const [client, server] = [wire.client.host.name, wire.server.host.name];
  return (client === from && server === to) || (client === to && server === from);
}
