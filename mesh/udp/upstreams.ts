// The sockets towards replicas, for all published ports. An answer is told apart by the socket it comes to and the address it comes from, so a socket carries at
// most one flow per replica address. A replica's first flows have a socket of their own each, connected to it: the kernel then tells when the replica refuses.
// Those beyond share: slot n of every replica is the same socket, and as many are open as the replica with most flows needs.
import { type RemoteInfo, type Socket } from 'node:dgram';
import { type Clock } from '../../lib/clock.ts';
import { errnoOf } from '../../lib/errors.ts';
import { type Flow } from './flow.ts';
import { MAX_QUEUED_BYTES, OWN_SOCKETS_PER_REPLICA, SHARED_SOCKETS, SLOT_REST_MS } from './limits.ts';
import { bindNow, type Family, familyOf, newSocket } from './sockets.ts';
import { Slots } from './slots.ts';

/** All flows to one address and port. */
export interface Lane {
  readonly host: string;
  readonly port: number;
  readonly family: Family;
  readonly ownSlots: Slots;
  readonly sharedSlots: Slots;
  /** By own slot. */
  readonly own: (Socket | undefined)[];
  /** By slot; shared ones follow the own ones. */
  readonly flows: (Flow | undefined)[];
  count: number;
}

interface Shared {
  readonly socket: Socket;
  users: number;
}

export type SendOutcome = 'sent' | 'queue-full' | 'no-lane';

const ANYWHERE = { udp4: '0.0.0.0', udp6: '::' } as const;

export class Upstreams {
  readonly #clock: Clock;
  readonly #ownPerReplica: number;
  /** By address, then port. */
  readonly #lanes = new Map<string, Map<number, Lane>>();
  readonly #shared: Readonly<Record<Family, (Shared | undefined)[]>> = { udp4: [], udp6: [] };
  #sockets = 0;

  constructor(clock: Clock, ownPerReplica = OWN_SOCKETS_PER_REPLICA) {
    this.#clock = clock;
    this.#ownPerReplica = ownPerReplica;
  }

  /** Open now. */
  get sockets(): number {
    return this.#sockets;
  }

  /** Gives the flow its place on the way to `host` and `port`; false: no socket could be had. The flow must have none. */
  join(flow: Flow, host: string, port: number): boolean {
    const lane = this.#laneOf(host, port);
    const nowMs = this.#clock.nowMs();
    const slot = this.#ownSlot(lane, nowMs) ?? this.#sharedSlot(lane, nowMs);
    if (slot === undefined) {
      this.#dropIfEmpty(lane);
      return false;
    }
    lane.flows[slot] = flow;
    lane.count++;
    flow.lane = lane;
    flow.slot = slot;
    return true;
  }

  leave(flow: Flow): void {
    const { lane, slot } = flow;
    if (lane === undefined) return;
    const nowMs = this.#clock.nowMs();
    if (slot < this.#ownPerReplica) {
      const socket = lane.own[slot];
      lane.own[slot] = undefined;
      if (socket !== undefined) this.#close(socket);
      lane.ownSlots.give(slot, nowMs);
    } else {
      const index = slot - this.#ownPerReplica;
      lane.sharedSlots.give(index, nowMs);
      const shared = this.#shared[lane.family][index];
      if (shared !== undefined && --shared.users === 0) {
        this.#shared[lane.family][index] = undefined;
        this.#close(shared.socket);
      }
    }
    lane.flows[slot] = undefined;
    lane.count--;
    flow.lane = undefined;
    flow.slot = -1;
    this.#dropIfEmpty(lane);
  }

  send(flow: Flow, message: Buffer): SendOutcome {
    const { lane, slot } = flow;
    if (lane === undefined) return 'no-lane';
    if (slot < this.#ownPerReplica) {
      const socket = lane.own[slot];
      if (socket === undefined) return 'no-lane';
      if (socket.getSendQueueSize() > MAX_QUEUED_BYTES) return 'queue-full';
      socket.send(message, 0, message.length, flow.owner.sent);
      return 'sent';
    }
    const socket = this.#shared[lane.family][slot - this.#ownPerReplica]?.socket;
    if (socket === undefined) return 'no-lane';
    if (socket.getSendQueueSize() > MAX_QUEUED_BYTES) return 'queue-full';
    socket.send(message, 0, message.length, lane.port, lane.host, flow.owner.sent);
    return 'sent';
  }

  #laneOf(host: string, port: number): Lane {
    let ports = this.#lanes.get(host);
    if (ports === undefined) {
      ports = new Map();
      this.#lanes.set(host, ports);
    }
    let lane = ports.get(port);
    if (lane === undefined) {
      lane = {
        host,
        port,
        family: familyOf(host),
        // A closed socket's port is the kernel's to give out again: nothing comes late to it.
        ownSlots: new Slots(this.#ownPerReplica, 0),
        sharedSlots: new Slots(SHARED_SOCKETS, SLOT_REST_MS),
        own: [],
        flows: [],
        count: 0,
      };
      ports.set(port, lane);
    }
    return lane;
  }

  #dropIfEmpty(lane: Lane): void {
    if (lane.count > 0) return;
    const ports = this.#lanes.get(lane.host);
    ports?.delete(lane.port);
    if (ports?.size === 0) this.#lanes.delete(lane.host);
  }

  #ownSlot(lane: Lane, nowMs: number): number | undefined {
    const slot = lane.ownSlots.take(nowMs);
    if (slot === undefined) return undefined;
    const socket = this.#open(lane.family, (message) => {
      const flow = lane.flows[slot];
      flow?.owner.answered(flow, message);
    });
    if (socket === undefined || !connected(socket, lane)) {
      if (socket !== undefined) this.#close(socket);
      lane.ownSlots.give(slot, nowMs);
      return undefined;
    }
    socket.on('error', (error) => {
      const flow = lane.flows[slot];
      if (lane.own[slot] === socket && errnoOf(error) === 'ECONNREFUSED') flow?.owner.refused(flow);
    });
    lane.own[slot] = socket;
    return slot;
  }

  #sharedSlot(lane: Lane, nowMs: number): number | undefined {
    const index = lane.sharedSlots.take(nowMs);
    if (index === undefined) return undefined;
    const sockets = this.#shared[lane.family];
    let shared = sockets[index];
    if (shared === undefined) {
      const slot = index + this.#ownPerReplica;
      const socket = this.#open(lane.family, (message, from) => {
        const flow = this.#lanes.get(from.address)?.get(from.port)?.flows[slot];
        flow?.owner.answered(flow, message);
      });
      if (socket === undefined) {
        lane.sharedSlots.give(index, nowMs);
        return undefined;
      }
      shared = { socket, users: 0 };
      sockets[index] = shared;
    }
    shared.users++;
    return index + this.#ownPerReplica;
  }

  /** Undefined: the system has no more file descriptors or ports. */
  #open(family: Family, onMessage: (message: Buffer, from: RemoteInfo) => void): Socket | undefined {
    const socket = newSocket(family);
    socket.on('message', onMessage);
    if (bindNow(socket, ANYWHERE[family], 0) !== undefined) {
      socket.close();
      return undefined;
    }
    this.#sockets++;
    return socket;
  }

  #close(socket: Socket): void {
    this.#sockets--;
    socket.close();
  }
}

function connected(socket: Socket, lane: Lane): boolean {
  socket.connect(lane.port, lane.host);
  try {
    // Where there is no way to the address, Node says so later, and throws at a send before that.
    socket.remoteAddress();
    return true;
  } catch {
    return false;
  }
}
