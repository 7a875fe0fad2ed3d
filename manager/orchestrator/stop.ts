// How a task is brought to its end: drained first where connections may reach it, then told to stop.
import { type TaskVerdict, TaskState } from '../../proto/index.ts';
import { ACK_DEADLINE_MS, drainStep } from './drain.ts';
import type { Pass } from './pass.ts';
import type { SlotEdit } from './slot-edit.ts';
import { isIngress, type TaskInfo } from './task-info.ts';

/** SHUTDOWN: it stays in the slot's history. REMOVE: it is forgotten once it has ended. */
export type FinalState = typeof TaskState.SHUTDOWN | typeof TaskState.REMOVE;

/** Takes the next step, if it is due. Rows of tasks to be removed that have ended go at once, and so do tasks that never had a node. */
export function stopTask(pass: Pass, edit: SlotEdit, info: TaskInfo, final: FinalState, verdict?: TaskVerdict): void {
  const task = edit.taskOf(info);
  if (info.isEnded) {
    if (final === TaskState.REMOVE || info.isWaiting) edit.remove(info);
    else edit.patch(info, { desired: final, ...orphaned(pass, info) });
    return;
  }
  if (task.desired >= final) return;
  if (task.desired >= TaskState.SHUTDOWN || info.nodeCondition !== 'ready') {
    edit.patch(info, { desired: final, ...(verdict && { verdict }) });
    return;
  }
  if (!task.drain) {
    if (info.isRouted) {
      edit.patch(info, { drain: true, lost: false });
      return;
    }
    // Should it begin to accept connections just now, then this was decided too early.
    if (info.spec?.ports.some(isIngress) === true) edit.requireStatus(info);
    edit.patch(info, { desired: final, ...(verdict && { verdict }) });
    return;
  }
  // Marked in this very pass, or before a change of mind in it: its row is not yet what is to be acknowledged.
  if (!info.task.drain) return;
  const { nowMs, seen } = pass.context;
  const step = drainStep(pass.acks, info.row, pass.drainPeriodMs, { nowMs, seen, owner: pass.serviceId });
  switch (step.kind) {
    case 'done':
      edit.patch(info, { desired: final, ...(verdict && { verdict }) });
      return;
    case 'waiting':
      pass.wakeIn(step.wakeInMs);
      return;
    case 'overdue':
      for (const node of step.nodes) pass.lateMeshes.add(node.id);
      return;
  }
}

/** For a task whose node is no longer part of the cluster: nobody will ever say how it ended. */
export function orphaned(pass: Pass, info: TaskInfo): { readonly verdict?: TaskVerdict } {
  if (info.nodeCondition !== 'removed' || info.isFinished) return {};
  return { verdict: { state: TaskState.ORPHANED, message: 'its node was removed from the cluster', sinceUnixMs: pass.context.wallMs } };
}

/** Is, or will be, told to stop, and something of it may still run on a node that can tell. */
export function isLeaving(edit: SlotEdit, info: TaskInfo): boolean {
  if (info.isEnded || info.nodeCondition === 'down' || edit.isRemoved(info)) return false;
  const task = edit.taskOf(info);
  return task.drain || task.desired >= TaskState.SHUTDOWN;
}

const DEFAULT_STOP_GRACE_MS = 10_000;

export function stopGraceMs({ spec }: TaskInfo): number {
  return spec?.task?.container?.stopGracePeriodMs ?? DEFAULT_STOP_GRACE_MS;
}

/** How long those of them that are leaving may still take for it, as far as this leader has seen: draining, and their stop grace periods. 0: nobody does. */
export function leaveLeftMs(pass: Pass, infos: readonly TaskInfo[]): number {
  let mostMs = 0;
  for (const info of infos) {
    const { task, row } = info;
    if (info.isEnded || info.nodeCondition === 'down' || !(task.drain || task.desired >= TaskState.SHUTDOWN)) continue;
    const wholeMs = ACK_DEADLINE_MS + pass.drainPeriodMs + stopGraceMs(info);
    mostMs = Math.max(mostMs, wholeMs - pass.sinceMs(`leave:${row.id}`));
  }
  return mostMs;
}
