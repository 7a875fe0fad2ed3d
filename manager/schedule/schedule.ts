// When a schedule comes due: crontab(5) fields in a time zone. Pure: instants in, instants out; nothing here waits.
//
// Daylight saving as in Vixie cron: a schedule of fixed hours and minutes runs once a day, at the first moment after a gap that swallowed its time,
// and only the first time where its hour comes twice. One with * or a step in hour or minute goes by the time that passes.
import { Cron } from 'croner';
import type { JobSchedule } from '../../proto/index.ts';

/** Unix milliseconds throughout. */
export interface ScheduledTimes {
  /** The first scheduled time after `afterMs`; undefined: there is none. */
  next(afterMs: number): number | undefined;
  /** The last scheduled time at or before `untilMs`; undefined: there was none. */
  latest(untilMs: number): number | undefined;
}

export interface ScheduleProblem {
  readonly field: 'cron' | 'timezone';
  readonly message: string;
}

type Parsed = ScheduledTimes | ScheduleProblem;

const MAX_LENGTH = 200;
const PARSED = new WeakMap<JobSchedule, Parsed>();

/** Undefined: it can be used. */
export function scheduleProblem(schedule: JobSchedule): ScheduleProblem | undefined {
  const parsed = parsedOf(schedule);
  return 'message' in parsed ? parsed : undefined;
}

/** Undefined where the schedule is none. */
export function scheduledTimes(schedule: JobSchedule): ScheduledTimes | undefined {
  const parsed = parsedOf(schedule);
  return 'message' in parsed ? undefined : parsed;
}

function parsedOf(schedule: JobSchedule): Parsed {
  let parsed = PARSED.get(schedule);
  if (parsed === undefined) {
    parsed = parse(schedule);
    PARSED.set(schedule, parsed);
  }
  return parsed;
}

function parse({ cron: text, timezone }: JobSchedule): Parsed {
  const shown = JSON.stringify(text.slice(0, MAX_LENGTH));
  const wrong = (why: string): ScheduleProblem => ({
    field: 'cron',
    message: `${shown} is not a schedule of five fields (minute, hour, day of month, month, day of week) such as "0 3 * * *": ${why}`,
  });
  if (text.length > MAX_LENGTH) return wrong(`it is longer than ${MAX_LENGTH} characters`);
  const zone = timezone === '' ? 'UTC' : timezone;
  if (!isTimeZone(zone)) {
    return {
      field: 'timezone',
      message: `${JSON.stringify(zone.slice(0, MAX_LENGTH))} is not a known time zone such as Europe/Berlin or UTC`,
    };
  }
  let cron: Cron;
  try {
    cron = new Cron(text, { timezone: zone, mode: '5-part', fixedTimeRule: 'no-wildcard', paused: true });
  } catch (error) {
    return wrong(error instanceof Error ? error.message.replace(/^CronPattern: /, '') : 'it cannot be read');
  }
  // A date and time is a schedule for croner, too. It has no pattern, and is no schedule for us.
  if (cron.getPattern() === undefined) return wrong('it is a single date');
  if (cron.nextRun(new Date(0)) === null) return { field: 'cron', message: `${shown} never comes: there is no such day` };
  return {
    next: (afterMs) => cron.nextRun(new Date(afterMs))?.getTime(),
    // croner's reference itself does not count.
    latest: (untilMs) => cron.previousRuns(1, new Date(untilMs + 1))[0]?.getTime(),
  };
}

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
