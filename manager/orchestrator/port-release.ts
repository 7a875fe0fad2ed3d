// Published ports that an update gave up, but that its service keeps while the leader may still go back to the spec that has them: given back once
// it no longer can. Pure.
import { FailureAction, type PortSpec, UpdateState } from '../../proto/index.ts';
import { claimAfter, isClaimedBy, portIdsOf, specOf } from '../state/index.ts';
import type { Pass } from './pass.ts';
import type { PlannedWrite, WriteGroup } from './plan.ts';

/** By what is stored of the roll-out, not by what this pass is about to say of it. */
export function releasePorts(pass: Pass): readonly WriteGroup[] {
  const { view, serviceId, rollout } = pass;
  // Until the newest spec's roll-out has begun, nothing is known of what it may go back to.
  if (rollout.isNewSpec) return [];
  const kept = new Set(portIdsOf([...pass.spec.ports, ...fallbackPorts(pass)]));
  const given = new Set<string>();
  for (const { value } of view.specsOfService(serviceId)) {
    for (const id of portIdsOf(value.spec?.ports ?? [])) if (!kept.has(id)) given.add(id);
  }
  // A newer spec may have taken one of them again.
  const requires = [{ table: 'services', id: serviceId, row: view.get('services', serviceId) }] as const;
  return [...given].flatMap((id): readonly WriteGroup[] => {
    const row = view.get('byPort', id);
    if (row === undefined || !isClaimedBy(row.value, serviceId)) return [];
    const value = claimAfter(row.value, serviceId, undefined);
    const write: PlannedWrite =
      value === undefined ? { kind: 'delete', table: 'byPort', row } : { kind: 'put', table: 'byPort', id, value, before: row };
    return [{ serviceId, writes: [write], requires, events: [] }];
  });
}

/** Of the spec to which a failure would lead by itself. */
function fallbackPorts({ view, serviceId, rollout, config }: Pass): readonly PortSpec[] {
  const mayTurn = rollout.status?.value.update?.state === UpdateState.UPDATING && config.failureAction === FailureAction.FAILURE_ROLLBACK;
  return mayTurn ? (specOf(view, serviceId, rollout.fromSpecNumber)?.ports ?? []) : [];
}
