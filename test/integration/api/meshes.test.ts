// What the meshes do, as a manager asks their nodes; the agents are played by the test.
import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import {
  Epoch,
  Filter,
  MeshPort,
  MeshRoute,
  type MeshRouteList,
  MeshStatusPage,
  type MeshStatusList,
  MeshTarget,
  Node,
  NodeDescription,
  NodeState,
  NodeStatus,
  PortProtocol,
  TargetState,
} from '../../../proto/index.ts';
import { type ControlManager, startControlManager } from '../../support/control-manager.ts';
import { type FakeTaskStreams, fakeTaskStreams } from '../../support/fake-task-streams.ts';
import { row, storeRows } from '../../support/state-rows.ts';
import { until } from '../../support/until.ts';

const NODES: readonly (readonly [id: string, hostname: string, state: NodeState])[] = [
  ['n1', 'alpha', NodeState.NODE_READY],
  ['n2', 'beta', NodeState.NODE_READY],
  ['n3', 'gamma', NodeState.NODE_DOWN],
];

function port(publishedPort: number, serviceName: string, targets: readonly MeshTarget[], more: Partial<MeshPort> = {}): MeshPort {
  const route = MeshRoute.create({
    serviceName,
    serviceId: `id-${serviceName}`,
    activeTargets: targets.length,
    open: 2,
    total: 10,
    refused: 1,
    targets,
  });
  return MeshPort.create({ protocol: PortProtocol.TCP, publishedPort, rejected: 1, routes: [route], ...more });
}

function target(taskId: string, more: Partial<MeshTarget> = {}): MeshTarget {
  return MeshTarget.create({ taskId, nodeId: 'n1', address: '10.0.0.1:20000', weight: 1, open: 1, ...more });
}

describe('control API: meshes', () => {
  let manager: ControlManager;
  let streams: FakeTaskStreams;

  beforeEach(async () => {
    streams = fakeTaskStreams();
    manager = await startControlManager({ taskStreams: streams });
    const rows = NODES.flatMap(([id, hostname, state]) => [
      row('nodes', id, Node.create({ id })),
      row(
        'nodeStatus',
        id,
        NodeStatus.create({
          nodeId: id,
          state,
          message: state === NodeState.NODE_DOWN ? 'no heartbeat' : '',
          description: NodeDescription.create({ hostname }),
        }),
      ),
    ]);
    await manager.state.reached(await storeRows(manager.store, ...rows), 5000);
  });
  afterEach(() => manager.stop());

  const filter = (key: string, ...values: readonly string[]): Filter => Filter.create({ key, values });
  /** `pages` of each node that is asked, then the end. */
  const play = async (
    pages: Readonly<Record<string, readonly (readonly MeshPort[])[]>>,
    lag = { sentRevision: 7, waitingMs: 0 },
  ): Promise<void> => {
    const before = streams.opened.length;
    const nodes = Object.keys(pages);
    await until(() => streams.opened.length === before + nodes.length, 'the nodes are asked');
    for (const agent of streams.opened.slice(before)) {
      for (const ports of pages[agent.nodeId] ?? []) {
        agent.mesh({
          lag,
          page: MeshStatusPage.create({ version: '1', pid: 9, uptimeMs: 5000, epoch: Epoch.create({ revision: 7 }), ports }),
        });
      }
      agent.end();
    }
  };
  const status = (nodeRefs: readonly string[], ports: boolean, ...filters: readonly Filter[]): Promise<MeshStatusList> =>
    manager.client.getMeshStatus({ nodeRefs, filters, ports });
  const routes = (...filters: readonly Filter[]): Promise<MeshRouteList> => manager.client.listMeshRoutes({ nodeRefs: [], filters });

  it('are asked now, all pages of them, and summed up; a node that is away says why', async () => {
    const [{ nodes }] = await Promise.all([
      status([], false),
      play({ n1: [[port(80, 'web', [], { problem: 'taken' })], [port(81, 'api', [])]], n2: [[]] }),
    ]);
    assert.deepEqual(
      nodes.map(({ hostname, error }) => [hostname, error]),
      [
        ['alpha', ''],
        ['beta', ''],
        ['gamma', 'node gamma does not answer (no heartbeat)'],
      ],
    );
    assert.deepEqual(nodes[0]?.sums, { ports: 2, problems: 1, open: 4, waiting: 0, total: 20, replicaFailures: 0, turnedAway: 4 });
    assert.deepEqual([nodes[0].epoch?.revision, nodes[0].lag?.sentRevision, nodes[0].ports.length], [7, 7, 0]);
  });

  it('show the ports of the nodes that are named, by filters', async () => {
    const answer = play({ n1: [[port(80, 'web', []), port(81, 'api', [])]] });
    const [{ nodes }] = await Promise.all([status(['alpha'], true, filter('service', 'api')), answer]);
    assert.deepEqual(
      nodes.map((node) => [node.hostname, node.sums?.ports, node.ports.map((each) => each.publishedPort)]),
      [['alpha', 1, [81]]],
    );
  });

  it('are filtered by whether they have the newest table', async () => {
    const behind = { sentRevision: 9, waitingMs: 300 };
    const [{ nodes }] = await Promise.all([status(['n1', 'n2'], false, filter('current', 'false')), play({ n1: [[]], n2: [[]] }, behind)]);
    assert.equal(nodes.length, 2);
    const [again] = await Promise.all([status(['n1'], false, filter('current', 'false')), play({ n1: [[]] })]);
    assert.deepEqual(again.nodes, []);
  });

  it('tell a node that breaks off in the middle, or has no mesh', async () => {
    const asking = status(['n1', 'n2'], false);
    await until(() => streams.opened.length === 2, 'the nodes are asked');
    streams.opened.find(({ nodeId }) => nodeId === 'n1')?.cut();
    streams.opened
      .find(({ nodeId }) => nodeId === 'n2')
      ?.end({ error: 'the mesh of this node is not up: it crashed', errorCode: 'unavailable' });
    assert.deepEqual(
      (await asking).nodes.map(({ error }) => error),
      ['the agent went away', 'the mesh of this node is not up: it crashed'],
    );
  });

  it('have one list of routes: each target once, its connections of all nodes', async () => {
    const asking = routes();
    const own = target('t1', { address: '172.17.0.2:80', open: 3 });
    await play({
      n1: [[port(80, 'web', [own, target('t2', { nodeId: 'n2' })])]],
      n2: [[port(80, 'web', [target('t1', { outForMs: 500 }), target('t2', { nodeId: 'n2', state: TargetState.TARGET_DRAINING })])]],
    });
    const { routes: list, unasked } = await asking;
    assert.deepEqual(
      list.map((each) => [each.taskId, each.nodeHostname, each.address, each.state, each.open, each.meshes, each.meshesOut]),
      [
        ['t1', 'alpha', '10.0.0.1:20000', TargetState.TARGET_ACTIVE, 4, 2, 1],
        ['t2', 'beta', '10.0.0.1:20000', TargetState.TARGET_DRAINING, 2, 2, 0],
      ],
    );
    assert.deepEqual(
      unasked.map(({ hostname }) => hostname),
      ['gamma'],
    );
    assert.ok(streams.opened.every(({ request }) => request.request?.case === 'meshStatus' && request.request.value.targets));
  });

  it('refuse filters that there are not', async () => {
    const refused = await routes(filter('colour', 'red')).catch((error: unknown) => ShoalError.from(error));
    assert.ok(refused instanceof ShoalError && /known are port, protocol, service, task, node/.test(refused.message));
  });
});
