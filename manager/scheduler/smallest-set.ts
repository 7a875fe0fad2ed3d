// The fewest tasks that have to go so that there is room.
import type { TaskDemand } from './demand.ts';

/** Sets that are tried of each size, so that a node with hundreds of tasks does not hold up the leader. */
const MAX_SETS = 300;

/**
 * Exact as long as the sets of a size are few enough to try them all; beyond that one from which nobody can be left out, found from the largest
 * tasks down. Among sets of one size that of the lowest priorities. Undefined: even if all go, there is no room. `fits` of more tasks holds
 * wherever it holds of fewer.
 */
export function smallestSet(
  candidates: readonly TaskDemand[],
  fits: (leaving: readonly TaskDemand[]) => boolean,
): readonly TaskDemand[] | undefined {
  if (fits([])) return [];
  if (!fits(candidates)) return undefined;
  const byPriority = [...candidates].sort((one, other) => priorityOf(one) - priorityOf(other) || sizeOf(other) - sizeOf(one));
  for (let size = 1; combinations(candidates.length, size) <= MAX_SETS; size++) {
    const best = bestOfSize(byPriority, size, fits);
    if (best !== undefined) return best;
    if (size === candidates.length) break;
  }
  return withoutNeedless(
    [...candidates].sort((one, other) => sizeOf(other) - sizeOf(one)),
    fits,
  );
}

function bestOfSize(
  candidates: readonly TaskDemand[],
  size: number,
  fits: (leaving: readonly TaskDemand[]) => boolean,
): readonly TaskDemand[] | undefined {
  let best: readonly TaskDemand[] | undefined;
  const extend = (chosen: readonly TaskDemand[], from: number): void => {
    if (chosen.length === size) {
      if ((best === undefined || isLower(chosen, best)) && fits(chosen)) best = chosen;
      return;
    }
    for (let at = from; at <= candidates.length - (size - chosen.length); at++) {
      const next = candidates[at];
      if (next !== undefined) extend([...chosen, next], at + 1);
    }
  };
  extend([], 0);
  return best;
}

function isLower(one: readonly TaskDemand[], other: readonly TaskDemand[]): boolean {
  const max = (set: readonly TaskDemand[]): number => Math.max(...set.map(priorityOf));
  const sum = (set: readonly TaskDemand[]): number => set.reduce((total, demand) => total + priorityOf(demand), 0);
  return max(one) !== max(other) ? max(one) < max(other) : sum(one) < sum(other);
}

/** Largest first until there is room; then everyone stays who need not go, the highest priority first. */
function withoutNeedless(largestFirst: readonly TaskDemand[], fits: (leaving: readonly TaskDemand[]) => boolean): readonly TaskDemand[] {
  let leaving: readonly TaskDemand[] = [];
  for (const demand of largestFirst) {
    if (fits(leaving)) break;
    leaving = [...leaving, demand];
  }
  for (const demand of [...leaving].sort((one, other) => priorityOf(other) - priorityOf(one) || sizeOf(one) - sizeOf(other))) {
    const fewer = leaving.filter((other) => other !== demand);
    if (fits(fewer)) leaving = fewer;
  }
  return leaving;
}

function priorityOf({ priority = 0 }: TaskDemand): number {
  return priority;
}

/** A core weighs as much as 4 GiB; what else is held is rare, and rather matters. */
function sizeOf({ nanoCpus, memoryBytes, generics = [], hostPorts }: TaskDemand): number {
  return nanoCpus + memoryBytes / 4 + (generics.length + hostPorts.length) * 1e12;
}

function combinations(of: number, size: number): number {
  let count = 1;
  for (let n = 0; n < size; n++) count = (count * (of - n)) / (n + 1);
  return count;
}
