// Room for a task that fits nowhere, at the cost of tasks of lower priority.
//
// Rules: only tasks go whose priority is lower by at least the cluster's gap; never those of a global service (their slot is the node: they could go nowhere) nor of the task's
// own service. Of all nodes the one where the fewest must go; among these where the highest priority of them is lowest, then the sum of priorities. What
// is on its way out anyway counts as gone, so that a task that waits for room that was made for it does not ask for more. There is no lower bound
// for the service that loses tasks: what must never make room gets the higher priority.
import { Heap } from '../../lib/heap.ts';
import type { GenericResource } from '../../proto/index.ts';
import { hostPortKey, type TaskDemand } from './demand.ts';
import { isKind } from './filters.ts';
import { freeAfter } from './generic-pool.ts';
import type { Inventory, NodeEntry } from './inventory.ts';
import { smallestSet } from './smallest-set.ts';
import type { Shape } from './shape.ts';

/** What is on nodes, as far as it may be asked to leave. */
export interface Tenants {
  /** Only those whose priority is lower by at least this; above 0. */
  readonly gap: number;
  /** Ids of the tasks of the node. */
  on(nodeId: string): Iterable<string>;
  /** False: it stays, whatever its priority. */
  mayLeave(taskId: string): boolean;
}

export interface Preemption {
  readonly nodeId: string;
  /** None: the room is being made already. */
  readonly taskIds: readonly string[];
}

interface Option {
  readonly entry: NodeEntry;
  readonly victims: readonly TaskDemand[];
}

/** For one call of `place`: whom it has asked to leave counts as gone. What it has promised counts in the inventory as if it were there. */
export class Preemptor {
  readonly #inventory: Inventory;
  readonly #tenants: Tenants;
  readonly #leaving = new Set<string>();

  constructor(inventory: Inventory, tenants: Tenants) {
    this.#inventory = inventory;
    this.#tenants = tenants;
  }

  /** For tasks of one shape, one after the other: costs a look at every node of the right kind once, then at one for each task. */
  forGroup(shape: Shape, serviceId: string): () => Preemption | undefined {
    const options: Option[] = [];
    if (shape.priority - this.#tenants.gap >= this.#inventory.lowestPriority) {
      for (const entry of this.#inventory.nodes()) {
        const option = isKind(shape, entry) ? this.#optionOn(entry, shape, serviceId) : undefined;
        if (option !== undefined) options.push(option);
      }
    }
    const heap = new Heap(compareOptions, options);
    let last: NodeEntry | undefined;
    return () => {
      // Only now does what was promised last count.
      const again = last && this.#optionOn(last, shape, serviceId);
      if (again !== undefined) heap.push(again);
      const best = heap.pop();
      last = best?.entry;
      if (best === undefined) return undefined;
      for (const { taskId } of best.victims) this.#leaving.add(taskId);
      return { nodeId: best.entry.id, taskIds: best.victims.map(({ taskId }) => taskId) };
    };
  }

  /** Undefined: whatever leaves, there is no room. */
  #optionOn(entry: NodeEntry, shape: Shape, serviceId: string): Option | undefined {
    const gone: TaskDemand[] = [];
    const candidates: TaskDemand[] = [];
    for (const taskId of this.#tenants.on(entry.id)) {
      const demand = this.#inventory.demandOf(taskId);
      if (demand === undefined || demand.nodeId !== entry.id) continue;
      if (demand.active === false || this.#leaving.has(taskId)) gone.push(demand);
      else if (
        (demand.priority ?? 0) <= shape.priority - this.#tenants.gap &&
        demand.serviceId !== serviceId &&
        this.#tenants.mayLeave(taskId)
      )
        candidates.push(demand);
    }
    const victims = smallestSet(candidates, (leaving) => this.#fits(entry, shape, serviceId, [...gone, ...leaving]));
    return victims && { entry, victims };
  }

  #fits(entry: NodeEntry, shape: Shape, serviceId: string, gone: readonly TaskDemand[]): boolean {
    const freeCpus = gone.reduce((sum, { nanoCpus }) => sum + nanoCpus, entry.freeNanoCpus);
    const freeMemory = gone.reduce((sum, { memoryBytes }) => sum + memoryBytes, entry.freeMemoryBytes);
    if (shape.nanoCpus > 0 && shape.nanoCpus > freeCpus) return false;
    if (shape.memoryBytes > 0 && shape.memoryBytes > freeMemory) return false;
    const given = gone.flatMap(({ generics }) => generics ?? NO_GENERICS);
    if (shape.generics.some(({ kind, count }) => count > freeAfter(entry.generics, kind, given))) return false;
    if (shape.hostPorts.some((port) => isHeld(entry, hostPortKey(port), gone))) return false;
    // Copies on their way out are not counted there.
    const copies = this.#inventory.nodesOfService(serviceId)?.get(entry) ?? 0;
    return shape.maxReplicasPerNode === 0 || copies < shape.maxReplicasPerNode;
  }
}

const NO_GENERICS: readonly GenericResource[] = [];

function isHeld({ hostPorts }: NodeEntry, key: string, gone: readonly TaskDemand[]): boolean {
  const given = gone.filter((demand) => demand.hostPorts.some((port) => hostPortKey(port) === key)).length;
  return (hostPorts?.get(key) ?? 0) > given;
}

function compareOptions(one: Option, other: Option): number {
  return (
    one.victims.length - other.victims.length ||
    highest(one.victims) - highest(other.victims) ||
    total(one.victims) - total(other.victims) ||
    one.entry.tasks - other.entry.tasks ||
    one.entry.order - other.entry.order
  );
}

function highest(victims: readonly TaskDemand[]): number {
  return victims.reduce((max, { priority = 0 }) => Math.max(max, priority), Number.MIN_SAFE_INTEGER);
}

function total(victims: readonly TaskDemand[]): number {
  return victims.reduce((sum, { priority = 0 }) => sum + priority, 0);
}
