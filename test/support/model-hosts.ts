// The hosts of a cluster in model time: agents that do as they are told, one state at a time, and meshes that acknowledge what is stored.
import assert from 'node:assert/strict';
import { specOf } from '../../manager/state/index.ts';
import { Endpoint, PortMode, RouteAcks, type Task, TaskState, TaskStatus } from '../../proto/index.ts';
import type { NodeTraits } from './placement.ts';
import { row } from './state-rows.ts';
import type { stateWorld } from './state-world.ts';

/** How a task of this image ends; others run until they are stopped. */
export const FAILING_IMAGE = 'failing';
export const REJECTED_IMAGE = 'rejected';
export const COMPLETING_IMAGE = 'completing';

interface LocalTask {
  state: TaskState;
  ready: boolean;
}

export interface ModelNode {
  traits: NodeTraits;
  /** Out of reach: it goes on by itself, and nobody hears of it. */
  isCut: boolean;
  meshDead: boolean;
  readonly tasks: Map<string, LocalTask>;
}

export class ModelHosts {
  readonly nodes = new Map<string, ModelNode>();
  /** Tasks with open connections: no mesh calls them idle. */
  readonly busy = new Set<string>();
  /** Tasks that do not end, whatever they are told. */
  readonly stuck = new Set<string>();
  readonly #world: ReturnType<typeof stateWorld>;

  constructor(world: ReturnType<typeof stateWorld>) {
    this.#world = world;
  }

  node(id: string): ModelNode {
    return this.nodes.get(id) ?? assert.fail(`no node ${id}`);
  }

  /** Every agent in reach moves its tasks on by one state; true if any did. */
  stepAgents(): boolean {
    let moved = false;
    for (const [id, node] of this.nodes) {
      if (!node.isCut && this.stepAgent(id)) moved = true;
    }
    return moved;
  }

  stepAgent(nodeId: string): boolean {
    const node = this.node(nodeId);
    const statuses: TaskStatus[] = [];
    const assigned = new Set<string>();
    for (const { value: task } of this.#world.state.tasksOfNode(nodeId)) {
      if (task.verdict?.state === TaskState.PENDING) continue;
      assigned.add(task.id);
      const local = node.tasks.get(task.id) ?? { state: TaskState.ACCEPTED, ready: false };
      node.tasks.set(task.id, local);
      this.#stepTask(task, local);
      const status = this.#statusRow(task, local);
      const before = this.#world.state.get('taskStatus', task.id)?.value;
      if (before?.state !== status.state || before.endpoints[0]?.ready !== status.endpoints[0]?.ready) statuses.push(status);
    }
    // What is not assigned any more is stopped and forgotten.
    for (const taskId of node.tasks.keys()) {
      if (!assigned.has(taskId)) node.tasks.delete(taskId);
    }
    if (statuses.length > 0) this.#world.change(statuses.map((status) => row('taskStatus', status.taskId, status)));
    return statuses.length > 0;
  }

  /** A running task ends by itself. */
  crash(taskId: string): void {
    this.#end(taskId, TaskState.FAILED);
  }

  /** A running task has done its work. */
  complete(taskId: string): void {
    this.#end(taskId, TaskState.COMPLETE);
  }

  #end(taskId: string, state: TaskState): void {
    for (const node of this.nodes.values()) {
      const local = node.tasks.get(taskId);
      if (local !== undefined && local.state < TaskState.COMPLETE) local.state = state;
    }
  }

  /** Every mesh that lives acknowledges what is stored now. */
  acknowledge(): boolean {
    const draining = [...this.#world.state.all('tasks')]
      .filter(({ value }) => value.drain && value.desired <= TaskState.COMPLETE)
      .map(({ id }) => id);
    const before = this.#world.state.get('routeAcks', 'm')?.value;
    if (draining.length === 0) return false;
    const known = new Map(before?.nodes.map((ack) => [ack.nodeId, ack]));
    let changed = false;
    for (const [nodeId, node] of this.nodes) {
      if (node.isCut || node.meshDead) continue;
      const idleTaskIds = draining.filter((id) => !this.busy.has(id)).sort();
      const earlier = known.get(nodeId);
      const newest = Math.max(...draining.map((id) => this.#world.state.get('tasks', id)?.modRevision ?? 0));
      if ((earlier?.epoch?.revision ?? 0) >= newest && earlier?.idleTaskIds.join() === idleTaskIds.join()) continue;
      const epoch = { clusterId: 'c', incarnation: 'first', incarnationNumber: 1, revision: this.#world.state.revision };
      known.set(nodeId, { nodeId, epoch, idleTaskIds });
      changed = true;
    }
    if (changed) this.#world.change([row('routeAcks', 'm', RouteAcks.create({ nodes: [...known.values()] }))]);
    return changed;
  }

  #stepTask(task: Task, local: LocalTask): void {
    if (local.state >= TaskState.COMPLETE) return;
    if (task.desired >= TaskState.SHUTDOWN) {
      if (!this.stuck.has(task.id)) local.state = TaskState.SHUTDOWN;
      return;
    }
    const spec = specOf(this.#world.state, task.serviceId, task.specNumber);
    const image = spec?.task?.container?.image;
    switch (local.state) {
      case TaskState.ACCEPTED:
        local.state = image === REJECTED_IMAGE ? TaskState.REJECTED : TaskState.READY;
        return;
      case TaskState.READY:
        if (task.desired !== TaskState.RUNNING && task.desired !== TaskState.COMPLETE) return;
        local.state = TaskState.RUNNING;
        local.ready = spec?.ports.every((port) => port.mode !== PortMode.INGRESS) ?? false;
        return;
      case TaskState.RUNNING:
        if (image === FAILING_IMAGE) local.state = TaskState.FAILED;
        else if (image === COMPLETING_IMAGE) local.state = TaskState.COMPLETE;
        else local.ready = true;
        return;
      default:
        return;
    }
  }

  #statusRow(task: Task, local: LocalTask): TaskStatus {
    const ports = specOf(this.#world.state, task.serviceId, task.specNumber)?.ports ?? [];
    const runs = local.state === TaskState.RUNNING;
    const endpoints = runs
      ? ports
          .filter((port) => port.mode === PortMode.INGRESS)
          .map((port) => Endpoint.create({ protocol: port.protocol, targetPort: port.targetPort, ready: local.ready }))
      : [];
    return TaskStatus.create({
      taskId: task.id,
      nodeId: task.nodeId,
      state: local.state,
      endpoints,
      ...(local.state === TaskState.FAILED ? { exitCode: 1, error: 'it broke' } : {}),
      ...(local.state === TaskState.REJECTED ? { error: 'there is no such image' } : {}),
    });
  }
}
