// How long all has to stay as it is before it counts as converged: a service whose tasks crash as soon as they run looks well at many an instant.
import { ShoalError } from '../../lib/errors.ts';
import { UpdateState } from '../../proto/index.ts';
import { activeSpecOf, rollbackConfigOf, specOf, type StateView, updateConfigOf } from '../state/index.ts';
import { shallRun } from './task-state.ts';

const MAX_STABLE_MS = 60 * 60 * 1000;

export interface StabilityWatch {
  /** `crew`: who is up, if all are; undefined: not all. Milliseconds that the same crew has to stay up yet; 0: it has proved itself. */
  leftMs(crew: string | undefined, nowMs: number, provedMs: number): number;
}

/** Throws `invalid_argument` where `stableMs` is out of bounds. `provedMs` counts for the first crew only: one that comes later has proved nothing. */
export function stabilityWatch(stableMs: number): StabilityWatch {
  if (stableMs > MAX_STABLE_MS) {
    throw ShoalError.invalid('the request is not valid', [{ path: 'stableMs', message: `${stableMs} ms are longer than an hour` }]);
  }
  let since: { readonly crew: string; readonly untilMs: number } | undefined;
  let isFirst = true;
  return {
    leftMs(crew, nowMs, provedMs) {
      if (crew === undefined) {
        since = undefined;
        return stableMs;
      }
      // Nobody is to run: there is nothing to verify.
      if (crew === '') return 0;
      if (since?.crew !== crew) {
        since = { crew, untilMs: nowMs + Math.max(0, stableMs - (isFirst ? provedMs : 0)) };
        isFirst = false;
      }
      return Math.max(0, since.untilMs - nowMs);
    },
  };
}

/** The tasks that shall run, by id: another one means that one was replaced, even if the number was never seen to drop. */
export function crewOf(state: StateView, serviceId: string): string {
  const ids: string[] = [];
  for (const { id, value } of state.tasksOfService(serviceId)) if (shallRun(value) && !value.lost) ids.push(id);
  return ids.sort().join();
}

/** How long an update or rollback that was completed after `sinceRevision` has seen its tasks up: its monitor period. Else 0. */
export function provedMs(state: StateView, serviceId: string, sinceRevision: number): number {
  const row = state.get('serviceStatus', serviceId);
  const update = row?.value.update;
  const active = activeSpecOf(state, serviceId)?.spec;
  if (row === undefined || update === undefined || active === undefined || row.modRevision <= sinceRevision) return 0;
  if (update.specNumber !== state.get('services', serviceId)?.value.specNumber) return 0;
  switch (update.state) {
    case UpdateState.UPDATE_COMPLETED:
      return updateConfigOf(active).monitorMs;
    case UpdateState.ROLLBACK_COMPLETED:
      // By the settings of the spec that was left.
      return rollbackConfigOf(specOf(state, serviceId, update.fromSpecNumber) ?? active).monitorMs;
    default:
      return 0;
  }
}
