// How far a service is from its spec: slot by slot, with the reason where one is not there yet. Pure.
//
// As in Docker, a service has converged when every slot's task runs (and carries traffic, where it publishes ports) by the active spec, no
// other task of it shall run, and no update is under way. Tasks that were told to stop may still be stopping.
import {
  NodeState,
  type Service,
  ServiceMode,
  ServiceProgress,
  type ServiceSpec,
  SlotProgress,
  type Task,
  TaskState,
  UpdateState,
  type UpdateStatus,
} from '../../proto/index.ts';
import { activeSpecOf, canaryOf, canaryTasks, isCanaryState, type Row, seenSpecNumber, specOf, type StateView } from '../state/index.ts';
import { eligibleNodes } from './eligible-nodes.ts';
import { jobProgressOf } from './job-progress.ts';
import { isJobMode } from './job-mode.ts';
import { canaryView } from './services/canary-view.ts';
import { isUnderWay } from './services/rebalance.ts';
import { portsNotReady } from './task-remark.ts';
import { hostnameOf, slotOf } from './task-names.ts';
import { isFinished, type SeenTask, seenTask, shallRun } from './task-state.ts';
import { runsTheSame } from './task-runs.ts';
import { earlierError } from './task-words.ts';

/** A view with more lines helps nobody. */
const MAX_WAITING = 100;
const MAX_SLOTS = 20;

interface SlotView {
  readonly progress: SlotProgress;
  readonly isThere: boolean;
  /** A task of an earlier version serves in its place. */
  readonly isEarlier: boolean;
  /** It says what is wrong, not just how far it is. */
  readonly isTelling: boolean;
  /** A surplus one that was told to stop: nobody waits for it. */
  readonly isStopping: boolean;
}

interface Look {
  readonly state: StateView;
  readonly spec: ServiceSpec;
  readonly isClean: CleanCheck;
  readonly sinceRevision: number;
}

/** `sinceRevision`: of the change that is waited for; a slot whose task failed after it says so, even when its next one runs. */
export function progressOf(state: StateView, serviceId: string, sinceRevision = Infinity): ServiceProgress {
  const row = state.get('services', serviceId);
  const service = row?.value;
  const active = activeSpecOf(state, serviceId);
  if (row === undefined || service === undefined || active === undefined)
    return ServiceProgress.create({ serviceId, removed: service === undefined });
  if (isJobMode(active.spec.mode)) return jobProgressOf(state, serviceId, active.spec, service.specNumber);
  const status = state.get('serviceStatus', serviceId)?.value;
  const update = status?.update;
  const hasReacted = seenSpecNumber(status) === service.specNumber;

  // Once the leader has seen the newest spec and updates nothing, every task is as it wants it.
  const isSettled = hasReacted && !isMoving(update?.state) && !isAwaited(service, update);
  const isClean = isSettled ? () => true : cleanCheck(state, serviceId, active.spec, active.number);
  const views = slotViews({ state, spec: active.spec, isClean, sinceRevision }, serviceId);
  const trials = trialViews(state, row, sinceRevision);
  const wanted = views.filter((view) => !view.isSurplus);
  const running = wanted.filter((view) => view.isThere).length;
  const waiting = [...views, ...trials]
    .filter((view) => !view.isThere && !view.isStopping)
    .sort((one, other) => Number(other.isTelling) - Number(one.isTelling));
  const converged = isSettled && waiting.length === 0 && !isUnderWay(state, serviceId);
  return ServiceProgress.create({
    serviceId,
    desired: wanted.length,
    running,
    earlier: wanted.filter((view) => view.isEarlier).length,
    waiting: waiting.slice(0, MAX_WAITING).map((view) => view.progress),
    update,
    rebalance: status?.rebalance,
    converged,
    slots: views.length + trials.length <= MAX_SLOTS ? [...views, ...trials].map((view) => view.progress) : [],
    canary: canaryView(state, row),
  });
}

/** A user has said something of the canary that the leader has not acted on yet. */
function isAwaited({ canary }: Service, update: UpdateStatus | undefined): boolean {
  return canary !== undefined && isCanaryState(update?.state) && (canary.promoted || update?.canaryRound !== canary.round);
}

function isMoving(update: UpdateState | undefined): boolean {
  switch (update) {
    case UpdateState.UPDATING:
    case UpdateState.UPDATE_PAUSED:
    case UpdateState.ROLLBACK_STARTED:
    case UpdateState.ROLLBACK_PAUSED:
      return true;
    default:
      return false;
  }
}

type AnySlotView = SlotView & { readonly isSurplus: boolean };

/** The slots of a replicated service, or the nodes of a global one; then slots that shall not be there but whose tasks still run. */
function slotViews(look: Look, serviceId: string): AnySlotView[] {
  const { state, spec } = look;
  const tasks = new Map<string, Row<Task>[]>();
  const stopping = new Map<string, Row<Task>[]>();
  for (const row of state.tasksOfService(serviceId)) {
    if (row.value.lost || row.value.canary) continue;
    const slots = shallRun(row.value) ? tasks : stopping;
    if (slots === stopping && isOver(state, row.value)) continue;
    const slot = slotOf(row.value);
    const list = slots.get(slot);
    if (list === undefined) slots.set(slot, [row]);
    else list.push(row);
  }
  const wanted = spec.mode === ServiceMode.GLOBAL ? globalSlots(state, spec, tasks) : replicatedSlots(spec.replicas, tasks);
  const names = new Set(wanted);
  const surplus = [...tasks].filter(([slot]) => !names.has(slot));
  const leaving = [...stopping].filter(([slot]) => !names.has(slot) && !tasks.has(slot));
  return [
    ...wanted.map((slot) => ({ ...slotView(look, slot, tasks.get(slot) ?? []), isSurplus: false })),
    ...[...surplus, ...leaving].map(([slot, rows]) => ({ ...surplusView(state, spec, slot, rows), isSurplus: true })),
  ];
}

/** What runs beside the slots by the spec on trial, and what is to; or what is left of one that was given up. */
function trialViews(state: StateView, { id, value: service }: Row<Service>, sinceRevision: number): readonly AnySlotView[] {
  const active = activeSpecOf(state, id);
  if (active === undefined) return [];
  const on = canaryOf(service, state.get('serviceStatus', id)?.value);
  const number = on?.specNumber ?? active.number;
  const spec = specOf(state, id, number) ?? active.spec;
  const look: Look = { state, spec, isClean: cleanCheck(state, id, spec, number), sinceRevision };
  const slots = new Map<string, Row<Task>[]>();
  for (const row of state.tasksOfService(id)) {
    if (!row.value.canary || row.value.lost || !shallRun(row.value)) continue;
    const slot = `${slotOf(row.value)} (canary)`;
    slots.set(slot, [...(slots.get(slot) ?? []), row]);
  }
  if (on === undefined) {
    // What is about to take over its slot is no surplus.
    const left = [...slots].filter(([, rows]) => !rows.some((row) => look.isClean(row.value)));
    return left.map(([slot, rows]) => ({ ...surplusView(state, spec, slot, rows), isSurplus: true }));
  }
  const missing = Math.max(0, canaryTasks(on.permille, active.spec.replicas) - slots.size);
  const views = [...slots].map(([slot, rows]) => slotView(look, slot, rows));
  return [...views, ...Array.from({ length: missing }, () => slotView(look, 'canary', []))].map((view) => ({ ...view, isSurplus: false }));
}

/** Nothing of it runs, or shall any more. */
function isOver(state: StateView, task: Task): boolean {
  return task.nodeId === '' || isFinished(seenTask(state, task).state);
}

/**
 * After a scale down the slots that are left need not be the lowest: those with a task that stays count first, and free numbers from 1 on
 * fill up what is missing.
 */
function replicatedSlots(replicas: number, tasks: ReadonlyMap<string, readonly Row<Task>[]>): string[] {
  const stays = (slot: string): boolean => tasks.get(slot)?.some((row) => !row.value.drain) === true;
  const present = [...tasks.keys()].sort((one, other) => Number(stays(other)) - Number(stays(one)) || Number(one) - Number(other));
  const wanted = present.slice(0, replicas);
  for (let number = 1; wanted.length < replicas; number++) {
    if (!tasks.has(String(number))) wanted.push(String(number));
  }
  return wanted.sort((one, other) => Number(one) - Number(other));
}

/** Which nodes run a global service is the leader's business: those where it wants a task, and those that will surely get one. */
function globalSlots(state: StateView, spec: ServiceSpec, tasks: ReadonlyMap<string, readonly Row<Task>[]>): string[] {
  const isReady = (nodeId: string): boolean => state.get('nodeStatus', nodeId)?.value.state === NodeState.NODE_READY;
  const placed = [...tasks.keys()].filter(isReady);
  const nodes = new Set([...placed, ...eligibleNodes(state, spec)]);
  return [...nodes].sort((one, other) => (hostnameOf(state, one) < hostnameOf(state, other) ? -1 : 1));
}

type CleanCheck = (task: Task) => boolean;

/** Whether a task runs what the active spec says, under whatever number it was made. A guess at what the leader will do, for people to see. */
function cleanCheck(state: StateView, serviceId: string, active: ServiceSpec, activeNumber: number): CleanCheck {
  const known = new Map<number, boolean>([[activeNumber, true]]);
  return ({ specNumber }) => {
    let clean = known.get(specNumber);
    if (clean === undefined) {
      const made = specOf(state, serviceId, specNumber);
      clean = made !== undefined && runsTheSame(made.task, active.task);
      known.set(specNumber, clean);
    }
    return clean;
  };
}

function slotView(look: Look, slot: string, rows: readonly Row<Task>[]): SlotView {
  const { state, spec, isClean } = look;
  const name = slotName(state, spec, slot);
  const current = rows.find((row) => isClean(row.value) && !row.value.drain) ?? rows[0];
  if (current === undefined) {
    const message = state.get('leader', '') === undefined ? 'no manager leads at present' : 'waiting for its task to be made';
    const progress = SlotProgress.create({ slot: name, state: TaskState.NEW, message });
    return { progress, isThere: false, isEarlier: false, isTelling: false, isStopping: false };
  }
  const task = current.value;
  const seen = seenTask(state, task);
  const reason = reasonOf(look, task, seen) ?? (rows.length > 1 ? 'the task that it replaces is still running' : undefined);
  const nodeHostname = hostnameOf(state, task.nodeId);
  const message = reason ?? failedSince(look, task);
  return {
    progress: SlotProgress.create({ slot: name, state: seen.state, message, nodeHostname }),
    isThere: reason === undefined,
    isEarlier: reason !== undefined && rows.some((row) => servesEarlier(look, row.value)),
    isTelling: seen.error !== '' || earlierError(state, task) !== '',
    isStopping: false,
  };
}

/** That it runs now does not mean that all is well. */
function failedSince({ state, sinceRevision }: Look, task: Task): string {
  const failedAt = state.get('taskStatus', task.replaces)?.modRevision ?? 0;
  const earlier = failedAt > sinceRevision ? earlierError(state, task) : '';
  return earlier === '' ? '' : `its last task failed: ${earlier}`;
}

/** Why the task does not count yet; undefined: it does. */
function reasonOf({ state, spec, isClean }: Look, task: Task, seen: SeenTask): string | undefined {
  if (!isClean(task)) return 'runs the earlier version until it is updated';
  if (task.drain) return 'is draining its connections';
  if (seen.state !== TaskState.RUNNING) return whyNotRunning(state, task, seen);
  if (task.desired !== TaskState.RUNNING) return 'is not meant to run yet';
  if (state.get('nodeStatus', task.nodeId)?.value.state !== NodeState.NODE_READY) return 'its node does not answer';
  const { readiness } = seen.status ?? {};
  if (readiness?.ready === false) return `not ready: ${readiness.reason}`;
  return portsNotReady(spec, seen.status);
}

function servesEarlier(look: Look, task: Task): boolean {
  if (look.isClean(task)) return false;
  const spec = specOf(look.state, task.serviceId, task.specNumber) ?? look.spec;
  return reasonOf({ ...look, spec, isClean: () => true }, task, seenTask(look.state, task)) === undefined;
}

function whyNotRunning(state: StateView, task: Task, seen: SeenTask): string {
  const own = seen.error || seen.message;
  const earlier = earlierError(state, task);
  if (earlier === '') return own;
  const after = `its last task failed: ${earlier}`;
  if (task.desired === TaskState.READY) return `waits out its restart delay; ${after}`;
  return own === '' ? after : `${own}; ${after}`;
}

function surplusView(state: StateView, spec: ServiceSpec, slot: string, rows: readonly Row<Task>[]): SlotView {
  const [row] = rows;
  const taskState = row === undefined ? TaskState.NEW : seenTask(state, row.value).state;
  const isStopping = row !== undefined && !shallRun(row.value);
  const message = isStopping
    ? 'is no longer wanted and is stopping'
    : row?.value.drain === true
      ? 'is draining its connections before it is stopped'
      : 'is no longer wanted and is about to be stopped';
  const nodeHostname = row === undefined ? '' : hostnameOf(state, row.value.nodeId);
  const progress = SlotProgress.create({ slot: slotName(state, spec, slot), state: taskState, message, nodeHostname, surplus: true });
  return { progress, isThere: false, isEarlier: false, isTelling: false, isStopping };
}

function slotName(state: StateView, spec: ServiceSpec, slot: string): string {
  return spec.mode === ServiceMode.GLOBAL ? hostnameOf(state, slot) || slot : slot;
}
