// Whatever agents report in whatever order, twice or late: the stored state of a task.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { mergeStatus } from '../../../manager/dispatcher/status-intake.ts';
import { TaskState, TaskStatus } from '../../../proto/index.ts';

const state = fc.integer({ min: TaskState.ASSIGNED, max: TaskState.REJECTED }) as fc.Arbitrary<TaskState>;
const report = fc.record({ state, message: fc.constantFrom('', 'x', 'y') });

describe('the state of a task that is stored', () => {
  it('only moves forward, and an end is final', () => {
    fc.assert(
      fc.property(fc.array(report, { minLength: 1, maxLength: 30 }), (reports) => {
        let stored: TaskStatus | undefined;
        for (const each of reports) {
          const before = stored;
          const merged = mergeStatus(stored, TaskStatus.create({ taskId: 't', nodeId: 'n', ...each }));
          stored = merged ?? stored;
          if (before === undefined) assert.notEqual(merged, undefined, 'the first is taken');
          else if (before.state >= TaskState.COMPLETE) assert.equal(stored, before, 'an end is final');
          else assert.ok((stored?.state ?? 0) >= before.state, 'never back');
        }
        // Nothing that is further on is passed over either.
        const firstEnd = reports.find((each) => each.state >= TaskState.COMPLETE)?.state;
        assert.equal(stored?.state, firstEnd ?? Math.max(...reports.map((each) => each.state)));
      }),
    );
  });
});
