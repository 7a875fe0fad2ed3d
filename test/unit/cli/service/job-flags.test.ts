import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { FlagValues } from '../../../../cli/service/spec/flag-reader.ts';
import { createSpec, updateSpec } from '../../../support/flag-specs.ts';
import { ShoalError } from '../../../../lib/errors.ts';
import { JobMissed, JobOverlap, JobSchedule, ServiceMode, type ServiceSpec } from '../../../../proto/index.ts';
import { jobSpec } from '../../../support/job-specs.ts';

const SOURCE = { env: {}, cwd: '/' };

function create(flags: FlagValues): ServiceSpec {
  return createSpec('batch:1', [], { mode: 'replicated-job', ...flags }, SOURCE, () => 'brisk_herring');
}

function problemsOf(make: () => unknown): readonly string[] {
  try {
    make();
  } catch (error) {
    return ShoalError.from(error).fields.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

describe('the flags of a job', () => {
  it('make a spec without settings of updates', () => {
    const spec = create({ replicas: '5', maxConcurrent: '2', historyLimit: '0', jobDeadline: '1h', ttl: '24h' });
    assert.equal(spec.mode, ServiceMode.REPLICATED_JOB);
    assert.equal(spec.replicas, 5);
    assert.deepEqual([spec.update, spec.rollback], [undefined, undefined]);
    assert.deepEqual(spec.job, { maxConcurrent: 2, schedule: undefined, historyLimit: 0, deadlineMs: 3_600_000, ttlMs: 86_400_000 });
  });

  it('make one task by default, and none by number for a global job', () => {
    assert.equal(create({}).replicas, 1);
    const global = create({ mode: 'global-job' });
    assert.equal(global.replicas, 0);
    assert.equal(global.mode, ServiceMode.GLOBAL_JOB);
  });

  it('make a schedule, and change it bit by bit', () => {
    const flags = { schedule: '0 3 * * *', scheduleTimezone: 'Europe/Berlin', scheduleOverlap: 'replace', scheduleMissed: 'skip' };
    const spec = create(flags);
    const schedule = {
      cron: '0 3 * * *',
      timezone: 'Europe/Berlin',
      overlap: JobOverlap.OVERLAP_REPLACE,
      missed: JobMissed.MISSED_SKIP,
      paused: false,
    };
    assert.deepEqual(spec.job?.schedule, schedule);
    const paused = updateSpec(spec, { schedulePaused: true }, SOURCE);
    assert.deepEqual(paused.job?.schedule, { ...schedule, paused: true });
    const later = updateSpec(paused, { schedulePaused: false, schedule: '0 4 * * *' }, SOURCE);
    assert.deepEqual(later.job?.schedule, { ...schedule, cron: '0 4 * * *' });
    assert.equal(updateSpec(later, { schedule: '' }, SOURCE).job?.schedule, undefined);
  });

  it('leave what is not named as it is', () => {
    const before = jobSpec({ replicas: 3, job: { maxConcurrent: 2, ttlMs: 5 }, schedule: JobSchedule.create({ cron: '@daily' }) });
    assert.deepEqual(updateSpec(before, {}, SOURCE).job, before.job);
  });

  it('are refused by name where they do not belong', () => {
    const rollout = { updateParallelism: '1', updateOrder: 'auto', rollbackMonitor: '1s' };
    assert.deepEqual(
      problemsOf(() => create(rollout)),
      ['--update-parallelism: "1"', '--update-order: "auto"', '--rollback-monitor: "1s"'].map(
        (given) => `${given} is not for jobs: a new spec begins a job anew`,
      ),
    );
    const why = 'is for jobs: --mode replicated-job or global-job';
    const flags = { maxConcurrent: '1', historyLimit: '1', jobDeadline: '1s', ttl: '1s', schedule: '@daily', schedulePaused: true };
    assert.deepEqual(
      problemsOf(() => create({ ...flags, mode: 'replicated' })),
      [
        `--max-concurrent: "1" ${why}`,
        `--history-limit: "1" ${why}`,
        `--job-deadline: "1s" ${why}`,
        `--ttl: "1s" ${why}`,
        `--schedule: "@daily" ${why}`,
        `--schedule-paused: ${why}`,
      ],
    );
    assert.deepEqual(
      problemsOf(() => create({ scheduleTimezone: 'UTC', schedulePaused: false })),
      ['--schedule-timezone: "UTC" needs --schedule', '--schedule-paused: needs --schedule'],
    );
    assert.deepEqual(
      problemsOf(() => create({ mode: 'global-job', replicas: '2', maxConcurrent: '2' }))
        .map((text) => text.replace(/:.*/, ''))
        .sort(),
      ['--max-concurrent', '--replicas'],
    );
    assert.match(
      problemsOf(() => create({ schedule: '@daily', scheduleOverlap: 'queue' })).join(),
      /"queue" is not one of allow, forbid, replace/,
    );
  });
});
