// How tasks are restarted and services updated. What later releases bring is refused, with a message that says so.
import { FailureAction, RestartCondition, type RestartPolicy, type UpdateConfig, UpdateOrder } from '../../../proto/index.ts';
import { checkCount, checkDuration, checkEnum, type Report } from './report.ts';

const MAX_ATTEMPTS = 1_000_000;
const MAX_PARALLELISM = 100_000;

export function checkRestart(policy: RestartPolicy, report: Report): void {
  checkEnum('task.restart.condition', policy.condition, RestartCondition, report);
  checkDuration('task.restart.delayMs', policy.delayMs, report);
  checkCount('task.restart.maxAttempts', policy.maxAttempts, MAX_ATTEMPTS, report);
  checkDuration('task.restart.windowMs', policy.windowMs, report);
}

export function checkUpdateConfig(path: 'update' | 'rollback', config: UpdateConfig, report: Report): void {
  checkCount(`${path}.parallelism`, config.parallelism, MAX_PARALLELISM, report);
  checkDuration(`${path}.delayMs`, config.delayMs, report);
  checkDuration(`${path}.monitorMs`, config.monitorMs, report);
  checkFailureAction(`${path}.failureAction`, config.failureAction, report);
  const ratio = config.maxFailureRatio;
  if (!(ratio >= 0 && ratio <= 1)) report(`${path}.maxFailureRatio`, `${ratio} is not a ratio from 0 to 1`);
  checkEnum(`${path}.order`, config.order, UpdateOrder, report);
}

function checkFailureAction(path: string, action: FailureAction, report: Report): void {
  switch (action) {
    case FailureAction.FAILURE_PAUSE:
      return;
    case FailureAction.FAILURE_CONTINUE:
      report(path, 'the failure action "continue" is not built yet and comes with a later release; only "pause" is taken');
      return;
    case FailureAction.FAILURE_ROLLBACK:
      report(path, 'the failure action "rollback" is not built yet and comes with a later release; only "pause" is taken');
      return;
    default:
      checkEnum(path, action, FailureAction, report);
  }
}
