import assert from 'node:assert/strict';
import { portRoutesOf } from '../../../manager/dispatcher/route-table.ts';
import { taskInfo } from '../../../manager/orchestrator/task-info.ts';
import type { ClusterState } from '../../../manager/state/index.ts';
import { Node, NodeState, NodeStatus, type Readiness, TargetState, type Task } from '../../../proto/index.ts';
import { runningStatus, serviceRows, taskRow } from '../../support/cluster-rows.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row, stateWith } from '../../support/state-rows.ts';

function stateOf(ready: boolean, fields: Partial<Task> = {}, ports = [publish(80, 8080)]): ClusterState {
  const readiness: Readiness = { ready, reason: ready ? '' : 'GET /: 503', sinceUnixMs: 1 };
  const status = runningStatus('t1', 'n1');
  const endpoints = status.endpoints.map((endpoint) => ({ ...endpoint, ready }));
  return stateWith(
    ...serviceRows('s1', specOf({ spec: { ports } })),
    row('nodes', 'n1', Node.create({ id: 'n1' })),
    row('nodeStatus', 'n1', NodeStatus.create({ nodeId: 'n1', state: NodeState.NODE_READY })),
    taskRow('t1', 's1', 'n1', fields),
    row('taskStatus', 't1', { ...status, endpoints, readiness }),
  );
}

function targetsOf(state: ClusterState): readonly TargetState[] {
  return portRoutesOf(state, 's1')[0]?.targets.map((target) => target.state) ?? [];
}

function infoOf(state: ClusterState): { readonly isUp: boolean; readonly isRouted: boolean } {
  const task = state.get('tasks', 't1');
  assert.ok(task !== undefined);
  const { isUp, isRouted } = taskInfo(state, task);
  return { isUp, isRouted };
}

describe('a task whose readiness probe fails', () => {
  it('is in no route, and in it again when it passes', () => {
    assert.deepEqual(targetsOf(stateOf(false)), []);
    assert.deepEqual(targetsOf(stateOf(true)), [TargetState.TARGET_ACTIVE]);
  });

  it('does not count as up, with or without published ports', () => {
    assert.equal(infoOf(stateOf(false)).isUp, false);
    assert.equal(infoOf(stateOf(false, {}, [])).isUp, false);
    assert.equal(infoOf(stateOf(true, {}, [])).isUp, true);
  });

  it('is drained before it is stopped: it may have connections from before', () => {
    assert.equal(infoOf(stateOf(false)).isRouted, true);
    assert.deepEqual(targetsOf(stateOf(false, { drain: true })), [TargetState.TARGET_DRAINING]);
    assert.equal(infoOf(stateOf(false, {}, [])).isRouted, false);
  });
});
