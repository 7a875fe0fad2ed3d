import assert from 'node:assert/strict';
import fc from 'fast-check';
import { routeTableOf } from '../../../manager/dispatcher/route-table.ts';
import { canaryOf, canaryTasks } from '../../../manager/state/index.ts';
import {
  Availability,
  FailureAction,
  type ServiceSpec,
  TargetState,
  type Task,
  TaskState,
  UpdateConfig,
  UpdateOrder,
  UpdateState,
} from '../../../proto/index.ts';
import { taskSpec } from '../../support/placement.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';

const NODES = ['a', 'b', 'c', 'd'];
const { FAILURE_CONTINUE, FAILURE_PAUSE, FAILURE_ROLLBACK } = FailureAction;

type Command =
  | { readonly kind: 'begin'; readonly permille: number; readonly image: string; readonly action: FailureAction; readonly afterMs: number }
  | { readonly kind: 'share'; readonly permille: number }
  | { readonly kind: 'promote' }
  | { readonly kind: 'abort' }
  | { readonly kind: 'roll'; readonly image: string }
  | { readonly kind: 'scale'; readonly replicas: number }
  | { readonly kind: 'crash'; readonly pick: number }
  | { readonly kind: 'drain' | 'cut'; readonly node: string }
  | { readonly kind: 'leader' }
  | { readonly kind: 'step' }
  | { readonly kind: 'time'; readonly ms: number };

const permille = fc.constantFrom(0, 10, 250, 500, 1000);
const image = fc.constantFrom('v1', 'v2', 'v3');
const constant = <K extends Command['kind']>(kind: K): fc.Arbitrary<{ readonly kind: K }> => fc.record({ kind: fc.constant(kind) });

const calm: readonly fc.WeightedArbitrary<Command>[] = [
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('begin' as const),
      permille,
      image,
      action: fc.constantFrom(FAILURE_PAUSE, FAILURE_CONTINUE, FAILURE_ROLLBACK),
      afterMs: fc.constantFrom(0, 0, 20_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('share' as const), permille }) },
  { weight: 1, arbitrary: constant('promote') },
  { weight: 1, arbitrary: constant('abort') },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('roll' as const), image }) },
  { weight: 1, arbitrary: constant('leader') },
  { weight: 14, arbitrary: constant('step') },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(1, 900, 6000) }) },
];

const wild: readonly fc.WeightedArbitrary<Command>[] = [
  ...calm,
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('scale' as const), replicas: fc.nat(6) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash' as const), pick: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('drain' as const, 'cut' as const), node: fc.constantFrom(...NODES) }) },
];

function web(replicas: number, order: UpdateOrder): ServiceSpec {
  const update = UpdateConfig.create({ parallelism: 1, monitorMs: 2000, order });
  return specOf({ spec: { replicas, ports: [publish(8080, 80)], task: taskSpec({ image: 'v1' }), update, rollback: update } });
}

function running(replicas: number, order: UpdateOrder): ReconcileModel {
  const model = new ReconcileModel();
  for (const id of NODES) model.addNode({ id });
  model.create('web', web(replicas, order));
  model.run(10_000);
  return model;
}

function canaryOn(model: ReconcileModel) {
  const service = model.state.get('services', 'web')?.value;
  return service && canaryOf(service, model.state.get('serviceStatus', 'web')?.value);
}

function stateOf(model: ReconcileModel): UpdateState {
  return model.state.get('serviceStatus', 'web')?.value.update?.state ?? UpdateState.UPDATE_NONE;
}

/** As the API lets them. */
function perform(model: ReconcileModel, command: Command): void {
  const on = canaryOn(model);
  switch (command.kind) {
    case 'begin': {
      const isBusy = (
        [UpdateState.UPDATING, UpdateState.UPDATE_PAUSED, UpdateState.ROLLBACK_STARTED, UpdateState.ROLLBACK_PAUSED] as const
      ).some((state) => state === stateOf(model));
      const seen = model.state.get('serviceStatus', 'web')?.value.seenSpecNumber;
      const isSeen = seen === model.state.get('services', 'web')?.value.specNumber;
      const isSame = model.specOf('web').task?.container?.image === command.image;
      if (isSame || model.specOf('web').replicas === 0 || (on === undefined && (isBusy || !isSeen))) return;
      const change = (spec: ServiceSpec): ServiceSpec => ({
        ...spec,
        task: taskSpec({ image: command.image }),
        update: spec.update && { ...spec.update, failureAction: command.action },
      });
      model.canary('web', command.permille, change, command.afterMs);
      return;
    }
    case 'share':
      if (on !== undefined) model.changeCanary('web', { permille: command.permille });
      return;
    case 'promote':
      if (on !== undefined) model.changeCanary('web', { promoted: true });
      return;
    case 'abort':
      if (on !== undefined) model.abortCanary('web');
      return;
    case 'roll':
      model.update('web', (spec) => ({ ...spec, task: taskSpec({ image: command.image }) }));
      return;
    case 'scale':
      model.scale('web', command.replicas);
      return;
    case 'crash': {
      const tasks = model.tasks('web').filter((task) => model.isServing(task));
      const task = tasks[command.pick % Math.max(1, tasks.length)];
      if (task !== undefined) model.hosts.crash(task.id);
      return;
    }
    case 'drain': {
      const isDrained = model.state.get('nodes', command.node)?.value.spec?.availability === Availability.DRAIN;
      model.setAvailability(command.node, isDrained ? Availability.ACTIVE : Availability.DRAIN);
      return;
    }
    case 'cut':
      if (model.hosts.nodes.get(command.node)?.isCut === true) model.heal(command.node);
      else model.cut(command.node);
      return;
    case 'leader':
      model.changeLeader();
      return;
    case 'time':
      model.clock.advance(command.ms);
      return;
    case 'step':
      model.reconcile();
      model.hosts.stepAgents();
      model.hosts.acknowledge();
  }
}

function wanted(model: ReconcileModel, canary: boolean): readonly Task[] {
  return model.tasks('web').filter((task) => task.canary === canary && task.desired <= TaskState.RUNNING && !task.drain && !task.lost);
}

function routed(model: ReconcileModel) {
  const cluster = model.state.get('cluster', '')?.value ?? assert.fail();
  const [port] = routeTableOf(model.state, cluster).ports;
  const active = (port?.targets ?? []).filter(({ state }) => state === TargetState.TARGET_ACTIVE);
  return { permille: port?.canaryPermille ?? 0, targets: active };
}

function bringBack(model: ReconcileModel): void {
  for (const id of NODES) {
    if (model.hosts.nodes.get(id)?.isCut === true) model.heal(id);
    model.setAvailability(id, Availability.ACTIVE);
  }
}

describe('canaries', () => {
  const orders = fc.constantFrom(UpdateOrder.START_FIRST, UpdateOrder.STOP_FIRST);

  it('whatever users and nodes do, come to rest: as many tasks as the share asks for beside all replicas, or none', () => {
    let resting = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        orders,
        fc.array(fc.oneof(...wild), { minLength: 5, maxLength: 80, size: 'max' }),
        (count, order, list) => {
          const model = running(count, order);
          for (const each of list) perform(model, each);
          bringBack(model);
          model.run(1_000_000);
          assert.deepEqual(model.plan('web'), [], 'nothing is left to do');
          const { replicas } = model.specOf('web');
          const on = canaryOn(model);
          assert.equal(wanted(model, true).length, on === undefined ? 0 : replicas === 0 ? 0 : canaryTasks(on.permille, replicas));
          assert.equal(wanted(model, false).length, replicas);
          const slots = new Set(wanted(model, false).map(({ slot }) => slot));
          for (const { slot } of wanted(model, true)) assert.ok(slots.has(slot), `slot ${slot} is beside none`);
          const keys = [...model.state.all('slots')].map(({ id }) => id);
          if (on === undefined)
            assert.equal(
              keys.some((key) => key.includes('~')),
              false,
              keys.join(),
            );
          else resting++;
          const state = stateOf(model);
          assert.notEqual(state, UpdateState.UPDATING);
          assert.notEqual(state, UpdateState.ROLLBACK_STARTED);
          assert.equal(state === UpdateState.CANARY || state === UpdateState.CANARY_PAUSED, on !== undefined);
        },
      ),
      {
        numRuns: 200,
        examples: [
          // The update is paused while its first new task's successor waits, and the old task comes back with its node.
          [
            1,
            UpdateOrder.STOP_FIRST,
            [
              { kind: 'roll', image: 'v3' },
              { kind: 'cut', node: 'a' },
              { kind: 'step' },
              { kind: 'step' },
              { kind: 'step' },
              { kind: 'crash', pick: 0 },
              { kind: 'begin', permille: 0, image: 'v1', action: FAILURE_PAUSE, afterMs: 0 },
              { kind: 'step' },
              { kind: 'drain', node: 'a' },
              { kind: 'step' },
              { kind: 'time', ms: 1 },
            ],
          ],
        ],
      },
    );
    assert.ok(resting > 5, `only ${resting} of them ended with a canary`);
  });

  it('while nothing fails, never leave fewer replicas in the routes than there shall be, and give new connections by the share', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.oneof(...calm), { minLength: 5, maxLength: 60, size: 'max' }),
        (count, list) => {
          const model = running(count, UpdateOrder.START_FIRST);
          for (const each of list) {
            perform(model, each);
            const { permille: share, targets } = routed(model);
            assert.ok(targets.length >= count, `${targets.length} targets`);
            const on = canaryOn(model);
            const others = targets.filter(({ canary }) => !canary).length;
            // Until it is promoted it takes nothing away from the others.
            if (on !== undefined) assert.ok(others >= count, `${others} of ${count} beside the canary`);
            if (on !== undefined) assert.equal(share, on.isPaused ? 0 : on.permille);
            else if (!(model.state.get('services', 'web')?.value.canary?.promoted ?? false) && stateOf(model) !== UpdateState.UPDATING)
              assert.ok(share === 0 || targets.every(({ canary }) => !canary), 'what was given up gets nothing new');
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('that are aborted leave every task of before as it was', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), permille, orders, fc.nat(20_000), (count, share, order, ms) => {
        const model = running(count, order);
        const before = wanted(model, false).map(({ id }) => id);
        model.canary('web', share, (spec) => ({ ...spec, task: taskSpec({ image: 'v2' }) }));
        model.run(ms);
        model.abortCanary('web');
        model.run(60_000);
        assert.deepEqual(
          wanted(model, false).map(({ id }) => id),
          before,
        );
        assert.equal(
          model.tasks('web').some(({ canary }) => canary),
          false,
        );
      }),
      { numRuns: 60 },
    );
  });
});
