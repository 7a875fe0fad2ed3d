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

type Parsed = ScheduledTimes | { readonly problems: readonly ScheduleProblem[] };

const MAX_LENGTH = 200;
const PARSED = new WeakMap<JobSchedule, Parsed>();

/** All that is wrong with it; empty: it can be used. */
export function scheduleProblems(schedule: JobSchedule): readonly ScheduleProblem[] {
  const parsed = parsedOf(schedule);
  return 'problems' in parsed ? parsed.problems : [];
}

/** Undefined where the schedule is none. */
export function scheduledTimes(schedule: JobSchedule): ScheduledTimes | undefined {
  const parsed = parsedOf(schedule);
  return 'problems' in parsed ? undefined : parsed;
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
  const zone = timezone === '' ? 'UTC' : timezone;
  const isKnown = isTimeZone(zone);
  const cron = parseCron(text, isKnown ? zone : 'UTC');
  const problems: ScheduleProblem[] = typeof cron === 'string' ? [{ field: 'cron', message: cron }] : [];
  if (!isKnown) {
    const message = `${JSON.stringify(zone.slice(0, MAX_LENGTH))} is not a known time zone such as Europe/Berlin or UTC`;
    problems.push({ field: 'timezone', message });
  }
  if (typeof cron === 'string' || problems.length > 0) return { problems };
  return {
    next: (afterMs) => cron.nextRun(new Date(afterMs))?.getTime(),
    // croner's reference itself does not count.
    latest: (untilMs) => cron.previousRuns(1, new Date(untilMs + 1))[0]?.getTime(),
  };
}

/** A text: what is wrong. */
function parseCron(text: string, zone: string): Cron | string {
  const shown = JSON.stringify(text.slice(0, MAX_LENGTH));
  const wrong = (why: string): string =>
    `${shown} is not a schedule of five fields (minute, hour, day of month, month, day of week) such as "0 3 * * *": ${why}`;
  if (text.length > MAX_LENGTH) return wrong(`it is longer than ${MAX_LENGTH} characters`);
  let cron: Cron;
  try {
    cron = new Cron(text, { timezone: zone, mode: '5-part', fixedTimeRule: 'no-wildcard', paused: true });
  } catch (error) {
    return wrong(error instanceof Error ? error.message.replace(/^CronPattern: /, '') : 'it cannot be read');
  }
  // A date and time is a schedule for croner, too. It has no pattern, and is no schedule for us.
  if (cron.getPattern() === undefined) return wrong('it is a single date');
  return cron.nextRun(new Date(0)) === null ? `${shown} never comes: there is no such day` : cron;
}

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
