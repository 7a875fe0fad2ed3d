// A simulated cluster of many hosts, without faults and without the checks of the simulator's invariants: both cost more than what is measured.
import { CreateServiceRequest, GetServiceRequest, PortSpec, RestartPolicy, UpdateServiceRequest } from '../../../proto/index.ts';
import {
  ContainerSpec,
  Resources,
  ServiceMode,
  ServiceSpec,
  TaskSpec,
  UpdateConfig,
  UpdateOrder,
  UpdateState,
} from '../../../proto/index.ts';
import type { Control } from '../../sim/scenario/commands.ts';
import { forced } from '../../sim/scenario/specs.ts';
import { World } from '../../sim/world.ts';
import { type Cost, Meter } from './meter.ts';
import { Tally } from './tally.ts';

export interface ServicePlan {
  readonly name: string;
  readonly replicas: number;
  /** Published by the mesh of every node; unset: it publishes nothing. */
  readonly port?: number;
  /** Of a rolling update. */
  readonly parallelism: number;
}

export interface Largest {
  bytes: number;
  /** Which call carried it. */
  path: string;
}

/** Hosts are switched on one after another. */
const JOINS_PER_S = 500;
const MANAGERS_UP_MS = 3000;
const MONITOR_MS = 5000;
const LIMIT_MS = 900_000;

export class Fleet {
  readonly world: World;
  readonly meter: Meter;
  readonly tally: Tally;
  readonly largest: Largest = { bytes: 0, path: '' };
  messages = 0;
  #replicas = 0;

  constructor(nodes: number, seed: number) {
    this.world = new World({ seed, nodes, keepLines: 0, verbose: false });
    this.meter = new Meter(this.world);
    this.tally = new Tally(this.world.store.server);
    const nothing = (): void => undefined;
    this.world.watchWith(
      {
        ...{ created: nothing, started: nothing, stopAsked: nothing, ended: nothing, removed: nothing },
        ...{ written: nothing, meshBegan: nothing, served: nothing, connected: nothing, died: nothing },
        commit: () => nothing,
        message: (_from, _to, path, bytes) => {
          this.messages++;
          if (bytes.length > this.largest.bytes) Object.assign(this.largest, { bytes: bytes.length, path });
        },
      },
      nothing,
    );
  }

  async join(): Promise<Cost> {
    const { scheduler, nodes, managers, user } = this.world;
    for (const manager of managers) manager.start();
    await this.meter.pass(MANAGERS_UP_MS);
    for (const [index, node] of nodes.entries()) {
      scheduler.after(user, (index * 1000) / JOINS_PER_S, () => {
        node.startAgent();
      });
    }
    return await this.meter.until('joining', LIMIT_MS, () => this.tally.ready.size === nodes.length);
  }

  /** Until all of them run, and their nodes have said so. */
  async create(plans: readonly ServicePlan[]): Promise<Cost> {
    this.#ask(async (control) => {
      for (const plan of plans) {
        await control.createService(CreateServiceRequest.create({ spec: specOf(plan), noResolveImage: true }));
      }
    });
    for (const { replicas } of plans) this.#replicas += replicas;
    return await this.#allRun(`creating ${plans.length} services`);
  }

  /** All at the same moment; until they are known to be gone, and then until as many replicas run as before. */
  async lose(share: number): Promise<{ readonly lost: number; readonly nodes: number; readonly cost: Cost }> {
    const { nodes } = this.world;
    const every = Math.round(1 / share);
    const victims = nodes.filter((_, index) => index % every === 0);
    let lost = 0;
    for (const node of victims) {
      for (const { state } of node.engine.containers.values()) if (state === 'running') lost++;
      node.powerOff();
    }
    const cost = await this.meter.until(
      'replacing what was lost',
      LIMIT_MS,
      () => this.tally.ready.size === nodes.length - victims.length && this.tally.running >= this.#replicas,
    );
    return { lost, nodes: victims.length, cost };
  }

  /** Every replica anew, until the update is completed. */
  async roll(name: string): Promise<Cost> {
    let serviceId = '';
    this.#ask(async (control) => {
      const service = await control.getService(GetServiceRequest.create({ ref: name }));
      if (service.spec === undefined) throw new Error(`${name} has no spec`);
      this.tally.updates.delete(service.id);
      serviceId = service.id;
      const { id: ref, version } = service;
      await control.updateService(UpdateServiceRequest.create({ ref, version, spec: forced(service.spec), noResolveImage: true }));
    });
    return await this.meter.until(`updating ${name}`, LIMIT_MS, () => this.tally.updates.get(serviceId) === UpdateState.UPDATE_COMPLETED);
  }

  #allRun(what: string): Promise<Cost> {
    return this.meter.until(what, LIMIT_MS, () => this.tally.running >= this.#replicas);
  }

  #ask(act: (control: Control) => Promise<void>): void {
    act(this.world.control('m1:7000')).catch((error: unknown) => {
      process.stderr.write(`the user was refused: ${String(error)}\n`);
      process.exit(1);
    });
  }
}

function specOf({ name, replicas, port, parallelism }: ServicePlan): ServiceSpec {
  return ServiceSpec.create({
    name,
    mode: ServiceMode.REPLICATED,
    replicas,
    task: TaskSpec.create({
      container: ContainerSpec.create({ image: 'sim/web', stopGracePeriodMs: 10_000 }),
      restart: RestartPolicy.create({}),
      reservations: Resources.create({ nanoCpus: 5e7, memoryBytes: 64 * 2 ** 20 }),
    }),
    update: UpdateConfig.create({ parallelism, monitorMs: MONITOR_MS, order: UpdateOrder.START_FIRST }),
    ports: port === undefined ? [] : [PortSpec.create({ targetPort: 80, publishedPort: port })],
  });
}
