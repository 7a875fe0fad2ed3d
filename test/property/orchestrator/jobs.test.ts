// Random ends, faults and users against jobs in the model cluster: limits at every step, exact completions once all is well.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { slotKeyOf } from '../../../manager/orchestrator/slot.ts';
import { slotId } from '../../../manager/state/index.ts';
import { Availability, JobOverlap, JobState, NodeState, type Task, TaskState } from '../../../proto/index.ts';
import { JobModel, NODES } from '../../support/job-model.ts';
import { jobSpec } from '../../support/job-specs.ts';

interface Settings {
  readonly replicas: number;
  readonly maxConcurrent: number;
  readonly isGlobal: boolean;
}

type Command =
  | { readonly kind: 'complete' | 'crash' | 'time'; readonly pick: number }
  | { readonly kind: 'leader' | 'reconcile' | 'force' | 'addNode' }
  | { readonly kind: 'agent' | 'cut' | 'heal' | 'remove' | 'drain' | 'pause' | 'activate'; readonly node: number };

const ALL_NODES = [...NODES, 'd'];
const pick = fc.nat(30);
const node = fc.nat(ALL_NODES.length - 1);

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('reconcile' as const) }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('agent' as const), node }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('complete' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('crash' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('time' as const), pick }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('leader' as const, 'leader' as const, 'force' as const, 'addNode' as const) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('cut' as const, 'heal' as const, 'heal' as const, 'drain' as const, 'activate' as const, 'pause' as const),
      node,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), node }) },
);

const settings: fc.Arbitrary<Settings> = fc.record({
  replicas: fc.integer({ min: 0, max: 7 }),
  maxConcurrent: fc.nat(4),
  isGlobal: fc.boolean(),
});

function perform(model: JobModel, step: Command): void {
  switch (step.kind) {
    case 'reconcile':
      model.reconcile();
      return;
    case 'leader':
      model.changeLeader();
      return;
    case 'time':
      model.clock.advance([1, 900, 1100, 20_000][step.pick % 4] ?? 1);
      return;
    case 'force':
      model.update('batch', (spec) => ({ ...spec, task: spec.task && { ...spec.task, forceUpdate: spec.task.forceUpdate + 1 } }));
      return;
    case 'addNode':
      if (!model.hosts.nodes.has('d')) model.addNode({ id: 'd', cpus: 64 });
      return;
    case 'complete':
    case 'crash': {
      const running = processes(model);
      const task = running[step.pick % Math.max(1, running.length)];
      if (task === undefined) return;
      if (step.kind === 'crash') model.hosts.crash(task.id);
      else model.hosts.complete(task.id);
      return;
    }
    default:
      performOnNode(model, step.kind, ALL_NODES[step.node] ?? assert.fail());
  }
}

function performOnNode(model: JobModel, kind: Extract<Command, { node: number }>['kind'], id: string): void {
  const known = model.hosts.nodes.get(id);
  if (known === undefined) return;
  switch (kind) {
    case 'agent':
      if (!known.isCut) model.hosts.stepAgent(id);
      return;
    case 'cut':
      if (!known.isCut) model.cut(id);
      return;
    case 'heal':
      if (known.isCut) model.heal(id);
      return;
    case 'remove':
      if (known.isCut) model.removeNode(id);
      return;
    case 'drain':
      model.setAvailability(id, Availability.DRAIN);
      return;
    case 'pause':
      model.setAvailability(id, Availability.PAUSE);
      return;
    case 'activate':
      model.setAvailability(id, Availability.ACTIVE);
  }
}

/** Tasks with a process, on whatever node. */
function processes(model: JobModel): readonly Task[] {
  return model.tasks('batch').filter((task) => model.hosts.nodes.get(task.nodeId)?.tasks.get(task.id)?.state === TaskState.RUNNING);
}

function keyOf(task: Task): string {
  return `${task.jobIteration}.${task.slot > 0 ? task.slot : task.nodeId}`;
}

function limitOf({ replicas, maxConcurrent }: Settings): number {
  return Math.min(maxConcurrent === 0 ? replicas : maxConcurrent, replicas);
}

/** Of tasks whose node was never cut off. */
function checkLimits(model: JobModel, spec: Settings): void {
  const settled = processes(model).filter((task) => !task.lost && !model.wasLost.has(task.id));
  if (!spec.isGlobal) assert.ok(settled.length <= limitOf(spec), `${settled.length} run at once`);
  const places = settled.map((task) => (spec.isGlobal ? task.nodeId : keyOf(task)));
  assert.equal(new Set(places).size, places.length, 'a slot, or a node, runs two at once');
}

/** Twice only where the first was cut off from who could have told. */
function checkCompletions(model: JobModel): void {
  const done = new Set<string>();
  for (const task of model.tasks('batch')) {
    if (model.statusOf(task.id) !== TaskState.COMPLETE || model.wasLost.has(task.id)) continue;
    assert.ok(!done.has(keyOf(task)), `slot ${keyOf(task)} has completed twice`);
    done.add(keyOf(task));
  }
}

function heal(model: JobModel): void {
  for (const [id, { isCut, traits }] of [...model.hosts.nodes]) {
    if (isCut) model.heal(id);
    if (traits.availability !== Availability.ACTIVE) model.setAvailability(id, Availability.ACTIVE);
  }
  if (model.hosts.nodes.size === 0) model.addNode({ id: 'a', cpus: 64 });
}

/** Everything that runs completes, until there is no more. */
function finish(model: JobModel, check: () => void): void {
  for (let round = 0; round < 100; round++) {
    model.run(400_000, check);
    const running = processes(model);
    if (running.length === 0) return;
    for (const task of running) model.hosts.complete(task.id);
  }
  assert.fail('it does not end');
}

describe('jobs', () => {
  it('keep to their limit at every step, complete each slot once, and end exact, through failures, lost nodes and changes of leader', () => {
    fc.assert(
      fc.property(settings, fc.array(command, { minLength: 10, maxLength: 100, size: 'max' }), (spec, list) => {
        const { replicas, maxConcurrent, isGlobal } = spec;
        const model = new JobModel(jobSpec({ replicas, isGlobal, job: isGlobal ? {} : { maxConcurrent } }));
        const check = (): void => {
          model.noteLost();
          checkLimits(model, spec);
          checkCompletions(model);
        };
        for (const step of list) {
          perform(model, step);
          check();
        }
        heal(model);
        finish(model, check);

        const newest = model.status.iterations.at(-1) ?? assert.fail();
        assert.equal(newest.state, JobState.JOB_COMPLETED);
        const done = new Set(model.completed(newest.number));
        const ready = [...model.state.all('nodeStatus')].filter(({ value }) => value.state === NodeState.NODE_READY).map(({ id }) => id);
        const expected = isGlobal ? ready : Array.from({ length: replicas }, (_none, slot) => String(slot));
        for (const slot of expected) assert.ok(done.has(slot), `slot ${slot} has not completed`);
        if (!isGlobal) assert.equal(done.size, replicas);
        assert.equal(newest.completed, isGlobal ? newest.total : replicas);
        assert.deepEqual(model.plan('batch'), [], 'nothing is left to do');
        const taken = new Set(model.tasks('batch').map((task) => slotId('batch', slotKeyOf(task))));
        for (const { id } of model.state.all('slots')) assert.ok(taken.has(id), `slot ${id} has a task`);
      }),
      { numRuns: 150 },
    );
  });

  it('by schedule run once for each scheduled time, whoever leads and whatever the wall clock does', () => {
    const start = Date.parse('2026-10-24T20:00:00Z');
    const minutes = fc.integer({ min: 0, max: 20 });
    const steps = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant('time' as const), minutes }),
        // Nobody leads meanwhile.
        fc.record({ kind: fc.constant('gap' as const), minutes: fc.integer({ min: 0, max: 300 }) }),
        fc.record({ kind: fc.constant('jump' as const), minutes: fc.integer({ min: -120, max: 120 }) }),
        fc.record({ kind: fc.constantFrom('leader' as const, 'complete' as const), minutes }),
      ),
      { minLength: 5, maxLength: 20, size: 'max' },
    );
    const overlaps = fc.constantFrom(JobOverlap.OVERLAP_ALLOW, JobOverlap.OVERLAP_FORBID, JobOverlap.OVERLAP_REPLACE);
    fc.assert(
      fc.property(overlaps, fc.constantFrom('0 * * * *', '*/15 * * * *', '30 2 * * *'), steps, (overlap, cron, list) => {
        const schedule = { cron, overlap, timezone: 'Europe/Berlin' };
        const model = new JobModel(jobSpec({ job: { historyLimit: 100 }, schedule }), start);
        let settled = model.status.settledUnixMs;
        for (const step of list) {
          if (step.kind === 'time') model.run(step.minutes * 60_000);
          else if (step.kind === 'gap') model.clock.advance(step.minutes * 60_000);
          else if (step.kind === 'jump') model.setWall(model.wallMs + step.minutes * 60_000);
          else if (step.kind === 'leader') model.changeLeader();
          else for (const task of processes(model)) model.hosts.complete(task.id);
          model.settle();
          const { iterations, settledUnixMs } = model.status;
          const ran = iterations.map(({ scheduledUnixMs }) => scheduledUnixMs);
          assert.equal(new Set(ran).size, ran.length, 'a scheduled time ran twice');
          assert.deepEqual(
            ran,
            [...ran].sort((one, other) => one - other),
            'and never an earlier one after a later one',
          );
          assert.ok(settledUnixMs >= settled, 'what is settled stays so');
          settled = settledUnixMs;
          const running = iterations.filter(({ state }) => state === JobState.JOB_RUNNING).length;
          assert.ok(running <= (overlap === JobOverlap.OVERLAP_ALLOW ? 10 : 1), `${running} run beside one another`);
        }
      }),
      { numRuns: 40 },
    );
  });
});
