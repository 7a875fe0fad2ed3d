// Whatever happens in whatever order: observed states move forward, an end is final, and a container is started once.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Instance } from '../../../agent/runtime/runtime.ts';
import { accept, adopt, isFinal, step } from '../../../agent/worker/task-machine.ts';
import type { TaskEvent, TaskMachine } from '../../../agent/worker/task-model.ts';
import { TaskState } from '../../../proto/index.ts';

const desired = fc.constantFrom('ready' as const, 'running' as const, 'shutdown' as const, 'remove' as const, 'absent' as const);
const instance: fc.Arbitrary<Instance> = fc.record({
  taskId: fc.constant('t1'),
  containerId: fc.constant('c1'),
  state: fc.constantFrom('created' as const, 'running' as const, 'exited' as const),
  pid: fc.nat(),
  address: fc.constantFrom(undefined, '10.0.0.2'),
  ports: fc.constant([]),
  exit: fc.constantFrom(undefined, { exitCode: 0, reason: '' }, { exitCode: 1, reason: 'x' }),
});
const failure = fc.record({ retryable: fc.boolean(), missing: fc.boolean(), reason: fc.constant('why') });
const exit = fc.record({ exitCode: fc.integer({ min: -1, max: 255 }), reason: fc.constantFrom('', 'killed') });
const event: fc.Arbitrary<TaskEvent> = fc.oneof(
  fc.record({ kind: fc.constant('desired' as const), desired }),
  fc.record({ kind: fc.constant('prepare-began' as const) }),
  fc.record({ kind: fc.constantFrom('prepared' as const, 'started' as const), instance }),
  fc.record({
    kind: fc.constantFrom('prepare-failed' as const, 'start-failed' as const, 'stop-failed' as const, 'remove-failed' as const),
    failure,
  }),
  fc.record({
    kind: fc.constant('health' as const),
    health: fc.constantFrom('none' as const, 'starting' as const, 'healthy' as const, 'unhealthy' as const),
    detail: fc.constant(''),
  }),
  fc.record({ kind: fc.constant('start-up-passed' as const) }),
  fc.record({ kind: fc.constantFrom('start-up-waits' as const, 'probe-failed' as const), reason: fc.constant('why') }),
  fc.record({ kind: fc.constantFrom('exited' as const, 'stopped' as const), exit }),
  fc.record({ kind: fc.constantFrom('vanished' as const, 'removed' as const, 'reclaim' as const) }),
);
const recorded = fc.option(
  fc.record({
    observed: fc.integer({ min: TaskState.ACCEPTED, max: TaskState.REJECTED }) as fc.Arbitrary<TaskState>,
    message: fc.constant(''),
    error: fc.constant(''),
    exitCode: fc.constant(undefined),
  }),
  { nil: undefined },
);

function assertForward(before: TaskMachine, after: TaskMachine): void {
  if (isFinal(before.observed)) assert.equal(after.observed, before.observed, 'an end is final');
  else assert.ok(after.observed >= before.observed, `${after.observed} after ${before.observed}`);
}

/** A start needs two particular events in a row. */
const RUNS = 3000;

describe('task machine, whatever happens', () => {
  it('only moves forward, and starts at most once', () => {
    fc.assert(
      fc.property(desired, fc.boolean(), fc.array(event, { maxLength: 40 }), (wish, hasStartUp, events) => {
        const first = accept(wish, hasStartUp);
        let machine = first.next;
        let starts = 0;
        for (const each of events) {
          const taken = step(machine, each);
          assertForward(machine, taken.next);
          starts += taken.effects.filter((effect) => effect.do === 'start' && !effect.again).length;
          if (machine.phase === 'gone') assert.equal(taken.next.phase, 'gone');
          machine = taken.next;
        }
        assert.ok(starts <= 1, `${starts} starts`);
      }),
      { numRuns: RUNS },
    );
  });

  it('moves forward from what was recorded, and never starts what had been started', () => {
    fc.assert(
      fc.property(
        desired,
        fc.option(instance, { nil: undefined }),
        recorded,
        fc.array(event, { maxLength: 20 }),
        (wish, found, known, events) => {
          const first = adopt(wish, found, known);
          if (known !== undefined) assert.ok(first.next.observed >= known.observed);
          let starts = first.effects.filter((effect) => effect.do === 'start').length;
          let machine = first.next;
          for (const each of events) {
            const taken = step(machine, each);
            assertForward(machine, taken.next);
            starts += taken.effects.filter((effect) => effect.do === 'start' && !effect.again).length;
            machine = taken.next;
          }
          assert.ok(starts <= 1);
          const ran =
            (known !== undefined && known.observed >= TaskState.STARTING && found === undefined) ||
            found?.state === 'running' ||
            found?.state === 'exited';
          if (ran) assert.equal(starts, 0, 'what ran is not started again');
        },
      ),
    );
  });

  it('comes to its end: with an engine that does what it is told, a task that is absent is forgotten', () => {
    fc.assert(
      fc.property(desired, fc.array(event, { maxLength: 20 }), (wish, events) => {
        let taken = accept(wish);
        for (const each of events) taken = { next: step(taken.next, each).next, effects: [] };
        let machine = step(taken.next, { kind: 'desired', desired: 'absent' }).next;
        // The results of whatever may be under way.
        for (let round = 0; round < 4; round++) {
          for (const result of [
            {
              kind: 'started',
              instance: { taskId: 't1', containerId: 'c', state: 'running', pid: 1, address: undefined, ports: [], exit: undefined },
            },
            { kind: 'stopped', exit: { exitCode: 0, reason: '' } },
            { kind: 'removed' },
          ] as const)
            machine = step(machine, result).next;
        }
        assert.equal(machine.phase, 'gone');
      }),
      { numRuns: RUNS },
    );
  });
});
