// What of a job's spec is about its work, and what is only about when it runs and how long it is remembered. Pure.
import type { ServiceSpec } from '../../proto/index.ts';

/** Equal for specs between which a plain job need not run anew. */
export function jobDigest(spec: ServiceSpec): string {
  const { job, ...rest } = spec;
  const alike = { ...rest, specHistoryLimit: undefined, maxConcurrent: job?.maxConcurrent ?? 0 };
  return JSON.stringify({ ...alike, deadlineMs: job?.deadlineMs ?? 0 }, sortKeys);
}

/** Maps come in the order in which they were written. */
function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
