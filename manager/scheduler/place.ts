// Gives waiting tasks a node each, or says why none takes them.
//
// Tasks of one service and spec are placed together (group-picker.ts). No task costs a pass over all nodes; only an explanation does, once per
// shape and call.
import type { GenericResource, PortSpec, TaskSpec } from '../../proto/index.ts';
import { explain, type Filter, refusal } from './filters.ts';
import { chooseGeneric } from './generic-pool.ts';
import { GroupPicker } from './group-picker.ts';
import type { Inventory, NodeEntry } from './inventory.ts';
import { type Preemption, Preemptor, type Tenants } from './preempt.ts';
import { type Shape, shapeOf } from './shape.ts';

export interface PlacementRequest {
  readonly taskId: string;
  readonly serviceId: string;
  readonly specNumber: number;
  /** One object for all tasks of a spec: what is derived from it is kept by identity. */
  readonly spec: TaskSpec;
  readonly ports: readonly PortSpec[];
  /** The only node that will do (global services). */
  readonly nodeId?: string;
}

export type PlacementResult =
  | {
      readonly taskId: string;
      readonly nodeId: string;
      /** What of the node's generic resources the task gets. */
      readonly generics: readonly GenericResource[];
      readonly explanation?: undefined;
    }
  | {
      readonly taskId: string;
      readonly nodeId?: undefined;
      readonly explanation: string;
      /** Where room is made for it; unset: nowhere. */
      readonly preemption?: Preemption;
    };

interface Group {
  readonly first: PlacementRequest;
  readonly shape: Shape;
  /** Positions among the requests. */
  readonly members: number[];
}

interface Unplaced {
  readonly group: Group;
  readonly member: number;
  readonly preemption: Preemption | undefined;
}

/**
 * Results are in the order of the requests. A placed task counts in the inventory at once, until `removeTask` or another `putTask`. With `tenants`, one
 * that finds no room may have others leave: these count until they are gone, and so does the task itself where it waits, so that nobody of lower
 * priority gets there first; it is to be asked for again then.
 */
export function place(
  inventory: Inventory,
  requests: readonly PlacementRequest[],
  nowMs: number,
  tenants?: Tenants,
): readonly PlacementResult[] {
  const results: (PlacementResult | undefined)[] = requests.map(() => undefined);
  const unplaced: Unplaced[] = [];
  const preemptor = tenants && new Preemptor(inventory, tenants);
  for (const { taskId } of requests) if (inventory.has(taskId)) inventory.removeTask(taskId);
  for (const group of groupsOf(requests)) {
    const picker = new GroupPicker(inventory, group.shape, group.first, nowMs);
    let makeRoom: (() => Preemption | undefined) | undefined;
    for (const [done, member] of group.members.entries()) {
      const request = requests[member];
      if (request === undefined) continue;
      const entry = request.nodeId === undefined ? picker.next() : fixed(inventory, group, request.nodeId);
      if (entry === undefined) {
        if (request.nodeId === undefined) makeRoom ??= preemptor?.forGroup(group.shape, request.serviceId);
        const preemption = request.nodeId === undefined ? makeRoom?.() : undefined;
        const where = preemption && inventory.entryOf(preemption.nodeId);
        if (where !== undefined) reserve(inventory, group.shape, request, where);
        unplaced.push({ group, member, preemption });
        continue;
      }
      const generics = reserve(inventory, group.shape, request, entry);
      if (request.nodeId === undefined) picker.placed(done === group.members.length - 1);
      results[member] = { taskId: request.taskId, nodeId: entry.id, generics };
    }
    picker.end();
  }
  // Only now: nothing changes any more, so that groups of one shape share the pass.
  const explainFor = explainer(inventory);
  for (const { group, member, preemption } of unplaced) {
    const request = requests[member];
    if (request === undefined) continue;
    const { taskId } = request;
    const explanation = explainFor(group, request.nodeId);
    results[member] =
      preemption === undefined
        ? { taskId, explanation }
        : { taskId, explanation: `${explanation}; tasks of lower priority make room for it`, preemption };
  }
  return results.filter((result) => result !== undefined);
}

/** Highest priority first, then in the order of their first members. Nearly every service has one spec at a time, which spares a key of both. */
function groupsOf(requests: readonly PlacementRequest[]): readonly Group[] {
  const groups: Group[] = [];
  const byService = new Map<string, Group>();
  const bySpec = new Map<string, Group>();
  for (const [member, request] of requests.entries()) {
    const first = byService.get(request.serviceId);
    const isFirst = first === undefined || first.first.specNumber === request.specNumber;
    const specKey = isFirst ? '' : `${request.serviceId}/${request.specNumber}`;
    const group = isFirst ? first : bySpec.get(specKey);
    if (group !== undefined) {
      group.members.push(member);
      continue;
    }
    const made: Group = { first: request, shape: shapeOf(request.spec, request.ports), members: [member] };
    groups.push(made);
    if (isFirst) byService.set(request.serviceId, made);
    else bySpec.set(specKey, made);
  }
  return groups.some(({ shape }) => shape.priority !== 0) ? groups.sort((one, other) => other.shape.priority - one.shape.priority) : groups;
}

function reserve(inventory: Inventory, shape: Shape, request: PlacementRequest, entry: NodeEntry): readonly GenericResource[] {
  const { taskId, serviceId, specNumber } = request;
  const { nanoCpus, memoryBytes, hostPorts, priority } = shape;
  const generics = shape.generics.length === 0 ? shape.generics : chooseGeneric(entry.generics, shape.generics);
  const demand = { taskId, serviceId, specNumber, nodeId: entry.id, nanoCpus, memoryBytes, hostPorts, generics, priority, active: true };
  inventory.reserve(demand, entry);
  return generics;
}

function fixed(inventory: Inventory, { first, shape }: Group, nodeId: string): NodeEntry | undefined {
  const entry = inventory.entryOf(nodeId);
  if (entry === undefined) return undefined;
  const copies = inventory.nodesOfService(first.serviceId)?.get(entry) ?? 0;
  return refusal(shape, entry, copies) === undefined ? entry : undefined;
}

function explainer(inventory: Inventory): (group: Group, nodeId: string | undefined) => string {
  const byShape = new Map<string, string>();
  return ({ first, shape }, nodeId) => {
    const copies = inventory.nodesOfService(first.serviceId);
    if (nodeId !== undefined) {
      const entry = inventory.entryOf(nodeId);
      if (entry?.node === undefined) return 'no suitable node (its node is not part of the cluster)';
      return explainNodes([entry], shape, copies);
    }
    const key = shape.maxReplicasPerNode > 0 ? `${first.serviceId}/${shape.maxReplicasPerNode}|${shape.key}` : shape.key;
    let text = byShape.get(key);
    if (text === undefined) {
      text = explainNodes(inventory.nodes(), shape, copies);
      byShape.set(key, text);
    }
    return text;
  };
}

function explainNodes(nodes: Iterable<NodeEntry>, shape: Shape, copies: ReadonlyMap<NodeEntry, number> | undefined): string {
  const refusals = new Map<Filter, number>();
  for (const entry of nodes) {
    const filter = refusal(shape, entry, copies?.get(entry) ?? 0);
    if (filter !== undefined) refusals.set(filter, (refusals.get(filter) ?? 0) + 1);
  }
  return explain(refusals);
}
