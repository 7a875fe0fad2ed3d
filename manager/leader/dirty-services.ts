// Which services must be looked at again after changes of state: the leader reconciles these and no others.
import { type NodeStatus, type Task, TaskState } from '../../proto/index.ts';
import type { Change, ChangeOf, Row, StateView } from '../state/index.ts';
import { isWaiting } from './placer.ts';

export class DirtyServices {
  readonly #state: StateView;
  readonly #dirty = new Set<string>();
  /** Tasks that drain: acknowledgements concern only their services. */
  readonly #draining = new TaskOwners();
  /** Tasks that wait for a node: whatever ends anywhere may make room for these. */
  readonly #waiting = new TaskOwners();
  #all = true;

  constructor(state: StateView) {
    this.#state = state;
    for (const { id, value } of state.all('tasks')) this.#noteTask(id, value);
  }

  /** Whether `take` would give anything. */
  hasWork(isBusy: (serviceId: string) => boolean): boolean {
    if (this.#all) return true;
    for (const id of this.#dirty) {
      if (!isBusy(id)) return true;
    }
    return false;
  }

  mark(serviceId: string): void {
    this.#dirty.add(serviceId);
  }

  markAll(): void {
    this.#all = true;
  }

  /** Takes the dirty services out, except those that `isBusy`; these stay dirty. */
  take(isBusy: (serviceId: string) => boolean): readonly string[] {
    if (this.#all) {
      this.#all = false;
      for (const { id } of this.#state.all('services')) this.#dirty.add(id);
      for (const { value } of this.#state.all('tasks')) this.#dirty.add(value.serviceId);
      for (const { id } of this.#state.all('specs')) this.#dirty.add(ownerOf(id));
      for (const { id } of this.#state.all('serviceStatus')) this.#dirty.add(id);
    }
    const taken = [...this.#dirty].filter((id) => !isBusy(id));
    for (const id of taken) this.#dirty.delete(id);
    return taken;
  }

  note(changes: readonly Change[]): void {
    for (const change of changes) this.#note(change);
  }

  #note(change: Change): void {
    switch (change.table) {
      case 'services':
      case 'serviceStatus':
      case 'rebalance':
        this.mark(change.id);
        return;
      case 'specs':
      case 'slots':
        this.mark(ownerOf(change.id));
        return;
      case 'tasks': {
        const task = (change.after ?? change.before)?.value;
        if (task !== undefined) this.mark(task.serviceId);
        this.#noteTask(change.id, change.after?.value);
        if (change.after === undefined) this.#markWaiting();
        return;
      }
      case 'taskStatus': {
        const task = this.#state.get('tasks', change.id)?.value;
        if (task !== undefined) this.mark(task.serviceId);
        if (hasEnded(change)) this.#markWaiting();
        return;
      }
      case 'nodes':
      case 'nodeWatch':
      case 'cluster':
        this.markAll();
        return;
      case 'nodeStatus':
        if (movesTasks(change)) this.markAll();
        else this.#markDraining();
        return;
      case 'routeAcks':
        this.#markDraining();
        return;
      case 'sessions':
      case 'removedNodes':
      case 'routeFloor':
      case 'byName':
      case 'byPort':
      case 'managers':
      case 'leader':
      case 'events':
      case 'eventFloor':
        return;
    }
  }

  #noteTask(taskId: string, task: Task | undefined): void {
    const shallRun = task !== undefined && task.desired <= TaskState.COMPLETE;
    this.#draining.note(taskId, shallRun && task.drain ? task.serviceId : undefined);
    this.#waiting.note(taskId, shallRun && isWaiting(task) ? task.serviceId : undefined);
  }

  #markWaiting(): void {
    for (const serviceId of this.#waiting.services()) this.mark(serviceId);
  }

  #markDraining(): void {
    for (const serviceId of this.#draining.services()) this.mark(serviceId);
  }
}

/** Some tasks, and the services that have any of them: asked for much oftener than there are services. */
class TaskOwners {
  readonly #owners = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  /** `serviceId` undefined: the task is not one of them, or not any more. */
  note(taskId: string, serviceId: string | undefined): void {
    const before = this.#owners.get(taskId);
    if (before === serviceId) return;
    if (before !== undefined) this.#count(before, -1);
    if (serviceId === undefined) {
      this.#owners.delete(taskId);
    } else {
      this.#owners.set(taskId, serviceId);
      this.#count(serviceId, 1);
    }
  }

  services(): Iterable<string> {
    return this.#counts.keys();
  }

  #count(serviceId: string, by: 1 | -1): void {
    const count = (this.#counts.get(serviceId) ?? 0) + by;
    if (count === 0) this.#counts.delete(serviceId);
    else this.#counts.set(serviceId, count);
  }
}

/** Service of a key "service/number". */
function ownerOf(id: string): string {
  return id.slice(0, id.indexOf('/'));
}

function hasEnded({ before, after }: ChangeOf<'taskStatus'>): boolean {
  const isOver = (state: TaskState | undefined): boolean => (state ?? TaskState.NEW) >= TaskState.COMPLETE;
  return isOver(after?.value.state) && !isOver(before?.value.state);
}

interface StatusChange {
  readonly before: Pick<Row<NodeStatus>, 'value'> | undefined;
  readonly after: Pick<Row<NodeStatus>, 'value'> | undefined;
}

/** Whether it may change which tasks the node takes or keeps. */
export function movesTasks({ before, after }: StatusChange): boolean {
  if (before === undefined || after === undefined) return true;
  return before.value.state !== after.value.state || JSON.stringify(before.value.description) !== JSON.stringify(after.value.description);
}
