import assert from 'node:assert/strict';
import { createControl } from '../../../../cli/client/control.ts';
import { converged } from '../../../../cli/dev/demo.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { ShoalError } from '../../../../lib/errors.ts';
import { ServiceProgress, SlotProgress, TaskState } from '../../../../proto/index.ts';
import { capturedShell } from '../../../support/captured-shell.ts';
import { startFakeControl } from '../../../support/fake-control.ts';

type Watch = NonNullable<Parameters<typeof startFakeControl>[0]['watchProgress']>;

describe('the demo', () => {
  const wait = async (watchProgress: Watch): Promise<string> => {
    const fake = await startFakeControl({ watchProgress });
    const captured = capturedShell();
    const control = createControl({ managers: [fake.address], clock: systemClock, signal: captured.shell.interrupt() });
    try {
      await converged(control, 1, captured.shell);
      return captured.stderr();
    } finally {
      control.close();
      await fake.stop();
    }
  };
  const slot = SlotProgress.create({ slot: '2', state: TaskState.PENDING, message: 'no suitable node' });

  it('tells how far it is, each change once, until it runs', async () => {
    const said = await wait((_request, call) => {
      call.write(ServiceProgress.create({ running: 1, desired: 3, waiting: [slot] }));
      call.write(ServiceProgress.create({ running: 1, desired: 3, waiting: [slot] }));
      call.write(ServiceProgress.create({ running: 3, desired: 3, converged: true }));
      return Promise.resolve();
    });
    assert.equal(said, 'shoal: 1/3 running (2: no suitable node)\nshoal: 3/3 running\n');
  });

  it('that does not come up in time says what was last heard of it, and where to look', async () => {
    const late: Watch = (_request, call) => {
      call.write(ServiceProgress.create({ running: 1, desired: 3, waiting: [slot] }));
      return Promise.reject(new ShoalError('deadline_exceeded', 'too late'));
    };
    await assert.rejects(wait(late), (error: unknown) => {
      assert.ok(error instanceof ShoalError);
      assert.equal(error.code, 'not_converged');
      assert.match(error.message, /does not run after 60 s: 1\/3 running \(2: no suitable node\); .*\.shoal\/dev\/logs/);
      return true;
    });
  });
});
