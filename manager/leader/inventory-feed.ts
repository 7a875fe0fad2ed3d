// Keeps the scheduler's inventory as the state has it.
import type { Clock } from '../../lib/clock.ts';
import { type Task, type TaskSpec, TaskState } from '../../proto/index.ts';
import { Inventory } from '../scheduler/index.ts';
import { type Change, specOf, type StateView } from '../state/index.ts';

export class InventoryFeed {
  readonly inventory = new Inventory();
  readonly #state: StateView;
  readonly #clock: Clock;

  constructor(state: StateView, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
    for (const { id } of state.all('nodes')) this.#feedNode(id);
    for (const { id } of state.all('tasks')) this.feedTask(id);
  }

  note(changes: readonly Change[]): void {
    for (const change of changes) {
      switch (change.table) {
        case 'nodes':
        case 'nodeStatus':
          this.#feedNode(change.id);
          break;
        case 'tasks':
        case 'taskStatus':
          this.#noteFailure(change);
          this.feedTask(change.id);
          break;
        default:
      }
    }
  }

  /** Puts the task as the state has it, in place of what a placement assumed. */
  feedTask(taskId: string): void {
    const task = this.#state.get('tasks', taskId)?.value;
    if (task === undefined || task.nodeId === '' || !occupies(this.#state, task)) {
      this.inventory.removeTask(taskId);
      return;
    }
    const spec = specOf(this.#state, task.serviceId, task.specNumber);
    const demand = demandOf(spec?.task);
    const hostPorts = (spec?.ports ?? []).filter((port) => port.mode === HOST_MODE && port.publishedPort > 0);
    this.inventory.putTask({
      taskId,
      serviceId: task.serviceId,
      specNumber: task.specNumber,
      nodeId: task.nodeId,
      ...demand,
      hostPorts: hostPorts.map((port) => ({ protocol: port.protocol, port: port.publishedPort })),
    });
  }

  #feedNode(nodeId: string): void {
    const node = this.#state.get('nodes', nodeId)?.value;
    if (node === undefined) this.inventory.removeNode(nodeId);
    else this.inventory.putNode(node, this.#state.get('nodeStatus', nodeId)?.value);
  }

  #noteFailure(change: Change): void {
    if (change.table !== 'taskStatus' || change.after === undefined) return;
    const { state, nodeId } = change.after.value;
    if (change.before?.value.state === state || (state !== TaskState.FAILED && state !== TaskState.REJECTED)) return;
    const task = this.#state.get('tasks', change.id)?.value;
    if (task !== undefined) this.inventory.recordFailure(nodeId, task.serviceId, task.specNumber, this.#clock.nowMs());
  }
}
