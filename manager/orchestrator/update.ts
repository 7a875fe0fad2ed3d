// The progress of an update, or of a rollback, as users see it: begun by a spec that changes tasks, completed when all new ones are up and have
// been for the monitor period, paused or rolled back when they fail. Pure; what is moved is decided in moves.ts.
import { type Event, FailureAction, type Service, type ServiceStatus, UpdateState, type UpdateStatus } from '../../proto/index.ts';
import { isCanaryState, type Row, specId } from '../state/index.ts';
import type { TrialOutcome } from './canary.ts';
import { failureOf, isGivenUp } from './failure.ts';
import { isOutgrown } from './misfit.ts';
import type { MovesOutcome } from './moves.ts';
import { pauseToEnd } from './pause.ts';
import type { Pass } from './pass.ts';
import type { WriteGroup } from './plan.ts';
import type { RebalanceOutcome } from './rebalance.ts';
import { isOpen, isRollbackState, type RolloutKind } from './rollout.ts';
import type { SlotEdit } from './slot-edit.ts';
import type { SlotTasks } from './slot.ts';
import { serviceEvent } from './task-events.ts';
import type { TaskInfo } from './task-info.ts';

/** What the failure of new tasks leads to now; undefined: nothing failed, or that is allowed, or it has led to it before. */
export type Setback =
  | { readonly kind: 'pause'; readonly reason: string }
  /** The tasks are brought back to the spec of that number from the next pass on. */
  | { readonly kind: 'turn'; readonly reason: string; readonly toSpecNumber: number };

/** Before anything is moved; sets the phase of the pass. */
export function lookOut(pass: Pass, wanted: readonly SlotTasks[]): Setback | undefined {
  const { isNewSpec, status, canary } = pass.rollout;
  // What goes on beside a canary is no update.
  if (canary !== undefined) return undefined;
  if (isNewSpec) {
    const isUpdate = wanted.some(({ holder }) => holder !== undefined && isAffected(pass, holder));
    pass.phase = isUpdate || pass.rollout.isPromotion ? 'updating' : 'steady';
    return undefined;
  }
  switch (status?.value.update?.state) {
    case UpdateState.UPDATING:
    case UpdateState.ROLLBACK_STARTED: {
      pass.phase = 'updating';
      const reason = failureOf(pass, wanted);
      if (reason === undefined) return undefined;
      const setback = setbackOf(pass, reason);
      pass.phase = 'paused';
      pass.isTurning = setback.kind === 'turn';
      return setback;
    }
    case UpdateState.UPDATE_PAUSED:
    case UpdateState.ROLLBACK_PAUSED:
      pass.phase = 'paused';
      return undefined;
    default:
      return undefined;
  }
}

/** The spec concerns it, or it is what an update that this one ends has not placed yet. */
function isAffected(pass: Pass, holder: TaskInfo): boolean {
  const isLeftOver = holder.isWaiting && holder.task.replaces !== '' && isOpen(pass.rollout.status?.value.update?.state);
  return isLeftOver || !pass.isClean(holder) || isOutgrown(pass, holder);
}

function setbackOf(pass: Pass, reason: string): Setback {
  const { kind, fromSpecNumber, specNumber } = pass.rollout;
  // A rollback is never rolled back.
  if (kind === 'rollback' || pass.config.failureAction !== FailureAction.FAILURE_ROLLBACK) return { kind: 'pause', reason };
  const base = pass.view.get('specs', specId(pass.serviceId, fromSpecNumber));
  if (base === undefined || fromSpecNumber === specNumber) {
    return { kind: 'pause', reason: `${reason}; there is no earlier spec to go back to` };
  }
  return { kind: 'turn', reason, toSpecNumber: fromSpecNumber };
}

/** The write of service-status, if it changes. */
export function planStatus(
  pass: Pass,
  setback: Setback | undefined,
  wanted: readonly SlotEdit[],
  moves: MovesOutcome,
  rebalance: RebalanceOutcome,
  trial: TrialOutcome | undefined,
): WriteGroup | undefined {
  const { isNewSpec, status: before, specNumber } = pass.rollout;
  const next = trial !== undefined ? trial.news : nextUpdate(pass, setback, wanted, moves);
  const endedPause = pauseToEnd(pass);
  const isSame = next === undefined && endedPause === undefined && rebalance.status === before?.value.rebalance;
  if (!isNewSpec && isSame) return undefined;
  const value: ServiceStatus = {
    serviceId: pass.serviceId,
    activeSpecNumber: setback?.kind === 'turn' ? setback.toSpecNumber : (trial?.promoted ?? specNumber),
    seenSpecNumber: pass.service.specNumber,
    update: next?.update ?? keptUpdate(pass),
    job: undefined,
    nodeFailures: before?.value.nodeFailures ?? [],
    rebalance: rebalance.status,
    endedPause: endedPause?.number ?? before?.value.endedPause ?? 0,
  };
  return {
    serviceId: pass.serviceId,
    writes: [{ kind: 'put', table: 'serviceStatus', id: pass.serviceId, value, before }],
    // A user may have said otherwise of the canary, or ended the pause.
    requires:
      trial?.news === undefined && endedPause === undefined ? [] : [{ table: 'services', id: pass.serviceId, row: serviceRow(pass) }],
    events: [...(next?.events ?? []), ...(endedPause?.events ?? []), ...rebalance.events],
  };
}

function nextUpdate(pass: Pass, setback: Setback | undefined, wanted: readonly SlotEdit[], moves: MovesOutcome): NextUpdate | undefined {
  if (pass.rollout.isNewSpec) return begun(pass);
  return setback === undefined ? ended(pass, wanted, moves) : setBack(pass, setback);
}

function serviceRow({ view, serviceId }: Pass): Row<Service> | undefined {
  return view.get('services', serviceId);
}

export interface NextUpdate {
  readonly update: UpdateStatus;
  readonly events: readonly Event[];
}

/** With a new spec. */
function begun(pass: Pass): NextUpdate | undefined {
  const { wallMs } = pass.context;
  const { kind, fromSpecNumber, status } = pass.rollout;
  const isRollback = kind === 'rollback';
  const current = status?.value.update;
  if (pass.phase === 'updating') {
    const update: UpdateStatus = {
      state: isRollback ? UpdateState.ROLLBACK_STARTED : UpdateState.UPDATING,
      message: isRollback ? 'rollback in progress' : 'update in progress',
      startedUnixMs: wallMs,
      completedUnixMs: 0,
      specNumber: pass.service.specNumber,
      fromSpecNumber,
      canaryRound: 0,
    };
    return { update, events: [serviceEvent(pass, kind, `${kind} started`)] };
  }
  if (current === undefined || !isOpen(current.state)) return undefined;
  const state = isRollback ? UpdateState.ROLLBACK_COMPLETED : UpdateState.UPDATE_COMPLETED;
  const message = isCanaryState(current.state)
    ? `the canary was ${isRollback ? 'aborted' : 'ended by a newer spec'}`
    : `${kind} completed: a newer spec left nothing to update`;
  return finished(pass, { ...current, specNumber: pass.service.specNumber, fromSpecNumber }, kind, state, message);
}

function setBack(pass: Pass, setback: Setback): NextUpdate | undefined {
  const current = currentUpdate(pass);
  if (current === undefined) return undefined;
  const { kind } = pass.rollout;
  switch (setback.kind) {
    case 'pause': {
      const state = kind === 'rollback' ? UpdateState.ROLLBACK_PAUSED : UpdateState.UPDATE_PAUSED;
      return finished(pass, current, kind, state, `${kind} paused due to ${setback.reason}`);
    }
    case 'turn': {
      const left = { ...current, fromSpecNumber: pass.specNumber };
      return finished(pass, left, 'rollback', UpdateState.ROLLBACK_STARTED, `update rolled back due to ${setback.reason}`);
    }
  }
}

/** Once nothing is left to do for the roll-out that is under way. */
function ended(pass: Pass, wanted: readonly SlotEdit[], moves: MovesOutcome): NextUpdate | undefined {
  const current = currentUpdate(pass);
  if (current === undefined || pass.phase !== 'updating' || moves.moving > 0 || moves.waiting > 0) return undefined;
  // All are asked, so that each remembers since when its task is up.
  const proofs = wanted.map((edit) => hasProved(pass, edit));
  if (proofs.includes(false)) return undefined;
  const { kind, isAutomatic } = pass.rollout;
  const failed = wanted.filter(({ slot }) => isGivenUp(pass, slot)).length;
  const but = failed === 0 ? '' : `, though ${failed} of ${wanted.length} tasks failed`;
  const why = isAutomatic ? `: ${current.message}` : '';
  const state = isRollbackState(current.state) ? UpdateState.ROLLBACK_COMPLETED : UpdateState.UPDATE_COMPLETED;
  return finished(pass, current, kind, state, `${kind} completed${but}${why}`);
}

function finished(pass: Pass, current: UpdateStatus, kind: RolloutKind, state: UpdateState, message: string): NextUpdate {
  const isComplete = state === UpdateState.UPDATE_COMPLETED || state === UpdateState.ROLLBACK_COMPLETED;
  return {
    update: { ...current, state, message, completedUnixMs: isComplete ? pass.context.wallMs : 0 },
    events: [serviceEvent(pass, kind, message)],
  };
}

/** Its task is up for the monitor period, or is no business of the roll-out. */
function hasProved(pass: Pass, { slot, restartsLater }: SlotEdit): boolean {
  const { holder } = slot;
  if (holder === undefined) return false;
  if (isGivenUp(pass, slot)) return true;
  if (holder.isFinished) return !restartsLater;
  if (holder.nodeCondition === 'down' || (holder.isWaiting && holder.task.replaces === '')) return true;
  if (!pass.isNew(holder)) return pass.isClean(holder) && !isOutgrown(pass, holder);
  if (!holder.isUp) return false;
  const leftMs = pass.config.monitorMs - pass.sinceMs(`up:${holder.row.id}`);
  if (leftMs > 0) pass.wakeIn(leftMs);
  return leftMs <= 0;
}

/** What was said of the update before stands, but for a rollback: with a newer spec it is not true any more. */
function keptUpdate(pass: Pass): UpdateStatus | undefined {
  const current = currentUpdate(pass);
  return pass.rollout.isNewSpec && isRollbackState(current?.state) ? undefined : current;
}

function currentUpdate(pass: Pass): UpdateStatus | undefined {
  return pass.rollout.status?.value.update;
}
