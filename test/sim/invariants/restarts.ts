// Restart policies: what a policy does not bring back stays ended, and no slot is tried again more often than it says, whoever leads.
import { RestartCondition, TaskState } from '../../../proto/index.ts';
import { short } from '../core/trace.ts';
import { isJob, type Truth } from '../truth/truth.ts';

export function restartPoliciesAreKept(truth: Truth): void {
  const { mirror } = truth;
  mirror.onChange((change) => {
    if (change.table !== 'tasks' || change.before !== undefined || change.after === undefined) return;
    const task = change.after.value;
    const spec = truth.specOf(task);
    const { condition = RestartCondition.ANY, maxAttempts = 0, windowMs = 0 } = spec?.task?.restart ?? {};
    const attempt = task.restart?.attempt ?? 0;
    const text = `task ${short(task.id)} of service ${short(task.serviceId)}`;
    if (maxAttempts > 0 && windowMs === 0 && attempt > maxAttempts)
      truth.fail('restart', `${text} is attempt ${attempt} of a slot that has ${maxAttempts}`);
    const ended = mirror.get('tasks', task.replaces)?.value;
    // A move, or another spec, is no restart.
    if (ended === undefined || ended.specNumber !== task.specNumber || attempt <= (ended.restart?.attempt ?? 0)) return;
    const state = mirror.get('taskStatus', ended.id)?.value.state;
    if (condition === RestartCondition.NONE) truth.fail('restart', `${text} brings back what is not to be restarted`);
    else if (condition === RestartCondition.ON_FAILURE && !isJob(spec) && state === TaskState.COMPLETE)
      truth.fail('restart', `${text} brings back what has ended without failure`);
  });
}
