// When a job runs next by its schedule.
import type { ServiceSpec } from '../../proto/index.ts';
import { scheduledTimes } from './schedule.ts';

/** When the schedule comes due next, by what has been settled of it. 0: not scheduled, paused, or not known before the leader has seen it. */
export function nextRunOf(spec: ServiceSpec, settledUnixMs: number): number {
  const schedule = spec.job?.schedule;
  if (schedule === undefined || schedule.paused || settledUnixMs === 0) return 0;
  return scheduledTimes(schedule)?.next(settledUnixMs) ?? 0;
}
