// What the tasks of a service are brought to at present, and by which settings: its newest spec, or the one that the leader went back to after
// the update to the newest failed. Pure; read once per pass.
import { type Service, type ServiceSpec, type ServiceStatus, type UpdateConfig, UpdateState } from '../../proto/index.ts';
import {
  canaryOf,
  type CanaryState,
  isCanaryState,
  rollbackConfigOf,
  type Row,
  seenSpecNumber,
  specId,
  specOf,
  type StateView,
  updateConfigOf,
} from '../state/index.ts';

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
  /** The newest spec is on trial beside `spec`. */
  readonly canary: CanaryState | undefined;
  /** This is the roll-out of what is on trial, to its own tasks. */
  readonly isTrial: boolean;
  /** A user has just promoted what was on trial. */
  readonly isPromotion: boolean;
}

/** Undefined where the spec is not there (yet). */
export function rolloutOf(view: StateView, service: Service): Rollout | undefined {
  const status = view.get('serviceStatus', service.id);
  const canary = canaryOf(service, status?.value);
  if (canary !== undefined) return beside(view, service, status, canary);
  const isNewSpec = seenSpecNumber(status?.value) !== service.specNumber || isPromotion(service, status?.value);
  return isNewSpec ? begun(view, service, status) : underWay(view, service, status);
}

/** The spec of before goes on, as if the newest one were not there. */
function beside(view: StateView, service: Service, status: Row<ServiceStatus> | undefined, canary: CanaryState): Rollout | undefined {
  const { baseSpecNumber: specNumber } = canary;
  const spec = specOf(view, service.id, specNumber);
  if (spec === undefined || specOf(view, service.id, canary.specNumber) === undefined) return undefined;
  const isNewSpec = seenSpecNumber(status?.value) !== service.specNumber;
  return {
    ...{ kind: 'update', spec, specNumber, isNewSpec, isAutomatic: false, fromSpecNumber: specNumber },
    ...{ config: updateConfigOf(spec), status, canary, isTrial: false, isPromotion: false },
  };
}

/** Of the spec on trial to its own tasks, beside `rollout`. */
export function trialOf(view: StateView, serviceId: string, rollout: Rollout, { specNumber }: CanaryState): Rollout | undefined {
  const spec = specOf(view, serviceId, specNumber);
  return spec && { ...rollout, spec, specNumber, isNewSpec: false, config: updateConfigOf(spec), isTrial: true };
}

function isPromotion({ canary, specNumber }: Service, status: ServiceStatus | undefined): boolean {
  return canary?.promoted === true && seenSpecNumber(status) === specNumber && isCanaryState(status?.update?.state);
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
    canary: undefined,
    isTrial: false,
    isPromotion: isPromotion(service, status?.value),
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
  return {
    ...{ kind, spec, specNumber, isNewSpec: false, isAutomatic: specNumber !== service.specNumber, fromSpecNumber, config, status },
    ...{ canary: undefined, isTrial: false, isPromotion: false },
  };
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
    case UpdateState.CANARY:
    case UpdateState.CANARY_PAUSED:
      return true;
    default:
      return false;
  }
}
