import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { place, type PlacementRequest, type PlacementResult } from '../../../manager/scheduler/index.ts';
import { Availability, MountType, Mount, NodeState, PortProtocol, type TaskSpec } from '../../../proto/index.ts';
import { hostPort, inventoryOf, makeNode, type NodeTraits, requestsFor, taskSpec } from '../../support/placement.ts';

const NODES: readonly NodeTraits[] = [{ id: 'a' }, { id: 'b' }, { id: 'c' }];

function countByNode(results: readonly PlacementResult[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { nodeId = '' } of results) counts[nodeId] = (counts[nodeId] ?? 0) + 1;
  return counts;
}

function explanationOf(nodes: readonly NodeTraits[], spec: TaskSpec): string | undefined {
  return place(inventoryOf(nodes), requestsFor('web', 1, spec), 0)[0]?.explanation;
}

describe('place', () => {
  it('spreads a service evenly', () => {
    assert.deepEqual(countByNode(place(inventoryOf(NODES), requestsFor('web', 30, taskSpec()), 0)), { a: 10, b: 10, c: 10 });
  });

  it('prefers nodes with fewest tasks of the service, then fewest tasks, then most free resources', () => {
    const inventory = inventoryOf([{ id: 'a' }, { id: 'b' }, { id: 'big', cpus: 64, gib: 256 }]);
    assert.deepEqual(countByNode(place(inventory, requestsFor('db', 2, taskSpec({ cpus: 1 })), 0)), { big: 1, a: 1 });
    const web = place(inventory, requestsFor('web', 3, taskSpec()), 0);
    assert.deepEqual(
      web.map(({ nodeId }) => nodeId),
      ['b', 'big', 'a'],
    );
  });

  it('gives the place of a removed task to the next', () => {
    const inventory = inventoryOf([{ id: 'a', cpus: 1 }]);
    const spec = taskSpec({ cpus: 1 });
    assert.equal(place(inventory, requestsFor('one', 1, spec), 0)[0]?.nodeId, 'a');
    assert.equal(place(inventory, requestsFor('two', 1, spec), 0)[0]?.nodeId, undefined);
    inventory.removeTask('one.1');
    assert.equal(place(inventory, requestsFor('two', 1, spec), 0)[0]?.nodeId, 'a');
  });

  it('follows changes of nodes between calls', () => {
    const inventory = inventoryOf(NODES);
    place(inventory, requestsFor('web', 3, taskSpec()), 0);
    const drained = makeNode({ id: 'a', availability: Availability.DRAIN });
    inventory.putNode(drained.node, drained.status);
    inventory.removeNode('b');
    const added = makeNode({ id: 'd' });
    inventory.putNode(added.node, added.status);
    assert.deepEqual(countByNode(place(inventory, requestsFor('api', 3, taskSpec()), 0)), { d: 2, c: 1 });
  });

  it('gives nothing new to a node whose engine does not answer, until it does', () => {
    const inventory = inventoryOf([{ id: 'a' }, { id: 'b' }]);
    place(inventory, requestsFor('web', 2, taskSpec()), 0);
    const hanging = makeNode({ id: 'a', trouble: 'it hangs' });
    inventory.putNode(hanging.node, hanging.status);
    assert.deepEqual(countByNode(place(inventory, requestsFor('api', 3, taskSpec()), 0)), { b: 3 });
    const [onlyThere] = place(inventory, [{ ...requestsFor('agent', 1, taskSpec())[0], nodeId: 'a' } as PlacementRequest], 0);
    assert.equal(onlyThere?.explanation, 'no suitable node (container engine does not answer on 1 node)');
    const well = makeNode({ id: 'a' });
    inventory.putNode(well.node, well.status);
    assert.deepEqual(countByNode(place(inventory, requestsFor('job', 1, taskSpec()), 0)), { a: 1 });
  });

  it('holds resources of a task on its way out, but does not count it as a copy', () => {
    const inventory = inventoryOf([
      { id: 'a', cpus: 2 },
      { id: 'b', cpus: 2 },
    ]);
    const demand = { serviceId: 'web', specNumber: 1, nanoCpus: 1e9, memoryBytes: 0, hostPorts: [] };
    inventory.putTask({ taskId: 'old', nodeId: 'a', active: false, ...demand });
    inventory.putTask({ taskId: 'live', nodeId: 'b', active: true, ...demand });
    const results = place(inventory, requestsFor('web', 3, taskSpec({ cpus: 1 })), 0);
    assert.deepEqual(
      results.map(({ nodeId }) => nodeId),
      ['a', 'b', undefined],
    );
  });

  it('puts nodes last on which the spec failed five times in five minutes', () => {
    const inventory = inventoryOf([{ id: 'a' }, { id: 'b' }]);
    for (let n = 0; n < 5; n++) inventory.recordFailure('a', 'web', 1, 1000 * n);
    assert.deepEqual(countByNode(place(inventory, requestsFor('web', 3, taskSpec()), 10_000)), { b: 3 });
    assert.deepEqual(countByNode(place(inventory, requestsFor('api', 1, taskSpec()), 10_000)), { a: 1 });
    for (const { taskId } of requestsFor('web', 3, taskSpec())) inventory.removeTask(taskId);
    assert.deepEqual(countByNode(place(inventory, requestsFor('web', 2, taskSpec()), 301_000)), { a: 1, b: 1 });
  });

  it('takes the fixed node of a global task or none', () => {
    const inventory = inventoryOf([{ id: 'a' }, { id: 'b', cpus: 1 }]);
    const requests = requestsFor('agent', 3, taskSpec({ cpus: 2 })).map((request, index) => ({
      ...request,
      nodeId: ['a', 'b', 'gone'][index] ?? '',
    }));
    assert.deepEqual(
      place(inventory, requests, 0).map(({ nodeId, explanation }) => nodeId ?? explanation),
      ['a', 'no suitable node (insufficient resources on 1 node)', 'no suitable node (its node is not part of the cluster)'],
    );
  });

  it('keeps host ports apart by protocol and max replicas by node', () => {
    const ports = [hostPort(PortProtocol.TCP, 53)];
    const inventory = inventoryOf(NODES);
    const results = place(inventory, requestsFor('dns', 4, taskSpec(), ports), 0);
    assert.equal(results[3]?.explanation, 'no suitable node (host-mode port already in use on 3 nodes)');
    assert.notEqual(place(inventory, requestsFor('udp', 1, taskSpec(), [hostPort(PortProtocol.UDP, 53)]), 0)[0]?.nodeId, undefined);
    const limited = place(inventory, requestsFor('two', 7, taskSpec({ maxReplicasPerNode: 2 })), 0);
    assert.equal(limited[6]?.explanation, 'no suitable node (max replicas per node limit exceeded on 3 nodes)');
    assert.deepEqual(countByNode(limited.slice(0, 6)), { a: 2, b: 2, c: 2 });
  });

  it('finds room among nodes when every service asks for another amount', () => {
    const inventory = inventoryOf(Array.from({ length: 20 }, (_, index) => ({ id: `n${index}`, cpus: 100 })));
    for (let n = 1; n <= 600; n++) {
      const spec = taskSpec({ cpus: n / 1000 });
      assert.notEqual(place(inventory, requestsFor(`service${n}`, 1, spec), 0)[0]?.nodeId, undefined);
    }
    assert.match(
      place(inventory, requestsFor('huge', 1, taskSpec({ cpus: 101 })), 0)[0]?.explanation ?? '',
      /insufficient resources on 20 nodes/,
    );
  });
});

describe('preferences', () => {
  const dc = (id: string, name?: string): NodeTraits => ({ id, labels: name === undefined ? {} : { dc: name } });

  it('even out a spread level by level; nodes without the label are a branch of their own', () => {
    const nodes = [dc('e1', 'east'), dc('e2', 'east'), dc('e3', 'east'), dc('w1', 'west'), dc('none')];
    const results = place(inventoryOf(nodes), requestsFor('web', 9, taskSpec({ spread: ['node.labels.dc'] })), 0);
    assert.deepEqual(countByNode(results), { e1: 1, e2: 1, e3: 1, w1: 3, none: 3 });
  });

  it('spill the share of a full branch to its siblings', () => {
    const nodes = [dc('e1', 'east'), dc('e2', 'east'), { ...dc('w1', 'west'), cpus: 1 }];
    const results = place(inventoryOf(nodes), requestsFor('web', 6, taskSpec({ cpus: 1, spread: ['node.labels.dc'] })), 0);
    assert.deepEqual(countByNode(results), { e1: 3, w1: 1, e2: 2 });
  });

  it('begin single tasks of many services in the branch that has least to do', () => {
    const inventory = inventoryOf([dc('e1', 'east'), dc('w1', 'west'), dc('s1', 'south')]);
    const spec = taskSpec({ spread: ['node.labels.dc'] });
    const results = Array.from({ length: 9 }, (_, index) => place(inventory, requestsFor(`s${index}`, 1, spec), 0)).flat();
    assert.deepEqual(countByNode(results), { e1: 3, w1: 3, s1: 3 });
  });

  it('weigh ten points of affinity like one task of the service', () => {
    const nodes = [{ id: 'ssd', labels: { disk: 'ssd' } }, { id: 'a' }, { id: 'b' }];
    const spec = taskSpec({ affinities: [{ target: 'node.labels.disk==ssd', weight: 20 }] });
    assert.deepEqual(countByNode(place(inventoryOf(nodes), requestsFor('web', 8, spec), 0)), { ssd: 4, a: 2, b: 2 });
  });

  it('draw a task to where another service is, or away from it, also when that comes later', () => {
    const inventory = inventoryOf(NODES);
    inventory.putService('id-of-db', 'db');
    const near = taskSpec({ affinities: [{ target: 'service:db', weight: 50 }] });
    const far = taskSpec({ affinities: [{ target: 'service:db', weight: -50 }] });
    place(inventory, requestsFor('before', 1, near), 0);
    const db = place(inventory, requestsFor('id-of-db', 1, taskSpec()), 0)[0]?.nodeId ?? '';
    assert.equal(place(inventory, requestsFor('near', 1, near), 0)[0]?.nodeId, db);
    assert.notEqual(place(inventory, requestsFor('far', 1, far), 0)[0]?.nodeId, db);
    assert.deepEqual(countByNode(place(inventory, requestsFor('all', 3, near), 0)), { [db]: 3 });
    inventory.removeService('id-of-db', 'db');
    inventory.putService('other', 'db');
    const other = NODES.find(({ id }) => id !== db)?.id ?? '';
    inventory.putTask({ taskId: 'x', serviceId: 'other', specNumber: 1, nodeId: other, nanoCpus: 0, memoryBytes: 0, hostPorts: [] });
    assert.equal(place(inventory, requestsFor('again', 1, near), 0)[0]?.nodeId, other, 'the name has another service now');
  });

  it('place higher priorities first', () => {
    const inventory = inventoryOf([{ id: 'a', cpus: 1 }]);
    const low = requestsFor('low', 1, taskSpec({ cpus: 1 }));
    const high = requestsFor('high', 1, taskSpec({ cpus: 1, priority: 1 }));
    assert.deepEqual(
      place(inventory, [...low, ...high], 0).map(({ nodeId }) => nodeId),
      [undefined, 'a'],
    );
  });
});

describe('generic resources', () => {
  const gpus = { kind: 'gpu', count: 3, names: ['g1', 'g2', 'g3'] };

  it('are handed out by name, each once, and come back', () => {
    const inventory = inventoryOf([{ id: 'a', generics: [gpus] }]);
    const spec = taskSpec({ generics: { gpu: 1 } });
    const names = (results: readonly PlacementResult[]): readonly unknown[] =>
      results.map((result) => (result.nodeId === undefined ? result.explanation : result.generics[0]?.names));
    const refused = 'no suitable node (insufficient resources on 1 node)';
    assert.deepEqual(names(place(inventory, requestsFor('web', 4, spec), 0)), [['g1'], ['g2'], ['g3'], refused]);
    inventory.removeTask('web.2');
    assert.deepEqual(names(place(inventory, requestsFor('api', 2, spec), 0)), [['g2'], refused]);
  });

  it('that a node no longer has stay with the tasks that have them, and are not handed out again', () => {
    const inventory = inventoryOf([{ id: 'a', generics: [gpus] }]);
    place(inventory, requestsFor('web', 1, taskSpec({ generics: { gpu: 1 } })), 0);
    const shrunk = makeNode({ id: 'a', generics: [{ kind: 'gpu', count: 2, names: ['g2', 'g3'] }] });
    inventory.putNode(shrunk.node, shrunk.status);
    const [one, two] = place(inventory, requestsFor('api', 2, taskSpec({ generics: { gpu: 1 } })), 0);
    assert.deepEqual(one?.nodeId === undefined ? undefined : one.generics[0]?.names, ['g2']);
    assert.equal(two?.nodeId, undefined);
  });
});

describe('explanations', () => {
  it('count refusals, most frequent first, each node by its first reason', () => {
    const small = ['a', 'b', 'c'].map((id) => ({ id, cpus: 1 }));
    const wrong = ['d', 'e'].map((id) => ({ id, labels: { disk: 'hdd' } }));
    assert.equal(
      explanationOf(
        [...wrong, ...small, { id: 'f', state: NodeState.NODE_DOWN }],
        taskSpec({ cpus: 2, constraints: ['node.labels.disk==ssd'] }),
      ),
      'no suitable node (insufficient resources on 3 nodes; scheduling constraints not satisfied on 2 nodes; 1 node not available for new tasks)',
    );
  });

  it('name runtime, platform and drivers', () => {
    assert.equal(explanationOf([{ id: 'a', runtime: 'process' }], taskSpec()), 'no suitable node (no runtime for this image on 1 node)');
    assert.equal(explanationOf([{ id: 'a' }], taskSpec({ image: 'process' })), 'no suitable node (no runtime for this image on 1 node)');
    assert.equal(explanationOf([{ id: 'a', runtime: 'process' }], taskSpec({ image: 'process' })), undefined);
    assert.equal(
      explanationOf([{ id: 'a' }], taskSpec({ platforms: [{ os: 'linux', arch: 'arm64' }] })),
      'no suitable node (unsupported platform on 1 node)',
    );
    assert.equal(explanationOf([{ id: 'a' }], taskSpec({ platforms: [{ os: 'linux', arch: 'amd64' }] })), undefined);
    const base = taskSpec();
    const mount = Mount.create({ type: MountType.VOLUME, source: 'data', volumeDriver: 'nfs', target: '/data' });
    const withDriver = { ...base, container: base.container && { ...base.container, mounts: [mount] } };
    assert.equal(explanationOf([{ id: 'a', plugins: ['volume/local'] }], withDriver), 'no suitable node (missing plugin on 1 node)');
    assert.equal(explanationOf([{ id: 'a', plugins: ['volume/local', 'volume/nfs'] }], withDriver), undefined);
    assert.equal(explanationOf([{ id: 'a' }], withDriver), undefined);
  });

  it('say so when there are no nodes', () => {
    assert.equal(explanationOf([], taskSpec()), 'no suitable node (the cluster has no nodes)');
  });
});
