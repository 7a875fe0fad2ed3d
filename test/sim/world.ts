// A whole cluster in one process: three managers, their store, hosts with agents and meshes, and somebody who uses it.
import type { ClientOf } from '../../lib/rpc/index.ts';
import { ControlService } from '../../proto/index.ts';
import { Network } from './core/network.ts';
import { type ProcessWatch, type SimProcess, startProcess } from './core/process.ts';
import { between, forkRng } from './core/random.ts';
import { Scheduler, turn } from './core/scheduler.ts';
import { createTrace, type Trace } from './core/trace.ts';
import { Addresses, type TransportOptions } from './core/addresses.ts';
import { simTransport } from './core/transport.ts';
import type { Ground } from './ground.ts';
import { SimManager } from './parts/manager.ts';
import { type NodeEvents, SimNode } from './parts/node.ts';
import { type SimStore, type SimStoreOptions, simStore } from './parts/store.ts';

/** More than any chain of promises that an abort sets off. */
const LAST_TURNS = 5;

/** So that the first full minute, which schedules go by, falls into the time of faults. */
const WALL_OFFSET_MS = { least: 15_000, most: 50_000 };

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly keepLines: number;
  readonly verbose: boolean;
}

/** Whoever watches what happens. */
export interface WorldWatch extends NodeEvents {
  died(process: SimProcess, reason: string): void;
  commit: SimStoreOptions['onCommit'];
  message: TransportOptions['tap'];
}

export class World {
  readonly options: WorldOptions;
  readonly scheduler = new Scheduler();
  readonly network: Network;
  readonly trace: Trace;
  readonly store: SimStore;
  readonly managers: readonly SimManager[];
  readonly nodes: readonly SimNode[];
  readonly user: SimProcess;
  readonly ground: Ground;
  #watch: WorldWatch | undefined;
  #atPoint: ProcessWatch['atPoint'] = () => undefined;

  constructor(options: WorldOptions) {
    this.options = options;
    const { seed } = options;
    const { scheduler } = this;
    this.trace = createTrace({ scheduler, keep: options.keepLines, verbose: options.verbose });
    this.network = new Network({ scheduler, rng: forkRng(seed, 'network'), typicalMs: 0.8, longMs: 60 });
    const inner: ProcessWatch = {
      atPoint: (process, seam, step) => {
        this.#atPoint(process, seam, step);
      },
      died: (process, reason) => {
        this.network.gone(process);
        this.#watch?.died(process, reason);
      },
    };
    const power = (name: string): Parameters<typeof startProcess>[0]['host'] => ({ name, on: true, wallOffsetMs: 0 });
    const lone = (name: string, role: SimProcess['role']): SimProcess =>
      startProcess({ name, role, host: power(name), rng: forkRng(seed, name), scheduler, watch: inner });
    this.user = lone('user', 'user');
    this.store = simStore({
      ...{ scheduler, network: this.network, process: lone('store', 'store'), rng: forkRng(seed, 'store faults') },
      onCommit: (by, transaction) => this.#watch?.commit(by, transaction) ?? (() => undefined),
    });
    const names = ['m1', 'm2', 'm3'];
    const rpc: TransportOptions = {
      network: this.network,
      addresses: new Addresses(),
      hostOf: (address) => this.#hostOf(address),
      tap: (from, to, path, bytes) => this.#watch?.message(from, to, path, bytes),
    };
    this.ground = {
      wallOffsetMs: Math.floor(between(forkRng(seed, 'wall clock'), WALL_OFFSET_MS.least, WALL_OFFSET_MS.most)),
      ...{ seed, scheduler, network: this.network, trace: this.trace, watch: inner, rpc, store: this.store },
      managerAddresses: names.map((name) => `${name}:7000`),
    };
    this.managers = names.map((name) => new SimManager(this.ground, name));
    const events: NodeEvents = {
      created: (container) => this.#watch?.created(container),
      started: (container) => this.#watch?.started(container),
      stopAsked: (container, by) => this.#watch?.stopAsked(container, by),
      ended: (container, why) => this.#watch?.ended(container, why),
      removed: (container) => this.#watch?.removed(container),
      written: (node, path, bytes) => this.#watch?.written(node, path, bytes),
      meshBegan: (node) => this.#watch?.meshBegan(node),
      served: (node, table) => this.#watch?.served(node, table),
      connected: (node, port, serviceId, target) => this.#watch?.connected(node, port, serviceId, target),
    };
    this.nodes = Array.from({ length: options.nodes }, (_, index) => new SimNode(this.ground, `n${index + 1}`, index + 1, events));
  }

  /** Before anything happens. `atPoint` may end a process at a call. */
  watchWith(watch: WorldWatch, atPoint: ProcessWatch['atPoint']): void {
    this.#watch = watch;
    this.#atPoint = atPoint;
  }

  /** Switches everything on. */
  start(): void {
    for (const manager of this.managers) manager.start();
    for (const node of this.nodes) node.startAgent();
  }

  /** Ends everything, so that nothing of this world goes on. */
  async end(): Promise<void> {
    this.#watch = undefined;
    for (const manager of this.managers) manager.powerOff();
    for (const node of this.nodes) node.powerOff();
    for (let turns = 0; turns < LAST_TURNS; turns++) await turn();
  }

  control(address: string): ClientOf<typeof ControlService> {
    return simTransport(this.user, this.ground.rpc).connect(address).client(ControlService);
  }

  #hostOf(address: string): SimProcess {
    const name = address.slice(0, address.indexOf(':'));
    const manager = this.managers.find((one) => one.name === name);
    if (manager === undefined) throw new Error(`nobody knows the address ${address}`);
    return manager.host;
  }
}
