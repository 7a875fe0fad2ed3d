export { type ScheduledTimes, scheduledTimes, scheduleProblems, type ScheduleProblem } from './schedule.ts';
