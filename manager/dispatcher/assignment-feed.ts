// Keeps one agent's assignments up with the state: one complete set, then increments, merged while the stream takes nothing more.
import type { AdaptiveWindow } from '../../lib/adaptive-window.ts';
import type { Assignment, Epoch, ManagerMessage, Task, TaskState } from '../../proto/index.ts';
import type { ClusterState } from '../state/index.ts';
import type { Revision } from '../store/store.ts';
import { assignmentOf, isAssigned, type NodeFacts } from './assignments.ts';
import type { RevisionGate } from './revision-gate.ts';

export interface AssignmentFeedOptions {
  readonly state: ClusterState;
  readonly gate: RevisionGate;
  readonly epochAt: (revision: Revision) => Epoch;
  readonly node: NodeFacts;
  /** How far this process's own commits had run ahead of the watch when the session began. */
  readonly aheadRevision: Revision;
  readonly congested: () => boolean;
  readonly send: (message: ManagerMessage) => void;
  /** The task cannot be told to the node. */
  readonly impossible: (taskId: string, reason: string) => void;
  readonly window: (flush: () => void) => AdaptiveWindow;
}

export class AssignmentFeed {
  readonly #options: AssignmentFeedOptions;
  readonly #window: AdaptiveWindow;
  /** What the agent was told: of an assignment, only `desired` ever changes. */
  readonly #told = new Map<string, TaskState>();
  readonly #dirty = new Set<string>();
  #node: NodeFacts;
  #base: Epoch | undefined;
  #needed: Revision;

  constructor(options: AssignmentFeedOptions) {
    this.#options = options;
    this.#node = options.node;
    this.#needed = options.aheadRevision;
    this.#window = options.window(() => {
      this.pump();
    });
  }

  /** The complete set goes out next: at the start, or because the agent found a gap. */
  restart(): void {
    this.#base = undefined;
    this.#window.trigger();
  }

  /** For templates of tasks that are assigned from now on. */
  describe(node: NodeFacts): void {
    this.#node = node;
  }

  touched(taskId: string, revision: Revision): void {
    this.#dirty.add(taskId);
    this.#needed = Math.max(this.#needed, revision);
    this.#window.trigger();
  }

  /** Sends what is due, unless the stream is full or the state not whole yet; also to be called when the stream has room again. */
  pump(): void {
    const { state, gate, congested } = this.#options;
    if (congested() || (this.#base !== undefined && this.#dirty.size === 0)) return;
    if (state.revision < this.#needed) {
      gate.wait(this, this.#needed, () => {
        this.pump();
      });
      return;
    }
    const epoch = this.#options.epochAt(state.revision);
    if (this.#base === undefined) this.#sendAll(epoch);
    else this.#sendChanges(this.#base, epoch);
    this.#dirty.clear();
  }

  stop(): void {
    this.#window.stop();
    this.#options.gate.forget(this);
  }

  #sendAll(epoch: Epoch): void {
    this.#told.clear();
    const assignments: Assignment[] = [];
    for (const { value } of this.#options.state.tasksOfNode(this.#node.id)) {
      const assignment = this.#assignment(value);
      if (assignment !== undefined) assignments.push(assignment);
    }
    this.#base = epoch;
    this.#options.send({ message: { case: 'assignments', value: { epoch, assignments } } });
  }

  #sendChanges(base: Epoch, result: Epoch): void {
    const put: Assignment[] = [];
    const removedTaskIds: string[] = [];
    for (const taskId of this.#dirty) {
      const told = this.#told.get(taskId);
      const task = this.#options.state.get('tasks', taskId)?.value;
      if (task === undefined || !isAssigned(this.#options.state, task, this.#node.id)) {
        if (this.#told.delete(taskId)) removedTaskIds.push(taskId);
      } else if (told !== task.desired) {
        const assignment = this.#assignment(task);
        if (assignment !== undefined) put.push(assignment);
      }
    }
    if (put.length === 0 && removedTaskIds.length === 0) return;
    this.#base = result;
    this.#options.send({ message: { case: 'assignmentDelta', value: { base, result, put, removedTaskIds } } });
  }

  #assignment(task: Task): Assignment | undefined {
    const result = assignmentOf(this.#options.state, task, this.#node);
    switch (result.kind) {
      case 'none':
        return undefined;
      case 'impossible':
        this.#options.impossible(task.id, result.reason);
        return undefined;
      case 'assigned':
        this.#told.set(task.id, task.desired);
        return result.assignment;
    }
  }
}
