// One published UDP port on this node: its flows, each from one client's address and port to one replica, for as long as datagrams move and the replica is there.
import { type RemoteInfo } from 'node:dgram';
import { type Clock, type Timer } from '../../lib/clock.ts';
import { type Rng } from '../../lib/rng.ts';
import { type PortRoute } from '../../proto/index.ts';
import { Balancer, type Replica } from '../balance/balancer.ts';
import { type PortHost, type PortLook, type ServedPort } from '../served-port.ts';
import { ClientSides } from './client-sides.ts';
import { type ClientSide } from './clients.ts';
import { type UdpCounters } from './counters.ts';
import { type Flow, type FlowOwner, FlowsByAge } from './flow.ts';
import { IDLE_TIMEOUT_MS, MAX_FLOWS_PER_PORT, MAX_QUEUED_BYTES } from './limits.ts';
import { type Upstreams } from './upstreams.ts';

export interface UdpPortOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly upstreams: Upstreams;
  readonly counters: UdpCounters;
  readonly hostAddresses: () => readonly string[];
  readonly onClose: () => void;
}

/** Longest time between two looks for idle flows. */
const MAX_SWEEP_MS = 1000;

export class UdpPort implements ServedPort, FlowOwner {
  readonly #options: UdpPortOptions;
  readonly #around: PortHost;
  readonly #balancer: Balancer;
  readonly #sides: ClientSides;
  readonly #flows = new FlowsByAge();
  #size = 0;
  #route: PortRoute;
  #sweep: Timer | undefined;
  #closed = false;

  constructor(options: UdpPortOptions, around: PortHost, route: PortRoute, nodeId: string) {
    this.#options = options;
    this.#around = around;
    this.#route = route;
    this.#balancer = new Balancer(options);
    this.#balancer.update(route.targets, nodeId, route.canaryPermille);
    this.#sides = new ClientSides({
      addresses: around.addresses,
      port: around.listenPort,
      sockets: around.sockets,
      onDatagram: (side, message, from) => {
        this.#fromClient(side, message, from);
      },
      onChange: around.onProblem,
      onLost: (side) => {
        for (const flow of this.#flows) if (flow.side === side) this.#forget(flow);
      },
    });
  }

  get size(): number {
    return this.#size;
  }

  get problem(): string | undefined {
    return this.#sides.problem;
  }

  open(): Promise<void> {
    this.refresh(this.#options.hostAddresses());
    return Promise.resolve();
  }

  /** Looks again where it can listen. */
  refresh(hostAddresses: readonly string[]): void {
    if (!this.#closed) this.#sides.refresh(hostAddresses);
  }

  /** Flows whose replica has left the table, or has another address, move; those of a draining one stay. */
  update([route]: readonly PortRoute[], nodeId: string): void {
    if (route === undefined) return;
    this.#route = route;
    this.#balancer.update(route.targets, nodeId, route.canaryPermille);
    const there = new Set(route.targets.map((target) => target.taskId));
    for (const flow of this.#flows) {
      const { replica, lane } = flow;
      if (replica === undefined || lane === undefined) continue;
      if (!there.has(replica.taskId) || replica.host !== lane.host || replica.port !== lane.port) this.#detach(flow);
    }
  }

  /** Without its socket a flow is nothing: they all end. */
  close(): void {
    this.#closed = true;
    const had = this.#size > 0;
    for (const flow of this.#flows) this.#forget(flow);
    this.#sides.close();
    this.#sweep?.cancel();
    this.#options.onClose();
    if (had) this.#around.onEmpty();
  }

  closeConnections(): void {
    // `close` has left nothing.
  }

  look(): PortLook {
    const { flows, replicaFailures, droppedNoReplica, droppedNoSocket, droppedQueueFull, droppedUnsent } = this.#options.counters;
    const route = {
      route: this.#route,
      replicas: this.#balancer.replicas(),
      open: this.#size,
      waiting: 0,
      total: flows,
      replicaFailures,
      refused: droppedNoReplica + droppedNoSocket + droppedQueueFull + droppedUnsent,
    };
    return { rejected: 0, routes: [route] };
  }

  /** The successor's flows have its sockets: there is nothing to serve on. */
  handOver(): void {
    this.close();
  }

  get clients(): number {
    return this.#size;
  }

  readonly sent = (error: Error | null): void => {
    if (error !== null) this.#options.counters.droppedUnsent++;
  };

  answered(flow: Flow, message: Buffer): void {
    const { counters, clock } = this.#options;
    if (flow.replica !== undefined) this.#balancer.succeeded(flow.replica);
    this.#flows.touch(flow, clock.nowMs());
    const { socket } = flow.side;
    if (socket.getSendQueueSize() > MAX_QUEUED_BYTES) {
      counters.droppedQueueFull++;
      return;
    }
    counters.datagramsToClients++;
    counters.bytesToClients += message.length;
    socket.send(message, 0, message.length, flow.port, flow.address, this.sent);
  }

  refused(flow: Flow): void {
    const { counters } = this.#options;
    const { replica, lane } = flow;
    counters.replicaFailures++;
    if (replica === undefined) return;
    this.#balancer.failed(replica);
    this.#detach(flow);
    if (this.#balancer.size < 2) return;
    // Nobody is there for the others either, and those that share sockets learn it only here.
    for (const other of lane?.flows ?? []) if (other?.replica === replica) this.#detach(other);
  }

  #fromClient(side: ClientSide, message: Buffer, from: RemoteInfo): void {
    const { counters, clock, upstreams } = this.#options;
    counters.datagramsFromClients++;
    counters.bytesFromClients += message.length;
    const nowMs = clock.nowMs();
    let flow = side.get(from.address, from.port);
    if (flow === undefined) {
      flow = this.#begin(side, from, nowMs);
      if (flow === undefined) return;
    } else {
      this.#flows.touch(flow, nowMs);
      if (flow.lane === undefined && !this.#attach(flow)) return;
    }
    if (upstreams.send(flow, message) === 'queue-full') counters.droppedQueueFull++;
  }

  #begin(side: ClientSide, { address, port }: RemoteInfo, nowMs: number): Flow | undefined {
    const { counters } = this.#options;
    // Nothing is kept of clients that cannot be served; they send again.
    if (this.#balancer.size === 0 || this.#route.paused) {
      counters.droppedNoReplica++;
      return undefined;
    }
    this.#makeRoom();
    const flow: Flow = {
      owner: this,
      side,
      address,
      port,
      replica: undefined,
      lane: undefined,
      slot: -1,
      lastMs: nowMs,
      older: undefined,
      newer: undefined,
    };
    if (!this.#attach(flow)) return undefined;
    counters.flows++;
    counters.open++;
    this.#size++;
    side.add(flow);
    this.#flows.add(flow);
    if (this.#sweep === undefined) this.#sweepLater(nowMs);
    return flow;
  }

  #makeRoom(): void {
    const wanted = this.#route.settings?.maxConnections ?? 0;
    const most = wanted > 0 ? wanted : MAX_FLOWS_PER_PORT;
    for (let { oldest } = this.#flows; oldest !== undefined && this.#size >= most; { oldest } = this.#flows) {
      this.#options.counters.evicted++;
      this.#forget(oldest);
    }
  }

  /** False, and the datagram is counted as dropped: no replica or no socket. */
  #attach(flow: Flow): boolean {
    const { counters, upstreams } = this.#options;
    const before = flow.replica;
    const replica = this.#chooseOther(before);
    if (replica === undefined) {
      counters.droppedNoReplica++;
      return false;
    }
    if (!upstreams.join(flow, replica.host, replica.port)) {
      counters.droppedNoSocket++;
      return false;
    }
    if (before !== undefined) counters.moved++;
    flow.replica = replica;
    replica.open++;
    this.#around.drains.opened(replica.taskId);
    return true;
  }

  /** Any but the one it had, where there is another. */
  #chooseOther(before: Replica | undefined): Replica | undefined {
    const other = before === undefined ? undefined : this.#balancer.choose(new Set([before.taskId]));
    return other ?? this.#balancer.choose();
  }

  /** The flow keeps its replica's name, so that the next one is another. */
  #detach(flow: Flow): void {
    if (flow.lane === undefined) return;
    this.#options.upstreams.leave(flow);
    if (flow.replica === undefined) return;
    flow.replica.open--;
    this.#around.drains.closed(flow.replica.taskId);
  }

  #forget(flow: Flow): void {
    this.#detach(flow);
    flow.side.remove(flow);
    this.#flows.remove(flow);
    this.#size--;
    this.#options.counters.open--;
  }

  #sweepLater(nowMs: number): void {
    const { oldest } = this.#flows;
    if (oldest === undefined) return;
    const idleMs = this.#idleMs();
    const waitMs = Math.max(oldest.lastMs + idleMs - nowMs, Math.min(MAX_SWEEP_MS, idleMs / 4));
    this.#sweep = this.#options.clock.after(
      waitMs,
      () => {
        this.#sweep = undefined;
        this.#expire();
      },
      true,
    );
  }

  #expire(): void {
    const nowMs = this.#options.clock.nowMs();
    const idleMs = this.#idleMs();
    for (const flow of this.#flows) {
      if (nowMs - flow.lastMs < idleMs) break;
      this.#options.counters.expired++;
      this.#forget(flow);
    }
    if (this.#size === 0) this.#around.onEmpty();
    else this.#sweepLater(nowMs);
  }

  #idleMs(): number {
    const idleMs = this.#route.settings?.idleTimeoutMs ?? 0;
    return idleMs > 0 ? idleMs : IDLE_TIMEOUT_MS;
  }
}
