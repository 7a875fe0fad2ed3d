// Keeps the scheduler's inventory as the state has it.
import type { Clock } from '../../lib/clock.ts';
import { type ServiceSpec, type Task, TaskState } from '../../proto/index.ts';
import { demandOf, Inventory } from '../scheduler/index.ts';
import { activeSpecOf, type Change, specOf, type StateView } from '../state/index.ts';

/** Finished tasks that are kept of a slot. */
const MAX_ATTEMPTS_BACK = 10;

export class InventoryFeed {
  readonly inventory = new Inventory();
  readonly #state: StateView;
  readonly #clock: Clock;
  /** Task -> the live one that takes over from it: while both are there, only the newer counts for spreading. */
  readonly #successors = new Map<string, string>();
  readonly #predecessors = new Map<string, string>();

  constructor(state: StateView, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
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
          break;
        case 'nodeWatch': {
          const concerned = [...(change.before?.value.unsettled ?? []), ...(change.after?.value.unsettled ?? [])];
          for (const { nodeId } of concerned) this.#feedNode(nodeId);
          break;
        }
        case 'tasks':
        case 'taskStatus':
          this.#noteFailure(change);
          this.feedTask(change.id);
          if (change.after === undefined) this.#forget(change.id);
          break;
        default:
      }
    }
  }

  /** Puts the task as the state has it, in place of what a placement assumed. */
  feedTask(taskId: string): void {
    const task = this.#state.get('tasks', taskId)?.value;
    if (task === undefined || task.nodeId === '' || !occupies(this.#state, task)) this.inventory.removeTask(taskId);
    else this.#count(task, this.#successors.has(taskId));
    if (task !== undefined) this.#noteSuccessor(task, task.desired <= TaskState.COMPLETE && isUnended(this.#state, task));
  }

  #forget(taskId: string): void {
    const successor = this.#successors.get(taskId);
    if (successor !== undefined) this.#predecessors.delete(successor);
    this.#successors.delete(taskId);
    const predecessor = this.#predecessors.get(taskId);
    this.#predecessors.delete(taskId);
    if (predecessor === undefined) return;
    this.#successors.delete(predecessor);
    this.feedTask(predecessor);
  }

  /** A task that is about to be placed takes over from another: the place of that one is free to be taken again. */
  aboutToReplace(task: Task): void {
    this.#noteSuccessor(task, true);
  }

  /** A task that the state has as given up, and the plan keeps: it counts before others are placed. `feedTask` takes it back. */
  aboutToStay(task: Task): void {
    if (task.nodeId !== '' && occupies(this.#state, task)) this.#count(task, this.#successors.has(task.id));
  }

  #noteSuccessor(task: Task, takesOver: boolean): void {
    const replacedId = this.#predecessors.get(task.id) ?? (takesOver ? this.#predecessorOf(task) : undefined);
    if (replacedId === undefined || (this.#successors.get(replacedId) === task.id) === takesOver) return;
    if (takesOver) {
      this.#successors.set(replacedId, task.id);
      this.#predecessors.set(task.id, replacedId);
    } else {
      this.#successors.delete(replacedId);
      this.#predecessors.delete(task.id);
    }
    const replaced = this.#state.get('tasks', replacedId)?.value;
    if (replaced !== undefined && replaced.nodeId !== '' && occupies(this.#state, replaced)) this.#count(replaced, takesOver);
  }

  /** The task that is still there of those that came before in the slot: an attempt in between may have failed. */
  #predecessorOf(task: Task): string | undefined {
    let id = task.replaces;
    for (let step = 0; step < MAX_ATTEMPTS_BACK && id !== ''; step++) {
      const earlier = this.#state.get('tasks', id)?.value;
      if (earlier === undefined || (earlier.nodeId !== '' && occupies(this.#state, earlier))) return earlier?.id;
      id = earlier.replaces;
    }
    return undefined;
  }

  #count(task: Task, isReplaced: boolean): void {
    const spec = specOf(this.#state, task.serviceId, task.specNumber);
    const demand = demandOf(task, spec?.task, spec?.ports ?? []);
    this.inventory.putTask(isReplaced && !this.#isLimited(task) ? { ...demand, active: false } : demand);
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

/** From its placement until its node says that it has ended, or is no longer part of the cluster. A task that waits has no node yet, or only one in view. */
function occupies(state: StateView, task: Task): boolean {
  if (task.verdict?.state === TaskState.PENDING || task.verdict?.state === TaskState.ORPHANED) return false;
  return isUnended(state, task);
}

function isUnended(state: StateView, task: Task): boolean {
  return (state.get('taskStatus', task.id)?.value.state ?? TaskState.NEW) < TaskState.COMPLETE;
}

function isUnsettled(state: StateView, nodeId: string): boolean {
  return state.get('nodeWatch', '')?.value.unsettled.some((node) => node.nodeId === nodeId) ?? false;
}
