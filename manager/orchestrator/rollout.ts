// What the tasks of a service are brought to at present, and by which settings: its newest spec, or the one that the leader went back to after
// the update to the newest failed. Pure; read once per pass.
import { type Service, type ServiceSpec, type ServiceStatus, type UpdateConfig, UpdateState } from '../../proto/index.ts';
import { rollbackConfigOf, type Row, seenSpecNumber, specId, specOf, type StateView, updateConfigOf } from '../state/index.ts';

/** `rollback`: by the rollback settings, and never itself rolled back. */
export type RolloutKind = 'update' | 'rollback';

export interface Rollout {
  readonly kind: RolloutKind;
  readonly spec: ServiceSpec;
  readonly specNumber: number;
  /** The newest spec is not the one that the leader has acted on so far: its roll-out begins now, and ends the one before. */
  readonly isNewSpec: boolean;
  /** The newest spec failed, and the leader went back by itself: the tasks of before and those made now have the same spec. */
  readonly isAutomatic: boolean;
  /** The spec that is left; 0: none. */
  readonly fromSpecNumber: number;
  readonly config: UpdateConfig;
  readonly status: Row<ServiceStatus> | undefined;
}

/** Undefined where the spec is not there (yet). */
export function rolloutOf(view: StateView, service: Service): Rollout | undefined {
  const status = view.get('serviceStatus', service.id);
  const isNewSpec = seenSpecNumber(status?.value) !== service.specNumber;
  return isNewSpec ? begun(view, service, status) : underWay(view, service, status);
}

function begun(view: StateView, service: Service, status: Row<ServiceStatus> | undefined): Rollout | undefined {
  const stored = view.get('specs', specId(service.id, service.specNumber))?.value;
  const spec = stored?.spec;
  if (stored === undefined || spec === undefined) return undefined;
  const kind = stored.rollbackTo > 0 ? 'rollback' : 'update';
  const active = status?.value.activeSpecNumber ?? 0;
  // What an update that did not come to its end began from is what is known to run; a rollback goes away from what is there now.
  const isUnfinished = isOpen(status?.value.update?.state) && !isRollbackState(status?.value.update?.state);
  const base = isUnfinished ? (status?.value.update?.fromSpecNumber ?? 0) : 0;
  const fromSpecNumber = kind === 'update' && specOf(view, service.id, base) !== undefined ? base : active;
  return {
    kind,
    spec,
    specNumber: service.specNumber,
    isNewSpec: true,
    isAutomatic: false,
    fromSpecNumber,
    config: configOf(view, service.id, kind, spec, fromSpecNumber),
    status,
  };
}

function underWay(view: StateView, service: Service, status: Row<ServiceStatus> | undefined): Rollout | undefined {
  const specNumber = status?.value.activeSpecNumber ?? 0;
  const spec = specOf(view, service.id, specNumber);
  if (spec === undefined) return undefined;
  const update = status?.value.update;
  const kind = isOpen(update?.state) && isRollbackState(update?.state) ? 'rollback' : 'update';
  const fromSpecNumber = update?.fromSpecNumber ?? 0;
  const config = configOf(view, service.id, kind, spec, fromSpecNumber);
  return { kind, spec, specNumber, isNewSpec: false, isAutomatic: specNumber !== service.specNumber, fromSpecNumber, config, status };
}

/** A rollback goes by the word of the spec that is left: whoever brought that in may have provided for its failure. */
function configOf(view: StateView, serviceId: string, kind: RolloutKind, spec: ServiceSpec, fromSpecNumber: number): UpdateConfig {
  return kind === 'update' ? updateConfigOf(spec) : rollbackConfigOf(specOf(view, serviceId, fromSpecNumber) ?? spec);
}

export function isRollbackState(state: UpdateState | undefined): boolean {
  return state === UpdateState.ROLLBACK_STARTED || state === UpdateState.ROLLBACK_PAUSED || state === UpdateState.ROLLBACK_COMPLETED;
}

/** Neither completed nor never begun. */
export function isOpen(state: UpdateState | undefined): boolean {
  switch (state) {
    case UpdateState.UPDATING:
    case UpdateState.UPDATE_PAUSED:
    case UpdateState.ROLLBACK_STARTED:
    case UpdateState.ROLLBACK_PAUSED:
      return true;
    default:
      return false;
  }
}
