// --reserve-*, --limit-*.
import { formatSizeBytes } from '../../../lib/units.ts';
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
  const [cpus, mostCpus] = [reservations?.nanoCpus ?? 0, limits?.nanoCpus ?? 0];
  if (exceeds(cpus, mostCpus))
    flags.problem('--reserve-cpu', `${String(cpus / 1e9)} CPUs are more than --limit-cpu allows, ${String(mostCpus / 1e9)}`);
  const [bytes, mostBytes] = [reservations?.memoryBytes ?? 0, limits?.memoryBytes ?? 0];
  if (exceeds(bytes, mostBytes))
    flags.problem('--reserve-memory', `${formatSizeBytes(bytes)} is more than --limit-memory allows, ${formatSizeBytes(mostBytes)}`);
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

/** 0: no limit. */
function exceeds(reserved: number, limit: number): boolean {
  return limit !== 0 && reserved > limit;
}
