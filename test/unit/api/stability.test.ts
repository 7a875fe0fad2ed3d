import assert from 'node:assert/strict';
import { crewOf, provedMs, stabilityWatch } from '../../../manager/api/stability.ts';
import { specId } from '../../../manager/state/index.ts';
import { Service, ServiceStatus, StoredSpec, Task, TaskState, UpdateConfig, UpdateState, UpdateStatus } from '../../../proto/index.ts';
import { specOf } from '../../support/service-specs.ts';
import { putRows, row, stateWith } from '../../support/state-rows.ts';

describe('stability', () => {
  it('is reached when the same tasks were up for the time asked for', () => {
    const watch = stabilityWatch(5000);
    assert.equal(watch.leftMs(undefined, 0, 0), 5000);
    assert.equal(watch.leftMs('a,b', 1000, 0), 5000);
    assert.equal(watch.leftMs('a,b', 4000, 0), 2000);
    assert.equal(watch.leftMs('a,b', 6000, 0), 0);
  });

  it('begins anew when a task is down, and when one was replaced unseen', () => {
    const watch = stabilityWatch(5000);
    watch.leftMs('a', 0, 0);
    watch.leftMs(undefined, 4000, 0);
    assert.equal(watch.leftMs('a', 4500, 0), 5000);
    assert.equal(watch.leftMs('b', 9000, 0), 5000);
  });

  it('takes what an update has proved into account, but only of the first tasks', () => {
    const watch = stabilityWatch(5000);
    assert.equal(watch.leftMs('a', 0, 3000), 2000);
    assert.equal(watch.leftMs('b', 1000, 3000), 5000);
    assert.equal(stabilityWatch(5000).leftMs('a', 0, 8000), 0);
  });

  it('is there at once where nothing is to be verified, or no task shall run', () => {
    assert.equal(stabilityWatch(5000).leftMs('', 0, 0), 0);
    assert.equal(stabilityWatch(0).leftMs('a', 0, 0), 0);
  });

  it('goes by the tasks that shall run', () => {
    const task = (id: string, more: Partial<Task> = {}) =>
      row('tasks', id, Task.create({ id, serviceId: 'web', slot: 1, desired: TaskState.RUNNING, ...more }));
    const state = stateWith(task('b'), task('a'), task('c', { desired: TaskState.SHUTDOWN }), task('d', { lost: true }));
    assert.equal(crewOf(state, 'web'), 'a,b');
  });

  it('counts the monitor period of an update that was completed since the change, to the newest spec', () => {
    const spec = specOf({ spec: { update: UpdateConfig.create({ monitorMs: 7000 }) } });
    const state = stateWith(
      row('services', 'web', Service.create({ id: 'web', name: 'web', specNumber: 2 })),
      row('specs', specId('web', 2), StoredSpec.create({ serviceId: 'web', number: 2, spec })),
    );
    const update = (specNumber: number, updateState: UpdateState): number => {
      const status = UpdateStatus.create({ state: updateState, specNumber });
      putRows(state, row('serviceStatus', 'web', ServiceStatus.create({ serviceId: 'web', activeSpecNumber: 2, update: status })));
      return state.get('serviceStatus', 'web')?.modRevision ?? 0;
    };
    const revision = update(2, UpdateState.UPDATE_COMPLETED);
    assert.equal(provedMs(state, 'web', revision - 1), 7000);
    assert.equal(provedMs(state, 'web', revision), 0);
    update(1, UpdateState.UPDATE_COMPLETED);
    assert.equal(provedMs(state, 'web', 0), 0);
    update(2, UpdateState.UPDATING);
    assert.equal(provedMs(state, 'web', 0), 0);
  });
});
