import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { changeProblems, serviceSpecProblems } from '../../../manager/api/validate/service-spec.ts';
import { type JobMissed, type JobOverlap, JobSpec, ServiceMode, type ServiceSpec, UpdateConfig } from '../../../proto/index.ts';
import { jobSpec } from '../../support/job-specs.ts';
import { publish, specOf } from '../../support/service-specs.ts';

const DAY = 24 * 60 * 60_000;

interface Case {
  readonly what: string;
  readonly spec: ServiceSpec;
  /** "path: message", as a whole or its beginning. */
  readonly problems: readonly string[];
}

const WHY_NO_UPDATE = 'a job is not updated task by task: a new spec begins it anew, and it takes no such settings';

const CASES: readonly Case[] = [
  {
    what: 'update and rollback settings',
    spec: jobSpec({ spec: { update: UpdateConfig.create(), rollback: UpdateConfig.create() } }),
    problems: [`update: ${WHY_NO_UPDATE}`, `rollback: ${WHY_NO_UPDATE}`],
  },
  {
    what: 'job settings of what is not a job',
    spec: specOf({ spec: { job: JobSpec.create() } }),
    problems: ['job: only a job takes these settings: its mode is replicated-job or global-job'],
  },
  {
    what: 'replicas and a limit of a global job',
    spec: jobSpec({ isGlobal: true, job: { maxConcurrent: 2 }, spec: { replicas: 3 } }),
    problems: [
      'replicas: 3 is not taken: a global job runs one task on each node',
      'job.maxConcurrent: 2 is not taken: a global job runs on all of its nodes at once',
    ],
  },
  { what: 'too many at once', spec: jobSpec({ job: { maxConcurrent: 100_001 } }), problems: ['job.maxConcurrent: 100001 is too many'] },
  { what: 'a long history', spec: jobSpec({ job: { historyLimit: 101 } }), problems: ['job.historyLimit: 101 is too many; at most 100'] },
  {
    what: 'a long deadline',
    spec: jobSpec({ job: { deadlineMs: 8 * DAY } }),
    problems: ['job.deadlineMs: 691200000 ms are longer than 7 days'],
  },
  { what: 'a long life', spec: jobSpec({ job: { ttlMs: 50 * DAY } }), problems: ['job.ttlMs: 4320000000 ms are longer than 49 days'] },
  {
    what: 'a schedule that is none',
    spec: jobSpec({ schedule: { cron: 'at noon' } }),
    problems: ['job.schedule.cron: "at noon" is not a schedule of five fields'],
  },
  {
    what: 'a time zone that is none',
    spec: jobSpec({ schedule: { timezone: 'Berlin' } }),
    problems: ['job.schedule.timezone: "Berlin" is not a known time zone'],
  },
  {
    what: 'policies that are not known',
    spec: jobSpec({ schedule: { overlap: 9 as JobOverlap, missed: 9 as JobMissed } }),
    problems: ['job.schedule.overlap: the value 9 is not known', 'job.schedule.missed: the value 9 is not known'],
  },
];

describe('the spec of a job', () => {
  it('is taken with all that it can have, published ports included', () => {
    const job = { maxConcurrent: 2, historyLimit: 0, deadlineMs: 7 * DAY, ttlMs: 49 * DAY };
    const schedule = { cron: '0 3 * * mon-fri', timezone: 'Europe/Berlin', paused: true };
    assert.deepEqual(serviceSpecProblems(jobSpec({ replicas: 5, job, schedule, spec: { ports: [publish(8080, 80)] } })), []);
    assert.deepEqual(serviceSpecProblems(jobSpec({ isGlobal: true, job: { ttlMs: 0 } })), []);
    assert.deepEqual(serviceSpecProblems({ ...jobSpec(), job: undefined }), []);
  });

  for (const { what, spec, problems } of CASES) {
    it(`refuses ${what}`, () => {
      const found = serviceSpecProblems(spec).map(({ path, message }) => `${path}: ${message}`);
      assert.deepEqual(
        found.map((text, index) => text.slice(0, problems[index]?.length ?? 0)),
        problems,
      );
    });
  }

  it('keeps its mode', () => {
    const modes = [ServiceMode.REPLICATED, ServiceMode.GLOBAL, ServiceMode.GLOBAL_JOB];
    for (const mode of modes)
      assert.deepEqual(
        changeProblems(jobSpec(), { ...jobSpec(), mode }).map(({ path }) => path),
        ['mode'],
      );
  });
});
