export { type ScheduledTimes, scheduledTimes, scheduleProblem, type ScheduleProblem } from './schedule.ts';
