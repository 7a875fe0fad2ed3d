// Writes down on which nodes services keep failing, so that a new leader knows: together with whatever else the pass changes of a service.
import type { NodeFailures, ServiceStatus } from '../../proto/index.ts';
import type { PlannedPut, PlannedWrite, WriteGroup } from '../orchestrator/plan.ts';
import type { Inventory } from '../scheduler/index.ts';
import type { StateView } from '../state/index.ts';

/** A service that fails everywhere is not helped by knowing where. */
const MAX_NODES = 200;

/** `groups` with the failures of `services`, where those differ from what is written. */
export function recordFailures(
  groups: readonly WriteGroup[],
  services: readonly string[],
  state: StateView,
  { failures }: Inventory,
  nowMs: number,
): readonly WriteGroup[] {
  let recorded = groups;
  for (const serviceId of services) {
    const before = state.get('serviceStatus', serviceId);
    const counts = failures.counts(serviceId, nowMs);
    if (before === undefined || (counts.length === 0 && before.value.nodeFailures.length === 0)) continue;
    const nodeFailures = mostTelling(counts);
    if (sameCounts(before.value.nodeFailures, nodeFailures)) continue;
    const planned = recorded.findIndex((group) => group.writes.some((write) => isStatusPut(write, serviceId)));
    recorded =
      planned === -1 ? [...recorded, groupOf({ ...before.value, nodeFailures }, before)] : withCounts(recorded, planned, nodeFailures);
  }
  return recorded;
}

function mostTelling(counts: readonly NodeFailures[]): readonly NodeFailures[] {
  if (counts.length <= MAX_NODES) return counts;
  return [...counts].sort((one, other) => other.specNumber - one.specNumber || other.count - one.count).slice(0, MAX_NODES);
}

function sameCounts(one: readonly NodeFailures[], other: readonly NodeFailures[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ nodeId, specNumber, count }, at) => {
      const counterpart = other[at];
      return counterpart?.nodeId === nodeId && counterpart.specNumber === specNumber && counterpart.count === count;
    })
  );
}

function groupOf(value: ServiceStatus, before: PlannedPut<'serviceStatus'>['before']): WriteGroup {
  const put: PlannedPut<'serviceStatus'> = { kind: 'put', table: 'serviceStatus', id: value.serviceId, value, before };
  return { serviceId: value.serviceId, writes: [put], requires: [], events: [] };
}

function withCounts(groups: readonly WriteGroup[], at: number, nodeFailures: readonly NodeFailures[]): readonly WriteGroup[] {
  return groups.map((group, index) => {
    if (index !== at) return group;
    const writes = group.writes.map((write) =>
      isStatusPut(write, group.serviceId) ? { ...write, value: { ...write.value, nodeFailures } } : write,
    );
    return { ...group, writes };
  });
}

function isStatusPut(write: PlannedWrite, serviceId: string): write is PlannedPut<'serviceStatus'> {
  return write.kind === 'put' && write.table === 'serviceStatus' && write.id === serviceId;
}
