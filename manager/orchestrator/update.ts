// The progress of an update as users see it: begun by a spec that changes tasks, completed when all new ones are up and have been for the monitor
// period, paused when they fail. Pure; what is moved is decided in moves.ts.
import { type Event, FailureAction, type ServiceStatus, TaskState, UpdateState, type UpdateStatus } from '../../proto/index.ts';
import type { MovesOutcome } from './moves.ts';
import type { Pass, UpdatePhase } from './pass.ts';
import type { WriteGroup } from './plan.ts';
import type { SlotEdit } from './slot-edit.ts';
import type { SlotTasks } from './slot.ts';
import { endReason, serviceEvent } from './task-events.ts';
import type { TaskInfo } from './task-info.ts';

export interface UpdateOutlook {
  readonly phase: UpdatePhase;
  /** The newest spec is not the one that was brought in so far. */
  readonly isNewSpec: boolean;
  /** Why it is paused now; undefined: it is not, or was before. */
  readonly failure: string | undefined;
}

/** Before anything is moved. */
export function updateOutlook(pass: Pass, wanted: readonly SlotTasks[]): UpdateOutlook {
  const status = statusOf(pass);
  if (status?.activeSpecNumber !== pass.specNumber) {
    const isUpdate = wanted.some(({ holder }) => holder !== undefined && !pass.isClean(holder));
    return { phase: isUpdate ? 'updating' : 'steady', isNewSpec: true, failure: undefined };
  }
  switch (status.update?.state) {
    case UpdateState.UPDATING: {
      const failure = pass.update.failureAction === FailureAction.FAILURE_CONTINUE ? undefined : failureOf(pass, wanted);
      return { phase: failure === undefined ? 'updating' : 'paused', isNewSpec: false, failure };
    }
    case UpdateState.UPDATE_PAUSED:
      return { phase: 'paused', isNewSpec: false, failure: undefined };
    default:
      return { phase: 'steady', isNewSpec: false, failure: undefined };
  }
}

/** A new task that failed within the monitor period, once such slots are more than the ratio allows. Rollback comes later: it pauses, too. */
function failureOf(pass: Pass, wanted: readonly SlotTasks[]): string | undefined {
  const isNew = (info: TaskInfo): boolean => info.task.specNumber === pass.specNumber && hasFailed(info);
  const fresh = wanted.find(({ holder }) => {
    if (holder === undefined || !isNew(holder) || holder.task.desired > TaskState.RUNNING) return false;
    const upMs = pass.notedUpMs(holder);
    return upMs === undefined || upMs <= pass.update.monitorMs;
  });
  if (fresh?.holder === undefined) return undefined;
  const failed = wanted.filter(({ holder, others }) => (holder !== undefined && isNew(holder)) || others.some(isNew)).length;
  if (failed / wanted.length <= pass.update.maxFailureRatio) return undefined;
  return `update paused due to failure of task ${pass.service.name}.${fresh.key}, which ${endReason(fresh.holder)}`;
}

function hasFailed({ status }: TaskInfo): boolean {
  return status?.state === TaskState.FAILED || status?.state === TaskState.REJECTED;
}

/** The write of service-status, if it changes. */
export function planStatus(pass: Pass, outlook: UpdateOutlook, wanted: readonly SlotEdit[], moves: MovesOutcome): WriteGroup | undefined {
  const before = pass.view.get('serviceStatus', pass.serviceId);
  const next = nextUpdate(pass, outlook, wanted, moves);
  if (!outlook.isNewSpec && next === undefined) return undefined;
  const update = next?.update ?? before?.value.update;
  const value: ServiceStatus = {
    serviceId: pass.serviceId,
    activeSpecNumber: pass.specNumber,
    update,
    nodeFailures: before?.value.nodeFailures ?? [],
  };
  return {
    serviceId: pass.serviceId,
    writes: [{ kind: 'put', table: 'serviceStatus', id: pass.serviceId, value, before }],
    requires: [],
    events: next?.events ?? [],
  };
}

interface NextUpdate {
  readonly update: UpdateStatus;
  readonly events: readonly Event[];
}

function nextUpdate(pass: Pass, outlook: UpdateOutlook, wanted: readonly SlotEdit[], moves: MovesOutcome): NextUpdate | undefined {
  const { wallMs } = pass.context;
  const current = statusOf(pass)?.update;
  const ended = (state: UpdateState, message: string): NextUpdate => ({
    update: {
      state,
      message,
      startedUnixMs: current?.startedUnixMs ?? wallMs,
      completedUnixMs: state === UpdateState.UPDATE_COMPLETED ? wallMs : 0,
    },
    events: [serviceEvent(pass, 'update', message)],
  });
  if (outlook.isNewSpec) {
    if (outlook.phase === 'updating') {
      const message = 'update in progress';
      return {
        update: { state: UpdateState.UPDATING, message, startedUnixMs: wallMs, completedUnixMs: 0 },
        events: [serviceEvent(pass, 'update', 'update started')],
      };
    }
    const isOpen = current?.state === UpdateState.UPDATING || current?.state === UpdateState.UPDATE_PAUSED;
    return isOpen ? ended(UpdateState.UPDATE_COMPLETED, 'update completed: a newer spec left nothing to update') : undefined;
  }
  if (outlook.failure !== undefined) return ended(UpdateState.UPDATE_PAUSED, outlook.failure);
  if (outlook.phase !== 'updating' || moves.moving > 0 || moves.waiting > 0) return undefined;
  return wanted.every((edit) => hasProved(pass, edit)) ? ended(UpdateState.UPDATE_COMPLETED, 'update completed') : undefined;
}

/** Its task is up for the monitor period, or is no business of the update. */
function hasProved(pass: Pass, { slot: { holder }, restartsLater }: SlotEdit): boolean {
  if (holder === undefined) return false;
  const hasFailed = holder.isFinished || (holder.task.restart?.attempt ?? 0) > 0;
  if (hasFailed && pass.update.failureAction === FailureAction.FAILURE_CONTINUE) return true;
  if (holder.isFinished) return !restartsLater;
  if (holder.nodeCondition === 'down' || (holder.isWaiting && holder.task.replaces === '')) return true;
  if (holder.task.specNumber !== pass.specNumber) return pass.isClean(holder);
  if (!holder.isUp) return false;
  const leftMs = pass.update.monitorMs - pass.sinceMs(`up:${holder.row.id}`);
  if (leftMs > 0) pass.wakeIn(leftMs);
  return leftMs <= 0;
}

function statusOf(pass: Pass): ServiceStatus | undefined {
  return pass.view.get('serviceStatus', pass.serviceId)?.value;
}
