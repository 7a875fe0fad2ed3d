// How a service is updated and rolled back where its spec does not say.
import { FailureAction, type ServiceSpec, type UpdateConfig, UpdateOrder } from '../../proto/index.ts';

const DEFAULT_DRAIN_PERIOD_MS = 10_000;

/** How long open connections of a task that is to stop are waited for. */
export function drainPeriodOf({ drainPeriodMs }: ServiceSpec): number {
  return drainPeriodMs === 0 ? DEFAULT_DRAIN_PERIOD_MS : drainPeriodMs;
}

const DEFAULT_UPDATE: UpdateConfig = {
  parallelism: 1,
  delayMs: 0,
  monitorMs: 5000,
  failureAction: FailureAction.FAILURE_PAUSE,
  maxFailureRatio: 0,
  order: UpdateOrder.AUTO,
  progressDeadlineMs: undefined,
};

export function updateConfigOf(spec: ServiceSpec): UpdateConfig {
  return spec.update ?? DEFAULT_UPDATE;
}

export function rollbackConfigOf(spec: ServiceSpec): UpdateConfig {
  return spec.rollback ?? DEFAULT_UPDATE;
}
