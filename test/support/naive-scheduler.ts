// The rules of placement written down as plainly as can be: every task looks at every node. The oracle of the property tests.
import assert from 'node:assert/strict';
import {
  matchesConstraint,
  type NodeKey,
  nodeValue,
  parseAffinityTarget,
  parseSpread,
  placementProblem,
} from '../../manager/constraint/index.ts';
import type { PlacementRequest } from '../../manager/scheduler/index.ts';
import { Availability, type Node, NodeState, type NodeStatus } from '../../proto/index.ts';
import { GIB } from './placement.ts';

interface PlacedTask {
  readonly request: PlacementRequest;
  readonly nodeId: string;
}

export class NaiveScheduler {
  readonly nodes = new Map<string, { readonly node: Node; readonly status: NodeStatus }>();
  readonly tasks = new Map<string, PlacedTask>();
  /** "service node": on which the service keeps failing. */
  readonly failing = new Set<string>();

  onNode(id: string): readonly PlacedTask[] {
    return [...this.tasks.values()].filter(({ nodeId }) => nodeId === id);
  }

  free(id: string): { readonly cpus: number; readonly bytes: number } {
    const resources = this.nodes.get(id)?.status.description?.resources;
    let cpus = resources?.nanoCpus ?? 0;
    let bytes = resources?.memoryBytes ?? 0;
    for (const { request } of this.onNode(id)) {
      cpus -= request.spec.reservations?.nanoCpus ?? 0;
      bytes -= request.spec.reservations?.memoryBytes ?? 0;
    }
    return { cpus, bytes };
  }

  copies(id: string, serviceId: string): number {
    return this.onNode(id).filter(({ request }) => request.serviceId === serviceId).length;
  }

  /** The phrase of the first filter that refuses the node. */
  refusal(id: string, request: PlacementRequest): string | undefined {
    const { node, status } = this.nodes.get(id) ?? assert.fail();
    const { spec, ports } = request;
    if (status.state !== NodeState.NODE_READY || node.spec?.availability !== Availability.ACTIVE) return 'not available for new tasks';
    if (!this.#hasResources(id, request)) return 'insufficient resources';
    if (placementProblem(spec.placement, node, status) !== undefined) return 'scheduling constraints not satisfied';
    const used = new Set(this.onNode(id).flatMap((task) => task.request.ports.map((port) => port.publishedPort)));
    if (ports.some((port) => used.has(port.publishedPort))) return 'host-mode port already in use';
    const max = spec.placement?.maxReplicasPerNode ?? 0;
    return max > 0 && this.copies(id, request.serviceId) >= max ? 'max replicas per node limit exceeded' : undefined;
  }

  #hasResources(id: string, { spec }: PlacementRequest): boolean {
    const free = this.free(id);
    const { nanoCpus = 0, memoryBytes = 0 } = spec.reservations ?? {};
    if ((nanoCpus > 0 && nanoCpus > free.cpus) || (memoryBytes > 0 && memoryBytes > free.bytes)) return false;
    const offered = this.nodes.get(id)?.status.description?.genericResources ?? [];
    return spec.genericReservations.every(({ kind, count }) => {
      const taken = this.onNode(id)
        .flatMap(({ request }) => request.spec.genericReservations)
        .filter((other) => other.kind === kind)
        .reduce((sum, other) => sum + other.count, 0);
      return count <= (offered.find((other) => other.kind === kind)?.count ?? 0) - taken;
    });
  }

  place(requests: readonly PlacementRequest[]): readonly (string | undefined)[] {
    const inTurn = [...requests].sort(
      (one, other) => priorityOf(other) - priorityOf(one) || firstOf(requests, one) - firstOf(requests, other),
    );
    for (const request of inTurn) {
      const best = this.#best(request);
      if (best !== undefined) this.tasks.set(request.taskId, { request, nodeId: best });
    }
    return requests.map(({ taskId }) => this.tasks.get(taskId)?.nodeId);
  }

  #best(request: PlacementRequest): string | undefined {
    const fitting = [...this.nodes.keys()].filter((id) => this.refusal(id, request) === undefined);
    const sound = fitting.filter((id) => !this.failing.has(`${request.serviceId} ${id}`));
    const keys = (request.spec.placement?.spread ?? []).map((text) => {
      const parsed = parseSpread(text);
      return parsed.ok ? parsed.key : assert.fail(parsed.problem);
    });
    return this.#bestIn(sound.length > 0 ? sound : fitting, [...this.nodes.keys()], keys, request);
  }

  /** `all`: every node of the branch, whether it takes the task or not: its tasks count for the branch. */
  #bestIn(fitting: readonly string[], all: readonly string[], keys: readonly NodeKey[], request: PlacementRequest): string | undefined {
    const [key, ...deeper] = keys;
    if (key === undefined) return this.#inOrder(fitting, request)[0];
    const valueOf = (id: string): string => {
      const { node, status } = this.nodes.get(id) ?? assert.fail();
      return nodeValue(key, node, status) ?? '';
    };
    const branches = [...new Set(fitting.map(valueOf))].map((value) => {
      const nodes = all.filter((id) => valueOf(id) === value);
      const best = this.#bestIn(
        fitting.filter((id) => valueOf(id) === value),
        nodes,
        deeper,
        request,
      );
      return { best: best ?? assert.fail(), copies: nodes.reduce((sum, id) => sum + this.copies(id, request.serviceId), 0) };
    });
    const fewest = Math.min(...branches.map(({ copies }) => copies));
    const candidates = branches.filter(({ copies }) => copies === fewest).map(({ best }) => best);
    return this.#inOrder(candidates, request)[0];
  }

  #inOrder(ids: readonly string[], request: PlacementRequest): readonly string[] {
    const order = [...this.nodes.keys()];
    const keyOf = (id: string): readonly number[] => {
      const { cpus, bytes } = this.free(id);
      const points = 10 * this.copies(id, request.serviceId) - this.affinity(id, request);
      return [points, this.onNode(id).length, -(cpus + (bytes * 1e9) / (4 * GIB)), order.indexOf(id)];
    };
    return [...ids].sort((one, other) => compareKeys(keyOf(one), keyOf(other)));
  }

  affinity(id: string, { spec }: PlacementRequest): number {
    const { node, status } = this.nodes.get(id) ?? assert.fail();
    let sum = 0;
    for (const { target, weight } of spec.placement?.affinities ?? []) {
      const parsed = parseAffinityTarget(target);
      assert.ok(parsed.ok);
      const meets =
        parsed.target.kind === 'service'
          ? this.copies(id, parsed.target.service) > 0
          : matchesConstraint(parsed.target.constraint, node, status);
      if (meets) sum += weight;
    }
    return sum;
  }
}

function priorityOf({ spec }: PlacementRequest): number {
  return spec.placement?.priority ?? 0;
}

function firstOf(requests: readonly PlacementRequest[], request: PlacementRequest): number {
  return requests.findIndex(({ serviceId }) => serviceId === request.serviceId);
}

function compareKeys(one: readonly number[], other: readonly number[]): number {
  for (const [index, value] of one.entries()) {
    const difference = value - (other[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
