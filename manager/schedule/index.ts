export { nextRunOf } from './next-run.ts';
export { type ScheduledTimes, scheduledTimes, scheduleProblems, type ScheduleProblem } from './schedule.ts';
