// Which services must be looked at again after changes of state: the leader reconciles these and no others.
import { type Task, TaskState } from '../../proto/index.ts';
import type { Change, ChangeOf, StateView } from '../state/index.ts';
import { isWaiting } from './placer.ts';

export class DirtyServices {
  readonly #state: StateView;
  readonly #dirty = new Set<string>();
  /** Services of tasks that drain, by task: acknowledgements concern only these. */
  readonly #draining = new Map<string, string>();
  /** Services of tasks that wait for a node, by task: whatever ends anywhere may make room for these. */
  readonly #waiting = new Map<string, string>();
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
    if (shallRun && task.drain) this.#draining.set(taskId, task.serviceId);
    else this.#draining.delete(taskId);
    if (shallRun && isWaiting(task)) this.#waiting.set(taskId, task.serviceId);
    else this.#waiting.delete(taskId);
  }

  #markWaiting(): void {
    for (const serviceId of this.#waiting.values()) this.mark(serviceId);
  }

  #markDraining(): void {
    for (const serviceId of this.#draining.values()) this.mark(serviceId);
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

/** Whether it may change which tasks the node takes or keeps. */
export function movesTasks({ before, after }: ChangeOf<'nodeStatus'>): boolean {
  if (before === undefined || after === undefined) return true;
  return before.value.state !== after.value.state || JSON.stringify(before.value.description) !== JSON.stringify(after.value.description);
}
