// How tasks are restarted and services updated.
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
  checkFailureAction(path, config.failureAction, report);
  checkDuration(`${path}.progressDeadlineMs`, config.progressDeadlineMs, report);
  const ratio = config.maxFailureRatio;
  if (!(ratio >= 0 && ratio <= 1)) report(`${path}.maxFailureRatio`, `${ratio} is not a ratio from 0 to 1`);
  checkEnum(`${path}.order`, config.order, UpdateOrder, report);
}

function checkFailureAction(path: 'update' | 'rollback', action: FailureAction, report: Report): void {
  if (path === 'rollback' && action === FailureAction.FAILURE_ROLLBACK)
    report('rollback.failureAction', '"rollback" is not taken here, since a rollback is never rolled back: pause or continue');
  else checkEnum(`${path}.failureAction`, action, FailureAction, report);
}
