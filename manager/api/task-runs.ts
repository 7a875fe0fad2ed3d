// What of a task's spec makes it what it is on its node.
import { isDeepStrictEqual } from 'node:util';
import type { TaskSpec } from '../../proto/index.ts';

/** A change from one to the other would restart nothing. */
export function runsTheSame(one: TaskSpec | undefined, other: TaskSpec | undefined): boolean {
  return isDeepStrictEqual(runtimePart(one), runtimePart(other));
}

/** All but placement and the login for the registry. */
function runtimePart(task: TaskSpec | undefined): TaskSpec | undefined {
  if (task?.container === undefined) return task;
  return { ...task, placement: undefined, container: { ...task.container, registryAuth: '' } };
}
