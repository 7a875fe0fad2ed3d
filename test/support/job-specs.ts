// Specs of jobs, with what a test is about changed.
import { JobSchedule, JobSpec, RestartPolicy, ServiceMode, type ServiceSpec } from '../../proto/index.ts';
import { taskSpec } from './placement.ts';
import { specOf } from './service-specs.ts';

export interface JobChanges {
  readonly image?: string;
  readonly replicas?: number;
  readonly isGlobal?: boolean;
  readonly job?: Partial<JobSpec>;
  readonly schedule?: Partial<JobSchedule>;
  readonly restart?: Partial<RestartPolicy>;
  readonly spec?: Partial<ServiceSpec>;
}

/** A job "batch" of one task that runs until the model lets it end. */
export function jobSpec({ image = 'work', replicas = 1, isGlobal = false, job, schedule, restart, spec }: JobChanges = {}): ServiceSpec {
  return specOf({
    spec: {
      name: 'batch',
      mode: isGlobal ? ServiceMode.GLOBAL_JOB : ServiceMode.REPLICATED_JOB,
      replicas: isGlobal ? 0 : replicas,
      task: { ...taskSpec({ image }), restart: RestartPolicy.create({ delayMs: 1000, ...restart }) },
      job: JobSpec.create({ ...job, ...(schedule && { schedule: JobSchedule.create({ cron: '0 3 * * *', ...schedule }) }) }),
      ...spec,
    },
  });
}
