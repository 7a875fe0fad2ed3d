// What is really the case in a simulated world, as nobody inside it can know: containers on their hosts, rows in the store, what each agent has on disk, what
// each mesh serves, what users were told. The invariants are judged by this, not by what the product believes.
import {
  AssignmentSet,
  type Epoch,
  PortMode,
  type RouteTarget,
  ServiceMode,
  type ServiceSpec,
  TargetState,
  type TaskState,
} from '../../../proto/index.ts';
import type { Table } from '../../../mesh/table/table.ts';
import type { Revision, Transaction } from '../../../manager/store/store.ts';
import type { Owner, Scheduler } from '../core/scheduler.ts';
import { type SimProcess, WALL_START_MS } from '../core/process.ts';
import { short } from '../core/trace.ts';
import type { Container } from '../parts/engine.ts';
import type { SimNode } from '../parts/node.ts';
import type { World, WorldWatch } from '../world.ts';
import { endsCalm } from './calm.ts';
import { SETTLE_MS } from './excuse.ts';
import { Mirror } from './mirror.ts';

/** What an agent has on disk as its own orders, and when it was last in touch with a manager. */
export interface NodeTruth {
  readonly node: SimNode;
  applied: ReadonlyMap<string, TaskState>;
  appliedEpoch: Epoch | undefined;
  /** When a manager's answer to a heartbeat last reached its agent. */
  answeredMs: number;
  /** When it was last out of touch for longer than `AWAY_MS`, or off, or with a manager that is itself cut off from the store. */
  awayMs: number;
  /** As `awayMs`, or when there was last nobody to decide what becomes of the tasks of a node that was away not long before. */
  unsettledMs: number;
}

export interface Violation {
  readonly invariant: string;
  readonly text: string;
}

/** Without an answer for this long a node counts as cut off: its tasks may be replaced soon. */
const AWAY_MS = 2500;
const TICK_MS = 500;
/** Touched by a fault that spares nobody. */
export const EVERYWHERE = '*';
const SESSION = '/shoal.v1.AgentSession/Session';
/** ManagerMessage.heartbeat with wire type 2. */
const HEARTBEAT_ANSWER = (2 << 3) | 2;

export interface TruthEvents {
  started(container: Container): void;
  ended(container: Container, why: string): void;
  stopAsked(container: Container, by: SimProcess): void;
  written(node: NodeTruth, path: string, bytes: Buffer): void;
  /** The whole set on an agent's disk, before and after. */
  applied(node: NodeTruth, epoch: Epoch | undefined, before: Epoch | undefined): void;
  /** Its mesh was started, and has read its disk. */
  meshBegan(node: NodeTruth): void;
  served(node: NodeTruth, table: Table): void;
  connected(node: NodeTruth, port: string, serviceId: string, target: RouteTarget): void;
  commit(by: SimProcess, transaction: Transaction): ((revision: Revision) => void) | undefined;
  /** A user was told that this spec is in. */
  acknowledged(ack: Acknowledged): void;
  /** A user was told, for certain, that a spec is not in. */
  refused(refusal: Refused): void;
  tick(): void;
}

export interface Acknowledged {
  readonly serviceId: string;
  readonly specNumber: number;
  /** What was asked for; undefined: the user asked for one by its number. */
  readonly spec: ServiceSpec | undefined;
}

export interface Refused {
  /** Of the spec: the value of its label `MARK_LABEL`. */
  readonly mark: string;
  readonly why: string;
}

/** Names the request that a spec came by. */
export const MARK_LABEL = 'asked';

export class Truth implements WorldWatch {
  readonly world: World;
  readonly mirror: Mirror;
  readonly nodes: ReadonlyMap<string, NodeTruth>;
  readonly violations: Violation[] = [];
  /** Services that a user asked to remove, whether or not that was answered. */
  readonly removals = new Set<string>();
  /** Faults under way. */
  readonly faults = new Set<{ readonly touches: readonly string[] }>();
  /** Always there; for what is looked at later. */
  readonly judge: Owner = { name: 'judge', alive: true, stalledUntilMs: 0 };
  /** When there was last no leader that reaches the store: nobody decides anything then. */
  undecidedMs = 0;
  /** When a wall clock last stood wrong: what goes by it may be late. */
  wallJumpMs = Number.NEGATIVE_INFINITY;
  /** Since when the nodes have been calm, as whoever leads may count it. */
  calmSinceMs = 0;
  /** When a node was removed, by id: it hears of that, and ends what it runs, a little later. */
  readonly nodeRemovedMs = new Map<string, number>();
  /** When a spec came into the store, by id. */
  readonly specSinceMs = new Map<string, number>();
  /** Iterations of jobs, by the ids of their tasks. */
  readonly #iterations = new Map<string, number>();
  /** Tasks that were made beside those of slots. */
  readonly #canaries = new Set<string>();
  #marks = 0;
  readonly #disturbedMs = new Map<string, number>();
  readonly #listeners: Partial<TruthEvents>[] = [];

  constructor(world: World) {
    this.world = world;
    this.mirror = new Mirror(world.store.server);
    this.nodes = new Map(
      world.nodes.map((node) => [
        node.name,
        { node, applied: new Map<string, TaskState>(), appliedEpoch: undefined, answeredMs: 0, awayMs: 0, unsettledMs: 0 },
      ]),
    );
    this.mirror.onChange((change) => {
      if (endsCalm(change)) this.calmSinceMs = this.nowMs;
      if (change.table === 'nodes' && change.after === undefined) this.nodeRemovedMs.set(change.id, this.nowMs);
      if (change.table === 'specs' && change.before === undefined) this.specSinceMs.set(change.id, this.nowMs);
      const iteration = change.table === 'tasks' ? change.after?.value.jobIteration : undefined;
      if (iteration !== undefined) this.#iterations.set(change.id, iteration);
      if (change.table === 'tasks' && change.before === undefined && change.after?.value.canary === true) this.#canaries.add(change.id);
    });
    this.#tick();
  }

  get scheduler(): Scheduler {
    return this.world.scheduler;
  }

  get nowMs(): number {
    return this.world.scheduler.nowMs;
  }

  listen(events: Partial<TruthEvents>): void {
    this.#listeners.push(events);
  }

  fail(invariant: string, text: string): void {
    this.violations.push({ invariant, text });
    this.world.trace.line('judge', `${invariant} VIOLATED: ${text}`);
  }

  /** Calls unless the seed is over by then. */
  later(ms: number, call: () => void): void {
    this.scheduler.after(this.judge, ms, call);
  }

  /** Something outside the product went wrong on these hosts, or was put right: for a while nothing there can be expected to be quick. */
  disturbed(hosts: readonly string[]): void {
    for (const host of hosts) this.#disturbedMs.set(host, this.nowMs);
  }

  /** No fault is under way on these hosts, and none was for this long. */
  isCalmFor(ms: number, hosts: readonly string[]): boolean {
    for (const { touches } of this.faults) {
      if (touches.some((host) => host === EVERYWHERE || hosts.includes(host))) return false;
    }
    return [EVERYWHERE, ...hosts].every((host) => this.nowMs - (this.#disturbedMs.get(host) ?? Number.NEGATIVE_INFINITY) >= ms);
  }

  /** The host of the manager that a node's agent is registered with. */
  managerHostOf(nodeId: string): string | undefined {
    const managerId = this.mirror.get('sessions', nodeId)?.value.managerId;
    return this.world.managers.find((manager) => manager.id === managerId)?.name;
  }

  nodeOf(name: string): NodeTruth {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  byNodeId(nodeId: string): NodeTruth | undefined {
    const hostname = this.mirror.get('nodeStatus', nodeId)?.value.description?.hostname;
    return hostname === undefined ? undefined : this.nodes.get(hostname);
  }

  nodeIdOf(name: string): string | undefined {
    for (const { id, value } of this.mirror.all('nodeStatus')) if (value.description?.hostname === name) return id;
    return undefined;
  }

  isAway(truth: NodeTruth): boolean {
    const { node } = truth;
    return !node.power.on || node.agentProcess?.alive !== true || this.nowMs - truth.answeredMs > AWAY_MS;
  }

  specOf(container: Pick<Container, 'serviceId' | 'specNumber'>): ServiceSpec | undefined {
    return this.mirror.get('specs', `${container.serviceId}/${container.specNumber}`)?.value.spec;
  }

  newestSpec(serviceId: string): ServiceSpec | undefined {
    const service = this.mirror.get('services', serviceId)?.value;
    return service && this.specOf({ serviceId, specNumber: service.specNumber });
  }

  /** What its tasks are brought to: the newest, or the one that the leader went back to. */
  activeSpec(serviceId: string): ServiceSpec | undefined {
    const specNumber = this.mirror.get('serviceStatus', serviceId)?.value.activeSpecNumber ?? 0;
    return specNumber === 0 ? this.newestSpec(serviceId) : this.specOf({ serviceId, specNumber });
  }

  /** "<service>/3"; of a job "<service>/<iteration>.3"; "<service>/3~" of what was begun as a canary, also once it has taken the slot over. The node's id stands for the slot of what is global. */
  slotOf({ taskId, serviceId, slot }: Pick<Container, 'taskId' | 'serviceId' | 'slot'>): string {
    const iteration = this.#iterations.get(taskId);
    return `${serviceId}/${iteration === undefined ? '' : `${iteration}.`}${slot}${this.#canaries.has(taskId) ? '~' : ''}`;
  }

  /** True time, as a wall clock that is right has it. */
  get wallMs(): number {
    return WALL_START_MS + this.nowMs + this.world.ground.wallOffsetMs;
  }

  *containers(): Generator<Container> {
    for (const { node } of this.nodes.values()) yield* node.engine.containers.values();
  }

  describe(container: Container): string {
    return `task ${short(container.taskId)} (service ${short(container.serviceId)} slot ${short(container.slot)}, spec ${container.specNumber}) on ${container.host}`;
  }

  // What the world says.

  started(container: Container): void {
    this.world.trace.line(container.host, `container started: ${this.describe(container)}`);
    for (const listener of this.#listeners) listener.started?.(container);
  }

  ended(container: Container, why: string): void {
    this.world.trace.line(container.host, `container ended (${why}): ${this.describe(container)}`);
    for (const listener of this.#listeners) listener.ended?.(container, why);
  }

  stopAsked(container: Container, by: SimProcess): void {
    this.world.trace.line(container.host, `container told to stop: ${this.describe(container)}`);
    for (const listener of this.#listeners) listener.stopAsked?.(container, by);
  }

  written(node: SimNode, path: string, bytes: Buffer): void {
    const truth = this.nodeOf(node.name);
    if (path.endsWith('/assignments.bin')) {
      const set = AssignmentSet.decode(bytes);
      const before = truth.appliedEpoch;
      truth.appliedEpoch = set.epoch;
      truth.applied = new Map(set.assignments.map((assignment) => [assignment.taskId, assignment.desired]));
      for (const listener of this.#listeners) listener.applied?.(truth, set.epoch, before);
    }
    for (const listener of this.#listeners) listener.written?.(truth, path, bytes);
  }

  meshBegan(node: SimNode): void {
    const truth = this.nodeOf(node.name);
    for (const listener of this.#listeners) listener.meshBegan?.(truth);
  }

  served(node: SimNode, table: Table): void {
    const truth = this.nodeOf(node.name);
    this.world.trace.line(`mesh@${node.name}`, `serves ${table.epoch.revision}: ${describeTable(table)}`);
    for (const listener of this.#listeners) listener.served?.(truth, table);
  }

  connected(node: SimNode, port: string, serviceId: string, target: RouteTarget): void {
    const truth = this.nodeOf(node.name);
    for (const listener of this.#listeners) listener.connected?.(truth, port, serviceId, target);
  }

  commit(by: SimProcess, transaction: Transaction): (revision: Revision) => void {
    const done = this.#listeners.map((listener) => listener.commit?.(by, transaction)).filter((call) => call !== undefined);
    return (revision) => {
      for (const call of done) call(revision);
    };
  }

  /** Of a request that brings a spec. */
  nextMark(): string {
    return String(++this.#marks);
  }

  refused(refusal: Refused): void {
    for (const listener of this.#listeners) listener.refused?.(refusal);
  }

  acknowledged(ack: Acknowledged): void {
    for (const listener of this.#listeners) listener.acknowledged?.(ack);
  }

  message(_from: SimProcess, to: SimProcess, path: string, bytes: Buffer): void {
    if (path !== SESSION || bytes[0] !== HEARTBEAT_ANSWER) return;
    const truth = this.nodes.get(to.host.name);
    if (truth !== undefined) truth.answeredMs = this.nowMs;
  }

  died(process: SimProcess, reason: string): void {
    this.world.trace.line(process.name, `DIED: ${reason}`);
    this.disturbed([process.host.name]);
  }

  created(): void {
    // It runs only later.
  }

  removed(): void {
    // It had ended before.
  }

  /** Its manager answers it, and nobody else hears of it: that one's lease is over. */
  #isOrphan({ node }: NodeTruth): boolean {
    const managerId = this.mirror.get('sessions', this.nodeIdOf(node.name) ?? '')?.value.managerId;
    return managerId !== undefined && this.mirror.get('managers', managerId) === undefined;
  }

  #isLed(): boolean {
    const leader = this.mirror.get('leader', '')?.value.managerId;
    const manager = this.world.managers.find(({ id }) => id === leader);
    if (manager?.process?.alive !== true || manager.process.stalledUntilMs > this.nowMs) return false;
    return this.isCalmFor(0, ['store', manager.name]);
  }

  #tick(): void {
    this.later(TICK_MS, () => {
      for (const truth of this.nodes.values()) {
        if (this.isAway(truth) || this.#isOrphan(truth)) truth.awayMs = truth.unsettledMs = this.nowMs;
      }
      if (!this.#isLed()) {
        this.undecidedMs = this.nowMs;
        for (const truth of this.nodes.values()) if (this.nowMs - truth.unsettledMs <= SETTLE_MS) truth.unsettledMs = this.nowMs;
      }
      for (const listener of this.#listeners) listener.tick?.();
      this.#tick();
    });
  }
}

export function isJob(spec: ServiceSpec | undefined): boolean {
  return spec?.mode === ServiceMode.REPLICATED_JOB || spec?.mode === ServiceMode.GLOBAL_JOB;
}

export function isIngress(spec: ServiceSpec | undefined): boolean {
  return spec?.ports.some((port) => port.mode === PortMode.INGRESS) ?? false;
}

/** Hosts whose mesh would give a new connection to it. */
export function sendersTo(truth: Truth, container: Container): string[] {
  const names: string[] = [];
  for (const { node } of truth.nodes.values()) {
    if (node.mesh?.process.alive !== true) continue;
    for (const route of node.mesh.table()?.ports.values() ?? []) {
      if (!route.targets.some((target) => target.taskId === container.taskId && target.state === TargetState.TARGET_ACTIVE)) continue;
      names.push(node.name);
      break;
    }
  }
  return names;
}

function describeTable(table: Table): string {
  const ports = [...table.ports.values()].map((route) => {
    const targets = route.targets.map((target) => `${short(target.taskId)}${target.state === 0 ? '' : '-'}`);
    return `${route.publishedPort}=[${targets.join(' ')}]`;
  });
  return ports.join(' ');
}
