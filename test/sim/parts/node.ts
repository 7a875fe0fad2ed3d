// One simulated host that runs tasks: power, disk, engine, and on them an agent (the product's) and a mesh, each a process of its own.
import { createAgent } from '../../../agent/agent.ts';
import type { Agent } from '../../../agent/agent-options.ts';
import type { Answer } from '../../../agent/health/verdict.ts';
import { openIdentity } from '../../../agent/session/node-identity.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Rng } from '../../../lib/rng.ts';
import { GenericResource, type RouteTarget } from '../../../proto/index.ts';
import type { Table } from '../../../mesh/table/table.ts';
import { type SimHostPower, type SimProcess, startProcess } from '../core/process.ts';
import { delayMs, forkRng } from '../core/random.ts';
import { simTransport } from '../core/transport.ts';
import type { Ground } from '../ground.ts';
import { type SimDisk, simDisk } from './disk.ts';
import { type EngineEvents, type SimEngine, simEngine } from './engine.ts';
import { type SimMesh, simSupervisor, startMesh } from './mesh.ts';

export interface NodeEvents extends EngineEvents {
  written(node: SimNode, path: string, bytes: Buffer): void;
  /** Its mesh has begun, with what it found on its disk. */
  meshBegan(node: SimNode): void;
  served(node: SimNode, table: Table): void;
  connected(node: SimNode, port: string, serviceId: string, target: RouteTarget): void;
}

const AGENT_DIR = '/var/lib/shoal';

export class SimNode {
  readonly name: string;
  readonly address: string;
  readonly zone: string;
  readonly power: SimHostPower;
  readonly disk: SimDisk;
  readonly engine: SimEngine;
  /** The host as it is powered now. */
  host: SimProcess;
  agentProcess: SimProcess | undefined;
  agent: Agent | undefined;
  mesh: SimMesh | undefined;
  #meshProcess: SimProcess | undefined;
  readonly #ground: Ground;
  readonly #events: NodeEvents;
  readonly #rng: Rng;
  readonly #generics: readonly GenericResource[];
  #boots = 0;
  #lives = 0;

  constructor(ground: Ground, name: string, number: number, events: NodeEvents) {
    this.#ground = ground;
    this.#events = events;
    this.name = name;
    this.address = `10.0.0.${number}`;
    this.zone = number % 2 === 0 ? 'b' : 'a';
    this.#generics =
      number % 2 === 0
        ? [GenericResource.create({ kind: 'gpu', count: 2, names: ['uuid1', 'uuid2'] })]
        : [GenericResource.create({ kind: 'licence', count: 3 })];
    this.power = { name, on: true, wallOffsetMs: ground.wallOffsetMs };
    this.#rng = forkRng(ground.seed, name);
    this.host = this.#boot();
    this.disk = simDisk({
      scheduler: ground.scheduler,
      rng: forkRng(ground.seed, `${name} disk`),
      onWritten: (path, bytes) => {
        events.written(this, path, bytes);
      },
    });
    this.engine = simEngine({
      host: () => this.host,
      scheduler: ground.scheduler,
      rng: forkRng(ground.seed, `${name} engine`),
      events,
    });
  }

  startAgent(): void {
    if (!this.power.on || this.agentProcess?.alive === true) return;
    const { ground, life } = { ground: this.#ground, life: this.#lives++ };
    const process = this.#process('agent', life);
    this.agentProcess = process;
    const disk = this.disk.of(process);
    const log = ground.trace.log(process.name, () => process.alive);
    try {
      const agent = createAgent({
        dataDir: AGENT_DIR,
        managers: ground.managerAddresses,
        description: {
          hostname: this.name,
          dataAddress: this.address,
          meshAddresses: [],
          nanoCpus: 8e9,
          memoryBytes: 16e9,
          genericResources: this.#generics,
        },
        labels: { zone: this.zone },
        identity: openIdentity(AGENT_DIR, disk),
        runtime: this.engine.of(process),
        launchMesh: () => ({ start: () => ({ pid: 1, startTime: '' }), command: [''], build: '' }),
        superviseMesh: (options) =>
          simSupervisor(
            {
              agent: process,
              scheduler: ground.scheduler,
              mesh: () => (this.mesh?.process.alive === true ? this.mesh : undefined),
              launch: () => {
                this.startMesh();
              },
            },
            options,
          ),
        nonce: `${this.name}-${life}`,
        clock: process.clock,
        rng: process.rng,
        log,
        transport: simTransport(process, ground.rpc),
        disk,
        bootId: `${this.name}-boot${this.#boots}`,
        askerOf:
          (_probe, { taskId }) =>
          () =>
            this.#askProbe(process, taskId),
        canBind: () => Promise.resolve(true),
        tryConnect: (host, port) =>
          new Promise((resolve) => {
            ground.scheduler.after(process, delayMs(process.rng, 0.3, 5), () => {
              resolve(this.answers(host, port));
            });
          }),
      });
      this.agent = agent;
      agent.start().catch((error: unknown) => {
        log.error('the agent ended', { error });
      });
    } catch (error) {
      log.error('the agent did not start', { error: messageOf(error) });
      process.kill('it did not start');
    }
  }

  startMesh(): void {
    if (!this.power.on || this.#meshProcess?.alive === true) return;
    const ground = this.#ground;
    const process = this.#process('mesh', this.#lives++);
    this.#meshProcess = process;
    ground.scheduler.after(process, delayMs(process.rng, 60, 400), () => {
      this.mesh = startMesh({
        process,
        disk: this.disk.of(process),
        dataDir: `${AGENT_DIR}/mesh`,
        scheduler: ground.scheduler,
        onServe: (table) => {
          this.#events.served(this, table);
        },
        onConnect: (port, serviceId, target) => {
          this.#events.connected(this, port, serviceId, target);
        },
      });
      if (process.alive) this.#events.meshBegan(this);
    });
  }

  #askProbe(agent: SimProcess, taskId: string): Promise<Answer> {
    return new Promise((resolve) => {
      this.#ground.scheduler.after(agent, delayMs(agent.rng, 1, 20), () => {
        const container = this.engine.containers.get(taskId);
        const answers = container?.state === 'running' && container.probes === 'answered';
        resolve(answers ? { kind: 'passed' } : { kind: 'failed', reason: 'connection refused' });
      });
    });
  }

  /** Whether a container answers there. */
  answers(address: string, port: number): boolean {
    for (const container of this.engine.containers.values()) {
      if (container.state !== 'running') continue;
      if (container.address === address && container.targets.includes(port)) return true;
      if (address === this.address && container.ports.some((leased) => leased.nodePort === port)) return true;
    }
    return false;
  }

  powerOff(): void {
    if (!this.power.on) return;
    this.power.on = false;
    this.engine.powerOff();
    this.agentProcess?.kill('the host is off');
    this.#meshProcess?.kill('the host is off');
    this.host.kill('the host is off');
  }

  powerOn(): void {
    if (this.power.on) return;
    this.power.on = true;
    this.host = this.#boot();
    this.startAgent();
  }

  #boot(): SimProcess {
    this.#boots++;
    return startProcess({ ...this.#base(), name: `host@${this.name}`, role: 'host', rng: this.#rng });
  }

  #process(role: 'agent' | 'mesh', life: number): SimProcess {
    const name = `${role}@${this.name}`;
    return startProcess({ ...this.#base(), name, role, rng: forkRng(this.#ground.seed, `${name} ${life}`) });
  }

  #base(): Pick<Parameters<typeof startProcess>[0], 'host' | 'scheduler' | 'watch'> {
    return { host: this.power, scheduler: this.#ground.scheduler, watch: this.#ground.watch };
  }
}
