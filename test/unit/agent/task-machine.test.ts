import assert from 'node:assert/strict';
import type { Instance } from '../../../agent/runtime/runtime.ts';
import { accept, adopt, step } from '../../../agent/worker/task-machine.ts';
import type { Desired, Effect, Step, TaskEvent, TaskMachine } from '../../../agent/worker/task-model.ts';
import { enumName, TaskState } from '../../../proto/index.ts';

const INSTANCE: Instance = { taskId: 't1', containerId: 'c1', state: 'created', pid: 0, address: '10.0.0.2', ports: [], exit: undefined };
const RUNNING: Instance = { ...INSTANCE, state: 'running', pid: 7 };
const PREPARED: TaskEvent = { kind: 'prepared', instance: INSTANCE };
const STARTED: TaskEvent = { kind: 'started', instance: RUNNING };
const HEALTHY: TaskEvent = { kind: 'health', health: 'none', detail: '' };
const ENGINE_DOWN = { retryable: true, missing: false, reason: 'no answer' };

interface Life {
  readonly machine: TaskMachine;
  /** Observed states, without repeats. */
  readonly observed: readonly string[];
  readonly effects: readonly string[];
}

function text(effect: Effect): string {
  return 'again' in effect && effect.again ? `${effect.do} again` : effect.do;
}

function live(first: Step, ...events: readonly TaskEvent[]): Life {
  let machine = first.next;
  const observed = [enumName(TaskState, machine.observed)];
  const effects = first.effects.map(text);
  for (const event of events) {
    const taken = step(machine, event);
    machine = taken.next;
    const name = enumName(TaskState, machine.observed);
    if (observed.at(-1) !== name) observed.push(name);
    effects.push(...taken.effects.map(text));
  }
  return { machine, observed, effects };
}

function want(desired: Desired): TaskEvent {
  return { kind: 'desired', desired };
}

describe('task machine', () => {
  it('runs a task from acceptance to its successful end', () => {
    const life = live(accept('running'), { kind: 'prepare-began' }, PREPARED, STARTED, HEALTHY, {
      kind: 'exited',
      exit: { exitCode: 0, reason: '' },
    });
    assert.deepEqual(life.observed, ['ACCEPTED', 'PREPARING', 'STARTING', 'RUNNING', 'COMPLETE']);
    assert.deepEqual(life.effects, ['prepare', 'start', 'attach']);
    assert.equal(life.machine.exitCode, 0);
  });

  it('holds the start back until the task is desired to run', () => {
    const held = live(accept('ready'), PREPARED);
    assert.deepEqual(held.observed, ['ACCEPTED', 'READY']);
    assert.deepEqual(held.effects, ['prepare']);
    assert.deepEqual(live({ next: held.machine, effects: [] }, want('running')).effects, ['start']);
  });

  it('is running only once its health check says so', () => {
    const starting = live(accept('running'), PREPARED, STARTED, { kind: 'health', health: 'starting', detail: '' });
    assert.equal(starting.machine.observed, TaskState.STARTING);
    assert.equal(step(starting.machine, { kind: 'health', health: 'healthy', detail: '' }).next.observed, TaskState.RUNNING);
  });

  it('says what a failing check says, before it has failed often enough and while it is being stopped', () => {
    const failing: TaskEvent = { kind: 'health', health: 'starting', detail: 'exit code 1' };
    const starting = live(accept('running'), PREPARED, STARTED, failing);
    assert.equal(starting.machine.message, 'unhealthy so far: exit code 1');
    const stopping = step(starting.machine, { ...failing, health: 'unhealthy' }).next;
    assert.equal(stopping.message, 'stopping: unhealthy: exit code 1');
  });

  it('fails with the words of the health check, after it has been stopped', () => {
    const life = live(accept('running'), PREPARED, STARTED, HEALTHY, { kind: 'health', health: 'unhealthy', detail: 'connection refused' });
    assert.deepEqual(life.effects.slice(-1), ['stop']);
    assert.equal(life.machine.observed, TaskState.RUNNING);
    const ended = step(life.machine, { kind: 'stopped', exit: { exitCode: 143, reason: '' } }).next;
    assert.equal(ended.observed, TaskState.FAILED);
    assert.equal(ended.error, 'unhealthy: connection refused');
  });

  it('keeps that reason when it is asked to shut down meanwhile', () => {
    const life = live(
      accept('running'),
      ...[PREPARED, STARTED, HEALTHY, { kind: 'health', health: 'unhealthy', detail: 'x' } as const, want('shutdown')],
      { kind: 'stopped', exit: { exitCode: 0, reason: '' } },
    );
    assert.equal(life.machine.observed, TaskState.FAILED);
  });

  it('rejects what fails before the start and fails what fails after it', () => {
    const failure = { retryable: false, missing: false, reason: 'no such image' };
    const rejected = live(accept('running'), { kind: 'prepare-began' }, { kind: 'prepare-failed', failure });
    assert.deepEqual(rejected.observed, ['ACCEPTED', 'PREPARING', 'REJECTED']);
    assert.equal(rejected.machine.error, 'no such image');
    const failed = live(accept('running'), PREPARED, { kind: 'start-failed', failure });
    assert.deepEqual(failed.observed, ['ACCEPTED', 'STARTING', 'FAILED']);
  });

  it('says how it ended when it exits by itself', () => {
    const exit = (exitCode: number, reason: string) =>
      live(accept('running'), PREPARED, STARTED, HEALTHY, { kind: 'exited', exit: { exitCode, reason } }).machine;
    assert.equal(exit(3, '').error, 'exit code 3');
    assert.equal(exit(137, 'killed for memory (limit 64MiB)').error, 'killed for memory (limit 64MiB)');
  });

  it('tries again when the engine does not answer, and says so', () => {
    const life = live(accept('running'), { kind: 'prepare-failed', failure: ENGINE_DOWN });
    assert.deepEqual(life.effects, ['prepare', 'prepare again']);
    assert.match(life.machine.message, /no answer; trying again/);
    assert.equal(life.machine.observed, TaskState.ACCEPTED);
  });

  it('stops a running task and keeps its container until it is to be removed', () => {
    const stopped = live(accept('running'), PREPARED, STARTED, HEALTHY, want('shutdown'), {
      kind: 'stopped',
      exit: { exitCode: 143, reason: '' },
    });
    assert.deepEqual(stopped.observed, ['ACCEPTED', 'STARTING', 'RUNNING', 'SHUTDOWN']);
    assert.equal(stopped.machine.phase, 'finished');
    assert.equal(stopped.machine.exitCode, 143);
    const removed = live({ next: stopped.machine, effects: [] }, want('remove'), { kind: 'removed' });
    assert.deepEqual(removed.effects, ['remove']);
    assert.equal(removed.machine.phase, 'removed');
    assert.deepEqual(live({ next: removed.machine, effects: [] }, want('absent')).effects, ['forget']);
  });

  it('cancels a prepare that is no longer wanted and removes what it made', () => {
    const life = live(accept('running'), { kind: 'prepare-began' }, want('shutdown'), { kind: 'removed' });
    assert.deepEqual(life.effects, ['prepare', 'cancel', 'remove']);
    assert.deepEqual(life.observed, ['ACCEPTED', 'PREPARING', 'SHUTDOWN']);
  });

  it('waits for a start under way before it stops', () => {
    const life = live(accept('running'), PREPARED, want('shutdown'));
    assert.deepEqual(life.effects, ['prepare', 'start']);
    assert.deepEqual(live({ next: life.machine, effects: [] }, STARTED).effects, ['stop']);
  });

  it('stops rather than starts again when a start that may have happened is no longer wanted', () => {
    const life = live(accept('running'), PREPARED, want('shutdown'), { kind: 'start-failed', failure: ENGINE_DOWN });
    assert.deepEqual(life.effects, ['prepare', 'start', 'stop']);
  });

  it('fails when its container vanishes', () => {
    const life = live(accept('running'), PREPARED, STARTED, HEALTHY, { kind: 'vanished' });
    assert.equal(life.machine.observed, TaskState.FAILED);
    assert.match(life.machine.error, /its container is gone/);
  });

  describe('with a start-up probe', () => {
    const start = (...events: readonly TaskEvent[]) => live(accept('running', true), PREPARED, STARTED, ...events).machine;

    it('is STARTING until it has passed and its container is healthy, in either order', () => {
      const passed: TaskEvent = { kind: 'start-up-passed' };
      assert.equal(start(HEALTHY).observed, TaskState.STARTING);
      assert.equal(start(passed).observed, TaskState.STARTING);
      assert.equal(start(HEALTHY, passed).observed, TaskState.RUNNING);
      assert.equal(start(passed, HEALTHY).observed, TaskState.RUNNING);
    });

    it('says what it waits for', () => {
      const waits: TaskEvent = { kind: 'start-up-waits', reason: 'tcp 10.0.0.2:80: connection refused' };
      assert.equal(start(HEALTHY, waits).message, 'waiting for its start-up probe: tcp 10.0.0.2:80: connection refused');
    });

    it('fails with its words, and is stopped', () => {
      const failed = live(accept('running', true), PREPARED, STARTED, HEALTHY, { kind: 'probe-failed', reason: 'never came up' });
      assert.deepEqual(failed.effects, ['prepare', 'start', 'attach', 'stop']);
      const ended = live({ next: failed.machine, effects: [] }, { kind: 'stopped', exit: { exitCode: 137, reason: '' } }).machine;
      assert.deepEqual([ended.observed, ended.error], [TaskState.FAILED, 'never came up']);
    });

    it('owes it anew after a restart of the agent, unless it was RUNNING', () => {
      const recorded = (observed: TaskState) => ({ observed, message: '', error: '', exitCode: undefined });
      assert.equal(live(adopt('running', RUNNING, recorded(TaskState.STARTING), true), HEALTHY).machine.observed, TaskState.STARTING);
      assert.equal(live(adopt('running', RUNNING, recorded(TaskState.RUNNING), true)).machine.phase, 'running');
    });
  });

  it('never goes back to an earlier wish', () => {
    const life = live(accept('running'), PREPARED, STARTED, HEALTHY, want('shutdown'), want('running'));
    assert.equal(life.machine.desired, 'shutdown');
  });

  describe('after a restart of the agent', () => {
    const recorded = (observed: TaskState) => ({ observed, message: '', error: '', exitCode: undefined });

    it('leaves a running task alone', () => {
      const life = live(adopt('running', RUNNING, recorded(TaskState.RUNNING)));
      assert.deepEqual(life.effects, ['attach']);
      assert.equal(life.machine.observed, TaskState.RUNNING);
    });

    it('reports an exit meanwhile with its code', () => {
      const exited: Instance = { ...INSTANCE, state: 'exited', exit: { exitCode: 9, reason: '' } };
      const life = live(adopt('running', exited, recorded(TaskState.RUNNING)));
      assert.equal(life.machine.observed, TaskState.FAILED);
      assert.equal(life.machine.exitCode, 9);
      assert.deepEqual(life.effects, []);
    });

    it('does not start a task again whose container is gone', () => {
      const life = live(adopt('running', undefined, recorded(TaskState.STARTING)));
      assert.equal(life.machine.observed, TaskState.FAILED);
      assert.deepEqual(life.effects, []);
    });

    it('prepares again what had not been started, without going back', () => {
      const life = live(adopt('running', undefined, recorded(TaskState.PREPARING)));
      assert.deepEqual(life.effects, ['prepare']);
      assert.equal(life.machine.observed, TaskState.PREPARING);
    });

    it('starts what stands prepared', () => {
      assert.deepEqual(live(adopt('running', INSTANCE, recorded(TaskState.READY))).effects, ['start']);
    });

    it('keeps a recorded end, whatever stands there', () => {
      const ended = live(adopt('running', undefined, recorded(TaskState.REJECTED)));
      assert.equal(ended.machine.observed, TaskState.REJECTED);
      assert.deepEqual(ended.effects, []);
      const revived = live(adopt('running', RUNNING, recorded(TaskState.SHUTDOWN)));
      assert.deepEqual(revived.effects, ['stop']);
      assert.equal(step(revived.machine, { kind: 'stopped', exit: { exitCode: 0, reason: '' } }).next.observed, TaskState.SHUTDOWN);
    });

    it('stops and removes what is not assigned', () => {
      const life = live(adopt('absent', RUNNING, undefined), { kind: 'stopped', exit: { exitCode: 0, reason: '' } }, { kind: 'removed' });
      assert.deepEqual(life.effects, ['stop', 'remove', 'forget']);
    });
  });
});
