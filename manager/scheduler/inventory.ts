// The nodes as placement sees them: what each can take, what is on it, and how many tasks of which service. Fed change by change.
//
// Orderings kept elsewhere (candidates.ts) rely on this: a node only ever becomes worse for a task through `putTask`; whatever may make it better
// (a task gone, another description) is noted in `improvements`.
import { Availability, type GenericResource, type Node, NodeState, type NodeStatus } from '../../proto/index.ts';
import { hostPortKey, type TaskDemand } from './demand.ts';
import { FailureHistory } from './failure-history.ts';
import { countGeneric, type GenericPools, sameGeneric, setPools } from './generic-pool.ts';
import type { ShapeCandidates } from './candidates.ts';

export interface NodeEntry {
  /** Small and reused after the node is gone. */
  readonly index: number;
  readonly id: string;
  /** Never reused: the last tie-break. */
  readonly order: number;
  /** Undefined: only tasks speak of this node. */
  node: Node | undefined;
  status: NodeStatus | undefined;
  /** READY and active. */
  usable: boolean;
  /** It came back too often lately. */
  unsettled: boolean;
  nanoCpus: number;
  memoryBytes: number;
  freeNanoCpus: number;
  freeMemoryBytes: number;
  /** Active tasks of all services. */
  tasks: number;
  /** Tasks that count here in any way. */
  held: number;
  hostPorts: Map<string, number> | undefined;
  generics: GenericPools | undefined;
}

/** CPU against memory: a core weighs as much as 4 GiB, the usual ratio of machines. */
const NANO_CPUS_PER_BYTE = 1e9 / (4 * 1024 ** 3);
const MIN_IMPROVEMENTS_KEPT = 1024;
const NO_GENERICS: readonly GenericResource[] = [];

/** One number for "most free resources". */
export function freeScore(entry: NodeEntry): number {
  return entry.freeNanoCpus + entry.freeMemoryBytes * NANO_CPUS_PER_BYTE;
}

export class Inventory {
  readonly failures = new FailureHistory();
  /** Orderings by shape of task, kept between calls of `place`. */
  readonly shapes = new Map<string, ShapeCandidates>();
  readonly #byId = new Map<string, NodeEntry>();
  /** By index; undefined where none has it at present. */
  readonly #entries: (NodeEntry | undefined)[] = [];
  readonly #freeIndexes: number[] = [];
  /** Each on the node that its demand names: that one has an entry for as long. */
  readonly #tasks = new Map<string, TaskDemand>();
  readonly #byService = new Map<string, Map<NodeEntry, number>>();
  /** How many tasks have which, but 0. */
  readonly #priorities = new Map<number, number>();
  readonly #serviceIds = new Map<string, string>();
  /** A node that gets its first task of one of these, or loses its last, may have become better for others. */
  readonly #watched = new Set<string>();
  #improved: number[] = [];
  #improvedBefore = 0;
  #made = 0;
  #uses = 0;
  #nodeCount = 0;

  /** A number higher than all before. */
  nextUse(): number {
    return ++this.#uses;
  }

  /** How many nodes there are, of any state. */
  get nodeCount(): number {
    return this.#nodeCount;
  }

  /** Bound of `NodeEntry.index`. */
  get indexBound(): number {
    return this.#entries.length;
  }

  putNode(node: Node, status: NodeStatus | undefined, unsettled = false): void {
    const entry = this.#byId.get(node.id) ?? this.#makeEntry(node.id);
    if (entry.node === node && entry.status === status && entry.unsettled === unsettled) return;
    if (entry.node === undefined) this.#nodeCount++;
    entry.node = node;
    entry.status = status;
    entry.unsettled = unsettled;
    entry.usable = status?.state === NodeState.NODE_READY && (node.spec?.availability ?? Availability.ACTIVE) === Availability.ACTIVE;
    this.#setCapacity(entry, status?.description?.resources?.nanoCpus ?? 0, status?.description?.resources?.memoryBytes ?? 0);
    this.#setGenerics(entry, status?.description?.genericResources ?? NO_GENERICS);
    this.#noteImproved(entry);
  }

  removeNode(id: string): void {
    const entry = this.#byId.get(id);
    if (entry?.node === undefined) return;
    this.#nodeCount--;
    entry.node = undefined;
    entry.status = undefined;
    entry.usable = false;
    this.#setCapacity(entry, 0, 0);
    this.#setGenerics(entry, NO_GENERICS);
    this.#noteImproved(entry);
    this.#dropIfUnused(entry);
  }

  /** Idempotent by task id; a task that is there already is replaced. */
  putTask(demand: TaskDemand): void {
    const before = this.#tasks.get(demand.taskId);
    if (before !== undefined) {
      if (sameDemand(before, demand)) return;
      this.removeTask(demand.taskId);
    }
    this.reserve(demand, this.#byId.get(demand.nodeId) ?? this.#makeEntry(demand.nodeId));
  }

  removeTask(taskId: string): void {
    const demand = this.#tasks.get(taskId);
    const entry = demand && this.#byId.get(demand.nodeId);
    if (demand === undefined || entry === undefined) return;
    this.#tasks.delete(taskId);
    entry.freeNanoCpus += demand.nanoCpus;
    entry.freeMemoryBytes += demand.memoryBytes;
    entry.held--;
    for (const port of demand.hostPorts) countPort(entry, hostPortKey(port), -1);
    if (demand.generics !== undefined && demand.generics.length > 0) countGeneric(poolsOf(entry), demand.generics, -1);
    if (demand.priority !== undefined && demand.priority !== 0) this.#countPriority(demand.priority, -1);
    if (demand.active !== false) this.#countService(demand.serviceId, entry, -1);
    this.#noteImproved(entry);
    this.#dropIfUnused(entry);
  }

  /** For `place`: counts a task that is not here yet on a node that is. */
  reserve(demand: TaskDemand, entry: NodeEntry): void {
    this.#tasks.set(demand.taskId, demand);
    entry.freeNanoCpus -= demand.nanoCpus;
    entry.freeMemoryBytes -= demand.memoryBytes;
    entry.held++;
    for (const port of demand.hostPorts) countPort(entry, hostPortKey(port), 1);
    if (demand.generics !== undefined && demand.generics.length > 0) countGeneric(poolsOf(entry), demand.generics, 1);
    if (demand.priority !== undefined && demand.priority !== 0) this.#countPriority(demand.priority, 1);
    if (demand.active !== false) this.#countService(demand.serviceId, entry, 1);
  }

  /** For affinities, which know services by name. */
  putService(id: string, name: string): void {
    this.#serviceIds.set(name, id);
  }

  removeService(id: string, name: string): void {
    if (this.#serviceIds.get(name) === id) this.#serviceIds.delete(name);
  }

  /** What is no name may be an id. */
  serviceIdOf(ref: string): string {
    return this.#serviceIds.get(ref) ?? ref;
  }

  /** From now on an ordering depends on where this service has tasks. */
  watchService(id: string): void {
    this.#watched.add(id);
  }

  recordFailure(nodeId: string, serviceId: string, specNumber: number, nowMs: number): void {
    this.failures.record(nodeId, serviceId, specNumber, nowMs);
  }

  demandOf(taskId: string): TaskDemand | undefined {
    return this.#tasks.get(taskId);
  }

  /** Of all tasks that are here; 0 where none is below. */
  get lowestPriority(): number {
    let lowest = 0;
    for (const priority of this.#priorities.keys()) lowest = Math.min(lowest, priority);
    return lowest;
  }

  has(taskId: string): boolean {
    return this.#tasks.has(taskId);
  }

  entryOf(nodeId: string): NodeEntry | undefined {
    return this.#byId.get(nodeId);
  }

  entryAt(index: number): NodeEntry | undefined {
    return this.#entries[index];
  }

  /** Nodes that exist, in the order in which they came to be known. */
  *nodes(): Iterable<NodeEntry> {
    for (const entry of this.#byId.values()) {
      if (entry.node !== undefined) yield entry;
    }
  }

  /** Nodes with active tasks of the service, and how many. */
  nodesOfService(serviceId: string): ReadonlyMap<NodeEntry, number> | undefined {
    return this.#byService.get(serviceId);
  }

  /** How many improvements there have been; a reader keeps it and asks with it for what came since. */
  get improvementCount(): number {
    return this.#improvedBefore + this.#improved.length;
  }

  /** Indexes of the nodes that may have become better since then; undefined: too many, look at all. */
  improvementsSince(count: number): readonly number[] | undefined {
    if (count < this.#improvedBefore) return undefined;
    return count === this.improvementCount ? [] : this.#improved.slice(count - this.#improvedBefore);
  }

  #makeEntry(id: string): NodeEntry {
    const index = this.#freeIndexes.pop() ?? this.#entries.length;
    const entry: NodeEntry = {
      index,
      id,
      order: this.#made++,
      node: undefined,
      status: undefined,
      usable: false,
      unsettled: false,
      nanoCpus: 0,
      memoryBytes: 0,
      freeNanoCpus: 0,
      freeMemoryBytes: 0,
      tasks: 0,
      held: 0,
      hostPorts: undefined,
      generics: undefined,
    };
    this.#entries[index] = entry;
    this.#byId.set(id, entry);
    return entry;
  }

  #dropIfUnused(entry: NodeEntry): void {
    if (entry.node !== undefined || entry.held > 0) return;
    this.#byId.delete(entry.id);
    this.#entries[entry.index] = undefined;
    this.#freeIndexes.push(entry.index);
  }

  #setCapacity(entry: NodeEntry, nanoCpus: number, memoryBytes: number): void {
    entry.freeNanoCpus += nanoCpus - entry.nanoCpus;
    entry.freeMemoryBytes += memoryBytes - entry.memoryBytes;
    entry.nanoCpus = nanoCpus;
    entry.memoryBytes = memoryBytes;
  }

  #setGenerics(entry: NodeEntry, offered: readonly GenericResource[]): void {
    if (offered.length > 0 || entry.generics !== undefined) setPools(poolsOf(entry), offered);
  }

  #countPriority(priority: number, change: 1 | -1): void {
    const count = (this.#priorities.get(priority) ?? 0) + change;
    if (count > 0) this.#priorities.set(priority, count);
    else this.#priorities.delete(priority);
  }

  #countService(serviceId: string, entry: NodeEntry, change: 1 | -1): void {
    entry.tasks += change;
    let nodes = this.#byService.get(serviceId);
    if (nodes === undefined) {
      nodes = new Map();
      this.#byService.set(serviceId, nodes);
    }
    const count = (nodes.get(entry) ?? 0) + change;
    if (count > 0) nodes.set(entry, count);
    else nodes.delete(entry);
    if (this.#watched.size > 0 && count === (change === 1 ? 1 : 0) && this.#watched.has(serviceId)) this.#noteImproved(entry);
    if (nodes.size === 0) this.#byService.delete(serviceId);
  }

  #noteImproved(entry: NodeEntry): void {
    if (this.#improved.length >= Math.max(MIN_IMPROVEMENTS_KEPT, this.#entries.length)) {
      this.#improvedBefore += this.#improved.length;
      this.#improved = [];
    }
    this.#improved.push(entry.index);
  }
}

function poolsOf(entry: NodeEntry): GenericPools {
  entry.generics ??= new Map() as GenericPools;
  return entry.generics;
}

function countPort(entry: NodeEntry, key: string, change: 1 | -1): void {
  entry.hostPorts ??= new Map();
  const count = (entry.hostPorts.get(key) ?? 0) + change;
  if (count > 0) entry.hostPorts.set(key, count);
  else entry.hostPorts.delete(key);
}

function sameDemand(one: TaskDemand, other: TaskDemand): boolean {
  return (
    one.nodeId === other.nodeId &&
    one.serviceId === other.serviceId &&
    one.specNumber === other.specNumber &&
    one.nanoCpus === other.nanoCpus &&
    one.memoryBytes === other.memoryBytes &&
    one.priority === other.priority &&
    sameGeneric(one.generics ?? NO_GENERICS, other.generics ?? NO_GENERICS) &&
    (one.active !== false) === (other.active !== false) &&
    one.hostPorts.length === other.hostPorts.length &&
    one.hostPorts.every((port, at) => port.port === other.hostPorts[at]?.port && port.protocol === other.hostPorts[at].protocol)
  );
}
