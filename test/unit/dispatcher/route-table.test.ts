import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { portRoutesOf } from '../../../manager/dispatcher/route-table.ts';
import { Node, NodeState, NodeStatus, type PortSpec, ServiceStatus } from '../../../proto/index.ts';
import { runningStatus, serviceRows, taskRow } from '../../support/cluster-rows.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';
import { stateWorld, type StateWorld } from '../../support/state-world.ts';

/** One task of the first spec, which answers at its port 8080. */
function running(ports: readonly PortSpec[]): StateWorld {
  const world = stateWorld();
  world.change([
    row('nodes', 'n1', Node.create({ id: 'n1' })),
    row('nodeStatus', 'n1', NodeStatus.create({ nodeId: 'n1', state: NodeState.NODE_READY })),
    ...serviceRows('web', specOf({ spec: { ports } })),
    taskRow('t1', 'web', 'n1'),
    row('taskStatus', 't1', runningStatus('t1', 'n1')),
  ]);
  return world;
}

function routes(world: StateWorld): readonly string[] {
  return portRoutesOf(world.state, 'web').map(
    ({ publishedPort, targets }) => `${publishedPort}: ${targets.map(({ taskId }) => taskId).join()}`,
  );
}

describe('the routes of a service', () => {
  it('lead to tasks of an earlier spec that have another target under the same published port', () => {
    const world = running([publish(80, 8080)]);
    world.change(serviceRows('web', specOf({ spec: { ports: [publish(80, 9090)] } }), 2));
    assert.deepEqual(routes(world), ['80: t1']);
  });

  it('are those of the spec that the leader has gone back to', () => {
    const world = running([publish(80, 8080)]);
    world.change(serviceRows('web', specOf({ spec: { ports: [publish(81, 8080)] } }), 2));
    assert.deepEqual(routes(world), ['81: t1']);
    world.change([row('serviceStatus', 'web', ServiceStatus.create({ serviceId: 'web', activeSpecNumber: 1, seenSpecNumber: 2 }))]);
    assert.deepEqual(routes(world), ['80: t1']);
    world.change(serviceRows('web', specOf({ spec: { ports: [publish(82, 8080)] } }), 3));
    assert.deepEqual(routes(world), ['82: t1']);
  });
});
