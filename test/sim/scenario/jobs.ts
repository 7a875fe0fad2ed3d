// The jobs that simulated users make: some run at once, some by a schedule, which comes due at the full minutes of a seed (world.ts: one in the time of faults).
import { type Rng, randomInt } from '../../../lib/rng.ts';
import { JobMissed, JobOverlap, JobSchedule, JobSpec, type ServiceSpec } from '../../../proto/index.ts';
import { ServiceMode } from '../../../proto/index.ts';
import { withinMode } from './placements.ts';
import { between, chance, pick } from '../core/random.ts';
import type { RandomSpec } from './specs.ts';

export const JOB_IMAGES = ['sim/job', 'sim/job', 'sim/job', 'sim/job-flaky', 'sim/job-crash', 'sim/job-long'];
/** All times that these name are over soon, so that a cluster can come to rest: by `LAST_RUN_MS` (convergence.ts). The same times as Berlin has them. */
const MINUTES = ['1', '1', '2', '1-2'];

/** Of a service that is none yet. */
export function asJob(rng: Rng, spec: RandomSpec): ServiceSpec {
  const isGlobal = chance(rng, 0.35);
  const schedule = chance(rng, 0.5) ? randomSchedule(rng) : undefined;
  return withinMode({
    ...spec(pick(rng, JOB_IMAGES)),
    ...{ mode: isGlobal ? ServiceMode.GLOBAL_JOB : ServiceMode.REPLICATED_JOB, replicas: isGlobal ? 0 : 1 + randomInt(rng, 6) },
    ...{ update: undefined, rollback: undefined },
    job: JobSpec.create({
      maxConcurrent: isGlobal ? 0 : randomInt(rng, 4),
      schedule,
      historyLimit: chance(rng, 0.3) ? randomInt(rng, 3) : undefined,
      deadlineMs: chance(rng, 0.2) ? Math.floor(between(rng, 3000, 20_000)) : 0,
      ttlMs: chance(rng, 0.2) ? Math.floor(between(rng, 1000, 20_000)) : undefined,
    }),
  });
}

function randomSchedule(rng: Rng): JobSchedule {
  const isBerlin = chance(rng, 0.3);
  return JobSchedule.create({
    cron: `${pick(rng, MINUTES)} ${isBerlin ? 1 : 0} 1 11 *`,
    timezone: isBerlin ? 'Europe/Berlin' : '',
    overlap: pick(rng, [JobOverlap.OVERLAP_ALLOW, JobOverlap.OVERLAP_FORBID, JobOverlap.OVERLAP_REPLACE]),
    missed: pick(rng, [JobMissed.MISSED_RUN_ONCE, JobMissed.MISSED_SKIP]),
    paused: chance(rng, 0.05),
  });
}

/** Another schedule, or other settings of when it runs; the work stays the same. */
export function withRandomSchedule(spec: ServiceSpec, rng: Rng): ServiceSpec {
  const job = spec.job ?? JobSpec.create({});
  const schedule =
    job.schedule === undefined ? undefined : chance(rng, 0.5) ? { ...job.schedule, paused: !job.schedule.paused } : randomSchedule(rng);
  return { ...spec, job: { ...job, schedule, maxConcurrent: spec.mode === ServiceMode.GLOBAL_JOB ? 0 : randomInt(rng, 4) } };
}
