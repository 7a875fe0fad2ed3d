// Rebalancing over the reconciler and the scheduler, from any placement and with trouble on the way: how many serve at every step, that it ends, that
// what it leaves cannot be made better, and that nobody goes back and forth.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { CALM_MS } from '../../../manager/orchestrator/rebalance.ts';
import { RebalancePolicy, RebalanceState, type ServiceSpec, UpdateConfig, UpdateOrder } from '../../../proto/index.ts';
import { taskSpec } from '../../support/placement.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';

const NODES = ['a', 'b', 'c', 'd'];
const HOUR_MS = 3_600_000;

interface Case {
  readonly replicas: number;
  readonly order: UpdateOrder;
  readonly parallelism: number;
  readonly delayMs: number;
  readonly spread: boolean;
  readonly cpus: number;
  /** Nodes of the beginning. */
  readonly first: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  replicas: fc.integer({ min: 1, max: 8 }),
  order: fc.constantFrom(UpdateOrder.START_FIRST, UpdateOrder.STOP_FIRST),
  parallelism: fc.nat(3),
  delayMs: fc.constantFrom(0, 0, 5000),
  spread: fc.boolean(),
  cpus: fc.constantFrom(0, 1),
  first: fc.integer({ min: 1, max: 3 }),
});

function specFor({ replicas, order, parallelism, delayMs, spread, cpus }: Case, more: Partial<ServiceSpec> = {}): ServiceSpec {
  const task = taskSpec({ cpus, ...(spread ? { spread: ['node.labels.dc'] } : {}) });
  const update = UpdateConfig.create({ parallelism, monitorMs: 5000, order, delayMs });
  return specOf({ spec: { replicas, ports: [publish(8080, 80)], task, update, ...more } });
}

function addNode(model: ReconcileModel, id: string): void {
  model.addNode({ id, cpus: 9, labels: { dc: id < 'c' ? 'east' : 'west' } });
}

/** Placed on the first nodes; the others come afterwards. */
function uneven(wanted: Case, more: Partial<ServiceSpec> = {}): ReconcileModel {
  const model = new ReconcileModel();
  for (const id of NODES.slice(0, wanted.first)) addNode(model, id);
  model.create('web', specFor(wanted, more));
  model.settle();
  for (const id of NODES) addNode(model, id);
  model.settle();
  return model;
}

function serving(model: ReconcileModel): number {
  return model.tasks('web').filter((task) => !task.drain && model.isServing(task)).length;
}

function counts(model: ReconcileModel, of: (node: string) => string = (node) => node): readonly number[] {
  const found = new Map(NODES.map((node) => [of(node), 0]));
  for (const entry of model.up('web')) {
    const key = of(entry.split('@')[1] ?? '');
    found.set(key, (found.get(key) ?? 0) + 1);
  }
  return [...found.values()];
}

function isEven(list: readonly number[]): boolean {
  return Math.max(...list) - Math.min(...list) <= 1;
}

function assertBalanced(model: ReconcileModel, { spread }: Case): void {
  const dcOf = (node: string): string => (node < 'c' ? 'east' : 'west');
  if (spread) assert.ok(isEven(counts(model, dcOf)), `uneven over the data centres: ${counts(model).join()}`);
  else assert.ok(isEven(counts(model)), `uneven over the nodes: ${counts(model).join()}`);
}

function statusOf(model: ReconcileModel) {
  return model.state.get('serviceStatus', 'web')?.value.rebalance;
}

function moves(model: ReconcileModel): number {
  return model.events.filter(({ action, message }) => action === 'move' && message.startsWith('rebalancing')).length;
}

describe('rebalancing a service', () => {
  it('never has fewer up than an update of one at a time, ends balanced, and never moves a slot back to where it was', () => {
    fc.assert(
      fc.property(cases, fc.boolean(), (wanted, isNewLeader) => {
        const model = uneven(wanted);
        const least = wanted.order === UpdateOrder.START_FIRST ? wanted.replicas : wanted.replicas - 1;
        const been = new Map<number, string[]>();
        const check = (): void => {
          assert.ok(serving(model) >= least, `${serving(model)} of ${wanted.replicas} serve`);
          assert.ok(model.tasks('web').filter((task) => model.isServing(task)).length <= wanted.replicas + 1);
          for (const { slot, nodeId } of model.tasks('web')) {
            const visited = been.get(slot) ?? [];
            if (nodeId !== '' && !visited.includes(nodeId)) been.set(slot, [...visited, nodeId]);
          }
        };
        model.rebalance('web');
        model.settle(check);
        if (isNewLeader) model.changeLeader();
        model.run(HOUR_MS, check);
        assert.equal(statusOf(model)?.state, RebalanceState.REBALANCE_COMPLETED);
        assertBalanced(model, wanted);
        // As many moves as nodes were reached: none was reached twice.
        const reached = [...been.values()].reduce((sum, nodes) => sum + nodes.length - 1, 0);
        assert.equal(moves(model), reached);
        assert.equal(statusOf(model)?.moved, reached);
        model.rebalance('web');
        model.run(HOUR_MS, check);
        assert.equal(moves(model), reached, 'asked again, it moves more');
      }),
      { numRuns: 150 },
    );
  });

  it('comes to an end whatever happens on the way, and a newer spec ends it', () => {
    const trouble = fc.constantFrom('crash', 'cut', 'heal', 'leader', 'update', 'ask', 'time');
    fc.assert(
      fc.property(cases, fc.array(fc.tuple(trouble, fc.nat(30)), { maxLength: 10 }), (wanted, troubles) => {
        const model = uneven(wanted);
        model.rebalance('web');
        for (const [what, pick] of troubles) {
          const node = NODES[pick % NODES.length] ?? 'a';
          const tasks = model.tasks('web');
          if (what === 'crash') model.hosts.crash(tasks[pick % Math.max(1, tasks.length)]?.id ?? '');
          else if (what === 'cut') model.cut(node);
          else if (what === 'heal') model.heal(node);
          else if (what === 'leader') model.changeLeader();
          else if (what === 'update') model.update('web', (spec) => ({ ...spec, labels: { n: String(pick) } }));
          else if (what === 'ask') model.rebalance('web');
          else model.run(pick * 1000);
          // Steps of a move, not only its end.
          for (let step = 0; step < pick % 4; step++) {
            model.reconcile();
            model.hosts.stepAgents();
            model.hosts.acknowledge();
          }
        }
        for (const id of NODES) model.heal(id);
        model.run(HOUR_MS);
        assert.equal(model.up('web').length, wanted.replicas);
        assert.notEqual(statusOf(model)?.state, RebalanceState.REBALANCING);
        model.rebalance('web');
        model.run(HOUR_MS);
        assert.equal(statusOf(model)?.state, RebalanceState.REBALANCE_COMPLETED);
        assertBalanced(model, wanted);
      }),
      { numRuns: 150 },
    );
  });

  it('by itself moves nothing while nodes change within the calm period, and ends balanced when they rest', () => {
    const flap = fc.record({ node: fc.constantFrom('b', 'c', 'd'), downMs: fc.nat(20_000), upMs: fc.nat(CALM_MS - 1000) });
    fc.assert(
      fc.property(cases, fc.array(flap, { maxLength: 12 }), (wanted, flaps) => {
        const model = uneven({ ...wanted, first: 1 }, { rebalance: RebalancePolicy.REBALANCE_AUTO });
        for (const { node, downMs, upMs } of flaps) {
          model.cut(node);
          model.run(downMs);
          model.heal(node);
          model.run(upMs);
        }
        assert.equal(moves(model), 0);
        model.run(HOUR_MS);
        assertBalanced(model, wanted);
        const before = moves(model);
        model.run(HOUR_MS);
        assert.equal(moves(model), before);
      }),
      { numRuns: 100 },
    );
  });
});
