// A service whose row is gone. Its published ports went with it, so no connection can be moved elsewhere: its tasks are told at once to end, and
// what was open ends with them, as in Swarm. Then everything that was kept of it is deleted.
import { TaskState } from '../../proto/index.ts';
import { type Row, slotId, specId, type StateView } from '../state/index.ts';
import type { PlannedWrite, Plan, WriteGroup } from './plan.ts';
import { slotKeyOf } from './slot.ts';
import { taskInfo } from './task-info.ts';

const SPECS_PER_GROUP = 50;

export function reconcileRemoved(view: StateView, serviceId: string): Plan {
  const groups: WriteGroup[] = [];
  const numbers = new Set<number>([view.get('serviceStatus', serviceId)?.value.activeSpecNumber ?? 1]);
  let isGone = true;
  for (const row of view.tasksOfService(serviceId)) {
    const info = taskInfo(view, row);
    numbers.add(row.value.specNumber);
    if (!info.isEnded) {
      isGone = false;
      if (row.value.desired === TaskState.REMOVE) continue;
      const put: PlannedWrite = {
        kind: 'put',
        table: 'tasks',
        id: row.id,
        value: { ...row.value, desired: TaskState.REMOVE },
        before: row,
      };
      groups.push(group(serviceId, [put]));
      continue;
    }
    const deletes: PlannedWrite[] = [{ kind: 'delete', table: 'tasks', row }];
    if (info.statusRow !== undefined) deletes.push({ kind: 'delete', table: 'taskStatus', row: info.statusRow });
    const slot = view.get('slots', slotId(serviceId, slotKeyOf(row.value)));
    if (slot?.value.taskId === row.id) deletes.push({ kind: 'delete', table: 'slots', row: slot });
    groups.push(group(serviceId, deletes));
  }
  if (isGone) groups.push(...forgetService(view, serviceId, numbers));
  return { groups, wakeInMs: undefined };
}

function forgetService(view: StateView, serviceId: string, numbers: ReadonlySet<number>): readonly WriteGroup[] {
  const rows: { readonly table: 'specs' | 'serviceStatus'; readonly row: Row<unknown> }[] = [];
  const status = view.get('serviceStatus', serviceId);
  if (status !== undefined) rows.push({ table: 'serviceStatus', row: status });
  // Numbers are dense at the newer end; what lies beyond a gap is found by `sweep`.
  for (const row of specRows(view, serviceId, Math.max(...numbers))) rows.push({ table: 'specs', row });
  const groups: WriteGroup[] = [];
  for (let at = 0; at < rows.length; at += SPECS_PER_GROUP) {
    const writes = rows.slice(at, at + SPECS_PER_GROUP).map(({ table, row }): PlannedWrite => ({ kind: 'delete', table, row }));
    groups.push(group(serviceId, writes));
  }
  return groups;
}

function specRows(view: StateView, serviceId: string, around: number): readonly Row<unknown>[] {
  const rows: Row<unknown>[] = [];
  const collect = (from: number, step: 1 | -1): void => {
    for (let number = from; number > 0; number += step) {
      const row = view.get('specs', specId(serviceId, number));
      if (row === undefined) return;
      rows.push(row);
    }
  };
  collect(around, -1);
  collect(around + 1, 1);
  return rows;
}

function group(serviceId: string, writes: readonly PlannedWrite[]): WriteGroup {
  return { serviceId, writes, requires: [], events: [] };
}
