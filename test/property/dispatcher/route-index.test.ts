import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RouteIndex } from '../../../manager/dispatcher/route-index.ts';
import { routeDelta } from '../../../manager/dispatcher/route-delta.ts';
import { routeTableOf } from '../../../manager/dispatcher/route-table.ts';
import { specId, type TableName } from '../../../manager/state/index.ts';
import {
  Canary,
  Cluster,
  Endpoint,
  Node,
  NodeStatus,
  PortMode,
  PortProtocol,
  type PortSpec,
  RouteTable,
  Service,
  ServicePause,
  ServiceStatus,
  StoredSpec,
  Task,
  TaskState,
  TaskStatus,
  TaskVerdict,
  UpdateState,
  UpdateStatus,
} from '../../../proto/index.ts';
import { applyDelta, fromMessage, toMessage, type Table } from '../../../mesh/table/table.ts';
import { httpPort, publish, specOf } from '../../support/service-specs.ts';
import { row, type RowWrite } from '../../support/state-rows.ts';
import { stateWorld, type StateWorld } from '../../support/state-world.ts';

const cluster = Cluster.create({ id: 'c', incarnation: 'first', incarnationNumber: 1 });
const SERVICES = 3;
const NODES = 3;
const TASKS = 6;

const floor = row('routeFloor', '', { objectId: '' });

/** Ports of the variants of a spec: none, one, two, another target, host mode only, HTTP rules, UDP. */
const PORTS: readonly (readonly PortSpec[])[] = [
  [],
  [publish(80, 8080)],
  [publish(80, 8080), publish(81, 8081)],
  [publish(80, 8081)],
  [publish(80, 8080, { mode: PortMode.HOST })],
  [httpPort(80, 8080, 'a.example.com'), httpPort(80, 8081, '', '/api', { stickyCookie: 's' })],
  [httpPort(80, 8081, 'a.example.com'), publish(80, 8080, { protocol: PortProtocol.UDP })],
];

type Step = (world: StateWorld) => void;

const service = fc.integer({ min: 0, max: SERVICES - 1 });
const node = fc.integer({ min: 0, max: NODES - 1 });
const task = fc.integer({ min: 0, max: TASKS - 1 });

/** A new spec, and with it the service; each service has its own published ports. */
const publishStep = fc.tuple(service, fc.integer({ min: 0, max: PORTS.length - 1 })).map(([s, variant]): Step => (world) => {
  const id = `s${s}`;
  const number = (world.state.get('services', id)?.value.specNumber ?? 0) + 1;
  const ports = (PORTS[variant] ?? []).map((port) => ({ ...port, publishedPort: port.publishedPort + 100 * s }));
  world.change([
    row('services', id, Service.create({ id, name: id, specNumber: number })),
    row('specs', specId(id, number), StoredSpec.create({ serviceId: id, number, spec: specOf({ spec: { name: id, ports } }) })),
  ]);
});

/** The leader acts on the newest spec, and may go back from it by itself. */
const statusOfServiceStep = fc.tuple(service, fc.nat(2)).map(([s, back]): Step => (world) => {
  const id = `s${s}`;
  const newest = world.state.get('services', id)?.value.specNumber;
  if (newest === undefined) return;
  const before = world.state.get('serviceStatus', id)?.value;
  // From a spec that was left by itself only a newer one leads away.
  const isBack = before?.seenSpecNumber === newest && before.activeSpecNumber < newest;
  const activeSpecNumber = isBack ? before.activeSpecNumber : Math.max(1, newest - back);
  world.change([row('serviceStatus', id, ServiceStatus.create({ serviceId: id, activeSpecNumber, seenSpecNumber: newest }))]);
});

/** A user tries the newest spec beside one before, changes the share, promotes it. */
const canaryStep = fc.tuple(service, fc.nat(1000), fc.boolean(), fc.nat(2)).map(([s, permille, promoted, back]): Step => (world) => {
  const before = world.state.get('services', `s${s}`)?.value;
  if (before === undefined) return;
  const baseSpecNumber = before.canary?.baseSpecNumber ?? Math.max(1, before.specNumber - back);
  const round = (before.canary?.round ?? 0) + 1;
  world.change([row('services', before.id, { ...before, canary: Canary.create({ baseSpecNumber, permille, promoted, round }) })]);
});

/** The leader has seen it; it goes on, is paused, has come to an end. */
const canaryStatusStep = fc
  .tuple(service, fc.constantFrom(UpdateState.CANARY, UpdateState.CANARY_PAUSED, UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED))
  .map(([s, state]): Step => (world) => {
    const before = world.state.get('services', `s${s}`)?.value;
    if (before?.canary === undefined) return;
    const { id, specNumber, canary } = before;
    const activeSpecNumber = state === UpdateState.UPDATING ? specNumber : canary.baseSpecNumber;
    const update = UpdateStatus.create({ state, specNumber, canaryRound: canary.round });
    world.change([row('serviceStatus', id, ServiceStatus.create({ serviceId: id, activeSpecNumber, seenSpecNumber: specNumber, update }))]);
  });

const pauseStep = fc.tuple(service, fc.boolean(), fc.boolean()).map(([s, on, byLeader]): Step => (world) => {
  const before = world.state.get('services', `s${s}`)?.value;
  if (before === undefined) return;
  const { id, pause, specNumber } = before;
  if (byLeader && pause !== undefined) {
    const status = world.state.get('serviceStatus', id)?.value ?? ServiceStatus.create({ serviceId: id, activeSpecNumber: specNumber });
    world.change([row('serviceStatus', id, { ...status, endedPause: pause.number })]);
  } else
    world.change([row('services', id, { ...before, pause: ServicePause.create({ number: (pause?.number ?? 0) + 1, maxMs: 1000, on }) })]);
});

const removeServiceStep = service.map((s): Step => (world) => {
  const id = `s${s}`;
  const specs = [...world.state.all('specs')]
    .filter((each) => each.value.serviceId === id)
    .map((each): [TableName, string] => ['specs', each.id]);
  world.change([floor], [['services', id], ...specs]);
});

const taskStep = fc.tuple(task, service, node).map(([t, s, n]): Step => (world) => {
  const id = `t${t}`;
  const serviceId = `s${s}`;
  const specNumber = world.state.get('services', serviceId)?.value.specNumber;
  if (specNumber === undefined || world.state.get('tasks', id) !== undefined) return;
  world.change([row('tasks', id, Task.create({ id, serviceId, specNumber, nodeId: `n${n}`, desired: TaskState.RUNNING }))]);
});

const changeTaskStep = fc
  .tuple(
    task,
    fc.constantFrom<Partial<Task>>(
      { drain: true },
      { desired: TaskState.SHUTDOWN },
      { lost: true },
      { verdict: TaskVerdict.create({ state: TaskState.ORPHANED }) },
      { createdUnixMs: 7 },
      { canary: true },
      { canary: false },
      { awaited: true },
    ),
  )
  .map(([t, fields]): Step => (world) => {
    const before = world.state.get('tasks', `t${t}`)?.value;
    if (before !== undefined) world.change([row('tasks', before.id, { ...before, ...fields })]);
  });

const statusStep = fc.tuple(task, fc.boolean(), fc.boolean(), fc.boolean()).map(([t, running, ready, second]): Step => (world) => {
  const before = world.state.get('tasks', `t${t}`)?.value;
  if (before === undefined) return;
  const targetPort = second ? 8081 : 8080;
  const endpoints = [Endpoint.create({ targetPort, nodeAddress: before.nodeId, nodePort: 20000 + t, ready })];
  const state = running ? TaskState.RUNNING : TaskState.STARTING;
  world.change([row('taskStatus', before.id, TaskStatus.create({ taskId: before.id, nodeId: before.nodeId, state, endpoints }))]);
});

const removeTaskStep = task.map((t): Step => (world) => {
  world.change(
    [floor],
    [
      ['tasks', `t${t}`],
      ['taskStatus', `t${t}`],
    ],
  );
});

const nodeStep = fc.tuple(node, fc.constantFrom(1, 2)).map(([n, state]): Step => (world) => {
  const id = `n${n}`;
  const rows: RowWrite[] = [row('nodeStatus', id, NodeStatus.create({ nodeId: id, state: state as 1 }))];
  if (world.state.get('nodes', id) === undefined) rows.push(row('nodes', id, Node.create({ id })));
  world.change(rows);
});

const removeNodeStep = node.map((n): Step => (world) => {
  world.change(
    [floor],
    [
      ['nodes', `n${n}`],
      ['nodeStatus', `n${n}`],
    ],
  );
});

const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: publishStep },
    { weight: 3, arbitrary: statusOfServiceStep },
    { weight: 2, arbitrary: canaryStep },
    { weight: 2, arbitrary: canaryStatusStep },
    { weight: 2, arbitrary: pauseStep },
    { weight: 1, arbitrary: removeServiceStep },
    { weight: 4, arbitrary: taskStep },
    { weight: 3, arbitrary: changeTaskStep },
    { weight: 6, arbitrary: statusStep },
    { weight: 2, arbitrary: removeTaskStep },
    { weight: 4, arbitrary: nodeStep },
    { weight: 1, arbitrary: removeNodeStep },
  ),
  { minLength: 5, maxLength: 60 },
);

/** Every service publishes, every node is ready, every second task is there and answers. */
function populated(): StateWorld {
  const world = stateWorld();
  const ports = (s: number): readonly PortSpec[] => [publish(80 + 100 * s, 8080)];
  for (let n = 0; n < NODES; n++) {
    world.change([
      row('nodes', `n${n}`, Node.create({ id: `n${n}` })),
      row('nodeStatus', `n${n}`, NodeStatus.create({ nodeId: `n${n}`, state: 1 })),
    ]);
  }
  for (let s = 0; s < SERVICES; s++) {
    const id = `s${s}`;
    const spec = StoredSpec.create({ serviceId: id, number: 1, spec: specOf({ spec: { name: id, ports: ports(s) } }) });
    world.change([row('services', id, Service.create({ id, name: id, specNumber: 1 })), row('specs', specId(id, 1), spec)]);
  }
  for (let t = 0; t < TASKS; t += 2) {
    const id = `t${t}`;
    const nodeId = `n${t % NODES}`;
    const endpoints = [Endpoint.create({ targetPort: 8080, nodeAddress: nodeId, nodePort: 20000 + t, ready: true })];
    world.change([row('tasks', id, Task.create({ id, serviceId: `s${t % SERVICES}`, specNumber: 1, nodeId, desired: TaskState.RUNNING }))]);
    world.change([row('taskStatus', id, TaskStatus.create({ taskId: id, nodeId, state: TaskState.RUNNING, endpoints }))]);
  }
  return world;
}

const plain = (table: RouteTable): RouteTable => RouteTable.decode(RouteTable.encode(table));

describe('route index', () => {
  it('is the same table, under the same epoch, as one made from scratch, by this manager or another; and epochs never fall', () => {
    let withTargets = 0;
    fc.assert(
      fc.property(steps, (script) => {
        const world = populated();
        const index = new RouteIndex(world.state);
        world.state.subscribe((changes) => {
          index.apply(changes);
        });
        let epoch = 0;
        for (const step of script) {
          step(world);
          const table = routeTableOf(world.state, cluster);
          assert.deepEqual(index.ports(), table.ports);
          assert.equal(index.revision, table.epoch?.revision);
          assert.deepEqual(routeTableOf(world.snapshot(), cluster), table);
          assert.ok(index.revision >= epoch, 'the epoch fell');
          epoch = index.revision;
          if (table.ports.some((port) => port.targets.length > 0)) withTargets++;
        }
      }),
    );
    assert.ok(withTargets > 100, 'the scripts hardly ever make a target');
  });

  it('never changes the table without a new epoch', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const world = populated();
        let before = routeTableOf(world.state, cluster);
        for (const step of script) {
          step(world);
          const after = routeTableOf(world.state, cluster);
          if (after.epoch?.revision === before.epoch?.revision) assert.deepEqual(after, before);
          before = after;
        }
      }),
    );
  });

  it('gives increments that bring a mesh to the very table', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }), (script, taken) => {
        const world = populated();
        let sent = routeTableOf(world.state, cluster);
        let held: Table | undefined = fromMessage(plain(sent));
        script.forEach((step, i) => {
          step(world);
          // Some are merged with the next, as for a stream that was full.
          if (taken[i] !== true) return;
          const table = routeTableOf(world.state, cluster);
          assert.ok(sent.epoch && table.epoch);
          const outcome = applyDelta(held, routeDelta(sent.epoch, table.epoch, sent.ports, table.ports), 'c');
          if (outcome.kind === 'changed') held = outcome.table;
          else assert.equal(outcome.kind, 'unchanged');
          assert.ok(held);
          assert.deepEqual(sorted(plain(toMessage(held))), sorted(plain(table)));
          sent = table;
        });
      }),
    );
  });
});

/** A port's targets are a set. */
function sorted(table: RouteTable): RouteTable {
  return {
    ...table,
    ports: table.ports.map((port) => ({ ...port, targets: [...port.targets].sort((a, b) => (a.taskId < b.taskId ? -1 : 1)) })),
  };
}
