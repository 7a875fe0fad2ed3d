// What is said of a task beyond its own state.
import { type Task, TaskState } from '../../proto/index.ts';
import type { StateView } from '../state/index.ts';
import { seenTask } from './task-state.ts';

/** What went wrong with the task that this one replaces; empty: nothing. */
export function earlierError(state: StateView, task: Task): string {
  const earlier = task.replaces === '' ? undefined : state.get('tasks', task.replaces)?.value;
  if (earlier === undefined) return '';
  const seen = seenTask(state, earlier);
  return seen.state === TaskState.FAILED || seen.state === TaskState.REJECTED ? seen.error || seen.message : '';
}
