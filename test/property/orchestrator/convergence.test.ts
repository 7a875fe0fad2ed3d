// Random commands, faults and delays against the model cluster: what must hold at every step, and what must be true once it is left alone.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { startsFirst } from '../../../manager/orchestrator/spec-rules.ts';
import { Availability, NodeState, ServiceMode, type ServiceSpec, type Task, TaskState, UpdateConfig } from '../../../proto/index.ts';
import { taskSpec } from '../../support/placement.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';

const NODES = ['a', 'b', 'c', 'd'];

interface Settings {
  readonly replicas: number;
  readonly isGlobal: boolean;
  readonly hasPort: boolean;
  readonly parallelism: number;
  readonly delayMs: number;
}

type Command =
  | { readonly kind: 'scale'; readonly replicas: number }
  | { readonly kind: 'roll'; readonly version: number }
  | {
      readonly kind: 'cut' | 'heal' | 'removeNode' | 'addNode' | 'drain' | 'activate' | 'pause' | 'killMesh' | 'mendMesh';
      readonly node: number;
    }
  | { readonly kind: 'label'; readonly node: number; readonly disk: string }
  | { readonly kind: 'constrain'; readonly isOn: boolean }
  | { readonly kind: 'crash' | 'busy'; readonly pick: number }
  | { readonly kind: 'leader' | 'reconcile' | 'acknowledge' }
  | { readonly kind: 'agent'; readonly node: number }
  | { readonly kind: 'time'; readonly ms: number };

const node = fc.nat(NODES.length - 1);
const faults = ['cut', 'removeNode', 'killMesh'] as const;
const calm = ['heal', 'addNode', 'drain', 'activate', 'activate', 'pause', 'mendMesh'] as const;

function commands(withFaults: boolean): fc.Arbitrary<Command> {
  const kinds = withFaults ? [...calm, ...faults] : (['drain', 'activate'] as const);
  return fc.oneof(
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('scale' as const), replicas: fc.nat(7) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('roll' as const), version: fc.nat(3) }) },
    { weight: withFaults ? 4 : 1, arbitrary: fc.record({ kind: fc.constantFrom(...kinds), node }) },
    {
      weight: withFaults ? 1 : 0,
      arbitrary: fc.record({ kind: fc.constant('label' as const), node, disk: fc.constantFrom('ssd', 'hdd') }),
    },
    { weight: withFaults ? 1 : 0, arbitrary: fc.record({ kind: fc.constant('constrain' as const), isOn: fc.boolean() }) },
    { weight: withFaults ? 2 : 0, arbitrary: fc.record({ kind: fc.constant('crash' as const), pick: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('busy' as const), pick: fc.nat(20) }) },
    { weight: 12, arbitrary: fc.record({ kind: fc.constantFrom('reconcile' as const, 'reconcile' as const, 'acknowledge' as const) }) },
    { weight: withFaults ? 1 : 0, arbitrary: fc.record({ kind: fc.constant('leader' as const) }) },
    { weight: 12, arbitrary: fc.record({ kind: fc.constant('agent' as const), node }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(1, 900, 5000, 12_000) }) },
  );
}

const settings = fc.record({
  replicas: fc.nat(6),
  isGlobal: fc.boolean(),
  hasPort: fc.boolean(),
  parallelism: fc.constantFrom(0, 1, 2),
  delayMs: fc.constantFrom(0, 0, 3000),
});

function initial({ replicas, isGlobal, hasPort, parallelism, delayMs }: Settings): ServiceSpec {
  return specOf({
    spec: {
      mode: isGlobal ? ServiceMode.GLOBAL : ServiceMode.REPLICATED,
      replicas,
      ports: hasPort ? [publish(8080, 80)] : [],
      task: taskSpec({ image: 'v0' }),
      update: UpdateConfig.create({ parallelism, delayMs, monitorMs: 1000 }),
    },
  });
}

function nameOf(index: number): string {
  return NODES[index] ?? assert.fail();
}

function perform(model: ReconcileModel, command: Command): void {
  switch (command.kind) {
    case 'scale':
      model.scale('web', command.replicas);
      return;
    case 'roll':
      model.update('web', (spec) => withContainer(spec, `v${command.version}`));
      return;
    case 'constrain':
      model.update('web', (spec) => withConstraints(spec, command.isOn ? ['node.labels.disk!=hdd'] : []));
      return;
    case 'crash':
    case 'busy': {
      const tasks = model.tasks('web').filter((task) => model.isServing(task));
      const task = tasks[command.pick % Math.max(1, tasks.length)];
      if (task === undefined) return;
      if (command.kind === 'crash') model.hosts.crash(task.id);
      else model.hosts.busy.add(task.id);
      return;
    }
    case 'leader':
      model.changeLeader();
      return;
    case 'reconcile':
      model.reconcile();
      return;
    case 'acknowledge':
      model.hosts.acknowledge();
      return;
    case 'time':
      model.clock.advance(command.ms);
      return;
    default:
      performOnNode(model, command);
  }
}

function performOnNode(model: ReconcileModel, command: Extract<Command, { readonly node: number }>): void {
  const id = nameOf(command.node);
  const known = model.hosts.nodes.get(id);
  if (known === undefined) {
    if (command.kind === 'addNode') model.addNode({ id });
    return;
  }
  switch (command.kind) {
    case 'cut':
      if (!known.isCut) model.cut(id);
      return;
    case 'heal':
      if (known.isCut) model.heal(id);
      return;
    case 'removeNode':
      if (known.isCut) model.removeNode(id);
      return;
    case 'addNode':
      return;
    case 'drain':
      model.setAvailability(id, Availability.DRAIN);
      return;
    case 'activate':
      model.setAvailability(id, Availability.ACTIVE);
      return;
    case 'pause':
      model.setAvailability(id, Availability.PAUSE);
      return;
    case 'killMesh':
      known.meshDead = true;
      return;
    case 'mendMesh':
      known.meshDead = false;
      return;
    case 'label':
      model.setLabels(id, { disk: command.disk });
      return;
    case 'agent':
      if (!known.isCut) model.hosts.stepAgent(id);
  }
}

function withContainer(spec: ServiceSpec, image: string): ServiceSpec {
  return { ...spec, task: spec.task && { ...spec.task, container: spec.task.container && { ...spec.task.container, image } } };
}

function withConstraints(spec: ServiceSpec, constraints: readonly string[]): ServiceSpec {
  return { ...spec, task: spec.task && { ...spec.task, placement: spec.task.placement && { ...spec.task.placement, constraints } } };
}

/** Tasks with a process on a node that can be reached. */
function existing(model: ReconcileModel): readonly Task[] {
  return model
    .tasks('web')
    .filter(
      (task) =>
        model.hosts.nodes.get(task.nodeId)?.isCut === false &&
        model.hosts.nodes.get(task.nodeId)?.tasks.get(task.id)?.state === TaskState.RUNNING,
    );
}

function slotOf(task: Task): string {
  return task.slot > 0 ? String(task.slot) : task.nodeId;
}

function bySlotOf(tasks: readonly Task[]): ReadonlyMap<string, readonly Task[]> {
  const slots = new Map<string, Task[]>();
  for (const task of tasks) slots.set(slotOf(task), [...(slots.get(slotOf(task)) ?? []), task]);
  return slots;
}

/** Two in a slot are a start-first replacement, or a lost task that is back; more, or anything else, never. */
function checkSlots(model: ReconcileModel): void {
  const spec = model.specOf('web');
  const bySlot = bySlotOf(existing(model));
  const returned = (task: Task): boolean => task.lost || model.wasLost.has(task.id);
  let doubled = 0;
  for (const [slot, tasks] of bySlot) {
    const settled = tasks.filter((task) => !returned(task));
    assert.ok(settled.length <= (startsFirst(spec) ? 2 : 1), `slot ${slot} runs ${settled.length}`);
    if (settled.length > 1) doubled++;
  }
  const { parallelism = 1 } = spec.update ?? {};
  if (parallelism > 0) assert.ok(doubled <= parallelism, `${doubled} slots run twice`);
}

function checkRest(model: ReconcileModel): void {
  const spec = model.specOf('web');
  const nodes = [...model.state.all('nodes')].filter(({ id, value }) => {
    const isReady = model.state.get('nodeStatus', id)?.value.state === NodeState.NODE_READY;
    return isReady && value.spec?.availability === Availability.ACTIVE;
  });
  const isAllowed = (labels: Readonly<Record<string, string>>): boolean =>
    spec.task?.placement?.constraints.length === 0 || labels['disk'] !== 'hdd';
  const fitting = nodes.filter(({ value }) => isAllowed(value.spec?.labels ?? {})).map(({ id }) => id);
  const live = model.tasks('web').filter((task) => task.desired <= TaskState.RUNNING);
  const expected = spec.mode === ServiceMode.GLOBAL ? fitting.length : spec.replicas;
  assert.deepEqual(model.plan('web'), [], 'nothing is left to do');
  assert.equal(new Set(live.map(slotOf)).size, expected, 'slots');
  // Where nothing fits anywhere, what should move stays, and what should take over waits.
  if (fitting.length === 0) return;
  assert.equal(live.length, expected, 'tasks that shall run');
  assert.equal(model.up('web').length, expected, 'tasks that are up');
  assert.equal(existing(model).length, model.up('web').length, 'processes');
  for (const task of live) assert.ok(!task.drain && !task.lost, `${task.id} is neither drained nor lost`);
  for (const { id, value } of model.state.all('slots'))
    assert.ok(model.state.get('tasks', value.taskId) !== undefined, `slot ${id} names a task`);
  for (const { id } of model.state.all('taskStatus')) assert.ok(model.state.get('tasks', id) !== undefined, `status ${id} has a task`);
  const finished = bySlotOf(model.tasks('web').filter((task) => task.desired > TaskState.RUNNING));
  for (const [slot, tasks] of finished) assert.ok(tasks.length <= 5, `slot ${slot} keeps ${tasks.length} finished tasks`);
}

function heal(model: ReconcileModel): void {
  model.hosts.busy.clear();
  for (const id of NODES) {
    const known = model.hosts.nodes.get(id);
    if (known === undefined) continue;
    known.meshDead = false;
    if (known.isCut) model.heal(id);
    if (known.traits.availability === Availability.PAUSE) model.setAvailability(id, Availability.ACTIVE);
  }
}

function prepared(spec: Settings): ReconcileModel {
  const model = new ReconcileModel();
  for (const id of NODES) model.addNode({ id, cpus: 64 });
  model.create('web', initial(spec));
  model.settle();
  return model;
}

describe('reconciling', () => {
  it('upholds the limits of every slot through faults, and ends exact once they heal', () => {
    fc.assert(
      fc.property(settings, fc.array(commands(true), { minLength: 10, maxLength: 120, size: 'max' }), (spec, list) => {
        const model = prepared(spec);
        for (const command of list) {
          perform(model, command);
          model.noteLost();
          checkSlots(model);
        }
        heal(model);
        model.run(1_000_000);
        checkRest(model);
      }),
      { numRuns: 300 },
    );
  });

  it('never falls below what an update may take, without faults', () => {
    fc.assert(
      fc.property(settings, fc.array(commands(false), { minLength: 10, maxLength: 80, size: 'max' }), (spec, list) => {
        const model = prepared({ ...spec, isGlobal: false });
        // What was up before the last change of scale, and is to stay, must go on being up.
        let floor = spec.replicas;
        for (const command of list) {
          if (command.kind === 'drain' && command.node === 0) continue;
          perform(model, command);
          // Which tasks scaling down takes is for others to judge.
          if (command.kind === 'scale' && command.replicas < model.tasks('web').length) floor = 0;
          if (command.kind === 'time' && floor < model.specOf('web').replicas) {
            model.run(60_000);
            floor = model.up('web').length;
          }
          const limit = spec.parallelism === 0 ? Number.POSITIVE_INFINITY : spec.parallelism;
          const down = startsFirst(model.specOf('web')) ? 0 : limit;
          const serving = model.tasks('web').filter((task) => model.isServing(task) && !task.drain).length;
          assert.ok(serving >= floor - down, `${serving} serve, ${floor} shall, ${down} may be away`);
        }
      }),
      { numRuns: 200 },
    );
  });
});
