// --reserve-*, --limit-*.
import { Resources } from '../../../proto/index.ts';
import type { FlagReader } from './flag-reader.ts';

/** The least that an engine accepts. */
const MIN_MEMORY_BYTES = 4 * 1024 ** 2;

export interface TaskResources {
  readonly reservations: Resources | undefined;
  readonly limits: Resources | undefined;
}

/** What is not given stays; 0 takes a limit away. A reservation above its limit is a problem. */
export function applyResources(before: TaskResources, flags: FlagReader): TaskResources {
  const reservations = withGiven(before.reservations, {
    nanoCpus: flags.nanoCpus('reserve-cpu'),
    memoryBytes: flags.sizeBytes('reserve-memory', MIN_MEMORY_BYTES),
    pids: undefined,
  });
  const limits = withGiven(before.limits, {
    nanoCpus: flags.nanoCpus('limit-cpu'),
    memoryBytes: flags.sizeBytes('limit-memory', MIN_MEMORY_BYTES),
    pids: flags.count('limit-pids'),
  });
  if (exceeds(reservations?.nanoCpus, limits?.nanoCpus)) flags.problem('--reserve-cpu', 'more CPUs are reserved than --limit-cpu allows');
  if (exceeds(reservations?.memoryBytes, limits?.memoryBytes))
    flags.problem('--reserve-memory', 'more memory is reserved than --limit-memory allows');
  return { reservations, limits };
}

type GivenResources = { readonly [K in keyof Resources]: number | undefined };

function withGiven(before: Resources | undefined, given: GivenResources): Resources | undefined {
  const base = before ?? Resources.create();
  const after: Resources = {
    nanoCpus: given.nanoCpus ?? base.nanoCpus,
    memoryBytes: given.memoryBytes ?? base.memoryBytes,
    pids: given.pids ?? base.pids,
  };
  return after.nanoCpus === 0 && after.memoryBytes === 0 && after.pids === 0 ? undefined : after;
}

function exceeds(reserved: number | undefined, limit: number | undefined): boolean {
  return limit !== undefined && limit !== 0 && (reserved ?? 0) > limit;
}
