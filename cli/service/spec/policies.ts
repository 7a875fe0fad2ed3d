// --restart-*, --update-*, --rollback-*: what happens when tasks end or change.
import { FailureAction, RestartCondition, RestartPolicy, UpdateConfig, UpdateOrder } from '../../../proto/index.ts';
import type { FlagReader } from './flag-reader.ts';

const CONDITIONS = { any: RestartCondition.ANY, 'on-failure': RestartCondition.ON_FAILURE, none: RestartCondition.NONE };

/** Without a delay given, delayMs stays unset: the delay then grows with failures. */
export function applyRestart(before: RestartPolicy | undefined, flags: FlagReader): RestartPolicy {
  const base = before ?? RestartPolicy.create();
  return {
    condition: flags.choice('restart-condition', CONDITIONS) ?? base.condition,
    delayMs: flags.durationMs('restart-delay') ?? base.delayMs,
    maxAttempts: flags.count('restart-max-attempts') ?? base.maxAttempts,
    windowMs: flags.durationMs('restart-window') ?? base.windowMs,
  };
}

const ORDERS = { auto: UpdateOrder.AUTO, 'stop-first': UpdateOrder.STOP_FIRST, 'start-first': UpdateOrder.START_FIRST };
const AFTER_ROLLBACK = { pause: FailureAction.FAILURE_PAUSE, continue: FailureAction.FAILURE_CONTINUE };
const AFTER_UPDATE = { ...AFTER_ROLLBACK, rollback: FailureAction.FAILURE_ROLLBACK };
const NO_ROLLBACK = { rollback: '"rollback" is not taken here, since a rollback is never rolled back: pause or continue' };

const DEFAULT_UPDATE_CONFIG: UpdateConfig = UpdateConfig.create({
  parallelism: 1,
  delayMs: 0,
  monitorMs: 5000,
  failureAction: FailureAction.FAILURE_PAUSE,
  maxFailureRatio: 0,
  order: UpdateOrder.AUTO,
});

export function applyUpdateConfig(before: UpdateConfig | undefined, kind: 'update' | 'rollback', flags: FlagReader): UpdateConfig {
  const base = before ?? DEFAULT_UPDATE_CONFIG;
  return {
    parallelism: flags.count(`${kind}-parallelism`) ?? base.parallelism,
    delayMs: flags.durationMs(`${kind}-delay`) ?? base.delayMs,
    monitorMs: flags.durationMs(`${kind}-monitor`) ?? base.monitorMs,
    failureAction: failureAction(kind, flags) ?? base.failureAction,
    maxFailureRatio: flags.ratio(`${kind}-max-failure-ratio`) ?? base.maxFailureRatio,
    order: flags.choice(`${kind}-order`, ORDERS) ?? base.order,
    progressDeadlineMs: flags.durationMs(`${kind}-progress-deadline`) ?? base.progressDeadlineMs,
  };
}

function failureAction(kind: 'update' | 'rollback', flags: FlagReader): FailureAction | undefined {
  const name = `${kind}-failure-action`;
  return kind === 'update' ? flags.choice(name, AFTER_UPDATE) : flags.choice(name, AFTER_ROLLBACK, NO_ROLLBACK);
}

const SETTINGS = ['parallelism', 'delay', 'monitor', 'progress-deadline', 'failure-action', 'max-failure-ratio', 'order'];

/** Jobs have none. */
export function refuseUpdateConfig(kind: 'update' | 'rollback', flags: FlagReader): void {
  for (const setting of SETTINGS) {
    const name = `${kind}-${setting}`;
    const given = flags.text(name);
    if (given !== undefined) flags.problem(`--${name}`, `"${given}" is not for jobs: a new spec begins a job anew`);
  }
}
