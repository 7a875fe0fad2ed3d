export { nextRunOf } from './next-run.ts';
export { type ScheduledTimes, scheduledTimes, scheduleProblem, type ScheduleProblem } from './schedule.ts';
