// The slots of one service, each with its tasks, and what is to become of each: the shared part of replicated and global services.
import { Availability, TaskState } from '../../proto/index.ts';
import { type DrainView, isDrained } from './drain.ts';
import { nextAttempt, noteRunning } from './restart.ts';
import { isSameTask, orderOf } from './spec-change.ts';
import { carriesTraffic, isFinished, isLive, isNodeDown, isReady, type TaskFacts } from './task-facts.ts';
import { slotOf, type Target, type Work } from './work.ts';

/** Tasks of one slot, newest first. */
export interface Slot {
  readonly key: string;
  readonly tasks: readonly TaskFacts[];
  /** The newest task that is wanted to run and has not ended, draining ones included. */
  readonly holder: TaskFacts | undefined;
}

export function slotsOf(tasks: readonly TaskFacts[]): ReadonlyMap<string, Slot> {
  const bySlot = new Map<string, TaskFacts[]>();
  for (const facts of tasks) {
    const key = slotOf(facts.task);
    const list = bySlot.get(key);
    if (list === undefined) bySlot.set(key, [facts]);
    else list.push(facts);
  }
  return new Map([...bySlot].map(([key, list]) => [key, slot(key, list)]));
}

function slot(key: string, tasks: TaskFacts[]): Slot {
  tasks.sort((a, b) => b.row.createRevision - a.row.createRevision || (a.row.id < b.row.id ? 1 : -1));
  return { key, tasks, holder: tasks.find((facts) => isLive(facts) && !facts.task.drain) ?? tasks.find(isLive) };
}

/** Marks what nodes that went, or came back, mean for a task. Answers the task as it is to be looked at further. */
export function settleNode(work: Work, facts: TaskFacts, replacedElsewhere: boolean): TaskFacts {
  if (isFinished(facts) || facts.task.nodeId === '') return facts;
  if (facts.node === undefined) {
    const verdict = { state: TaskState.ORPHANED, message: 'its node was removed from the cluster', sinceUnixMs: work.context.wallMs };
    return changed(work, facts, { verdict });
  }
  if (facts.task.lost) {
    if (isNodeDown(facts) || facts.nodeStatus === undefined) return facts;
    // The node is back: the replacement stays, and where there is none the task is taken up again.
    return replacedElsewhere ? changed(work, facts, { lost: false, desired: TaskState.SHUTDOWN }) : changed(work, facts, { lost: false });
  }
  return isNodeDown(facts) && facts.task.desired <= TaskState.RUNNING ? changed(work, facts, { lost: true, drain: false }) : facts;
}

function changed(work: Work, facts: TaskFacts, change: Partial<TaskFacts['task']>): TaskFacts {
  work.changeTask(facts, change);
  const task = { ...facts.task, ...change };
  return { ...facts, task, state: change.verdict?.state ?? facts.state };
}

/** Why a running task must leave its place; undefined: it need not. */
export type Misplacement = 'drained node' | 'constraints' | 'spec' | undefined;

export function misplacementOf(facts: TaskFacts, target: Target, meetsConstraints: boolean): Misplacement {
  if (facts.task.nodeId !== '') {
    if (facts.node?.spec?.availability === Availability.DRAIN) return 'drained node';
    if (!meetsConstraints) return 'constraints';
  }
  if (facts.task.specNumber !== target.number && !isSameTask(facts.spec, target.spec)) return 'spec';
  return undefined;
}

/** Takes the task one step nearer to its end: marked as draining while it carries traffic, then told to stop. */
export function stop(work: Work, facts: TaskFacts, end: typeof TaskState.SHUTDOWN | typeof TaskState.REMOVE, drain: () => DrainView): void {
  if (facts.task.desired >= end) return;
  if (facts.task.desired > TaskState.RUNNING || isFinished(facts) || !carriesTraffic(facts)) {
    work.changeTask(facts, { desired: end });
    return;
  }
  if (!facts.task.drain) {
    work.changeTask(facts, { drain: true });
    return;
  }
  if (isDrained(work, facts, drain())) work.changeTask(facts, { desired: end });
}

/** Keeps the slot filled: makes the first task, replaces one that ended or was lost, lets a held one start. */
export function fill(work: Work, slot: Slot, target: Target, where: { readonly slot: number; readonly nodeId: string }): void {
  for (const facts of slot.tasks) noteRunning(work, facts);
  const { holder } = slot;
  if (holder !== undefined) {
    release(work, slot, holder, target);
    return;
  }
  const [latest] = slot.tasks;
  if (latest === undefined || latest.task.desired > TaskState.RUNNING || latest.task.lost || latest.state === TaskState.ORPHANED) {
    work.createTask(slot.key, target, { ...where, desired: TaskState.RUNNING, restart: undefined, replaces: latest?.row.id ?? '' });
    if (latest?.state === TaskState.ORPHANED && latest.task.desired <= TaskState.RUNNING)
      work.changeTask(latest, { desired: TaskState.SHUTDOWN });
    return;
  }
  const attempt = nextAttempt(work, latest, target);
  if (attempt === undefined) return;
  const desired = attempt.delayMs === 0 ? TaskState.RUNNING : TaskState.READY;
  work.createTask(slot.key, target, { ...where, desired, restart: attempt, replaces: latest.row.id });
  work.changeTask(latest, { desired: TaskState.SHUTDOWN });
  work.event(slot.key, endEvent(latest));
}

/** A task held at READY starts when its delay is over, and what has to stop first has ended. */
function release(work: Work, slot: Slot, holder: TaskFacts, target: Target): void {
  if (holder.task.desired !== TaskState.READY) return;
  const startFirst = orderOf(target.spec) === 'start-first';
  const inTheWay = slot.tasks.some(
    (other) => other !== holder && !isFinished(other) && !other.task.lost && (!startFirst || !isLive(other) || other.task.drain),
  );
  const delayMs = holder.task.restart?.delayMs ?? 0;
  if (work.elapsedMs(`delay:${holder.row.id}`, delayMs) < delayMs || inTheWay) return;
  work.changeTask(holder, { desired: TaskState.RUNNING });
}

/** Runs what it should, is ready for traffic, and nothing older of the slot is left running. */
export function isInPlace(slot: Slot): boolean {
  const { holder } = slot;
  if (holder === undefined || holder.task.drain || !isReady(holder)) return false;
  return slot.tasks.every((other) => other === holder || isFinished(other) || other.task.lost);
}

function endEvent(facts: TaskFacts) {
  const { status, row, task } = facts;
  const why = status?.error !== undefined && status.error !== '' ? status.error : (task.verdict?.message ?? status?.message ?? '');
  return {
    type: 'task',
    action: facts.state === TaskState.COMPLETE ? 'complete' : 'fail',
    objectId: row.id,
    objectName: `${facts.spec?.name ?? task.serviceId}.${slotOf(task)}`,
    message: why,
    attributes: { node: facts.nodeStatus?.description?.hostname ?? task.nodeId, service: facts.spec?.name ?? '' },
  };
}
