// What is said of a task beyond its own state.
import { type Task, TaskState } from '../../proto/index.ts';
import { specOf, type StateView } from '../state/index.ts';
import { runsTheSame } from './task-runs.ts';
import { seenTask } from './task-state.ts';

/** What went wrong with the task that this one replaces; empty: nothing, or what an earlier spec had made of it. */
export function earlierError(state: StateView, task: Task): string {
  const earlier = task.replaces === '' ? undefined : state.get('tasks', task.replaces)?.value;
  if (earlier === undefined) return '';
  const seen = seenTask(state, earlier);
  if (seen.state !== TaskState.FAILED && seen.state !== TaskState.REJECTED) return '';
  return isOfSameRun(state, task, earlier) ? seen.error || seen.message : '';
}

function isOfSameRun(state: StateView, { serviceId, specNumber }: Task, earlier: Task): boolean {
  if (specNumber === earlier.specNumber) return true;
  const [now, before] = [specOf(state, serviceId, specNumber), specOf(state, serviceId, earlier.specNumber)];
  return now !== undefined && before !== undefined && runsTheSame(now.task, before.task);
}
