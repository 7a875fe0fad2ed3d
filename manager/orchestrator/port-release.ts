// Published ports that an update gave up, but that its service keeps while the leader may still go back to the spec that has them: given back once
// it no longer can. Pure.
import { FailureAction, type PortSpec, UpdateState } from '../../proto/index.ts';
import { claimKeeping, isClaimedBy, portsByRow, specOf } from '../state/index.ts';
import type { Pass } from './pass.ts';
import type { PlannedWrite, WriteGroup } from './plan.ts';

/** By what is stored of the roll-out, not by what this pass is about to say of it. */
export function releasePorts(pass: Pass): readonly WriteGroup[] {
  const { view, serviceId, rollout } = pass;
  // Until the newest spec's roll-out has begun, nothing is known of what it may go back to.
  if (rollout.isNewSpec) return [];
  const kept = portsByRow([...pass.spec.ports, ...fallbackPorts(pass), ...trialPorts(pass)]);
  const ids = new Set([...view.specsOfService(serviceId)].flatMap(({ value }) => [...portsByRow(value.spec?.ports ?? []).keys()]));
  // A newer spec may have taken one of them again.
  const requires = [{ table: 'services', id: serviceId, row: view.get('services', serviceId) }] as const;
  return [...ids].flatMap((id): readonly WriteGroup[] => {
    const row = view.get('byPort', id);
    if (row === undefined || !isClaimedBy(row.value, serviceId)) return [];
    const value = claimKeeping(row.value, serviceId, kept.get(id) ?? []);
    if (value === row.value) return [];
    const write: PlannedWrite =
      value === undefined ? { kind: 'delete', table: 'byPort', row } : { kind: 'put', table: 'byPort', id, value, before: row };
    return [{ serviceId, writes: [write], requires, events: [] }];
  });
}

/** It publishes them once it is promoted. */
function trialPorts({ view, serviceId, rollout }: Pass): readonly PortSpec[] {
  return rollout.canary === undefined ? [] : (specOf(view, serviceId, rollout.canary.specNumber)?.ports ?? []);
}

/** Of the spec to which a failure would lead by itself. */
function fallbackPorts({ view, serviceId, rollout, config }: Pass): readonly PortSpec[] {
  const mayTurn = rollout.status?.value.update?.state === UpdateState.UPDATING && config.failureAction === FailureAction.FAILURE_ROLLBACK;
  return mayTurn ? (specOf(view, serviceId, rollout.fromSpecNumber)?.ports ?? []) : [];
}
