// One client's datagrams to one published port, and the list that keeps such flows in the order of their last datagram.
import { type Replica } from '../balance/balancer.ts';
import { type ClientSide } from './clients.ts';
import { type Lane } from './upstreams.ts';

export interface Flow {
  readonly owner: FlowOwner;
  /** Where its datagrams came in, and its answers go out. */
  readonly side: ClientSide;
  readonly address: string;
  readonly port: number;
  /** Undefined with the lane: the next datagram looks for one. */
  replica: Replica | undefined;
  lane: Lane | undefined;
  /** Within the lane; -1: none. */
  slot: number;
  lastMs: number;
  older: Flow | undefined;
  newer: Flow | undefined;
}

/** The published port. */
export interface FlowOwner {
  /** `message` is valid for good: nobody writes to it again. */
  answered(flow: Flow, message: Buffer): void;
  /** Nobody listens at the replica's address. */
  refused(flow: Flow): void;
  /** Outcome of a send. One function for all: nothing is made per datagram. */
  readonly sent: (error: Error | null) => void;
}

export class FlowsByAge {
  #oldest: Flow | undefined;
  #newest: Flow | undefined;

  get oldest(): Flow | undefined {
    return this.#oldest;
  }

  add(flow: Flow): void {
    flow.older = this.#newest;
    flow.newer = undefined;
    if (this.#newest === undefined) this.#oldest = flow;
    else this.#newest.newer = flow;
    this.#newest = flow;
  }

  remove(flow: Flow): void {
    if (flow.older === undefined) this.#oldest = flow.newer;
    else flow.older.newer = flow.newer;
    if (flow.newer === undefined) this.#newest = flow.older;
    else flow.newer.older = flow.older;
    flow.older = flow.newer = undefined;
  }

  /** A datagram has come or gone. */
  touch(flow: Flow, nowMs: number): void {
    flow.lastMs = nowMs;
    if (flow === this.#newest) return;
    this.remove(flow);
    this.add(flow);
  }

  *[Symbol.iterator](): Generator<Flow> {
    let flow = this.#oldest;
    while (flow !== undefined) {
      const { newer } = flow;
      yield flow;
      flow = newer;
    }
  }
}
