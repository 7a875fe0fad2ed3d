// Keeps the scheduler's inventory as the state has it.
import type { Clock } from '../../lib/clock.ts';
import { type ServiceSpec, type Task, TaskState } from '../../proto/index.ts';
import { demandOf, Inventory } from '../scheduler/index.ts';
import { activeSpecOf, type Change, seenSpecNumber, specOf, type StateView } from '../state/index.ts';
import { Successions } from './successions.ts';
import { occupies } from './task-presence.ts';

export class InventoryFeed {
  readonly inventory = new Inventory();
  readonly #state: StateView;
  readonly #clock: Clock;
  /** While both are there, only the newer counts for spreading. */
  readonly #successions: Successions;

  constructor(state: StateView, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
    this.#successions = new Successions(state);
    for (const { id } of state.all('nodes')) this.#feedNode(id);
    for (const { id, value } of state.all('services')) this.inventory.putService(id, value.name);
    for (const { id } of state.all('tasks')) this.feedTask(id);
    for (const { id, value } of state.all('serviceStatus')) this.inventory.failures.restore(id, value.nodeFailures, clock.nowMs());
  }

  note(changes: readonly Change[]): void {
    for (const change of changes) {
      switch (change.table) {
        case 'nodes':
        case 'nodeStatus':
          this.#feedNode(change.id);
          break;
        case 'services':
          if (change.after !== undefined) this.inventory.putService(change.id, change.after.value.name);
          else if (change.before !== undefined) this.inventory.removeService(change.id, change.before.value.name);
          if (change.before?.value.specNumber !== change.after?.value.specNumber) this.#noteActiveSpec(change.id);
          break;
        case 'serviceStatus': {
          const [was, is] = [change.before?.value, change.after?.value];
          if (was?.activeSpecNumber !== is?.activeSpecNumber || seenSpecNumber(was) !== seenSpecNumber(is)) this.#noteActiveSpec(change.id);
          break;
        }
        case 'nodeWatch': {
          const concerned = [...(change.before?.value.unsettled ?? []), ...(change.after?.value.unsettled ?? [])];
          for (const { nodeId } of concerned) this.#feedNode(nodeId);
          break;
        }
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
    const concerned = this.#successions.note(taskId);
    this.#count(taskId);
    for (const id of concerned) if (id !== taskId) this.#count(id);
  }

  /** A task that is about to be placed takes over from another: the place of that one is free to be taken again. */
  aboutToReplace(task: Task): void {
    for (const id of this.#successions.announce(task)) this.#count(id);
  }

  /** It was announced, and waits on: until the state has it, it takes over from nobody. */
  notPlaced(taskId: string): void {
    for (const id of this.#successions.note(taskId)) this.#count(id);
  }

  /** A task that the state has as given up, and the plan keeps: it counts before others are placed. `feedTask` takes it back. */
  aboutToStay(task: Task): void {
    if (task.nodeId !== '' && occupies(this.#state, task)) this.#put(task);
  }

  #count(taskId: string): void {
    const task = this.#state.get('tasks', taskId)?.value;
    if (task === undefined || !occupies(this.#state, task)) this.inventory.removeTask(taskId);
    else this.#put(task);
  }

  #put(task: Task): void {
    const spec = specOf(this.#state, task.serviceId, task.specNumber);
    const demand = demandOf(task, spec?.task, spec?.ports ?? []);
    const leavesRoom = this.#successions.isReplaced(task.id) && !this.#isLimited(task);
    this.inventory.putTask(leavesRoom ? { ...demand, active: false } : demand);
  }

  /** Another spec may have another limit. */
  #noteActiveSpec(serviceId: string): void {
    for (const id of this.#successions.replaced) {
      if (this.#state.get('tasks', id)?.value.serviceId === serviceId) this.#count(id);
    }
  }

  /** At most so many may be on a node at any time: then one that is being replaced counts until it leaves. */
  #isLimited(task: Task): boolean {
    const limitOf = (spec: ServiceSpec | undefined): number => spec?.task?.placement?.maxReplicasPerNode ?? 0;
    return (
      limitOf(specOf(this.#state, task.serviceId, task.specNumber)) > 0 || limitOf(activeSpecOf(this.#state, task.serviceId)?.spec) > 0
    );
  }

  #feedNode(nodeId: string): void {
    const node = this.#state.get('nodes', nodeId)?.value;
    if (node === undefined) this.inventory.removeNode(nodeId);
    else this.inventory.putNode(node, this.#state.get('nodeStatus', nodeId)?.value, isUnsettled(this.#state, nodeId));
  }

  #noteFailure(change: Change): void {
    if (change.table !== 'taskStatus' || change.after === undefined) return;
    const { state, nodeId } = change.after.value;
    if (change.before?.value.state === state || (state !== TaskState.FAILED && state !== TaskState.REJECTED)) return;
    const task = this.#state.get('tasks', change.id)?.value;
    if (task !== undefined) this.inventory.recordFailure(nodeId, task.serviceId, task.specNumber, this.#clock.nowMs());
  }
}

function isUnsettled(state: StateView, nodeId: string): boolean {
  return state.get('nodeWatch', '')?.value.unsettled.some((node) => node.nodeId === nodeId) ?? false;
}
