// Updates and rollbacks with random settings, failures, commands and changes of leader: how many serve and how many exist at every step, and
// what must have become of them in the end.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { explainService } from '../../../manager/explain/index.ts';
import {
  FailureAction,
  PortProtocol,
  type ServiceSpec,
  type Task,
  TaskState,
  UpdateConfig,
  UpdateOrder,
  UpdateState,
} from '../../../proto/index.ts';
import { hostPort, taskSpec, type Wish } from '../../support/placement.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';

const NODES = ['a', 'b', 'c', 'd'];
const MONITOR_MS = 5000;
const { FAILURE_PAUSE, FAILURE_CONTINUE, FAILURE_ROLLBACK } = FailureAction;

const order = fc.constantFrom(UpdateOrder.STOP_FIRST, UpdateOrder.START_FIRST);
const config = fc.record({
  parallelism: fc.nat(4),
  delayMs: fc.constantFrom(0, 0, 1000, 30_000),
  order,
});
const replicas = fc.integer({ min: 1, max: 8 });

interface Web {
  readonly replicas: number;
  readonly update: Partial<UpdateConfig>;
  readonly rollback?: Partial<UpdateConfig>;
  readonly wish?: Wish;
  readonly ports?: ServiceSpec['ports'];
}

function configOf(changes: Partial<UpdateConfig>): UpdateConfig {
  return UpdateConfig.create({ parallelism: 1, monitorMs: MONITOR_MS, ...changes });
}

function web({ replicas: count, update, rollback = {}, wish = {}, ports = [publish(8080, 80)] }: Web): ServiceSpec {
  return specOf({ spec: { replicas: count, ports, task: taskSpec(wish), update: configOf(update), rollback: configOf(rollback) } });
}

function running(spec: ServiceSpec, cpus = 64): ReconcileModel {
  const model = new ReconcileModel();
  for (const id of NODES) model.addNode({ id, cpus });
  model.create('web', spec);
  model.run(1000);
  assert.equal(model.up('web').length, spec.replicas);
  return model;
}

function toImage(image: string, wish: Wish = {}): (spec: ServiceSpec) => ServiceSpec {
  return (spec) => ({ ...spec, task: taskSpec({ ...wish, image }) });
}

function serving(model: ReconcileModel): readonly Task[] {
  return model.tasks('web').filter((task) => !task.drain && model.isServing(task));
}

function existing(model: ReconcileModel): number {
  return [...model.hosts.nodes.values()].flatMap((node) => [...node.tasks.values()]).filter(({ state }) => state === TaskState.RUNNING)
    .length;
}

function statusOf(model: ReconcileModel) {
  return model.state.get('serviceStatus', 'web')?.value ?? assert.fail('no status');
}

function stateOf(model: ReconcileModel): UpdateState | undefined {
  return statusOf(model).update?.state;
}

function wanted(model: ReconcileModel): readonly Task[] {
  return model.tasks('web').filter(({ desired }) => desired <= TaskState.RUNNING);
}

/** Of the spec that is active now, and nothing besides. */
function checkRest(model: ReconcileModel, count: number): void {
  assert.equal(model.up('web').length, count);
  assert.equal(existing(model), count);
  const image = model.specOf('web').task?.container?.image;
  for (const { specNumber } of wanted(model)) {
    assert.equal(model.state.get('specs', `web/${specNumber}`)?.value.spec?.task?.container?.image, image);
  }
}

function limitOf(parallelism: number, count: number): number {
  return parallelism === 0 ? count : Math.min(parallelism, count);
}

/** The first new task of each of these slots crashes as soon as it serves. */
function crasher(model: ReconcileModel, slots: ReadonlySet<number>, specNumber: number): () => void {
  const crashed = new Set<number>();
  return () => {
    for (const task of model.tasks('web')) {
      if (task.specNumber !== specNumber || !slots.has(task.slot) || crashed.has(task.slot) || !model.isServing(task)) continue;
      crashed.add(task.slot);
      model.hosts.crash(task.id);
    }
  };
}

describe('an update', () => {
  it('keeps replicas less parallelism up when it stops first, all when it starts first, and no more than parallelism beside them', () => {
    fc.assert(
      fc.property(replicas, config, (count, update) => {
        const model = running(web({ replicas: count, update }));
        const limit = limitOf(update.parallelism, count);
        const startsFirst = update.order === UpdateOrder.START_FIRST;
        model.update('web', toImage('v2'));
        model.run(count * (update.delayMs + 1000) + 2 * MONITOR_MS, () => {
          assert.ok(serving(model).length >= count - (startsFirst ? 0 : limit), `${serving(model).length} serve`);
          assert.ok(existing(model) <= count + (startsFirst ? limit : 0), `${existing(model)} exist`);
        });
        assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
        checkRest(model, count);
      }),
      { numRuns: 100 },
    );
  });

  it('moves no more than parallelism slots within its delay', () => {
    const delayed = fc.record({ parallelism: fc.integer({ min: 1, max: 4 }), delayMs: fc.constantFrom(1000, 10_000), order });
    fc.assert(
      fc.property(replicas, delayed, (count, update) => {
        const model = running(web({ replicas: count, update }));
        const madeMs = new Map<string, number>();
        model.update('web', toImage('v2'));
        model.run(count * update.delayMs + 2 * MONITOR_MS, () => {
          for (const { id, specNumber } of model.tasks('web')) {
            if (specNumber === 2 && !madeMs.has(id)) madeMs.set(id, model.clock.nowMs());
          }
        });
        const times = [...madeMs.values()];
        for (const start of times) {
          const inWindow = times.filter((time) => time >= start && time < start + update.delayMs).length;
          assert.ok(inWindow <= update.parallelism, `${inWindow} moves within ${update.delayMs} ms`);
        }
        assert.equal(times.length, count);
      }),
      { numRuns: 60 },
    );
  });

  it('fails exactly when more slots fail than its ratio allows, and then by its action', () => {
    const failing = fc.record({
      config,
      ratio: fc.constantFrom(0, 0.2, 0.5, 1),
      action: fc.constantFrom(FAILURE_PAUSE, FAILURE_CONTINUE, FAILURE_ROLLBACK),
      slots: fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { maxLength: 8 }),
    });
    fc.assert(
      fc.property(replicas, failing, (count, { config: update, ratio, action, slots }) => {
        const rollback = { parallelism: update.parallelism, order: update.order };
        const model = running(web({ replicas: count, update: { ...update, failureAction: action, maxFailureRatio: ratio }, rollback }));
        const broken = new Set(slots.filter((slot) => slot <= count));
        model.update('web', toImage('v2'));
        const version = model.state.get('services', 'web')?.modRevision;
        model.run(count * (update.delayMs + 6000) + 60_000, crasher(model, broken, 2));
        const fails = broken.size / count > ratio;
        if (!fails || action === FAILURE_CONTINUE) assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
        else if (action === FAILURE_PAUSE) assert.equal(stateOf(model), UpdateState.UPDATE_PAUSED);
        else {
          assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
          assert.deepEqual([statusOf(model).activeSpecNumber, statusOf(model).seenSpecNumber], [1, 2]);
          assert.equal(model.state.get('services', 'web')?.modRevision, version, 'the version is the user’s');
          checkRest(model, count);
        }
        assert.equal(model.up('web').length, count);
      }),
      { numRuns: 150 },
    );
  });

  it('that starts first never takes a task away before another is up, however it fails', () => {
    const failing = fc.record({ parallelism: fc.nat(3), slots: fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { maxLength: 8 }) });
    fc.assert(
      fc.property(replicas, failing, (count, { parallelism, slots }) => {
        const settings = { parallelism, order: UpdateOrder.START_FIRST };
        const model = running(web({ replicas: count, update: { ...settings, failureAction: FAILURE_ROLLBACK }, rollback: settings }));
        model.update('web', toImage('v2'));
        const crash = crasher(model, new Set(slots), 2);
        let crashedServing = 0;
        model.run(60_000, () => {
          const before = serving(model).length;
          crash();
          // Those that crash after they took over are the failure itself.
          crashedServing += before - serving(model).length;
          assert.ok(serving(model).length + crashedServing >= count);
        });
        checkRest(model, count);
      }),
      { numRuns: 80 },
    );
  });

  it('falls back to stop-first where nothing fits beside the old task, within parallelism, and says so', () => {
    const cases = fc.record({
      parallelism: fc.integer({ min: 1, max: 3 }),
      kind: fc.constantFrom('cpus' as const, 'port' as const, 'copies' as const),
    });
    fc.assert(
      fc.property(cases, ({ parallelism, kind }) => {
        const wish: Wish = kind === 'cpus' ? { cpus: 3 } : kind === 'copies' ? { maxReplicasPerNode: 1 } : {};
        const ports = kind === 'port' ? [hostPort(PortProtocol.TCP, 9000)] : [publish(8080, 80)];
        const update = { parallelism, order: UpdateOrder.START_FIRST };
        const model = running(web({ replicas: NODES.length, update, wish, ports }), 4);
        model.update('web', toImage('v2', wish));
        model.run(60_000, () => assert.ok(serving(model).length >= NODES.length - parallelism, `${serving(model).length} serve`));
        assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
        checkRest(model, NODES.length);
        const told = model.events.filter(({ action }) => action === 'fallback');
        assert.equal(new Set(told.map(({ objectName }) => objectName)).size, NODES.length);
        for (const { message } of told)
          assert.match(message, /no node takes its replacement beside it \(no suitable node .*\): it is stopped first/);
      }),
      { numRuns: 30 },
    );
  });

  it('that no node can run takes nothing down, whoever is to go first, and fails by its action at the progress deadline', () => {
    const cases = fc.record({
      config,
      action: fc.constantFrom(FAILURE_PAUSE, FAILURE_CONTINUE, FAILURE_ROLLBACK),
      image: fc.constantFrom('v1', 'v2'),
      wish: fc.constantFrom<Wish[]>(
        { constraints: ['node.labels.typo==1'] },
        { cpus: 999 },
        { platforms: [{ os: 'linux', arch: 'sparc' }] },
      ),
      leaderAfterMs: fc.option(fc.nat(20_000)),
    });
    fc.assert(
      fc.property(replicas, cases, (count, { config: update, action, image, wish, leaderAfterMs }) => {
        const settings = { ...update, failureAction: action, progressDeadlineMs: 10_000 };
        const model = running(web({ replicas: count, update: settings, rollback: update }));
        const allServe = (): void => {
          assert.equal(serving(model).length, count);
          assert.equal(explainService(model.state, 'web', model.clock).running, count);
        };
        model.update('web', toImage(image, wish));
        model.run(leaderAfterMs ?? 0, allServe);
        if (leaderAfterMs !== null) model.changeLeader();
        model.run(count * (update.delayMs + 20_000), allServe);
        switch (action) {
          case FAILURE_PAUSE:
            assert.equal(stateOf(model), UpdateState.UPDATE_PAUSED);
            break;
          case FAILURE_CONTINUE:
            assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
            break;
          default:
            assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
            checkRest(model, count);
        }
        assert.equal(existing(model), count);
        // What could be done about it is done by the next update.
        model.update('web', toImage('v3'));
        model.run(count * (update.delayMs + 1000) + 2 * MONITOR_MS);
        assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
        checkRest(model, count);
      }),
      { numRuns: 120 },
    );
  });
});

type Command =
  | { readonly kind: 'roll'; readonly image: string; readonly action: FailureAction; readonly isTypo: boolean }
  | { readonly kind: 'back'; readonly steps: number }
  | { readonly kind: 'scale'; readonly replicas: number }
  | { readonly kind: 'crash'; readonly pick: number }
  | { readonly kind: 'leader' }
  | { readonly kind: 'step' }
  | { readonly kind: 'time'; readonly ms: number };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('roll' as const),
      image: fc.constantFrom('v1', 'v2', 'v3'),
      action: fc.constantFrom(FAILURE_PAUSE, FAILURE_CONTINUE, FAILURE_ROLLBACK),
      // No node takes it.
      isTypo: fc.constantFrom(false, false, true),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('back' as const), steps: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('scale' as const), replicas: fc.nat(6) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash' as const), pick: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leader' as const) }) },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('step' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(1, 900, 6000) }) },
);

function perform(model: ReconcileModel, command: Command): void {
  switch (command.kind) {
    case 'roll':
      model.update('web', (spec) => ({
        ...toImage(command.image, command.isTypo ? { constraints: ['node.labels.typo==1'] } : {})(spec),
        update: spec.update && { ...spec.update, failureAction: command.action },
      }));
      return;
    case 'back': {
      const active = statusOf(model).activeSpecNumber;
      const kept = [...model.state.specsOfService('web')].map(({ value }) => value.number).filter((number) => number < active);
      const target = kept.sort((one, other) => other - one)[command.steps - 1];
      if (target !== undefined) model.rollback('web', target);
      return;
    }
    case 'scale':
      model.scale('web', command.replicas);
      return;
    case 'crash': {
      const tasks = serving(model);
      const task = tasks[command.pick % Math.max(1, tasks.length)];
      if (task !== undefined) model.hosts.crash(task.id);
      return;
    }
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

describe('updates and rollbacks', () => {
  it('one after the other, with crashes and changes of leader, never run more in a slot than their order allows, and end as the last one says', () => {
    fc.assert(
      fc.property(replicas, config, fc.array(command, { minLength: 5, maxLength: 80, size: 'max' }), (count, update, list) => {
        const progressDeadlineMs = 30_000;
        const rollback = { parallelism: 2, order: update.order, progressDeadlineMs };
        const model = running(web({ replicas: count, update: { ...update, progressDeadlineMs }, rollback }));
        const most = update.order === UpdateOrder.START_FIRST ? 2 : 1;
        for (const each of list) {
          perform(model, each);
          const bySlot = new Map<number, number>();
          for (const task of model.tasks('web')) {
            if (model.hosts.nodes.get(task.nodeId)?.tasks.get(task.id)?.state === TaskState.RUNNING)
              bySlot.set(task.slot, (bySlot.get(task.slot) ?? 0) + 1);
          }
          for (const [slot, running] of bySlot) assert.ok(running <= most, `slot ${slot} runs ${running}`);
        }
        model.run(1_000_000);
        assert.deepEqual(model.plan('web'), [], 'nothing is left to do');
        const service = model.state.get('services', 'web')?.value;
        assert.equal(statusOf(model).seenSpecNumber, service?.specNumber);
        const state = stateOf(model);
        // What is paused stands still until the next command; everything else has come to its end.
        const isPaused = state === UpdateState.UPDATE_PAUSED || state === UpdateState.ROLLBACK_PAUSED;
        assert.notEqual(state, UpdateState.UPDATING);
        assert.notEqual(state, UpdateState.ROLLBACK_STARTED);
        // By a spec that no node takes all that runs is what had not crashed before.
        const isNowhere = (model.specOf('web').task?.placement?.constraints.length ?? 0) > 0;
        if (isNowhere) assert.ok(serving(model).length <= model.specOf('web').replicas);
        else if (isPaused) assert.equal(serving(model).length >= model.specOf('web').replicas, true);
        else checkRest(model, model.specOf('web').replicas);
        const numbers = [...model.state.specsOfService('web')].map(({ value }) => value.number);
        for (const { specNumber } of wanted(model)) assert.ok(numbers.includes(specNumber), 'the spec of a task is kept');
      }),
      { numRuns: 200 },
    );
  });
});
