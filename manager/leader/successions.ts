// Which live task takes over from which that is still there. Kept change by change, and at any time what the state alone says: whoever leads from now
// on counts the same.
import { type Task, TaskState } from '../../proto/index.ts';
import type { StateView } from '../state/index.ts';
import { isUnended, occupies } from './task-presence.ts';

/** Finished tasks that are kept of a slot. */
const MAX_ATTEMPTS_BACK = 10;

interface Link {
  readonly replaces: string;
  /** Undefined: it does not take over, or nobody is there any more. */
  readonly predecessor: string | undefined;
}

type Index = Map<string, Set<string>>;

export class Successions {
  readonly #state: StateView;
  /** Of every task that was made in place of another. */
  readonly #links = new Map<string, Link>();
  /** Task -> those that were made in its place. */
  readonly #later: Index = new Map();
  /** Task -> those that take over from it. */
  readonly #successors: Index = new Map();

  constructor(state: StateView) {
    this.#state = state;
  }

  /** Someone takes over from it. */
  isReplaced(taskId: string): boolean {
    return this.#successors.has(taskId);
  }

  /** Those that someone takes over from. */
  get replaced(): Iterable<string> {
    return this.#successors.keys();
  }

  /** Looks at the task again, and at those after it in its slot, which may reach past it now. Answers for whom `isReplaced` may be another. */
  note(taskId: string): ReadonlySet<string> {
    const concerned = new Set<string>();
    let generation: readonly string[] = [taskId];
    for (let step = 0; step <= MAX_ATTEMPTS_BACK && generation.length > 0; step++) {
      for (const id of generation) this.#link(id, this.#state.get('tasks', id)?.value, concerned);
      generation = generation.flatMap((id) => [...(this.#later.get(id) ?? [])]);
    }
    return concerned;
  }

  /** As `note`, for a task that the state does not have so yet. */
  announce(task: Task): ReadonlySet<string> {
    const concerned = new Set<string>();
    this.#link(task.id, task, concerned);
    return concerned;
  }

  #link(taskId: string, task: Task | undefined, concerned: Set<string>): void {
    const before = this.#links.get(taskId);
    const after =
      task === undefined || task.replaces === '' ? undefined : { replaces: task.replaces, predecessor: this.#predecessorOf(task) };
    if (after !== undefined) this.#links.set(taskId, after);
    else if (before !== undefined) this.#links.delete(taskId);
    move(this.#later, taskId, before?.replaces, after?.replaces);
    if (!move(this.#successors, taskId, before?.predecessor, after?.predecessor)) return;
    for (const id of [before?.predecessor, after?.predecessor]) if (id !== undefined) concerned.add(id);
  }

  /** The task that is still there of those that came before in the slot: an attempt in between may have failed. */
  #predecessorOf(task: Task): string | undefined {
    if (task.desired > TaskState.COMPLETE || !isUnended(this.#state, task)) return undefined;
    let id = task.replaces;
    for (let step = 0; step < MAX_ATTEMPTS_BACK && id !== ''; step++) {
      const earlier = this.#state.get('tasks', id)?.value;
      if (earlier === undefined) return undefined;
      if (occupies(this.#state, earlier)) return id;
      id = earlier.replaces;
    }
    return undefined;
  }
}

/** False where it stays. */
function move(index: Index, member: string, from: string | undefined, to: string | undefined): boolean {
  if (from === to) return false;
  const left = from === undefined ? undefined : index.get(from);
  left?.delete(member);
  if (from !== undefined && left?.size === 0) index.delete(from);
  if (to === undefined) return true;
  const joined = index.get(to);
  if (joined === undefined) index.set(to, new Set([member]));
  else joined.add(member);
  return true;
}
