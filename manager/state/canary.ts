// Canaries and pauses, from the rows that say of them: what the API wrote of the service, and what the leader has made of it. Pure.
import { type Service, type ServiceStatus, UpdateState } from '../../proto/index.ts';

export interface CanaryState {
  /** On trial: the newest spec. */
  readonly specNumber: number;
  /** What all other tasks go by. */
  readonly baseSpecNumber: number;
  readonly permille: number;
  /** 0: only by a user. */
  readonly promoteAfterMs: number;
  readonly round: number;
  /** Too many of its tasks failed. */
  readonly isPaused: boolean;
}

/** Undefined: none is on. One that the leader has not seen yet is. */
export function canaryOf({ canary, specNumber }: Service, status: ServiceStatus | undefined): CanaryState | undefined {
  if (canary === undefined || canary.promoted) return undefined;
  const update = status !== undefined && seenSpecNumber(status) === specNumber ? status.update : undefined;
  if (update !== undefined && !isCanaryState(update.state)) return undefined;
  const isPaused = update?.state === UpdateState.CANARY_PAUSED && update.canaryRound === canary.round;
  const { baseSpecNumber, permille, promoteAfterMs, round } = canary;
  return { specNumber, baseSpecNumber, permille, promoteAfterMs, round, isPaused };
}

export function isCanaryState(state: UpdateState | undefined): boolean {
  return state === UpdateState.CANARY || state === UpdateState.CANARY_PAUSED;
}

/**
 * The share of the tasks that are marked as a canary's: what the user said, also while they take over after a promotion; nothing once it has failed,
 * or was aborted, for as long as they are there.
 */
export function canaryPermille(service: Service, status: ServiceStatus | undefined): number {
  const { canary, specNumber } = service;
  if (canary === undefined) return 0;
  const on = canaryOf(service, status);
  if (on !== undefined) return on.isPaused ? 0 : on.permille;
  const isSeen = status !== undefined && seenSpecNumber(status) === specNumber;
  return isSeen && status.activeSpecNumber !== specNumber && !canary.promoted ? 0 : canary.permille;
}

/** The newest pause is on: neither a user nor the leader has ended it. */
export function isPaused({ pause }: Service, status: ServiceStatus | undefined): boolean {
  return pause?.on === true && pause.number !== (status?.endedPause ?? 0);
}

/** The newest spec that the leader has acted on; 0: it has not looked at the service yet. */
export function seenSpecNumber(status: ServiceStatus | undefined): number {
  if (status === undefined) return 0;
  return status.seenSpecNumber === 0 ? status.activeSpecNumber : status.seenSpecNumber;
}

/** Its tasks, of a service of so many replicas: the share of them, rounded up; at least one, at most one beside each. */
export function canaryTasks(permille: number, replicas: number): number {
  return Math.min(replicas, Math.max(1, Math.ceil((permille * replicas) / 1000)));
}
