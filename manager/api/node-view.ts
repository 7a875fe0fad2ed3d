// One node as users see it.
import { HoldReason, type Node, NodeState, NodeView, TaskState } from '../../proto/index.ts';
import { isHeld, type Row, type StateView } from '../state/index.ts';
import { seenTask } from './task-state.ts';

export function nodeView(state: StateView, row: Row<Node>): NodeView {
  let runningTasks = 0;
  for (const task of state.tasksOfNode(row.id)) {
    if (seenTask(state, task.value).state === TaskState.RUNNING) runningTasks++;
  }
  return NodeView.create({
    id: row.id,
    version: row.modRevision,
    createdUnixMs: row.value.createdUnixMs,
    spec: row.value.spec,
    status: state.get('nodeStatus', row.id)?.value,
    runningTasks,
    revision: state.revision,
    managerStatus: managerStatus(state, row.id),
    remark: remarkOn(state, row.id),
  });
}

function remarkOn(state: StateView, nodeId: string): string {
  const watch = state.get('nodeWatch', '')?.value;
  const held = watch?.held.find((node) => node.nodeId === nodeId);
  if (held !== undefined && state.get('nodeStatus', nodeId)?.value.state === NodeState.NODE_DOWN && isHeld(state, nodeId)) {
    const why = held.reason === HoldReason.HOLD_MASS_LOSS ? 'lost together with most nodes' : 'eviction delay';
    return `${why}: its tasks are not replaced yet`;
  }
  const unsettled = watch?.unsettled.find((node) => node.nodeId === nodeId);
  if (unsettled === undefined) return '';
  return `came back ${unsettled.returns} times lately: no new tasks until it has stayed up for ${unsettled.settleMs / 1000} s`;
}

/** Managers are not tied to nodes before there are certificates: one whose address is the node's data address is taken to run there. */
function managerStatus(state: StateView, nodeId: string): string {
  const dataAddress = state.get('nodeStatus', nodeId)?.value.description?.dataAddress ?? '';
  if (dataAddress === '') return '';
  const leaderId = state.get('leader', '')?.value.managerId;
  const here = [...state.all('managers')].filter((manager) => hostOf(manager.value.address) === dataAddress);
  if (here.length === 0) return '';
  return here.some((manager) => manager.value.managerId === leaderId) ? 'leader' : 'reachable';
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}
