// What must hold of each write that a reconciler plans, judged by the state that it is made on.
import assert from 'node:assert/strict';
import type { PlannedWrite } from '../../manager/orchestrator/plan.ts';
import type { StateView } from '../../manager/state/index.ts';
import { NodeState, type Task, TaskState } from '../../proto/index.ts';

/** A task keeps its service, spec, slot and node for ever, and no wish is ever taken back; a replacement is another task. */
export function checkOneShot(state: StateView, write: PlannedWrite): void {
  if (write.table !== 'tasks' || write.kind !== 'put') return;
  const before = state.get('tasks', write.id)?.value;
  if (before === undefined) return;
  const after = write.value as Task;
  const isSameTask =
    after.serviceId === before.serviceId &&
    after.specNumber === before.specNumber &&
    after.slot === before.slot &&
    after.jobIteration === before.jobIteration;
  assert.ok(isSameTask && (before.nodeId === '' || after.nodeId === before.nodeId), `${after.id} became another task, or moved`);
  assert.ok(after.desired >= before.desired, `${after.id} is wished back from ${before.desired} to ${after.desired}`);
}

/** Nobody who may have connections is told to stop before every mesh that counts has heard of it. */
export function checkStop(state: StateView, write: PlannedWrite): void {
  if (write.table !== 'tasks') return;
  const before = state.get('tasks', idOf(write));
  const desired = write.kind === 'put' ? (write.value as Task).desired : TaskState.REMOVE;
  if (before === undefined || before.value.desired > TaskState.COMPLETE || desired <= TaskState.COMPLETE) return;
  if (state.get('services', before.value.serviceId) === undefined) return;
  const isReady = state.get('nodeStatus', before.value.nodeId)?.value.state === NodeState.NODE_READY;
  const status = state.get('taskStatus', before.id)?.value;
  if (!isReady || status?.state !== TaskState.RUNNING || !status.endpoints.some(({ ready }) => ready)) return;
  assert.ok(before.value.drain, `${before.id} is stopped without a drain`);
  const acks = state.get('routeAcks', 'm')?.value.nodes ?? [];
  for (const { id, value } of state.all('nodeStatus')) {
    if (value.state !== NodeState.NODE_READY || value.meshUnready) continue;
    const acked = acks.find(({ nodeId }) => nodeId === id)?.epoch?.revision ?? 0;
    assert.ok(acked >= before.modRevision, `${before.id} is stopped before ${id} has acknowledged its drain`);
  }
}

export function idOf(write: PlannedWrite): string {
  return write.kind === 'put' ? write.id : write.row.id;
}

export function beforeOf(write: PlannedWrite): { readonly modRevision: number } | undefined {
  return write.kind === 'put' ? write.before : write.row;
}
