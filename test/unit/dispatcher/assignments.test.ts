import assert from 'node:assert/strict';
import { assignmentOf, assignmentsOf, factsOf } from '../../../manager/dispatcher/assignments.ts';
import { specId } from '../../../manager/state/index.ts';
import { NodeDescription, Service, ServiceMode, StoredSpec, Task, TaskState, TaskStatus } from '../../../proto/index.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row, type RowWrite, stateWith } from '../../support/state-rows.ts';

const node = factsOf('n1', NodeDescription.create({ hostname: 'host-a' }));

const service = (id: string, fields: Parameters<typeof specOf>[0] = {}): RowWrite[] => {
  const spec = specOf({ ...fields, spec: { name: `name-${id}`, ...fields.spec } });
  return [
    row('services', id, Service.create({ id, name: spec.name, specNumber: 1 })),
    row('specs', specId(id, 1), StoredSpec.create({ serviceId: id, number: 1, spec })),
  ];
};
const task = (id: string, fields: Partial<Task>): RowWrite =>
  row('tasks', id, Task.create({ id, serviceId: 's', specNumber: 1, nodeId: 'n1', slot: 1, desired: TaskState.RUNNING, ...fields }));

describe('assignments', () => {
  it("are the node's tasks with their spec, name and ports", () => {
    const state = stateWith(
      ...service('s', { spec: { ports: [publish(80, 8080)] }, container: { hostname: '{{.Task.Name}}.{{.Node.Hostname}}' } }),
      task('a', { slot: 3 }),
      task('b', { nodeId: 'n2' }),
    );
    const [only, ...others] = assignmentsOf(state, node);
    assert.deepEqual(others, []);
    assert.equal(only?.taskId, 'a');
    assert.equal(only.taskName, 'name-s.3');
    assert.equal(only.serviceName, 'name-s');
    assert.equal(only.spec?.container?.hostname, 'name-s.3.host-a');
    assert.equal(only.ports[0]?.publishedPort, 80);
  });

  it('tell a task in its environment which generic resources it has, as Swarm does', () => {
    const genericResources = [
      { kind: 'nvidia-gpu', count: 2, names: ['uuid1', 'uuid2'] },
      { kind: 'licence', count: 3, names: [] },
    ];
    const state = stateWith(...service('s', { container: { env: ['A=1'] } }), task('a', { genericResources }));
    const [only] = assignmentsOf(state, node);
    assert.deepEqual(only?.spec?.container?.env, ['A=1', 'DOCKER_RESOURCE_NVIDIA-GPU=uuid1,uuid2', 'DOCKER_RESOURCE_LICENCE=3']);
  });

  it('of a global service are named by the node, which is their slot', () => {
    const state = stateWith(
      ...service('s', { spec: { mode: ServiceMode.GLOBAL }, container: { hostname: '{{.Task.Slot}}' } }),
      task('a', { slot: 0 }),
    );
    const [only] = assignmentsOf(state, node);
    assert.equal(only?.taskName, 'name-s.n1');
    assert.equal(only.spec?.container?.hostname, 'n1');
  });

  it('leave out a global task that waits for room on its node', () => {
    const verdict = { state: TaskState.PENDING, message: 'no suitable node', sinceUnixMs: 1 };
    const state = stateWith(...service('s', { spec: { mode: ServiceMode.GLOBAL } }), task('a', { slot: 0, verdict }));
    assert.deepEqual(assignmentsOf(state, node), []);
  });

  it('keep finished tasks, whose logs may be asked for, until they are to be removed', () => {
    const state = stateWith(
      ...service('s'),
      task('kept', { desired: TaskState.SHUTDOWN }),
      row('taskStatus', 'kept', TaskStatus.create({ taskId: 'kept', state: TaskState.SHUTDOWN })),
      task('over', { desired: TaskState.REMOVE }),
      row('taskStatus', 'over', TaskStatus.create({ taskId: 'over', state: TaskState.SHUTDOWN })),
      task('stopping', { desired: TaskState.REMOVE }),
      row('taskStatus', 'stopping', TaskStatus.create({ taskId: 'stopping', state: TaskState.RUNNING })),
    );
    assert.deepEqual(
      assignmentsOf(state, node).map((each) => [each.taskId, each.desired]),
      [
        ['kept', TaskState.SHUTDOWN],
        ['stopping', TaskState.REMOVE],
      ],
    );
  });

  it('survive the removal of their service: the node hears what to do with them', () => {
    const state = stateWith(task('a', { desired: TaskState.SHUTDOWN, slot: 2 }));
    const [only] = assignmentsOf(state, node);
    assert.equal(only?.desired, TaskState.SHUTDOWN);
    assert.equal(only.spec, undefined);
  });

  it('say why where a template cannot be filled in', () => {
    const state = stateWith(...service('s', { container: { env: ['A={{.Service.Labels.none}}'] } }), task('a', {}));
    const held = state.get('tasks', 'a')?.value;
    assert.ok(held);
    const result = assignmentOf(state, held, node);
    assert.ok(result.kind === 'impossible');
    assert.match(result.reason, /no label none/);
  });
});
