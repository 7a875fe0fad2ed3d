// A canary: some tasks by the newest spec beside those of slots that go on by the spec before, each in a place of its own (`3~` beside slot 3), so
// that everything that holds for a slot holds for both. It waits there until it is promoted, by a user or by itself, and its tasks take their slots
// over; or until it is aborted, by a user or since too many of them failed, and they are drained and forgotten. Pure.
import { FailureAction, UpdateState, type UpdateStatus } from '../../proto/index.ts';
import { formatDurationMs } from '../../lib/units.ts';
import { type CanaryState, canaryTasks, isCanaryState } from '../state/index.ts';
import { clearSlot } from './clear-slot.ts';
import { failureOf } from './failure.ts';
import { planMoves } from './moves.ts';
import { Pass } from './pass.ts';
import type { WriteGroup } from './plan.ts';
import { trialOf } from './rollout.ts';
import { SlotEdit } from './slot-edit.ts';
import { settleSlot } from './slot-rules.ts';
import { besideSlotKey, canarySlotKey, emptySlot, type SlotTasks } from './slot.ts';
import { serviceEvent } from './task-events.ts';
import type { TaskInfo } from './task-info.ts';
import type { NextUpdate } from './update.ts';

type Slots = ReadonlyMap<string, SlotTasks>;

export interface TrialOutcome {
  /** What there is to say of it; undefined: as before. */
  readonly news: NextUpdate | undefined;
  /** Number of the spec that all tasks are brought to from the next pass on; undefined: it stays on trial, or is given up. */
  readonly promoted: number | undefined;
}

export interface TrialPlan {
  readonly edits: readonly SlotEdit[];
  /** Undefined: no canary is on. */
  readonly outcome: TrialOutcome | undefined;
}

export function withoutTrials(all: Slots): { readonly slots: Slots; readonly trials: Slots } {
  const isTrial = ([key]: readonly [string, SlotTasks]): boolean => besideSlotKey(key) !== undefined;
  return { slots: new Map([...all].filter((entry) => !isTrial(entry))), trials: new Map([...all].filter(isTrial)) };
}

/** What was on trial is what all tasks shall be: its tasks take over the slots beside which they run. */
export function adoptTrials(pass: Pass, slots: Slots, trials: Slots): readonly WriteGroup[] {
  if (pass.rollout.canary !== undefined) return [];
  const groups: WriteGroup[] = [];
  for (const trial of trials.values()) {
    const key = besideSlotKey(trial.key) ?? '';
    const slot = slots.get(key) ?? emptySlot(pass.view, pass.serviceId, key);
    const group = trial.holder !== undefined && takesOver(pass, trial.holder, slot) ? adopt(pass, trial, trial.holder, slot) : undefined;
    if (group !== undefined) groups.push(group);
  }
  return groups;
}

function takesOver(pass: Pass, info: TaskInfo, { holder }: SlotTasks): boolean {
  if (info.isEnded || info.task.drain || info.task.lost || info.nodeCondition === 'down' || !pass.isClean(info)) return false;
  return holder === undefined || !pass.isClean(holder);
}

/** The slot is then as in the middle of a move: the new task is there, and the old one not gone. */
function adopt(pass: Pass, trial: SlotTasks, info: TaskInfo, slot: SlotTasks): WriteGroup | undefined {
  const edit = new SlotEdit(pass.serviceId, slot, pass.context.wallMs);
  edit.patch(info, { canary: false, replaces: slot.holder?.row.id ?? '' });
  edit.setHolder(info);
  const group = edit.build();
  if (group === undefined || trial.row === undefined) return group;
  return { ...group, writes: [...group.writes, { kind: 'delete', table: 'slots', row: trial.row }] };
}

/** `wanted`: the slots of the service. Settles what runs beside them; nothing does where no canary is on. */
export function planTrial(pass: Pass, trials: Slots, wanted: readonly SlotTasks[]): TrialPlan {
  const editOf = (slot: SlotTasks): SlotEdit => new SlotEdit(pass.serviceId, slot, pass.context.wallMs);
  const { canary } = pass.rollout;
  const rollout = canary && trialOf(pass.view, pass.serviceId, pass.rollout, canary);
  const chosen = canary === undefined ? [] : chooseTrials(pass, canary, trials, wanted);
  const keys = new Set(chosen.map(({ key }) => key));
  const cleared = [...trials.values()].filter(({ key }) => !keys.has(key)).map(editOf);
  for (const edit of cleared) clearSlot(pass, edit);
  if (canary === undefined || rollout === undefined) return { edits: cleared, outcome: undefined };

  const trial = new Pass(pass.view, pass.context, pass.service, rollout);
  trial.phase = canary.isPaused ? 'paused' : 'updating';
  const reason = pass.rollout.isNewSpec ? undefined : failureOf(trial, chosen);
  if (reason !== undefined) {
    trial.phase = 'paused';
    trial.isTurning = trial.config.failureAction === FailureAction.FAILURE_ROLLBACK;
  }
  const edits = chosen.map(editOf);
  for (const edit of edits) settleSlot(trial, edit);
  planMoves(trial, edits, []);
  if (trial.wakeInMs !== undefined) pass.wakeIn(trial.wakeInMs);
  for (const nodeId of trial.lateMeshes) pass.lateMeshes.add(nodeId);
  return { edits: [...edits, ...cleared], outcome: outcomeOf(pass, trial, canary, edits, reason) };
}

/** Where its tasks are already; then from the lowest slot on. */
function chooseTrials(pass: Pass, { permille }: CanaryState, trials: Slots, wanted: readonly SlotTasks[]): readonly SlotTasks[] {
  const places = wanted.map(({ key }) => {
    const trialKey = canarySlotKey(key);
    return trials.get(trialKey) ?? emptySlot(pass.view, pass.serviceId, trialKey);
  });
  const number = ({ key }: SlotTasks): number => Number(besideSlotKey(key));
  places.sort((one, other) => Number(one.holder === undefined) - Number(other.holder === undefined) || number(one) - number(other));
  return places.slice(0, canaryTasks(permille, wanted.length));
}

function outcomeOf(pass: Pass, trial: Pass, canary: CanaryState, edits: readonly SlotEdit[], reason: string | undefined): TrialOutcome {
  const current = pass.rollout.status?.value.update;
  const isKnown = !pass.rollout.isNewSpec && isCanaryState(current?.state);
  if (!isKnown || current === undefined || current.canaryRound !== canary.round)
    return { news: begun(pass, canary, current), promoted: undefined };
  if (reason !== undefined) return { news: failed(pass, trial, current, reason), promoted: undefined };
  if (!isDue(pass, trial, canary, edits)) return { news: undefined, promoted: undefined };
  const message = `canary promoted: all of its tasks were up for ${formatDurationMs(canary.promoteAfterMs)}`;
  const update = { ...current, state: UpdateState.UPDATING, message: 'update in progress', canaryRound: 0 };
  return { news: { update, events: [serviceEvent(pass, 'canary', message)] }, promoted: canary.specNumber };
}

/** Begun, or said anew by a user: how large it is, or how many replicas there are. */
function begun(pass: Pass, { specNumber, baseSpecNumber, round, permille }: CanaryState, before: UpdateStatus | undefined): NextUpdate {
  const old = isCanaryState(before?.state) ? before : undefined;
  const kept = old?.canaryRound === round ? old : undefined;
  const isChange = old?.specNumber === specNumber;
  const update: UpdateStatus = {
    state: kept?.state ?? UpdateState.CANARY,
    message: kept?.message ?? 'canary in progress',
    startedUnixMs: (kept ?? (isChange ? old : undefined))?.startedUnixMs ?? pass.context.wallMs,
    completedUnixMs: 0,
    specNumber,
    fromSpecNumber: baseSpecNumber,
    canaryRound: round,
  };
  const message = `canary ${isChange ? 'changed' : 'started'}: ${permille / 10}% of new connections go to spec ${specNumber}`;
  return { update, events: kept === undefined ? [serviceEvent(pass, 'canary', message)] : [] };
}

function failed(pass: Pass, trial: Pass, current: UpdateStatus, reason: string): NextUpdate {
  if (!trial.isTurning) {
    const message = `canary paused due to ${reason}`;
    return { update: { ...current, state: UpdateState.CANARY_PAUSED, message }, events: [serviceEvent(pass, 'canary', message)] };
  }
  const message = `canary rolled back due to ${reason}`;
  const update = { ...current, state: UpdateState.ROLLBACK_STARTED, message, fromSpecNumber: trial.specNumber, canaryRound: 0 };
  return { update, events: [serviceEvent(pass, 'rollback', message)] };
}

/** All of its tasks have been up for as long as the user said, as far as this leader has seen. */
function isDue(pass: Pass, trial: Pass, canary: CanaryState, edits: readonly SlotEdit[]): boolean {
  if (canary.promoteAfterMs === 0 || trial.phase !== 'updating' || edits.length === 0) return false;
  const isWell = ({ slot: { holder }, created }: SlotEdit): boolean =>
    created === undefined && holder?.isUp === true && !holder.task.drain && trial.isClean(holder);
  if (!edits.every(isWell)) return false;
  const leftMs = canary.promoteAfterMs - pass.sinceMs(`well:${canary.round}`);
  if (leftMs > 0) pass.wakeIn(leftMs);
  return leftMs <= 0;
}
