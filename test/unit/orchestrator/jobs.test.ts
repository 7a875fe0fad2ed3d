import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { Availability, RestartCondition, type ServiceSpec, TaskState } from '../../../proto/index.ts';
import { JobModel } from '../../support/job-model.ts';
import { jobSpec } from '../../support/job-specs.ts';
import { COMPLETING_IMAGE } from '../../support/model-hosts.ts';

const slotsOf = (places: readonly string[]): readonly string[] => places.map((place) => place.replace(/@.*/, ''));

function messages(model: JobModel): readonly string[] {
  return model.events.map(({ message }) => message);
}

function withImage(spec: ServiceSpec, image: string): ServiceSpec {
  return { ...spec, task: spec.task && { ...spec.task, container: spec.task.container && { ...spec.task.container, image } } };
}

describe('a replicated job', () => {
  it('runs min(max concurrent, total - done - running) tasks, in slots from 0', () => {
    const model = new JobModel(jobSpec({ replicas: 5, job: { maxConcurrent: 2 } }));
    assert.deepEqual(slotsOf(model.running()), ['0', '1']);
    model.completeSlot('1');
    assert.deepEqual(slotsOf(model.running()), ['0', '2']);
    model.completeSlot('0');
    model.completeSlot('2');
    assert.deepEqual(slotsOf(model.running()), ['3', '4']);
    model.completeSlot('3');
    assert.deepEqual(slotsOf(model.running()), ['4'], 'no more than are left');
    model.completeSlot('4');
    assert.deepEqual(model.running(), []);
    assert.deepEqual(model.iterations, ['0 completed']);
    assert.deepEqual(model.completed(0), ['0', '1', '2', '3', '4']);
    const { completed, failed, total, endedUnixMs } = model.iteration(0);
    assert.deepEqual({ completed, failed, total }, { completed: 5, failed: 0, total: 5 });
    assert.ok(endedUnixMs > 0);
  });

  it('runs all at once unless it is told otherwise, and desires COMPLETE of its tasks', () => {
    const model = new JobModel(jobSpec({ replicas: 4 }));
    assert.deepEqual(slotsOf(model.running()), ['0', '1', '2', '3']);
    assert.ok(model.tasks('batch').every(({ desired }) => desired === TaskState.COMPLETE));
  });

  it('is complete at once where it has nothing to do', () => {
    const model = new JobModel(jobSpec({ replicas: 0 }));
    assert.deepEqual(model.iterations, ['0 completed']);
  });

  it('goes on with every task by itself to the end, and then rests', () => {
    const model = new JobModel(jobSpec({ replicas: 7, image: COMPLETING_IMAGE, job: { maxConcurrent: 3 } }));
    assert.deepEqual(model.iterations, ['0 completed']);
    assert.equal(model.completed(0).length, 7);
    model.run(3_600_000);
    assert.equal(model.tasks('batch').length, 7);
    assert.deepEqual(model.plan('batch'), []);
  });

  it('tries a failed slot again after its delay, whichever condition is given but none', () => {
    for (const condition of [RestartCondition.ANY, RestartCondition.ON_FAILURE]) {
      const model = new JobModel(jobSpec({ replicas: 2, restart: { condition } }));
      model.crashSlot('0');
      assert.deepEqual(slotsOf(model.running()), ['1']);
      model.run(900);
      assert.deepEqual(slotsOf(model.running()), ['1'], 'the delay is waited out');
      model.run(200);
      assert.deepEqual(slotsOf(model.running()), ['0', '1']);
      model.completeSlot('0');
      model.completeSlot('1');
      model.run(60_000);
      assert.deepEqual(model.iterations, ['0 completed'], 'what succeeded is not run again');
      assert.equal(model.iteration(0).failed, 1);
    }
  });

  it('counts a slot that waits out its delay among those that run', () => {
    const model = new JobModel(jobSpec({ replicas: 3, job: { maxConcurrent: 1 } }));
    model.crashSlot('0');
    assert.deepEqual(model.wanted(0), ['0']);
    model.run(2000);
    assert.deepEqual(slotsOf(model.running()), ['0']);
  });

  it('backs off where no delay is given', () => {
    const model = new JobModel(jobSpec({ restart: { delayMs: undefined } }));
    model.crashSlot('0');
    model.run(5000);
    model.crashSlot('0');
    model.run(9000);
    assert.deepEqual(model.running(), []);
    model.run(1001);
    assert.deepEqual(slotsOf(model.running()), ['0']);
  });

  it('has failed, and stops, once a slot has used up its attempts', () => {
    const model = new JobModel(jobSpec({ replicas: 3, restart: { maxAttempts: 1 } }));
    model.crashSlot('1');
    model.run(1100);
    model.completeSlot('0');
    model.crashSlot('1');
    assert.deepEqual(model.iterations, ['0 failed']);
    assert.equal(model.iteration(0).message, 'task batch.1 failed: exit code 1: it broke; it was restarted 1 time');
    assert.deepEqual(model.running(), [], 'the others are stopped');
    assert.deepEqual(model.iteration(0).completed, 1);
    assert.equal(model.iteration(0).failed, 2);
    model.changeLeader();
    model.run(3_600_000);
    assert.deepEqual(model.running(), [], 'and nothing of it comes back');
  });

  it('has failed at the first failure under the condition none', () => {
    const model = new JobModel(jobSpec({ restart: { condition: RestartCondition.NONE } }));
    model.crashSlot('0');
    assert.deepEqual(model.iterations, ['0 failed']);
    assert.match(model.iteration(0).message, /it is not to be restarted$/);
    assert.ok(messages(model).some((message) => message.startsWith('iteration 0 failed: task batch.0 failed')));
  });

  it('fails when the attempts within a window are used up, and goes on as long as they are not', () => {
    const model = new JobModel(jobSpec({ restart: { maxAttempts: 1, windowMs: 60_000 } }));
    model.crashSlot('0');
    model.run(61_000);
    model.crashSlot('0');
    model.run(1100);
    assert.deepEqual(slotsOf(model.running()), ['0']);
    model.crashSlot('0');
    assert.deepEqual(model.iterations, ['0 failed']);
    model.run(70_000);
    assert.deepEqual(model.iterations, ['0 failed']);
  });

  it('stands by what it said of a node of a global job, though the window goes on', () => {
    const model = new JobModel(jobSpec({ isGlobal: true, restart: { maxAttempts: 1, windowMs: 60_000 } }));
    const [name = '', ...others] = slotsOf(model.running());
    model.crashSlot(name);
    model.run(1100);
    model.crashSlot(name);
    model.changeLeader();
    model.run(70_000);
    assert.deepEqual(slotsOf(model.running()), others);
    assert.deepEqual(model.iterations, ['0 running']);
  });

  it('replaces a task whose node is lost, at once and without counting a failure', () => {
    const model = new JobModel(jobSpec({ replicas: 3, job: { maxConcurrent: 2 }, restart: { maxAttempts: 1 } }));
    const lost = model.taskIn('0');
    model.cut(lost.nodeId);
    model.settle();
    assert.deepEqual(slotsOf(model.running()), ['0', '1']);
    assert.notEqual(model.taskIn('0').nodeId, lost.nodeId);
    assert.equal(model.taskIn('0').restart, undefined);
    model.heal(lost.nodeId);
    model.settle();
    assert.deepEqual(slotsOf(model.running()), ['0', '1'], 'the extra one is stopped');
    assert.equal(model.state.get('tasks', lost.id)?.value.desired, TaskState.SHUTDOWN);
  });

  it('takes the word of a lost task that completed before its node came back', () => {
    const model = new JobModel(jobSpec({ replicas: 2 }));
    const lost = model.taskIn('0');
    model.cut(lost.nodeId);
    model.settle();
    model.hosts.complete(lost.id);
    model.heal(lost.nodeId);
    model.settle();
    assert.deepEqual(slotsOf(model.running()), ['1'], 'its replacement is stopped');
    model.completeSlot('1');
    assert.deepEqual(model.iterations, ['0 completed']);
  });

  it('gives the slot back to a lost task while its replacement waits for a node', () => {
    const model = new JobModel(jobSpec({ replicas: 1 }));
    const { id, nodeId } = model.taskIn('0');
    for (const other of ['a', 'b', 'c']) if (other !== nodeId) model.setAvailability(other, Availability.PAUSE);
    model.cut(nodeId);
    model.settle();
    assert.deepEqual(model.running(), []);
    model.heal(nodeId);
    model.settle();
    assert.equal(model.taskIn('0').id, id);
    assert.equal(model.tasks('batch').length, 1);
  });

  it('never runs again what has completed, though the node is lost or removed', () => {
    const model = new JobModel(jobSpec({ replicas: 2 }));
    const { nodeId } = model.taskIn('0');
    model.completeSlot('0');
    model.cut(nodeId);
    model.settle();
    model.removeNode(nodeId);
    model.run(60_000);
    assert.deepEqual(model.wanted(0).concat(model.completed(0)), ['1', '0']);
  });

  it('moves off a drained node: stopped first, then started elsewhere, not counted as a failure', () => {
    const model = new JobModel(jobSpec({ replicas: 1, restart: { condition: RestartCondition.NONE } }));
    const before = model.taskIn('0');
    model.setAvailability(before.nodeId, Availability.DRAIN);
    model.settle();
    const after = model.taskIn('0');
    assert.notEqual(after.nodeId, before.nodeId);
    assert.equal(model.statusOf(before.id), TaskState.SHUTDOWN);
    assert.deepEqual(model.iterations, ['0 running']);
  });

  it('has failed by its own fault where it was about to be moved, or its node to be removed: tried again by its restart policy', () => {
    const leave: readonly ((model: JobModel, nodeId: string) => void)[] = [
      (model, nodeId) => {
        model.setAvailability(nodeId, Availability.DRAIN);
      },
      (model, nodeId) => {
        model.hosts.stepAgent(nodeId);
        model.removeNode(nodeId);
      },
    ];
    for (const goes of leave) {
      const model = new JobModel(jobSpec({ restart: { maxAttempts: 1 } }));
      const before = model.taskIn('0');
      model.hosts.crash(before.id);
      goes(model, before.nodeId);
      model.run(900);
      assert.deepEqual(model.running(), [], 'the delay is waited out');
      model.run(200);
      const again = model.taskIn('0');
      assert.equal(again.restart?.attempt, 1);
      model.hosts.crash(again.id);
      goes(model, again.nodeId);
      model.settle();
      assert.deepEqual(model.iterations, ['0 failed'], 'that was its last attempt');
    }
  });

  it('makes nothing anew for a node that is gone, but while that has not said that the work is done', () => {
    const model = new JobModel(jobSpec());
    const task = model.taskIn('0');
    model.removeNode(task.nodeId);
    const [group] = model.plan('batch');
    assert.ok(group?.writes.some((write) => write.kind === 'put' && write.table === 'tasks' && write.before === undefined) === true);
    assert.deepEqual(group.requires, [{ table: 'taskStatus', id: task.id, row: model.state.get('taskStatus', task.id) }]);
  });

  it('stays on a paused node', () => {
    const model = new JobModel(jobSpec({ replicas: 1 }));
    const before = model.taskIn('0');
    model.setAvailability(before.nodeId, Availability.PAUSE);
    model.settle();
    assert.equal(model.taskIn('0').id, before.id);
  });

  it('begins anew from zero as the next iteration when its spec changes; what runs of the old one is stopped', () => {
    const model = new JobModel(jobSpec({ replicas: 3, job: { maxConcurrent: 1 } }));
    model.completeSlot('0');
    model.update('batch', (spec) => withImage(spec, 'work:2'));
    model.settle();
    assert.deepEqual(model.iterations, ['0 replaced', '1 running']);
    assert.deepEqual(model.running(0), []);
    assert.deepEqual(slotsOf(model.running(1)), ['0']);
    assert.equal(model.taskIn('0').specNumber, 2);
    for (const slot of ['0', '1', '2']) model.completeSlot(slot, 1);
    assert.deepEqual(model.iterations, ['0 replaced', '1 completed']);
  });

  for (const [isGlobal, historyLimit] of [
    [false, undefined],
    [false, 0],
    [true, undefined],
    [true, 0],
  ] as const) {
    const what = `${isGlobal ? 'of global tasks' : 'of replicas'}${historyLimit === 0 ? ' without a history' : ''}`;
    it(`${what} makes no task anew before what ran in its place has stopped`, () => {
      const model = new JobModel(jobSpec({ isGlobal, replicas: 3, job: { historyLimit, maxConcurrent: isGlobal ? 0 : 3 } }));
      model.update('batch', (spec) => withImage(spec, 'work:2'));
      for (let pass = 0; pass < 5; pass++) model.reconcile();
      assert.equal(model.running(0).length, 3, 'no agent has heard');
      assert.deepEqual(model.wanted(1), []);
      model.hosts.stepAgent('a');
      model.reconcile();
      assert.equal(model.wanted(1).length, 1);
      model.settle();
      assert.equal(model.running(1).length, 3);
    });
  }

  it('is run again by --force, also after its end', () => {
    const model = new JobModel(jobSpec({ image: COMPLETING_IMAGE }));
    model.update('batch', (spec) => ({ ...spec, task: spec.task && { ...spec.task, forceUpdate: 1 } }));
    model.settle();
    assert.deepEqual(model.iterations, ['0 completed', '1 completed']);
    assert.deepEqual(
      model
        .tasks('batch')
        .map(({ jobIteration }) => jobIteration)
        .sort(),
      [0, 1],
    );
  });

  it('is not run again by a change of how long it is remembered', () => {
    const model = new JobModel(jobSpec({ image: COMPLETING_IMAGE }));
    model.update('batch', (spec) => ({ ...spec, specHistoryLimit: 2, job: spec.job && { ...spec.job, historyLimit: 1, ttlMs: 1000 } }));
    model.settle();
    assert.deepEqual(model.iterations, ['0 completed']);
    assert.equal(model.state.get('serviceStatus', 'batch')?.value.seenSpecNumber, 2);
  });

  it('has failed, and is stopped, when its deadline passes', () => {
    const model = new JobModel(jobSpec({ replicas: 2, job: { deadlineMs: 60_000 } }));
    model.completeSlot('0');
    model.run(59_000);
    assert.deepEqual(model.iterations, ['0 running']);
    model.run(1001);
    assert.deepEqual(model.iterations, ['0 failed']);
    assert.equal(model.iteration(0).message, 'did not complete within its deadline of 1m0s');
    assert.deepEqual(model.running(), []);
  });

  it('keeps its deadline and its time to live over changes of leader, and whatever the wall clock is set to', () => {
    const job = { deadlineMs: 600_000, ttlMs: 600_000 };
    const model = new JobModel(jobSpec({ job }));
    const led = (ms: number): void => {
      model.run(ms);
      model.wallOffsetMs += ms > 255_000 ? -3_600_000 : 7_200_000;
      model.changeLeader();
      model.settle();
    };
    led(250_000);
    led(260_000);
    // 480 s were noted: it is later than the limit by the rest, never earlier.
    model.run(115_000);
    assert.deepEqual(model.iterations, ['0 running']);
    model.run(6000);
    assert.deepEqual(model.iterations, ['0 failed']);
    led(250_000);
    led(260_000);
    model.run(110_000);
    assert.equal(model.iteration(0).expired, false);
    model.run(11_000);
    assert.equal(model.iteration(0).expired, true);
    assert.deepEqual(model.tasks('batch'), []);
  });

  it('notes its time rarely', () => {
    const model = new JobModel(jobSpec({ job: { deadlineMs: 86_400_000 } }));
    const before = model.state.revision;
    model.run(3_600_000);
    assert.equal(model.state.revision - before, 6);
    assert.deepEqual(model.iterations, ['0 running']);
  });

  it('of a global job loses its tasks, too, though later nodes might have had a part in it', () => {
    const model = new JobModel(jobSpec({ isGlobal: true, job: { ttlMs: 60_000 } }));
    for (const slot of slotsOf(model.running())) model.completeSlot(slot);
    assert.deepEqual(model.iterations, ['0 completed']);
    model.run(61_000);
    assert.equal(model.iteration(0).expired, true);
    assert.deepEqual(model.tasks('batch'), []);
    model.addNode({ id: 'late' });
    model.run(10_000);
    assert.deepEqual(model.running(), []);
  });

  it('loses its tasks when the time to live after its end has passed, and is known to have completed still', () => {
    const model = new JobModel(jobSpec({ replicas: 2, image: COMPLETING_IMAGE, job: { ttlMs: 30_000 } }));
    model.run(29_000);
    assert.equal(model.tasks('batch').length, 2);
    model.run(1001);
    assert.deepEqual(model.tasks('batch'), []);
    assert.deepEqual(model.iterations, ['0 completed']);
    assert.deepEqual([...model.state.all('slots')], []);
    model.run(3_600_000);
    assert.deepEqual(model.tasks('batch'), [], 'nothing of it runs again');
  });

  it('keeps as many ended iterations as the history limit says, with their tasks', () => {
    const model = new JobModel(jobSpec({ image: COMPLETING_IMAGE, job: { historyLimit: 1 } }));
    for (const force of [1, 2, 3]) {
      model.update('batch', (spec) => ({ ...spec, task: spec.task && { ...spec.task, forceUpdate: force } }));
      model.settle();
    }
    assert.deepEqual(model.iterations, ['2 completed', '3 completed']);
    assert.deepEqual(
      model
        .tasks('batch')
        .map(({ jobIteration }) => jobIteration)
        .sort(),
      [2, 3],
    );
  });

  it('leaves nothing behind when it is removed', () => {
    const model = new JobModel(jobSpec({ replicas: 2 }));
    model.completeSlot('0');
    model.remove('batch');
    model.settle();
    for (const table of ['tasks', 'taskStatus', 'slots', 'serviceStatus', 'specs'] as const)
      assert.deepEqual([...model.state.all(table)], []);
  });
});

describe('a global job', () => {
  it('runs once on each eligible node, and on those that are added later', () => {
    const model = new JobModel(jobSpec({ isGlobal: true }));
    assert.deepEqual(model.running(), ['a', 'b', 'c']);
    for (const id of ['a', 'b', 'c']) model.completeSlot(id);
    assert.deepEqual(model.iterations, ['0 completed']);
    model.addNode({ id: 'd' });
    model.settle();
    assert.deepEqual(model.running(), ['d']);
    assert.deepEqual(model.iterations, ['0 running']);
    model.completeSlot('d');
    assert.deepEqual(model.iterations, ['0 completed']);
    model.run(3_600_000);
    assert.deepEqual(model.completed(0), ['a', 'b', 'c', 'd']);
  });

  it('runs on a node that comes later for its newest iteration alone', () => {
    const model = new JobModel(jobSpec({ isGlobal: true, image: COMPLETING_IMAGE }));
    model.update('batch', (spec) => ({ ...spec, task: spec.task && { ...spec.task, forceUpdate: 1 } }));
    model.settle();
    model.addNode({ id: 'd' });
    model.settle();
    assert.deepEqual(model.completed(0), ['a', 'b', 'c']);
    assert.deepEqual(model.completed(1), ['a', 'b', 'c', 'd']);
  });

  it('waits for a node that is down, and for no node that is drained', () => {
    const model = new JobModel(jobSpec({ isGlobal: true, image: 'work' }));
    model.completeSlot('a');
    model.cut('b');
    model.setAvailability('c', Availability.DRAIN);
    model.settle();
    assert.deepEqual(model.running(), []);
    assert.deepEqual(model.iterations, ['0 running']);
    model.heal('b');
    model.settle();
    assert.deepEqual(model.running(), ['b']);
    model.completeSlot('b');
    assert.deepEqual(model.iterations, ['0 completed']);
    model.setAvailability('c', Availability.ACTIVE);
    model.settle();
    assert.deepEqual(model.running(), ['c'], 'a node that is active again has its turn');
  });

  it('lets every node come to its end, and has failed where one has used up its attempts', () => {
    const model = new JobModel(jobSpec({ isGlobal: true, restart: { condition: RestartCondition.NONE } }));
    model.crashSlot('b');
    assert.deepEqual(model.iterations, ['0 running']);
    assert.deepEqual(model.running(), ['a', 'c']);
    model.completeSlot('a');
    model.completeSlot('c');
    assert.deepEqual(model.iterations, ['0 failed']);
    assert.match(model.iteration(0).message, /^task batch\.b failed/);
    assert.equal(model.iteration(0).completed, 2);
    assert.equal(model.iteration(0).total, 3);
  });

  it('is done with a node that was removed', () => {
    const model = new JobModel(jobSpec({ isGlobal: true }));
    model.completeSlot('a');
    model.completeSlot('b');
    model.cut('c');
    model.settle();
    model.removeNode('c');
    model.settle();
    assert.deepEqual(model.iterations, ['0 completed']);
  });

  it('runs anew on every node with a new spec, never beside the old task of the node', () => {
    const model = new JobModel(jobSpec({ isGlobal: true }));
    model.completeSlot('a');
    model.update('batch', (spec) => withImage(spec, 'work:2'));
    const check = (): void => {
      const nodes = model.running();
      assert.equal(new Set(nodes).size, nodes.length);
    };
    model.settle(check);
    assert.deepEqual(model.running(1), ['a', 'b', 'c']);
  });
});
