import assert from 'node:assert/strict';
import { portId, specId } from '../../../manager/state/index.ts';
import {
  Availability,
  Cluster,
  Filter,
  GetServiceRequest,
  ListNodesRequest,
  ListTasksRequest,
  ManagerLiveness,
  Node,
  NodeDescription,
  NodeRole,
  NodeSession,
  NodeSpec,
  NodeState,
  NodeStatus,
  PortClaim,
  PortProblem,
  PortProtocol,
  RemovedNode,
  RemoveNodeRequest,
  Service,
  ServiceMode,
  StoredSpec,
  Task,
  TaskState,
  TaskStatus,
  TaskVerdict,
  UpdateNodeRequest,
} from '../../../proto/index.ts';
import { type ControlManager, startControlManager } from '../../support/control-manager.ts';
import { failure } from '../../support/failure.ts';
import { specOf } from '../../support/service-specs.ts';
import { row, type RowWrite, storeRows } from '../../support/state-rows.ts';

function node(id: string, hostname: string, status: Partial<NodeStatus> = {}, spec: Partial<NodeSpec> = {}): RowWrite[] {
  const description = NodeDescription.create({ hostname, dataAddress: hostname === 'alpha' ? '127.0.0.1' : '127.0.0.2' });
  return [
    row('nodes', id, Node.create({ id, spec: NodeSpec.create(spec) })),
    row('nodeStatus', id, NodeStatus.create({ nodeId: id, state: NodeState.NODE_READY, description, ...status })),
    row('sessions', id, NodeSession.create({ nodeId: id, managerId: 'manager-1' })),
  ];
}

function service(id: string, name: string, mode: ServiceMode = ServiceMode.REPLICATED): RowWrite[] {
  const spec = specOf({ spec: { name, mode, replicas: mode === ServiceMode.GLOBAL ? 0 : 3, labels: { team: name } } });
  return [
    row('services', id, Service.create({ id, name, specNumber: 1 })),
    row('byName', `service/${name}`, { objectId: id }),
    row('specs', specId(id, 1), StoredSpec.create({ serviceId: id, number: 1, spec })),
  ];
}

function task(id: string, serviceId: string, slot: number, more: Partial<Task> = {}): RowWrite {
  const value = { id, serviceId, specNumber: 1, slot, nodeId: 'n1', desired: TaskState.RUNNING, ...more };
  return row('tasks', id, Task.create(value));
}

function status(taskId: string, state: TaskState, more: Partial<TaskStatus> = {}): RowWrite {
  return row('taskStatus', taskId, TaskStatus.create({ taskId, state, ...more }));
}

describe('control API: nodes, tasks, cluster', () => {
  let manager: ControlManager;

  beforeEach(async () => {
    manager = await startControlManager();
  });
  afterEach(() => manager.stop());

  const put = async (...rows: readonly RowWrite[]): Promise<void> => {
    await manager.state.reached(await storeRows(manager.store, ...rows), 5000);
  };
  const nodes = async (...filters: readonly Filter[]): Promise<string[]> => {
    const list = await manager.client.listNodes(ListNodesRequest.create({ filters }));
    return list.nodes.map((each) => each.status?.description?.hostname ?? '');
  };
  const tasks = async (request: Partial<ListTasksRequest>): Promise<string[]> => {
    const list = await manager.client.listTasks(ListTasksRequest.create(request));
    return list.tasks.map((each) => `${each.name} ${each.id}`);
  };
  const filter = (key: string, ...values: readonly string[]): Filter => Filter.create({ key, values });

  describe('nodes', () => {
    it('are listed by hostname and by filters', async () => {
      await put(...node('n2', 'beta', { state: NodeState.NODE_DOWN }), ...node('n1', 'alpha', {}, { labels: { ssd: 'true' } }));
      assert.deepEqual(await nodes(), ['alpha', 'beta']);
      assert.deepEqual(await nodes(filter('state', 'down')), ['beta']);
      assert.deepEqual(await nodes(filter('node.label', 'ssd=true')), ['alpha']);
      assert.deepEqual(await nodes(filter('role', 'manager')), []);
      assert.match((await failure(nodes(filter('label.x', '1')))).message, /known are id, name, label, node\.label, role/);
    });

    it('take a new availability and labels, at the version that the change was made from', async () => {
      await put(...node('n1', 'alpha'));
      const spec = NodeSpec.create({ availability: Availability.DRAIN, labels: { zone: 'a' } });
      const drained = await manager.client.updateNode(UpdateNodeRequest.create({ ref: 'alpha', spec }));
      assert.deepEqual([drained.spec?.availability, drained.spec?.labels], [Availability.DRAIN, { zone: 'a' }]);
      assert.equal(drained.revision, drained.version);
      const stale = UpdateNodeRequest.create({ ref: 'n1', version: drained.version - 1, spec: NodeSpec.create({}) });
      assert.equal((await failure(manager.client.updateNode(stale))).code, 'conflict');
      const same = await manager.client.updateNode(UpdateNodeRequest.create({ ref: 'alpha', version: drained.version, spec }));
      assert.equal(same.version, drained.version);
    });

    it('refuse roles and malformed labels, all named at once', async () => {
      await put(...node('n1', 'alpha'));
      const spec = NodeSpec.create({ role: NodeRole.MANAGER, availability: 9 as Availability, labels: { 'a b': '' } });
      const error = await failure(manager.client.updateNode(UpdateNodeRequest.create({ ref: 'n1', spec })));
      assert.deepEqual(
        error.fields.map((field) => field.path),
        ['role', 'availability', 'labels["a b"]'],
      );
      assert.match(error.message, /certificates, which are not built yet/);
    });

    it('are removed when they are down, or with force, and leave nothing behind', async () => {
      await put(...node('n1', 'alpha'), ...node('n2', 'beta', { state: NodeState.NODE_DOWN }));
      const error = await failure(manager.client.removeNode(RemoveNodeRequest.create({ ref: 'alpha' })));
      assert.equal(error.code, 'conflict');
      assert.match(error.message, /node alpha is ready/);
      await manager.client.removeNode(RemoveNodeRequest.create({ ref: 'beta' }));
      await manager.client.removeNode(RemoveNodeRequest.create({ ref: 'n1', force: true }));
      for (const table of ['nodes', 'nodeStatus', 'sessions'] as const) assert.equal(manager.state.count(table), 0);
      assert.notEqual(manager.state.get('routeFloor', ''), undefined);
      // So that their agents are told, should they still run.
      assert.equal(manager.state.count('removedNodes'), 2);
      assert.equal((await failure(manager.client.removeNode(RemoveNodeRequest.create({ ref: 'n1' })))).code, 'not_found');
    });

    it('are remembered when they are removed, up to a bound: the oldest is forgotten', async () => {
      const records = Array.from({ length: 1000 }, (_, index) => {
        const id = `gone${index}`;
        return row('removedNodes', id, RemovedNode.create({ id, removedUnixMs: index + 1 }));
      });
      for (let at = 0; at < records.length; at += 100) await put(...records.slice(at, at + 100));
      await put(...node('n1', 'alpha'));
      await manager.client.removeNode(RemoveNodeRequest.create({ ref: 'n1', force: true }));
      assert.equal(manager.state.count('removedNodes'), 1000);
      assert.notEqual(manager.state.get('removedNodes', 'n1'), undefined);
      assert.equal(manager.state.get('removedNodes', 'gone0'), undefined);
    });

    it('show the manager that runs on them and their running tasks', async () => {
      const liveness = ManagerLiveness.create({ managerId: 'm', address: '127.0.0.1:7420' });
      await put(...node('n1', 'alpha'), ...node('n2', 'beta'), row('managers', 'm', liveness), row('leader', '', liveness));
      await put(task('t1', 's', 1), status('t1', TaskState.RUNNING), task('t2', 's', 2), status('t2', TaskState.FAILED));
      const list = await manager.client.listNodes(ListNodesRequest.create({}));
      assert.deepEqual(
        list.nodes.map((each) => [each.managerStatus, each.runningTasks]),
        [
          ['leader', 1],
          ['', 0],
        ],
      );
    });
  });

  describe('tasks', () => {
    beforeEach(async () => {
      const message = 'no suitable node (insufficient resources on 1 node)';
      await put(
        ...node('n1', 'alpha'),
        ...node('n2', 'beta'),
        ...service('web-id', 'web'),
        ...service('agent-id', 'agent', ServiceMode.GLOBAL),
        task('a', 'web-id', 1),
        status('a', TaskState.RUNNING, { message: 'started' }),
        task('b', 'web-id', 2, { desired: TaskState.SHUTDOWN, nodeId: 'n2', createdUnixMs: 1 }),
        status('b', TaskState.FAILED, { error: 'exit code 1' }),
        task('c', 'web-id', 2, { nodeId: '', createdUnixMs: 2, verdict: TaskVerdict.create({ state: TaskState.PENDING, message }) }),
        task('g', 'agent-id', 0, { verdict: TaskVerdict.create({ state: TaskState.ASSIGNED, message: 'assigned' }) }),
      );
    });

    it('are named by service and slot or node, and sorted by them, newest first', async () => {
      assert.deepEqual(await tasks({}), ['agent.n1 g', 'web.1 a', 'web.2 c', 'web.2 b']);
    });

    it("show the leader's verdict where there is one, else what the node says", async () => {
      const view = async (ref: string): Promise<readonly unknown[]> => {
        const [found] = (await manager.client.listTasks(ListTasksRequest.create({ taskRefs: [ref] }))).tasks;
        return [found?.state, found?.message, found?.error];
      };
      assert.deepEqual(await view('a'), [TaskState.RUNNING, 'started', '']);
      assert.deepEqual(await view('b'), [TaskState.FAILED, '', 'exit code 1']);
      assert.match(String((await view('c'))[2]), /no suitable node/);
      assert.deepEqual(await view('g'), [TaskState.ASSIGNED, 'assigned', '']);
      await put(status('g', TaskState.STARTING));
      assert.deepEqual(await view('g'), [TaskState.STARTING, '', '']);
    });

    it('are found by service, node, task and filters together', async () => {
      assert.deepEqual(await tasks({ serviceRefs: ['web'], nodeRefs: ['beta'] }), ['web.2 b']);
      assert.deepEqual(await tasks({ nodeRefs: ['n1'] }), ['agent.n1 g', 'web.1 a']);
      assert.deepEqual(await tasks({ serviceRefs: ['web'], filters: [filter('desired-state', 'running')] }), ['web.1 a', 'web.2 c']);
      assert.deepEqual(await tasks({ filters: [filter('state', 'failed', 'pending')] }), ['web.2 c', 'web.2 b']);
      assert.deepEqual(await tasks({ filters: [filter('label', 'team=agent')] }), ['agent.n1 g']);
      assert.match((await failure(tasks({ filters: [filter('state', 'happy')] }))).message, /"happy" is not a value of state/);
    });

    it('of what is unknown are refused with every unknown name', async () => {
      const error = await failure(tasks({ serviceRefs: ['web', 'x', 'y'], nodeRefs: ['gamma'] }));
      assert.equal(error.code, 'not_found');
      assert.match(error.message, /"x", "y".*"gamma"/);
    });

    it('count as running for their service only on nodes that are there', async () => {
      const counts = async (): Promise<readonly number[]> => {
        const view = await manager.client.getService(GetServiceRequest.create({ ref: 'web' }));
        return [view.runningTasks, view.desiredTasks];
      };
      assert.deepEqual(await counts(), [1, 3]);
      await put(...node('n1', 'alpha', { state: NodeState.NODE_DOWN }));
      assert.deepEqual(await counts(), [0, 3]);
    });
  });

  it('a service shows the nodes that could not open its port', async () => {
    const problem = PortProblem.create({ protocol: PortProtocol.TCP, publishedPort: 8080, message: 'address in use' });
    await put(
      ...service('web-id', 'web'),
      row('byPort', portId(PortProtocol.TCP, 8080), PortClaim.create({ objectId: 'web-id' })),
      ...node('n1', 'alpha', { portProblems: [problem] }),
      ...node('n2', 'beta', { state: NodeState.NODE_DOWN, portProblems: [problem] }),
    );
    const view = await manager.client.getService(GetServiceRequest.create({ ref: 'web' }));
    assert.deepEqual(view.portProblems, [{ nodeId: 'n1', hostname: 'alpha', problem }]);
  });

  it('the cluster says who leads, how much there is, and which manager answers', async () => {
    const liveness = ManagerLiveness.create({ managerId: 'm', address: '127.0.0.1:7420' });
    await put(row('cluster', '', Cluster.create({ id: 'c' })), row('managers', 'm', liveness), row('leader', '', liveness));
    await put(...node('n1', 'alpha'), ...node('n2', 'beta', { state: NodeState.NODE_DOWN }), ...service('web-id', 'web'));
    const view = await manager.client.getCluster({});
    assert.equal(view.cluster?.id, 'c');
    assert.deepEqual([view.managerId, view.managerVersion, view.storeDriver], ['manager-1', '0.1.0', 'embedded']);
    assert.deepEqual([view.leaderId, view.managers.length, view.services, view.nodesReady, view.nodes], ['m', 1, 1, 1, 2]);
  });
});
