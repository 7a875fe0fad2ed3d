// A plan equals what then happens: the same change played through by the model, agents and meshes step by step.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { displacedTasks, plannedTasks, Rehearsal } from '../../../manager/explain/index.ts';
import { holdersOf } from '../../../manager/explain/planned-tasks.ts';
import { specId } from '../../../manager/state/index.ts';
import { seededIds } from '../../../lib/ids.ts';
import { seededRng } from '../../../lib/rng.ts';
import {
  ClusterSettings,
  FailureAction,
  PlannedAction,
  type PlannedTask,
  ServiceMode,
  type ServiceSpec,
  StoredSpec,
  type Task,
  UpdateConfig,
  UpdateOrder,
} from '../../../proto/index.ts';
import { type NodeTraits, taskSpec, type Wish } from '../../support/placement.ts';
import { modelLeader } from '../../support/model-leader.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';

const ID = 'web';
const OTHER = 'other';

interface Shape {
  readonly wish: Wish;
  readonly replicas: number;
  readonly hasPort: boolean;
  readonly image: string;
  readonly parallelism: number;
  readonly delayMs: number;
  readonly order: UpdateOrder;
  readonly failureAction: FailureAction;
}

/** What is there already, and may have to make room where the cluster's gap (0: none) allows it. */
interface Neighbour {
  readonly gap: number;
  readonly priority: number;
  readonly replicas: number;
  readonly gib: number;
}

const traits: fc.Arbitrary<Omit<NodeTraits, 'id'>> = fc.record({
  cpus: fc.integer({ min: 2, max: 8 }),
  gib: fc.integer({ min: 1, max: 8 }),
  labels: fc.constantFrom<Record<string, string>[]>({}, { ssd: 'yes' }),
});

const shape: fc.Arbitrary<Shape> = fc.record({
  wish: fc.record({
    cpus: fc.constantFrom(0, 1),
    gib: fc.integer({ min: 0, max: 3 }),
    constraints: fc.subarray(['node.labels.ssd==yes']),
    maxReplicasPerNode: fc.integer({ min: 0, max: 2 }),
    priority: fc.constantFrom(0, 5, 20),
  }),
  replicas: fc.integer({ min: 0, max: 5 }),
  hasPort: fc.boolean(),
  image: fc.constantFrom('a', 'b'),
  parallelism: fc.integer({ min: 0, max: 2 }),
  delayMs: fc.constantFrom(0, 1000),
  order: fc.constantFrom(UpdateOrder.AUTO, UpdateOrder.STOP_FIRST, UpdateOrder.START_FIRST),
  failureAction: fc.constantFrom(FailureAction.FAILURE_PAUSE, FailureAction.FAILURE_CONTINUE, FailureAction.FAILURE_ROLLBACK),
});

const neighbour: fc.Arbitrary<Neighbour> = fc.record({
  gap: fc.constantFrom(0, 5, 10),
  priority: fc.constantFrom(0, 5, 20),
  replicas: fc.integer({ min: 1, max: 4 }),
  gib: fc.integer({ min: 1, max: 2 }),
});

/** An update that is still under way when the plan is made. */
const unfinished = fc.option(fc.record({ shaped: shape, rounds: fc.integer({ min: 1, max: 8 }) }), { freq: 2 });

type Case = [Omit<NodeTraits, 'id'>[], Shape, Shape, { shaped: Shape; rounds: number } | null, ServiceMode, Neighbour, boolean];

const PLAIN: Shape = {
  wish: { cpus: 0, gib: 0, constraints: [], maxReplicasPerNode: 0 },
  ...{ replicas: 3, hasPort: false, image: 'a', parallelism: 0, delayMs: 0, order: UpdateOrder.AUTO },
  failureAction: FailureAction.FAILURE_PAUSE,
};

const CALM: Neighbour = { gap: 0, priority: 0, replicas: 2, gib: 1 };

/** Where the last task goes depends on who is gone before whom is up. */
const RACING: Case = [
  [
    { cpus: 2, gib: 7, labels: {} },
    { cpus: 2, gib: 7, labels: {} },
    { cpus: 4, gib: 1, labels: {} },
  ],
  { ...PLAIN, wish: { ...PLAIN.wish, gib: 1 }, hasPort: true },
  { ...PLAIN, wish: { ...PLAIN.wish, gib: 3, maxReplicasPerNode: 2 }, order: UpdateOrder.START_FIRST },
  null,
  ServiceMode.REPLICATED,
  CALM,
  false,
];

/** A task drains, and the meshes have acknowledged it already. */
const ACKNOWLEDGED: Case = [
  [
    { cpus: 2, gib: 3, labels: {} },
    { cpus: 2, gib: 3, labels: { ssd: 'yes' } },
  ],
  { ...PLAIN, wish: { ...PLAIN.wish, gib: 2 }, replicas: 2, hasPort: true },
  { ...PLAIN, wish: { ...PLAIN.wish, gib: 1, constraints: ['node.labels.ssd==yes'], maxReplicasPerNode: 1 }, replicas: 2 },
  { shaped: { ...PLAIN, replicas: 1 }, rounds: 1 },
  ServiceMode.REPLICATED,
  CALM,
  false,
];

/** Two have to leave for it; one of them finds room elsewhere. */
const PREEMPTING: Case = [
  [
    { cpus: 2, gib: 3, labels: { ssd: 'yes' } },
    { cpus: 2, gib: 3, labels: { ssd: 'yes' } },
    { cpus: 2, gib: 3, labels: {} },
  ],
  { ...PLAIN, replicas: 0 },
  { ...PLAIN, wish: { ...PLAIN.wish, gib: 2, constraints: ['node.labels.ssd==yes'], priority: 20 }, replicas: 2 },
  null,
  ServiceMode.REPLICATED,
  { gap: 10, priority: 5, replicas: 4, gib: 2 },
  false,
];

/** The leader keeps room for a task that waits for others to leave; the change gives that task up. */
const OVERTAKEN: Case = [
  [{ cpus: 2, gib: 3, labels: {} }],
  { ...PLAIN, replicas: 1 },
  { ...PLAIN, wish: { ...PLAIN.wish, gib: 1, maxReplicasPerNode: 2 }, replicas: 2 },
  { shaped: { ...PLAIN, wish: { ...PLAIN.wish, gib: 2, priority: 5 }, replicas: 1 }, rounds: 2 },
  ServiceMode.REPLICATED,
  { gap: 5, priority: 0, replicas: 1, gib: 2 },
  false,
];

function specFrom(shaped: Shape, mode: ServiceMode): ServiceSpec {
  const { wish, replicas, hasPort, image, parallelism, delayMs, order, failureAction } = shaped;
  return specOf({
    spec: {
      name: ID,
      mode,
      replicas: mode === ServiceMode.GLOBAL ? 0 : replicas,
      task: taskSpec({ ...wish, image }),
      ports: hasPort ? [publish(8080, 80)] : [],
      update: UpdateConfig.create({ parallelism, delayMs, order, failureAction, monitorMs: 100 }),
    },
  });
}

/** Tasks of the other service that were told to make room, by slot. */
function displacedIn(model: ReconcileModel, known: ReadonlySet<Task> = new Set()): Map<string, Task> {
  const known_ = new Set([...known].map(({ id }) => id));
  const tasks = model.tasks(OTHER).filter(({ id, preempted }) => preempted !== '' && !known_.has(id));
  // The first of each slot: that is where it was.
  return new Map(tasks.reverse().map((task) => [String(task.slot), task]));
}

function told(tasks: readonly PlannedTask[]): readonly string[] {
  return tasks.map(
    ({ name, action, fromNodeId, toNodeId }) => `${name} ${Object.keys(PlannedAction)[action] ?? ''} ${fromNodeId}>${toNodeId}`,
  );
}

describe('a plan', () => {
  it('equals what then happens, task by task and node by node', () => {
    const seen = new Map<string, number>();
    let displacedCount = 0;
    fc.assert(
      fc.property(
        fc.array(traits, { minLength: 1, maxLength: 4 }),
        shape,
        shape,
        unfinished,
        fc.constantFrom(ServiceMode.REPLICATED, ServiceMode.REPLICATED, ServiceMode.GLOBAL),
        neighbour,
        fc.boolean(),
        (nodes, first, second, between, mode, beside, isRollback) => {
          const model = new ReconcileModel({ leader: modelLeader });
          const cluster = model.state.get('cluster', '')?.value ?? assert.fail();
          model.world.change([row('cluster', '', { ...cluster, settings: ClusterSettings.create({ preemptionGap: beside.gap }) })]);
          nodes.forEach((each, index) => model.addNode({ ...each, id: `n${index}` }));
          model.create(ID, specFrom(first, mode));
          const { replicas, gib, priority } = beside;
          model.create(OTHER, specOf({ spec: { name: OTHER, replicas, task: taskSpec({ gib, priority }) } }));
          model.run(60_000);
          if (between !== null) {
            model.update(ID, () => specFrom(between.shaped, mode));
            for (let round = 0; round < between.rounds; round++) model.step();
          }
          // Back to the first one where there is another by now.
          const rollbackTo = isRollback && between !== null ? 1 : 0;
          const spec = specFrom(rollbackTo > 0 ? first : second, mode);
          const service = model.state.get('services', ID)?.value ?? assert.fail();
          const number = service.specNumber + 1;
          const rehearsal = new Rehearsal(
            model.state,
            ID,
            [
              { table: 'services', id: ID, value: { ...service, specNumber: number } },
              { table: 'specs', id: specId(ID, number), value: StoredSpec.create({ serviceId: ID, number, spec, rollbackTo }) },
            ],
            { clock: model.clock, ids: seededIds(seededRng(7)) },
          );
          while (rehearsal.step());
          assert.ok(rehearsal.isOver);
          const plan = plannedTasks(rehearsal.before, rehearsal.state, ID, spec, false);
          const before = holdersOf(model.state, ID);
          const wasDisplaced = new Set(displacedIn(model).values());
          if (rollbackTo > 0) model.rollback(ID, rollbackTo);
          else model.update(ID, () => spec);
          // One that goes on past failures passes over what finds no node, one progress deadline after the other.
          model.run(rollbackTo === 0 && second.failureAction === FailureAction.FAILURE_CONTINUE ? 7_200_000 : 120_000);
          const happened = plannedTasks(before, model.state, ID, spec, false);
          assert.deepEqual(told(plan.tasks), told(happened.tasks));
          assert.deepEqual([plan.unchanged, plan.fits], [happened.unchanged, happened.fits]);
          const displaced = displacedTasks(rehearsal);
          assert.deepEqual(told(displaced), told(displacedTasks({ displaced: displacedIn(model, wasDisplaced), state: model.state })));
          displacedCount += displaced.length;
          for (const { action } of plan.tasks) seen.set(String(action), (seen.get(String(action)) ?? 0) + 1);
        },
      ),
      {
        numRuns: 250,
        examples: [RACING, ACKNOWLEDGED, PREEMPTING, OVERTAKEN],
      },
    );
    for (const action of [PlannedAction.PLAN_CREATE, PlannedAction.PLAN_REPLACE, PlannedAction.PLAN_STOP, PlannedAction.PLAN_WAIT])
      assert.ok((seen.get(String(action)) ?? 0) > 0, `no plan had the action ${action}`);
    assert.ok(displacedCount > 0, 'nobody ever made room');
  });

  it('changes nothing of the state that it is made from', () => {
    const model = new ReconcileModel();
    model.addNode({ id: 'n0' });
    const spec = specFrom({ ...PLAIN, replicas: 2, hasPort: true, parallelism: 1 }, ServiceMode.REPLICATED);
    model.create(ID, spec);
    model.run(1000);
    const rows = (): string =>
      JSON.stringify(
        (['services', 'specs', 'tasks', 'taskStatus', 'slots', 'serviceStatus', 'routeAcks'] as const).map((table) => [
          ...model.state.all(table),
        ]),
      );
    const was = rows();
    const service = model.state.get('services', ID)?.value ?? assert.fail();
    const next = StoredSpec.create({ serviceId: ID, number: 2, spec: { ...spec, replicas: 4 } });
    const rehearsal = new Rehearsal(
      model.state,
      ID,
      [
        { table: 'services', id: ID, value: { ...service, specNumber: 2 } },
        { table: 'specs', id: specId(ID, 2), value: next },
      ],
      { clock: model.clock, ids: seededIds(seededRng(7)) },
    );
    while (rehearsal.step());
    assert.equal([...rehearsal.state.tasksOfService(ID)].length, 4);
    assert.equal(rows(), was);
  });
});
