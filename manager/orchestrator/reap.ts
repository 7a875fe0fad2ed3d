// Rows that nobody needs any more. Those that a pass over their service meets go at once (slot-rules.ts, here: old specs); `sweep` finds the rest.
import { JobState } from '../../proto/index.ts';
import { type Row, specId, specOf, type StateView, type TableName } from '../state/index.ts';
import { type Pass, specHistoryLimit } from './pass.ts';
import type { PlannedWrite, Plan, WriteGroup } from './plan.ts';
import { slotKeyOf } from './slot.ts';

const MAX_PER_GROUP = 50;

/** Specs beyond the history that no task was made from and no roll-out leaves or goes to. `used`: the numbers that tasks name. */
export function oldSpecs(pass: Pass, used: ReadonlySet<number>): readonly WriteGroup[] {
  const { view, serviceId } = pass;
  const writes: PlannedWrite[] = [];
  for (let number = pass.service.specNumber - pass.specHistoryLimit - 1; number > 0 && writes.length < MAX_PER_GROUP; number--) {
    const row = view.get('specs', specId(serviceId, number));
    // What lies beyond a gap was in use when the gap was made: `sweep` looks there.
    if (row === undefined) break;
    if (!used.has(number) && number !== pass.specNumber && number !== pass.rollout.fromSpecNumber)
      writes.push({ kind: 'delete', table: 'specs', row });
  }
  return writes.length === 0 ? [] : [{ serviceId, writes, requires: [], events: [] }];
}

/**
 * Passes over all rows and deletes those without an owner, at most `limit` of them: statuses and slots without their task, specs and statuses of
 * services that are gone and have no tasks, old specs beyond a gap. For when a leader begins, and then rarely.
 */
export function sweep(view: StateView, limit: number): Plan {
  const groups: WriteGroup[] = [];
  const take = (table: TableName, row: Row<unknown>, serviceId: string): void => {
    if (groups.length < limit) groups.push({ serviceId, writes: [{ kind: 'delete', table, row }], requires: [], events: [] });
  };
  for (const row of view.all('taskStatus')) {
    if (view.get('tasks', row.id) === undefined) take('taskStatus', row, '');
  }
  for (const row of view.all('slots')) {
    const serviceId = ownerOf(row.id);
    if (!isThere(view, row.value.taskId) && !hasTaskIn(view, serviceId, row.id.slice(serviceId.length + 1))) take('slots', row, serviceId);
  }
  for (const row of view.all('serviceStatus')) {
    if (isForgotten(view, row.id)) take('serviceStatus', row, row.id);
  }
  const used = new Map<string, Set<number>>();
  for (const row of view.all('specs')) {
    const { serviceId, number } = row.value;
    const newest = view.get('services', serviceId)?.value.specNumber;
    const isOld =
      newest === undefined
        ? isForgotten(view, serviceId)
        : isBeyondHistory(view, serviceId, newest, number) && !usedBy(view, serviceId, used).has(number);
    if (isOld) {
      take('specs', row, serviceId);
    }
  }
  return { groups, wakeInMs: undefined };
}

function usedBy(view: StateView, serviceId: string, known: Map<string, Set<number>>): ReadonlySet<number> {
  let numbers = known.get(serviceId);
  if (numbers === undefined) {
    const status = view.get('serviceStatus', serviceId)?.value;
    const iterations = status?.job?.iterations.filter(({ state }) => state === JobState.JOB_RUNNING) ?? [];
    numbers = new Set([status?.activeSpecNumber ?? 0, status?.update?.fromSpecNumber ?? 0, ...iterations.map((one) => one.specNumber)]);
    for (const { value } of view.tasksOfService(serviceId)) numbers.add(value.specNumber);
    known.set(serviceId, numbers);
  }
  return numbers;
}

function isBeyondHistory(view: StateView, serviceId: string, newest: number, number: number): boolean {
  const limit = specHistoryLimit(view.get('cluster', '')?.value, specOf(view, serviceId, newest));
  return number < newest - limit;
}

function isForgotten(view: StateView, serviceId: string): boolean {
  if (view.get('services', serviceId) !== undefined) return false;
  for (const _task of view.tasksOfService(serviceId)) return false;
  return true;
}

function isThere(view: StateView, taskId: string): boolean {
  return view.get('tasks', taskId) !== undefined;
}

function hasTaskIn(view: StateView, serviceId: string, slotKey: string): boolean {
  for (const { value } of view.tasksOfService(serviceId)) {
    if (slotKeyOf(value) === slotKey) return true;
  }
  return false;
}

function ownerOf(id: string): string {
  return id.slice(0, id.indexOf('/'));
}
