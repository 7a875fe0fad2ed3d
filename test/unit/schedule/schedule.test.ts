import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { type ScheduledTimes, scheduledTimes, scheduleProblems } from '../../../manager/schedule/index.ts';
import { JobSchedule } from '../../../proto/index.ts';

function times(cron: string, timezone = ''): ScheduledTimes {
  return scheduledTimes(JobSchedule.create({ cron, timezone })) ?? assert.fail(`${cron} is no schedule`);
}

function nextOf(schedule: ScheduledTimes, from: string, count: number): readonly string[] {
  const found: string[] = [];
  let atMs = Date.parse(from);
  for (let step = 0; step < count; step++) {
    atMs = schedule.next(atMs) ?? assert.fail('it ends');
    found.push(new Date(atMs).toISOString().slice(0, 16));
  }
  return found;
}

function problem(cron: string, timezone = ''): string {
  const [found] = scheduleProblems(JobSchedule.create({ cron, timezone }));
  assert.ok(found, `${cron} is taken`);
  return `${found.field}: ${found.message}`;
}

describe('a schedule', () => {
  it('goes by UTC unless it has a time zone', () => {
    assert.deepEqual(nextOf(times('0 3 * * *'), '2026-01-01T03:00:00Z', 2), ['2026-01-02T03:00', '2026-01-03T03:00']);
    assert.deepEqual(nextOf(times('0 3 * * *', 'Europe/Berlin'), '2026-01-01T00:00:00Z', 1), ['2026-01-01T02:00']);
  });

  it('takes lists, ranges, steps, names and nicknames', () => {
    assert.deepEqual(nextOf(times('15,45 8-9 * * mon'), '2026-11-21T00:00:00Z', 5), [
      '2026-11-23T08:15',
      '2026-11-23T08:45',
      '2026-11-23T09:15',
      '2026-11-23T09:45',
      '2026-11-30T08:15',
    ]);
    assert.deepEqual(nextOf(times('@daily'), '2026-11-21T10:00:00Z', 1), ['2026-11-22T00:00']);
    assert.deepEqual(nextOf(times('*/20 * * * *'), '2026-11-21T10:05:00Z', 2), ['2026-11-21T10:20', '2026-11-21T10:40']);
  });

  it('of a fixed time runs once on the day that has an hour less, right after the gap', () => {
    assert.deepEqual(nextOf(times('30 2 * * *', 'Europe/Berlin'), '2026-03-28T12:00:00Z', 2), ['2026-03-29T01:00', '2026-03-30T00:30']);
  });

  it('of a fixed time runs once on the day that has an hour more', () => {
    const expected = ['2026-10-25T00:30', '2026-10-26T01:30'];
    assert.deepEqual(nextOf(times('30 2 * * *', 'Europe/Berlin'), '2026-10-24T12:00:00Z', 2), expected);
    assert.deepEqual(nextOf(times('30 2,14 * * *', 'Europe/Berlin'), '2026-10-24T13:00:00Z', 2), ['2026-10-25T00:30', '2026-10-25T13:30']);
  });

  it('of every so many minutes goes by the time that passes, whatever the clocks show', () => {
    const summer = nextOf(times('*/30 * * * *', 'Europe/Berlin'), '2026-03-29T00:20:00Z', 3);
    assert.deepEqual(summer, ['2026-03-29T00:30', '2026-03-29T01:00', '2026-03-29T01:30']);
    const winter = nextOf(times('0 * * * *', 'Europe/Berlin'), '2026-10-24T23:20:00Z', 3);
    assert.deepEqual(winter, ['2026-10-25T00:00', '2026-10-25T01:00', '2026-10-25T02:00']);
  });

  it('is refused with the reason where it is none', () => {
    assert.match(problem('61 3 * * *'), /^cron: "61 3 \* \* \*" is not a schedule of five fields .*Invalid value for minute: 61$/);
    assert.match(problem('0 0 3 * * *'), /^cron: .*requires exactly 5 parts/);
    assert.match(problem(''), /^cron: "" is not a schedule/);
    assert.match(problem('daily'), /^cron: /);
    assert.match(problem('@reboot'), /^cron: /);
    assert.match(problem('2026-01-01T00:00:00'), /^cron: .*single date/);
    assert.match(problem(`0 3 * * ${'1,'.repeat(200)}1`), /longer than 200 characters/);
    assert.equal(problem('0 0 30 2 *'), 'cron: "0 0 30 2 *" never comes: there is no such day');
    assert.equal(problem('0 3 * * *', 'Mars/Phobos'), 'timezone: "Mars/Phobos" is not a known time zone such as Europe/Berlin or UTC');
  });

  it('looks back at what it would say looking forward, in every zone and season', () => {
    const start = Date.parse('2026-01-01T00:00:00Z');
    const moments = fc.integer({ min: 0, max: 366 * 24 * 3600 }).map((seconds) => start + seconds * 1000 + 500);
    const crons = fc.constantFrom('30 2 * * *', '*/30 * * * *', '0 1-3 * * *', '15 2,3 * * sun', '0 0 1 * *', '45 * * * *');
    const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata');
    fc.assert(
      fc.property(crons, zones, moments, (cron, zone, momentMs) => {
        const schedule = times(cron, zone);
        const nextMs = schedule.next(momentMs) ?? assert.fail();
        assert.ok(nextMs > momentMs);
        assert.equal(schedule.latest(nextMs), nextMs, 'what comes next has come when it is there');
        const latestMs = schedule.latest(momentMs) ?? assert.fail();
        assert.ok(latestMs <= momentMs);
        assert.equal(schedule.next(latestMs), nextMs, 'nothing lies between the two');
        assert.equal(schedule.next(latestMs - 1), latestMs);
      }),
      { numRuns: 400 },
    );
  });
});
