import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { portRoutesOf } from '../../../manager/dispatcher/route-table.ts';
import {
  IngressSettings,
  keyOfRoute,
  Node,
  NodeState,
  NodeStatus,
  portKeyOf,
  PortProtocol,
  type PortSpec,
  ServiceStatus,
} from '../../../proto/index.ts';
import { runningStatus, serviceRows, taskRow } from '../../support/cluster-rows.ts';
import { httpPort, publish, specOf } from '../../support/service-specs.ts';
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

  it('carry their settings, and are one for each rule of a port', () => {
    const settings = IngressSettings.create({ proxyProtocol: 2, connectTimeoutMs: 50 });
    const ports = [publish(81, 8080, { ingress: settings }), httpPort(80, 8080, 'a.example.com', '/api'), httpPort(80, 8080)];
    const table = portRoutesOf(running(ports).state, 'web');
    assert.deepEqual(
      table.map((route) => [portKeyOf(keyOfRoute(route)), route.targets.length]),
      [
        ['0/81', 1],
        ['2/80/a.example.com/api', 1],
        ['2/80//', 1],
      ],
    );
    assert.deepEqual(table[0]?.settings, settings);
  });

  it('of HTTP keep their targets where only the rule changes, or TCP is read as HTTP from now on', () => {
    const world = running([publish(80, 8080)]);
    world.change(serviceRows('web', specOf({ spec: { ports: [httpPort(80, 8080, 'a.example.com')] } }), 2));
    assert.deepEqual(routes(world), ['80: t1']);
    world.change(serviceRows('web', specOf({ spec: { ports: [httpPort(80, 8080, 'b.example.com'), httpPort(80, 8080, '', '/b')] } }), 3));
    assert.deepEqual(routes(world), ['80: t1', '80: t1']);
  });

  it('of HTTP lead to the target that the task has for the same rule, and to none of another rule', () => {
    const world = running([httpPort(80, 8080, 'a.example.com'), httpPort(80, 9090, 'b.example.com')]);
    const next = [httpPort(80, 7070, 'a.example.com'), httpPort(80, 7070, 'c.example.com')];
    world.change(serviceRows('web', specOf({ spec: { ports: next } }), 2));
    assert.deepEqual(routes(world), ['80: t1', '80: ']);
  });

  it('of a port that was served as a whole lead, rule by rule, to what served it', () => {
    const world = running([publish(80, 8080)]);
    world.change(serviceRows('web', specOf({ spec: { ports: [httpPort(80, 7070, '', '/new'), httpPort(80, 7071)] } }), 2));
    assert.deepEqual(routes(world), ['80: t1', '80: t1']);
  });

  it('of UDP are apart from those of TCP', () => {
    const world = running([publish(53, 8080)]);
    const udp = publish(53, 8080, { protocol: PortProtocol.UDP });
    world.change(serviceRows('web', specOf({ spec: { ports: [udp] } }), 2));
    assert.deepEqual(routes(world), ['53: ']);
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
