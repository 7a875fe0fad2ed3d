import assert from 'node:assert/strict';
import { seededIds } from '../../../lib/ids.ts';
import { seededRng } from '../../../lib/rng.ts';
import { explainService, plannedTasks, Rehearsal, type ScratchWrite } from '../../../manager/explain/index.ts';
import { specId } from '../../../manager/state/index.ts';
import {
  enumName,
  JobSchedule,
  ManagerLiveness,
  PlannedAction,
  RestartCondition,
  StoredSpec,
  type ServiceSpec,
} from '../../../proto/index.ts';
import { JobModel } from '../../support/job-model.ts';
import { jobSpec } from '../../support/job-specs.ts';
import { row } from '../../support/state-rows.ts';

function led(spec: ServiceSpec, wallMs?: number): JobModel {
  const model = new JobModel(spec, wallMs);
  model.world.change([row('leader', '', ManagerLiveness.create({ managerId: 'm' }))]);
  return model;
}

/** "create batch.0" for each task that the new spec changes. */
function planOf(model: JobModel, change: (spec: ServiceSpec) => ServiceSpec): readonly string[] {
  const service = model.state.get('services', 'batch')?.value ?? assert.fail();
  const spec = change(model.specOf('batch'));
  const number = service.specNumber + 1;
  const writes: readonly ScratchWrite[] = [
    { table: 'services', id: 'batch', value: { ...service, specNumber: number } },
    { table: 'specs', id: specId('batch', number), value: StoredSpec.create({ serviceId: 'batch', number, spec }) },
  ];
  const rehearsal = new Rehearsal(model.state, 'batch', writes, { clock: model.clock, ids: seededIds(seededRng(7)) });
  let rounds = 0;
  while (rehearsal.step()) rounds++;
  assert.ok(rehearsal.isOver && rounds < 100, `it took ${rounds} rounds`);
  const { tasks, unchanged } = plannedTasks(rehearsal.before, rehearsal.state, 'batch', spec, false);
  assert.equal(unchanged, 0, 'of runs that are over nothing is planned');
  return tasks.map(({ action, name }) => `${enumName(PlannedAction, action).replace('PLAN_', '').toLowerCase()} ${name}`);
}

const forced = (spec: ServiceSpec): ServiceSpec => ({ ...spec, task: spec.task && { ...spec.task, forceUpdate: 1 } });

describe('a job, explained and planned', () => {
  it('has nothing to explain while it runs, and when it is complete', () => {
    const model = led(jobSpec({ replicas: 2, job: { maxConcurrent: 1 } }));
    assert.ok(explainService(model.state, 'batch', model.clock).allRight);
    model.completeSlot('0');
    const half = explainService(model.state, 'batch', model.clock);
    assert.deepEqual([half.allRight, half.job], [true, 'iteration 0 runs, 1 of 2 tasks completed']);
    model.completeSlot('1');
    const { allRight, desired, running, job } = explainService(model.state, 'batch', model.clock);
    assert.deepEqual(
      { allRight, desired, running, job },
      { allRight: true, desired: 0, running: 0, job: 'iteration 0 has completed, 2 of 2 tasks' },
    );
  });

  it('says when it runs next', () => {
    const schedule = JobSchedule.create({ cron: '0 3 * * *' });
    const model = led(jobSpec({ job: { schedule } }), Date.parse('2026-11-21T12:00:00Z'));
    const clock = { ...model.clock, wallMs: () => model.wallMs };
    const { job, allRight } = explainService(model.state, 'batch', clock);
    assert.deepEqual([allRight, job], [true, 'it has not run yet; the next one begins at 2026-11-22T03:00:00Z']);
  });

  it('says which task waits out its delay, by its slot', () => {
    const model = led(jobSpec({ replicas: 1 }));
    model.crashSlot('0');
    const { tasks } = explainService(model.state, 'batch', model.clock);
    assert.deepEqual(
      tasks.map(({ name, finding }) => `${name} ${finding?.kind ?? ''}`),
      ['batch.0 restart-delay'],
    );
  });

  it('says why it failed, and what runs it anew', () => {
    const model = led(jobSpec({ restart: { condition: RestartCondition.NONE } }));
    model.crashSlot('0');
    const { rollout, tasks } = explainService(model.state, 'batch', model.clock);
    assert.deepEqual(tasks, []);
    assert.match(rollout[0]?.reason ?? '', /^iteration 0 failed: task batch\.0 failed: exit code 1/);
    assert.match(rollout[0]?.wayOut ?? '', /service update --force batch/);
  });

  it('is planned to run anew, and a scheduled one to do nothing', () => {
    const plain = led(jobSpec({ replicas: 2, image: 'completing', job: { ttlMs: 60_000 } }));
    assert.deepEqual(planOf(plain, forced), ['create batch.0', 'create batch.1']);
    const scheduled = led(jobSpec({ schedule: { cron: '* * * * *' } }));
    assert.deepEqual(
      planOf(scheduled, (spec) => ({ ...spec, replicas: 3 })),
      [],
    );
    assert.deepEqual(planOf(scheduled, forced), ['create batch.0']);
  });
});
