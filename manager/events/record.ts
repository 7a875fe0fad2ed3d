// Collects what the writes of one transaction mean for people, to be stored with them: there is an event if and only if the change was made.
import { type Event, type Task, type TaskChange, type TaskChanges, type TaskStatus, type NodeStatus } from '../../proto/index.ts';
import { specOf, type StateView } from '../state/index.ts';
import { nodeEvents } from './node-events.ts';
import { rowChanges, statusChange } from './task-changes.ts';

export class ChangeRecord {
  readonly #view: StateView;
  readonly #wallMs: number;
  readonly #events: Event[] = [];
  readonly #byService = new Map<string, { readonly serviceName: string; readonly changes: TaskChange[] }>();

  constructor(view: StateView, wallMs: number) {
    this.#view = view;
    this.#wallMs = wallMs;
  }

  addEvents(events: readonly Event[]): void {
    this.#events.push(...events);
  }

  noteTask(before: Task | undefined, after: Task | undefined): void {
    const task = after ?? before;
    if (task !== undefined) this.#add(task, rowChanges(before, after));
  }

  /** Passed over where the task is not there. */
  noteTaskStatus(before: TaskStatus | undefined, after: TaskStatus): void {
    const task = this.#view.get('tasks', after.taskId)?.value;
    const change = task && statusChange(task, before, after);
    if (task !== undefined && change !== undefined) this.#add(task, [change]);
  }

  noteNodeStatus(before: NodeStatus | undefined, after: NodeStatus): void {
    this.#events.push(...nodeEvents(before, after, this.#wallMs));
  }

  /** Undefined: nothing that anybody has to know. */
  build(): { readonly events: readonly Event[]; readonly tasks: readonly TaskChanges[] } | undefined {
    if (this.#events.length === 0 && this.#byService.size === 0) return undefined;
    const tasks = [...this.#byService].map(([serviceId, rest]) => ({ serviceId, timeUnixMs: this.#wallMs, ...rest }));
    return { events: this.#events, tasks };
  }

  #add(task: Task, changes: readonly TaskChange[]): void {
    if (changes.length === 0) return;
    const { serviceId, specNumber } = task;
    let known = this.#byService.get(serviceId);
    if (known === undefined) {
      const serviceName = this.#view.get('services', serviceId)?.value.name ?? specOf(this.#view, serviceId, specNumber)?.name ?? '';
      known = { serviceName, changes: [] };
      this.#byService.set(serviceId, known);
    }
    known.changes.push(...changes);
  }
}
