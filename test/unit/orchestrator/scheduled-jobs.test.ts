import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { JobMissed, JobOverlap, JobSchedule, JobState, type ServiceSpec } from '../../../proto/index.ts';
import { JobModel } from '../../support/job-model.ts';
import { jobSpec } from '../../support/job-specs.ts';
import { COMPLETING_IMAGE } from '../../support/model-hosts.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.parse('2026-11-21T00:00:00Z');

/** Scheduled hourly, at 2026-11-21T00:00 unless told otherwise. */
function scheduled(schedule: Partial<JobSchedule> = {}, image = COMPLETING_IMAGE, job = {}): JobModel {
  return new JobModel(jobSpec({ image, job, schedule: { cron: '0 * * * *', ...schedule } }), START);
}

/** "0 for 01:00", oldest first. */
function ran(model: JobModel): readonly string[] {
  return model.status.iterations.map(({ number, scheduledUnixMs }) => `${number} for ${timeOf(scheduledUnixMs)}`);
}

function timeOf(unixMs: number): string {
  return unixMs === 0 ? 'now' : new Date(unixMs).toISOString().slice(11, 16);
}

function withSchedule(spec: ServiceSpec, schedule: Partial<JobSchedule>): ServiceSpec {
  return { ...spec, job: spec.job && { ...spec.job, schedule: JobSchedule.create({ ...spec.job.schedule, ...schedule }) } };
}

describe('a scheduled job', () => {
  it('does not run when it is created, and then once at each scheduled time', () => {
    const model = scheduled();
    assert.deepEqual(model.status.iterations, []);
    model.run(59 * MINUTE + 59_000);
    assert.deepEqual(model.status.iterations, []);
    model.run(1000);
    assert.deepEqual(ran(model), ['0 for 01:00']);
    model.run(3 * HOUR);
    assert.deepEqual(ran(model), ['0 for 01:00', '1 for 02:00', '2 for 03:00', '3 for 04:00']);
    assert.equal(model.status.settledUnixMs, START + 4 * HOUR);
  });

  it('runs once for each scheduled time whoever leads, be the change before, at, or after it', () => {
    const model = scheduled();
    for (const beforeMs of [HOUR - 1, 0, 1, HOUR - 1, 1]) {
      model.clock.advance(beforeMs);
      model.changeLeader();
      model.settle();
      model.changeLeader();
      model.settle();
    }
    assert.deepEqual(ran(model), ['0 for 01:00', '1 for 02:00']);
  });

  it('is begun by one write that compares what it was made from: of two leaders one begins', () => {
    const model = scheduled();
    model.clock.advance(HOUR);
    const [mine] = model.plan('batch');
    const [theirs] = model.plan('batch');
    const [write] = theirs?.writes ?? [];
    assert.ok(mine !== undefined && write?.kind === 'put');
    const before = model.state.get('serviceStatus', 'batch');
    assert.ok(before !== undefined);
    assert.equal(write.before?.modRevision, before.modRevision, 'it holds only while nobody else has written');
    assert.deepEqual(
      theirs?.writes.map(({ table }) => table),
      ['serviceStatus'],
      'and no task is made with it',
    );
    model.settle();
    assert.notEqual(model.state.get('serviceStatus', 'batch')?.modRevision, before.modRevision);
    assert.deepEqual(ran(model), ['0 for 01:00']);
  });

  it('runs nothing twice when the wall clock is set back by an hour', () => {
    const model = scheduled();
    model.run(HOUR + 5 * MINUTE);
    assert.deepEqual(ran(model), ['0 for 01:00']);
    model.setWall(START + 5 * MINUTE);
    model.run(HOUR);
    assert.deepEqual(ran(model), ['0 for 01:00'], '01:00 is past already');
    model.run(HOUR);
    assert.deepEqual(ran(model), ['0 for 01:00', '1 for 02:00']);
  });

  it('runs once for what the wall clock jumps over, within a minute, and not again when it is set back', () => {
    const model = scheduled();
    model.run(30 * MINUTE);
    model.setWall(model.wallMs + 3 * HOUR);
    model.run(MINUTE);
    assert.deepEqual(ran(model), ['0 for 03:00']);
    model.setWall(model.wallMs - 3 * HOUR);
    model.run(3 * HOUR);
    assert.deepEqual(ran(model), ['0 for 03:00']);
    model.run(HOUR);
    assert.deepEqual(ran(model), ['0 for 03:00', '1 for 04:00']);
  });

  it('comes back by itself after the clock was wrong by years', () => {
    const model = scheduled();
    model.setWall(START + 10_000 * 24 * HOUR);
    model.run(MINUTE);
    assert.equal(model.status.iterations.length, 1);
    model.setWall(START + 2 * HOUR + MINUTE);
    model.run(HOUR);
    assert.equal(ran(model).at(-1), '1 for 03:00');
  });

  it('makes up once for what was missed while nobody led', () => {
    const model = scheduled();
    model.clock.advance(5 * HOUR + 10 * MINUTE);
    model.changeLeader();
    model.settle();
    assert.deepEqual(ran(model), ['0 for 05:00']);
    model.run(HOUR);
    assert.deepEqual(ran(model), ['0 for 05:00', '1 for 06:00']);
  });

  it('leaves out what was missed where it is told to, and says so; a minute late is not missed', () => {
    const model = scheduled({ missed: JobMissed.MISSED_SKIP });
    model.clock.advance(5 * HOUR + 10 * MINUTE);
    model.settle();
    assert.deepEqual(ran(model), []);
    assert.equal(model.status.skippedUnixMs, START + 5 * HOUR);
    assert.match(model.events.at(-1)?.message ?? '', /^the run scheduled for 2026-11-21T05:00:00Z is left out: it was missed/);
    model.clock.advance(50 * MINUTE + 30_000);
    model.settle();
    assert.deepEqual(ran(model), ['0 for 06:00']);
  });

  it('lets iterations run beside one another, up to ten, each with its own limit of tasks', () => {
    const model = scheduled({}, 'work', { maxConcurrent: 1 });
    model.run(2 * HOUR);
    assert.deepEqual(model.iterations, ['0 running', '1 running']);
    assert.equal(model.running(0).length, 1);
    assert.equal(model.running(1).length, 1);
    model.run(10 * HOUR);
    assert.equal(model.running().length, 10);
    assert.equal(model.status.skippedReason, '10 iterations run already');
    model.completeSlot('0', 0);
    assert.equal(model.iterations[0], '0 completed');
    model.run(HOUR);
    assert.equal(model.iteration(10).scheduledUnixMs, START + 13 * HOUR);
  });

  it('leaves a time out while the iteration before still runs, where overlap is forbidden', () => {
    const model = scheduled({ overlap: JobOverlap.OVERLAP_FORBID }, 'work');
    model.run(2 * HOUR);
    assert.deepEqual(ran(model), ['0 for 01:00']);
    assert.equal(model.status.skippedUnixMs, START + 2 * HOUR);
    assert.equal(model.status.skippedReason, 'iteration 0 still runs');
    model.completeSlot('0');
    model.run(30 * MINUTE);
    assert.deepEqual(ran(model), ['0 for 01:00'], 'it is not made up for');
    model.run(30 * MINUTE);
    assert.deepEqual(ran(model), ['0 for 01:00', '1 for 03:00']);
  });

  it('stops the iteration before, where overlap replaces; the new one waits for its places', () => {
    const model = scheduled({ overlap: JobOverlap.OVERLAP_REPLACE }, 'work');
    model.clock.advance(HOUR);
    model.settle();
    model.clock.advance(HOUR);
    model.settle(() => {
      assert.ok(model.running().length <= 1);
    });
    assert.deepEqual(model.iterations, ['0 replaced', '1 running']);
    assert.equal(model.running(1).length, 1);
  });

  it('is not run by an update, which the next iteration goes by; what runs goes on', () => {
    const model = scheduled({}, 'work');
    model.run(HOUR);
    model.update('batch', (spec) => ({ ...spec, replicas: 2 }));
    model.settle();
    assert.deepEqual(model.iterations, ['0 running']);
    assert.equal(model.running(0).length, 1);
    model.completeSlot('0');
    assert.deepEqual(model.iterations, ['0 completed'], 'by the spec that it began with');
    model.run(HOUR);
    assert.equal(model.running(1).length, 2);
    assert.equal(model.iteration(1).specNumber, 2);
  });

  it('is run at once by --force, besides its schedule', () => {
    const model = scheduled();
    model.run(30 * MINUTE);
    model.update('batch', (spec) => ({ ...spec, task: spec.task && { ...spec.task, forceUpdate: 1 } }));
    model.settle();
    assert.deepEqual(ran(model), ['0 for now']);
    model.run(HOUR);
    assert.deepEqual(ran(model), ['0 for now', '1 for 01:00']);
  });

  it('runs only the later of two iterations that come at once, where overlap replaces: by --force and by its schedule', () => {
    const model = scheduled({ overlap: JobOverlap.OVERLAP_REPLACE }, 'work');
    model.run(30 * MINUTE);
    // Nobody leads until its time has come.
    model.update('batch', (spec) => ({ ...spec, replicas: 2, task: spec.task && { ...spec.task, forceUpdate: 1 } }));
    model.clock.advance(31 * MINUTE);
    model.changeLeader();
    model.settle(() => {
      assert.ok(model.status.iterations.filter(({ state }) => state === JobState.JOB_RUNNING).length <= 1);
    });
    assert.deepEqual(model.iterations, ['0 replaced', '1 running']);
    assert.deepEqual(ran(model), ['0 for now', '1 for 01:00']);
    assert.equal(model.iteration(0).message, 'iteration 1 took its place');
    assert.equal(model.iteration(0).total, 2);
    assert.equal(model.running(1).length, 2);
  });

  it('does nothing while its schedule is paused, and makes up for nothing afterwards', () => {
    const model = scheduled();
    model.update('batch', (spec) => withSchedule(spec, { paused: true }));
    model.run(3 * HOUR + 30 * MINUTE);
    assert.deepEqual(ran(model), []);
    model.update('batch', (spec) => withSchedule(spec, { paused: false }));
    model.run(29 * MINUTE);
    assert.deepEqual(ran(model), []);
    model.run(2 * MINUTE);
    assert.deepEqual(ran(model), ['0 for 04:00']);
  });

  it('goes by a new schedule from its change on', () => {
    const model = scheduled();
    model.run(30 * MINUTE);
    model.update('batch', (spec) => withSchedule(spec, { cron: '20 * * * *' }));
    model.run(MINUTE);
    assert.deepEqual(ran(model), [], 'what the new one would have said before does not count');
    model.run(HOUR);
    assert.deepEqual(ran(model), ['0 for 01:20']);
  });

  it('runs no more when its schedule is taken away, but where the work changes with that, as any other job', () => {
    const model = scheduled();
    model.update('batch', (spec) => ({ ...spec, job: spec.job && { ...spec.job, schedule: undefined } }));
    model.run(5 * HOUR);
    assert.deepEqual(ran(model), []);
    const other = scheduled();
    other.update('batch', (spec) => ({ ...spec, replicas: 2, job: spec.job && { ...spec.job, schedule: undefined } }));
    other.run(5 * HOUR);
    assert.deepEqual(ran(other), ['0 for now']);
  });

  it('keeps to daylight saving as cron does: a fixed time runs once on each day', () => {
    for (const [from, day] of [
      ['2026-10-24T12:00:00Z', '2026-10-25T00:30:00.000Z'],
      ['2026-03-28T12:00:00Z', '2026-03-29T01:00:00.000Z'],
    ] as const) {
      const spec = jobSpec({ image: COMPLETING_IMAGE, schedule: { cron: '30 2 * * *', timezone: 'Europe/Berlin' } });
      const model = new JobModel(spec, Date.parse(from));
      model.run(24 * HOUR);
      assert.deepEqual(
        model.status.iterations.map(({ scheduledUnixMs }) => new Date(scheduledUnixMs).toISOString()),
        [day],
      );
    }
  });

  it('forgets old iterations with their tasks, and their number is not given again', () => {
    const model = scheduled({}, COMPLETING_IMAGE, { historyLimit: 2 });
    model.run(6 * HOUR);
    assert.deepEqual(ran(model), ['3 for 04:00', '4 for 05:00', '5 for 06:00']);
    assert.equal(model.tasks('batch').length, 3);
    assert.equal(model.status.nextIteration, 6);
  });

  it('of global tasks leaves nodes that come between two runs to the next', () => {
    const model = new JobModel(jobSpec({ isGlobal: true, image: COMPLETING_IMAGE, schedule: { cron: '0 * * * *' } }), START);
    model.run(HOUR);
    assert.deepEqual(model.completed(0), ['a', 'b', 'c']);
    model.addNode({ id: 'd' });
    model.run(30 * MINUTE);
    assert.deepEqual(model.completed(0), ['a', 'b', 'c']);
    model.run(30 * MINUTE);
    assert.deepEqual(model.completed(1), ['a', 'b', 'c', 'd']);
  });
});
