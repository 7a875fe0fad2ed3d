// The leader's word on a service: which spec is active, and how its update goes.
import { ServiceStatus, UpdateState, UpdateStatus } from '../../proto/index.ts';
import type { Target, Work } from './work.ts';

/** Group of writes that belong to no slot. */
const GROUP = 'status';

export interface RolloutState {
  /** Slots that the new spec has yet to reach, those under way included. */
  readonly toUpdate: number;
  /** A new task of this slot failed before it had run for the monitoring time. */
  readonly failedSlot: string | undefined;
}

export function isPaused(work: Work, target: Target): boolean {
  const status = work.view.get('serviceStatus', work.serviceId)?.value;
  return status?.activeSpecNumber === target.number && status.update?.state === UpdateState.UPDATE_PAUSED;
}

export function isUpdating(work: Work, target: Target): boolean {
  const status = work.view.get('serviceStatus', work.serviceId)?.value;
  return status?.activeSpecNumber === target.number && status.update?.state === UpdateState.UPDATING;
}

/** Writes the status where it changes. `monitored`: the newest task has run for the monitoring time. */
export function writeStatus(work: Work, target: Target, rollout: RolloutState, monitored: () => boolean): void {
  const row = work.view.get('serviceStatus', work.serviceId);
  const before = row?.value ?? ServiceStatus.create({ serviceId: work.serviceId });
  const update = nextUpdate(work, before, target, rollout, monitored);
  if (before.activeSpecNumber === target.number && update === before.update) return;
  work.put(GROUP, 'serviceStatus', work.serviceId, { ...before, activeSpecNumber: target.number, update }, row);
  if (update === undefined || update.state === before.update?.state) return;
  work.event(GROUP, {
    type: 'service',
    action: `update-${words(update.state)}`,
    objectId: work.serviceId,
    objectName: target.spec.name,
    message: update.message,
    attributes: {},
  });
}

function nextUpdate(
  { context }: Work,
  before: ServiceStatus,
  target: Target,
  { toUpdate, failedSlot }: RolloutState,
  monitored: () => boolean,
): UpdateStatus | undefined {
  const { update } = before;
  if (before.activeSpecNumber !== target.number) {
    if (before.activeSpecNumber === 0 || toUpdate === 0) return before.activeSpecNumber === 0 ? undefined : settled(update, context.wallMs);
    return UpdateStatus.create({ state: UpdateState.UPDATING, message: 'update in progress', startedUnixMs: context.wallMs });
  }
  if (update?.state !== UpdateState.UPDATING) return update;
  if (failedSlot !== undefined) {
    return {
      ...update,
      state: UpdateState.UPDATE_PAUSED,
      message: `update paused: a new task of slot ${failedSlot} failed; see \`shoal service ps\``,
    };
  }
  if (toUpdate > 0 || !monitored()) return update;
  return { ...update, state: UpdateState.UPDATE_COMPLETED, message: 'update completed', completedUnixMs: context.wallMs };
}

/** A change that moves no task ends an update that ran: whatever it had begun is what is wanted now. */
function settled(update: UpdateStatus | undefined, wallMs: number): UpdateStatus | undefined {
  if (update?.state !== UpdateState.UPDATING && update?.state !== UpdateState.UPDATE_PAUSED) return update;
  return { ...update, state: UpdateState.UPDATE_COMPLETED, message: 'update completed', completedUnixMs: wallMs };
}

function words(state: UpdateState): string {
  switch (state) {
    case UpdateState.UPDATING:
      return 'start';
    case UpdateState.UPDATE_PAUSED:
      return 'pause';
    default:
      return 'complete';
  }
}
