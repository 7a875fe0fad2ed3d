// Rebalancing from any placement: it ends, every move is an improvement, and what is left cannot be improved by one move.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { Inventory, place, rebalanceMove, type RebalanceMove, shapeOf } from '../../../manager/scheduler/index.ts';
import { makeNode, requestsFor, taskSpec } from '../../support/placement.ts';

const node = fc.record({
  labels: fc.record({ dc: fc.constantFrom('east', 'west'), disk: fc.constantFrom('ssd', 'hdd') }, { requiredKeys: [] }),
  cpus: fc.constantFrom(2, 4, 50),
});
const wish = fc.record({
  cpus: fc.constant(1),
  spread: fc.constantFrom([], ['node.labels.dc'], ['node.labels.dc', 'node.labels.disk']),
  affinities: fc.constantFrom([], [{ target: 'node.labels.disk==ssd', weight: 15 }], [{ target: 'service:other', weight: -30 }]),
  maxReplicasPerNode: fc.constantFrom(0, 0, 3),
});

type Nodes = readonly { readonly labels: Readonly<Record<string, string>>; readonly cpus: number }[];

class Setting {
  readonly inventory = new Inventory();
  readonly spec;
  readonly #where = new Map<string, string>();

  /** Tasks as people, outages and growth have left them: wherever there is room. */
  constructor(nodes: Nodes, wanted: Parameters<typeof taskSpec>[0], wherever: readonly number[]) {
    this.spec = taskSpec(wanted);
    nodes.forEach((traits, index) => {
      const made = makeNode({ id: `n${index}`, ...traits });
      this.inventory.putNode(made.node, made.status);
    });
    place(this.inventory, requestsFor('other', 1, taskSpec()), 0);
    for (const [index, request] of requestsFor('web', wherever.length, this.spec).entries()) {
      const nodeId = `n${(wherever[index] ?? 0) % nodes.length}`;
      if (place(this.inventory, [{ ...request, nodeId }], 0)[0]?.nodeId !== undefined) this.#where.set(request.taskId, nodeId);
    }
  }

  get copies(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const id of this.#where.values()) counts.set(id, (counts.get(id) ?? 0) + 1);
    return counts;
  }

  next(): RebalanceMove | undefined {
    const movable = new Map<string, string[]>();
    for (const [taskId, nodeId] of this.#where) movable.set(nodeId, [...(movable.get(nodeId) ?? []), taskId]);
    return rebalanceMove(this.inventory, { serviceId: 'web', specNumber: 1, shape: shapeOf(this.spec, []), movable }, 0);
  }

  /** Carried out as it would be: the task goes, and the scheduler places its replacement by its own rules. */
  carryOut({ taskId }: RebalanceMove): string | undefined {
    const before = this.#where.get(taskId);
    this.inventory.removeTask(taskId);
    const [result] = place(this.inventory, [{ taskId, serviceId: 'web', specNumber: 1, spec: this.spec, ports: [] }], 0);
    this.#where.set(taskId, result?.nodeId ?? assert.fail('there was room'));
    return before;
  }
}

describe('rebalancing', () => {
  it('ends, and never moves a task to where the scheduler would not have it', () => {
    fc.assert(
      fc.property(
        fc.array(node, { minLength: 1, maxLength: 6 }),
        wish,
        fc.array(fc.nat(5), { maxLength: 14 }),
        (nodes, wanted, wherever) => {
          const setting = new Setting(nodes, wanted, wherever);
          for (let moves = 0; ; moves++) {
            const move = setting.next();
            if (move === undefined) break;
            assert.ok(moves < wherever.length * (nodes.length + 1), 'it goes on and on');
            const before = setting.copies;
            const from = setting.carryOut(move);
            assert.equal(from, move.fromNodeId);
            assert.notDeepEqual(setting.copies, before, `${move.why}: the task came back`);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('leaves nodes of one kind with counts that differ by one at most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(fc.nat(5), { maxLength: 20 }), (count, wherever) => {
        const nodes = Array.from({ length: count }, () => ({ labels: {}, cpus: 50 }));
        const setting = new Setting(nodes, { cpus: 1 }, wherever);
        for (let move = setting.next(); move !== undefined; move = setting.next()) setting.carryOut(move);
        const counts = nodes.map((_, index) => setting.copies.get(`n${index}`) ?? 0);
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, counts.join());
      }),
      { numRuns: 200 },
    );
  });

  it('says which task, where to and why', () => {
    const setting = new Setting(
      [
        { labels: { dc: 'east' }, cpus: 8 },
        { labels: { dc: 'west' }, cpus: 8 },
      ],
      { spread: ['node.labels.dc'] },
      [0, 0, 0],
    );
    assert.deepEqual(setting.next(), { taskId: 'web.3', fromNodeId: 'n0', toNodeId: 'n1', why: 'east has 3 tasks, west has 0' });
  });
});
