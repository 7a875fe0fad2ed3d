// Why a job is not going on: its newest iteration failed. What its tasks wait for is said task by task.
import { Finding, JobState } from '../../proto/index.ts';
import type { ServiceScene } from './service-scene.ts';

export function jobFindings({ status, name }: ServiceScene): readonly Finding[] {
  const newest = status?.job?.iterations.at(-1);
  if (newest?.state !== JobState.JOB_FAILED) return [];
  return [
    Finding.create({
      kind: 'job-failed',
      reason: `iteration ${String(newest.number)} failed: ${newest.message}`,
      wayOut: `\`shoal service logs ${name}\` shows what its tasks printed; \`shoal service update --force ${name}\` runs it anew`,
      sinceUnixMs: newest.endedUnixMs,
    }),
  ];
}
